"""Kinds of value: what is read, what is refused, what is printed."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.config.values import (
    BOOLEAN,
    CERTIFICATE,
    COUNT,
    DOMAIN,
    DURATION,
    FACTOR,
    HOST,
    KIB,
    MAIL_ADDRESS,
    NETWORK,
    PATH,
    PATTERN,
    SIZE,
    SIZE_OR_NONE,
    TEXT,
    UNLIMITED,
    AnyKind,
    CertificateFiles,
    bounded,
    choice,
    many,
    many_of,
    optional,
    optional_text,
    some,
    word,
)
from mailhub.mail.address import Path as Address

KIND = choice({"never": 0, "loopback": 1, "always": 2})
READ: list[tuple[AnyKind, str, object]] = [
    (SIZE_OR_NONE, "0", UNLIMITED),
    (SIZE_OR_NONE, "50M", 50 << 20),
    (DURATION, "0", 0.0),
    (DURATION, "90s", 90.0),
    (DURATION, "5m", 300.0),
    (DURATION, "1h30m", 5400.0),
    (DURATION, "5d", 432000.0),
    (DURATION, "1w", 604800.0),
    (DURATION, "250ms", 0.25),
    (SIZE, "0", 0),
    (SIZE, "512", 512),
    (SIZE, "50M", 50 << 20),
    (SIZE, "64k", 64 << 10),
    (SIZE, "2G", 2 << 30),
    (SIZE, "1T", 1 << 40),
    (COUNT, "100", 100),
    (FACTOR, "1.5", 1.5),
    (BOOLEAN, "yes", True),
    (BOOLEAN, "On", True),
    (BOOLEAN, "false", False),
    (TEXT, "anything # at all", "anything # at all"),
    (PATH, "/var/lib/mailhub", "/var/lib/mailhub"),
    (HOST, "Mail.Example.COM.", "mail.example.com"),
    (DOMAIN, "bücher.example", "xn--bcher-kva.example"),
    (MAIL_ADDRESS, "ann@bücher.example", Address("ann", "xn--bcher-kva.example")),
    (NETWORK, "192.0.2.0/24", ipaddress.ip_network("192.0.2.0/24")),
    (NETWORK, "2001:db8::1", ipaddress.ip_network("2001:db8::1/128")),
    (CERTIFICATE, "/a.pem", CertificateFiles("/a.pem", "/a.pem")),
    (CERTIFICATE, "/a.pem /a.key", CertificateFiles("/a.pem", "/a.key")),
    (CERTIFICATE, '"/my files/a.pem" /a.key', CertificateFiles("/my files/a.pem", "/a.key")),
    (KIND, "Loopback", 1),
    (PATTERN, "*", "*"),
    (PATTERN, "*.example", "*.example"),
    (PATTERN, "*.bücher.example", "*.xn--bcher-kva.example"),
    (PATTERN, "Hub.example", "hub.example"),
    (KIB, "19M", 19 << 10),
    (bounded(COUNT, 2), "2", 2),
    (bounded(COUNT, 2, 5), "5", 5),
    (word("1.2", "1.3"), "1.3", "1.3"),
    (some(COUNT), "1,", (1,)),
    (many(COUNT), "", ()),
    (many(COUNT), "1, 2,3", (1, 2, 3)),
    (many(COUNT), "\n1\n2,\n", (1, 2)),
    (many_of(COUNT), "2, 1, 2", frozenset({1, 2})),
    (optional(COUNT), "", None),
    (optional(COUNT), "7", 7),
    (optional_text(PATH), "", ""),
    (optional_text(PATH), "/x", "/x"),
]
REFUSED: list[tuple[AnyKind, list[str]]] = [
    (
        DURATION,
        ["", "300", "5", "5x", "m", "-5m", "1.5h", "5m3", "five minutes", "1h 30m", "9" * 30 + "s"],
    ),
    (SIZE, ["", "M", "-1", "50 M", "50MB", "1.5G", "٣", "9" * 30]),
    (COUNT, ["", "-1", "1.0", "ten", "0x10", "٣"]),
    (FACTOR, ["", "-1", ".5", "1.", "nan", "inf", "1e3"]),
    (BOOLEAN, ["", "1", "maybe", "yes please"]),
    (PATH, ["", "relative/path", "~/x", "/nul\0"]),
    (HOST, ["", "box", "192.0.2.1", "[192.0.2.1]", "two words.example", "-.example", "a..b"]),
    (MAIL_ADDRESS, ["", "ann", "postmaster", "ann@", "@example.com", "a b@example.com"]),
    (NETWORK, ["", "example.com", "192.0.2.1/24", "192.0.2.0/33"]),
    (CERTIFICATE, ["", "a.pem", "/a /b /c", '"/a']),
    (KIND, ["", "sometimes"]),
    (many(COUNT), ["1 2", "1, x"]),
    (some(COUNT), ["", ",", "x"]),
    (PATTERN, ["", "a.*.example", "**", "*.", "*example.com", "box"]),
    (KIB, ["", "1000", "-1K"]),
    (bounded(COUNT, 2, 5), ["1", "6"]),
    (word("1.2", "1.3"), ["1.1"]),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_read(kind: AnyKind, text: str, value: object) -> None:
    """What a person writes becomes the value, and the value's text is read as the same again."""
    assert kind.parse(text) == value
    assert kind.parse(kind.show(value)) == value


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in REFUSED for text in texts]
)
def test_refused(kind: AnyKind, text: str) -> None:
    """Anything else is a ValueError, and never another exception."""
    with pytest.raises(ValueError):  # noqa: PT011  # the words are the kind's, see `expected`
        kind.parse(text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0"), (300, "5m"), (5400, "1h30m"), (432000, "5d"), (604800, "7d"), (0.25, "250ms")],
)
def test_shown_durations(seconds: float, text: str) -> None:
    """Durations are printed as the sample file spells them."""
    assert DURATION.show(seconds) == text


@pytest.mark.parametrize(
    ("octets", "text"), [(0, "0"), (998, "998"), (1 << 10, "1K"), (50 << 20, "50M"), (1536, "1536")]
)
def test_shown_sizes(octets: int, text: str) -> None:
    """Sizes take the largest unit that leaves nothing over."""
    assert SIZE.show(octets) == text


def test_shown_words() -> None:
    """Domains are shown as U-labels, lists have commas."""
    assert DOMAIN.show("xn--bcher-kva.example") == "bücher.example"
    assert many_of(COUNT).show(frozenset({2, 1})) == "1, 2"
    assert KIND.expected == "never, loopback or always"


@given(st.integers(0, 10**12).map(lambda n: n / 1000))
def test_duration_round_trip(seconds: float) -> None:
    """Every duration to the millisecond survives printing."""
    assert DURATION.parse(DURATION.show(seconds)) == pytest.approx(seconds)


@given(st.integers(0, 1 << 50))
def test_size_round_trip(octets: int) -> None:
    """Every size survives printing."""
    assert SIZE.parse(SIZE.show(octets)) == octets


@given(st.text(max_size=30), st.sampled_from([kind for kind, _ in REFUSED]))
def test_no_other_exception(text: str, kind: AnyKind) -> None:
    """Whatever is written, a kind reads it or raises ValueError."""
    try:
        value = kind.parse(text)
    except ValueError:
        return
    assert kind.parse(kind.show(value)) == value
