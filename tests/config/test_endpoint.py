"""Where to listen, and whom to connect to."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.config.endpoint import ENDPOINT, RESOLVER, SERVER, Endpoint
from mailhub.config.values import AnyKind

READ: list[tuple[AnyKind, str, object]] = [
    (RESOLVER, "127.0.0.1", ("127.0.0.1", 53)),
    (RESOLVER, "::1", ("::1", 53)),
    (RESOLVER, "[::1]:5353", ("::1", 5353)),
    (RESOLVER, "127.0.0.1:5353", ("127.0.0.1", 5353)),
    (SERVER, "smtp.example.com", ("smtp.example.com", 0)),
    (SERVER, "smtp.example.com:587", ("smtp.example.com", 587)),
    (SERVER, "[2001:db8::1]:25", ("2001:db8::1", 25)),
    (SERVER, "localhost:2525", ("localhost", 2525)),
    (ENDPOINT, "25", Endpoint("", 25)),
    (ENDPOINT, "*:25", Endpoint("", 25)),
    (ENDPOINT, "127.0.0.1:2525", Endpoint("127.0.0.1", 2525)),
    (ENDPOINT, "localhost:2525", Endpoint("127.0.0.1", 2525)),
    (ENDPOINT, "[::1]:2525", Endpoint("::1", 2525)),
    (ENDPOINT, "systemd:domain=INET:index=0", Endpoint(given="systemd:domain=INET:index=0")),
    (ENDPOINT, "systemd:domain=UNIX:name=a", Endpoint(given="systemd:domain=UNIX:name=a")),
    (ENDPOINT, "unix:/run/x:mode=600", Endpoint(given="unix:/run/x:mode=600")),
    (ENDPOINT, r"tcp6:25:interface=\:\:1", Endpoint(given=r"tcp6:25:interface=\:\:1")),
    (ENDPOINT, "tcp:25:interface=10.0.0.1", Endpoint(given="tcp:25:interface=10.0.0.1")),
]
REFUSED: list[tuple[AnyKind, list[str]]] = [
    (RESOLVER, ["", "localhost", "127.0.0.1:0", "127.0.0.1:99999", "[::1", "127.0.0.1:dns"]),
    (SERVER, ["", ":25", "host", "smtp.example.com:", "smtp.example.com:0", "a b.example"]),
    (ENDPOINT, ["", "0", "65536", "host.example:25", "::1", "tls:25", "tcp:", "25/tcp", "-25"]),
    (ENDPOINT, ["unix:/run/x:mode=9", "systemd:domain=INET", "systemd:domain=IPV4:index=0"]),
    (
        ENDPOINT,
        ["tcp:smtp", "tcp:25:interfac=::1", "tcp:25:backlog=x", "tcp:65536", "unix:run/x", "fd:3"],
    ),
]


@pytest.mark.parametrize(("kind", "text", "value"), READ)
def test_read(kind: AnyKind, text: str, value: object) -> None:
    """What is written is understood, and printed so that it is understood again."""
    assert kind.parse(text) == value
    assert kind.parse(kind.show(value)) == value


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, all_ in REFUSED for text in all_]
)
def test_refused(kind: AnyKind, text: str) -> None:
    """Anything else is refused, never guessed at."""
    with pytest.raises(ValueError):  # noqa: PT011  # it carries no text
        kind.parse(text)


def test_shown() -> None:
    """The DNS's own port is left out, and names are shown as U-labels."""
    assert RESOLVER.show(("::1", 53)) == "::1"
    assert SERVER.show(("xn--bcher-kva.example", 25)) == "bücher.example:25"


@given(st.text(max_size=30), st.sampled_from([ENDPOINT, RESOLVER, SERVER]))
def test_no_other_exception(text: str, kind: AnyKind) -> None:
    """Whatever is written, a kind reads it or raises ValueError."""
    try:
        value = kind.parse(text)
    except ValueError:
        return
    assert kind.parse(kind.show(value)) == value


@pytest.mark.parametrize(
    ("text", "ipv6", "description"),
    [
        ("25", True, "tcp:25:interface=\\:\\:"),
        ("25", False, "tcp:25:interface=0.0.0.0"),
        ("127.0.0.1:25", True, "tcp:25:interface=127.0.0.1"),
        ("[::1]:25", True, "tcp:25:interface=\\:\\:1"),
        ("systemd:domain=INET:index=0", True, "systemd:domain=INET:index=0"),
    ],
)
def test_descriptions(text: str, ipv6: bool, description: str) -> None:
    """Shorthand becomes what Twisted wants; its own language passes as it is."""
    assert ENDPOINT.parse(text).description(both_families=ipv6) == description


@pytest.mark.parametrize(
    ("text", "public"),
    [
        ("25", True),
        ("127.0.0.1:25", False),
        ("[::1]:25", False),
        ("192.0.2.1:25", True),
        ("tcp:25", True),
        ("tcp:25:interface=127.0.0.1", False),
        ("tcp:25:interface=\\:\\:1", False),
        ("unix:/run/hub", False),
        ("systemd:domain=INET:index=0", True),
    ],
)
def test_public(text: str, public: bool) -> None:
    """Whether others can reach a listener; in doubt they can."""
    assert ENDPOINT.parse(text).public is public
