"""Trace fields say where mail came from, in lines of ours alone."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.header import Header
from mailhub.mail.trace import Hop, delivered_to, delivery, keyword, received, return_path

HOP = Hop("client.example", "192.0.2.1", "ESMTPS", "TLSv1.3 TLS_AES_256_GCM_SHA384")
BOB = Path("bob", "elsewhere.example")


def test_received() -> None:
    """The whole stamp of RFC 5321 §4.4."""
    assert received(HOP, "hub.example", "4k3j", 0.5, BOB) == (
        b"Received: from client.example ([192.0.2.1])\r\n"
        b"\tby hub.example (mailhub) with ESMTPS id 4k3j\r\n"
        b"\t(TLSv1.3 TLS_AES_256_GCM_SHA384)\r\n"
        b"\tfor <bob@elsewhere.example>;\r\n"
        b"\tThu, 1 Jan 1970 00:00:00 +0000\r\n"
    )


def test_several_recipients() -> None:
    """Recipients do not learn of each other."""
    assert b"for" not in received(HOP, "hub.example", "4k3j", 0.0)


def test_hidden() -> None:
    """A client whose address is hidden is not named at all."""
    field = received(Hop("laptop.example", "", "ESMTPSA"), "hub.example", "4k3j", 0.0)
    assert b"from" not in field
    assert b"laptop" not in field
    assert field.startswith(b"Received: by hub.example (mailhub) with ESMTPSA id 4k3j;\r\n")


def test_ipv6() -> None:
    """IPv6 addresses are tagged (RFC 5321 §4.1.3)."""
    field = received(Hop("x", "2001:db8::1", "SMTP"), "hub.example", "4k3j", 0.0)
    assert b"from x ([IPv6:2001:db8::1])\r\n" in field


@pytest.mark.parametrize(
    ("protocol", "utf8", "name"),
    [
        ("SMTP", False, "SMTP"),
        ("ESMTP", False, "ESMTP"),
        ("ESMTPSA", False, "ESMTPSA"),
        ("ESMTP", True, "UTF8SMTP"),
        ("ESMTPS", True, "UTF8SMTPS"),
        ("ESMTPSA", True, "UTF8SMTPSA"),
        ("UTF8SMTPA", True, "UTF8SMTPA"),
        ("SMTP", True, "SMTP"),
        ("LMTP", False, "LMTP"),
        ("bad\r\nX: y", False, "SMTP"),
    ],
)
def test_keyword(protocol: str, utf8: bool, name: str) -> None:
    """The keywords of RFC 3848 and RFC 6531 §4.3, and nothing else."""
    assert keyword(Hop("x", "192.0.2.1", protocol, utf8=utf8)) == name


@pytest.mark.parametrize(
    "helo",
    [
        "client.example",
        "x",
        "a_b.example.",
        "[192.0.2.7]",
        "[IPv6:2001:db8::7]",
        "WIN-10",
        "1.2.3.4",
    ],
)
def test_helo(helo: str) -> None:
    """What a client may call itself is repeated."""
    field = received(Hop(helo, "192.0.2.1", "SMTP"), "hub.example", "4k3j", 0.0)
    assert field.startswith(f"Received: from {helo} ([192.0.2.1])\r\n".encode())


@pytest.mark.parametrize(
    "helo",
    [
        "",
        "a b",
        "x\r\nBcc: victim@elsewhere.example",
        "x\nBcc: y",
        "x\r",
        "x)\r\n\r\nbody",
        "(comment",
        "x;y",
        "-x",
        "a..b",
        "ümlaut.example",
        "x\0",
        "\udc80",
        "x" * 256,
        "[192.0.2.7",
        "[x]",
    ],
)
def test_other_helo(helo: str) -> None:
    """Anything else is left out: its address says who it is."""
    field = received(Hop(helo, "192.0.2.1", "SMTP"), "hub.example", "4k3j", 0.0)
    assert field.startswith(b"Received: from [192.0.2.1] ([192.0.2.1])\r\n")


def test_long_helo_is_quick() -> None:
    """Time does not explode on a name made for that."""
    start = time.perf_counter()
    for helo in ("a" * 10_000, "a" * 254 + "!", "a-" * 120 + "!", "a." * 120 + "!"):
        received(Hop(helo, "192.0.2.1", "SMTP"), "hub.example", "4k3j", 0.0)
    assert time.perf_counter() - start < 2


@given(st.text(max_size=60), st.text(max_size=10), st.booleans())
def test_one_field(helo: str, protocol: str, utf8: bool) -> None:
    """Whatever the client says, one field comes of it."""
    field = received(Hop(helo, "192.0.2.1", protocol, utf8=utf8), "hub.example", "4k3j", 0.0, BOB)
    assert [one.name for one in Header(field).fields()] == [b"Received"]
    assert field.count(b"\r\n") == field.count(b"\r\n\t") + 1 == field.count(b"\n")


def test_utf8_recipient() -> None:
    """A recipient in UTF-8 is named where the transaction allows UTF-8."""
    path = parse_path("пётр@hub.example", utf8=True)
    assert (
        "for <пётр@"
        in received(
            Hop("x", "192.0.2.1", "ESMTP", utf8=True), "hub.example", "4k3j", 0.0, path
        ).decode()
    )
    assert b"for" not in received(HOP, "hub.example", "4k3j", 0.0, path)


def test_final_delivery() -> None:
    """Return-Path and Delivered-To, quoted as paths are."""
    assert return_path(NULL) == b"Return-Path: <>\r\n"
    odd = Path('a"\\ b', "hub.example")
    assert return_path(odd) == b'Return-Path: <"a\\"\\\\ b"@hub.example>\r\n'
    assert delivered_to(BOB) == b"Delivered-To: bob@elsewhere.example\r\n"
    assert delivery(NULL, BOB) == return_path(NULL) + delivered_to(BOB)
