"""POP3's grammar."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.pop3.command import (
    Auth,
    Capa,
    Command,
    Dele,
    Err,
    Garbled,
    Lang,
    List,
    Noop,
    Pass,
    Quit,
    Retr,
    Rset,
    Stat,
    Stls,
    Top,
    Uidl,
    User,
    Utf8,
    parse,
)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"USER ann@hub.example", User("ann@hub.example")),
        (b"user ann smith ", User("ann smith")),
        ("USER änn".encode(), User("änn")),
        (b"PASS  two  words ", Pass(" two  words ")),
        ("pass £".encode(), Pass("£")),
        (b"PASS", Pass("")),
        (b"AUTH", Auth("", None)),
        (b"AUTH ", Auth("", None)),
        (b"auth plain", Auth("PLAIN", None)),
        (b"AUTH PLAIN AGEAYg==", Auth("PLAIN", b"AGEAYg==")),
        (b"AUTH SCRAM-SHA-256 =", Auth("SCRAM-SHA-256", b"=")),
        (b"STLS", Stls()),
        (b"CAPA", Capa()),
        (b"UTF8", Utf8()),
        (b"LANG", Lang("")),
        (b"LANG *", Lang("*")),
        (b"LANG en-GB", Lang("en-GB")),
        (b"STAT", Stat()),
        (b"STAT junk", Stat()),
        (b"LIST", List(None)),
        (b"LIST ", List(None)),
        (b"LIST 2", List(2)),
        (b"UIDL", Uidl(None)),
        (b"UIDL 2", Uidl(2)),
        (b"RETR 1", Retr(1)),
        (b"retr  007 ", Retr(7)),
        (b"TOP 1 0", Top(1, 0)),
        (b"TOP 2 99999999", Top(2, 99999999)),
        (b"TOP 2 " + b"9" * 100, Top(2, int("9" * 100))),
        (b"DELE 3", Dele(3)),
        (b"NOOP", Noop()),
        (b"RSET", Rset()),
        (b"quit", Quit()),
    ],
)
def test_commands(line: bytes, expected: Command) -> None:
    """Each verb with its argument (RFC 1939 §9, RFC 5034 §8, RFC 6856)."""
    assert parse(line) == expected


@pytest.mark.parametrize(
    "line",
    [
        b"", b" ", b"NO", b"FOO", b"NOOP\x00", b" NOOP", b"APOP ann 0123456789", b"USER", b"USER  ",
        b"USER \xff", b"PASS \xff", b"RETR", b"RETR x", b"RETR -1", b"RETR 1 2", b"RETR +1",
        b"RETR 1.0", b"RETR \xb2", b"TOP 1", b"TOP 1 -1", b"TOP 1 2 3", b"DELE", b"LIST x",
        b"UIDL 1 2", b"AUTH PLAIN a b", b"AUTH ???", b"LANG en_GB", b"LANG a b",
        b"RETR " + b"1" * 300,
    ],
)  # fmt: skip
def test_garbled(line: bytes) -> None:
    """What is no command is told so."""
    with pytest.raises(Garbled):
        parse(line)


@given(st.binary(max_size=40) | st.builds(b" ".join, st.lists(st.binary(max_size=6), max_size=4)))
def test_total(line: bytes) -> None:
    """A line is a command or garbled, never anything worse."""
    with suppress(Garbled):
        parse(line)


def test_err() -> None:
    """Response codes stand in brackets (RFC 2449 §8)."""
    assert bytes(Err("no")) == b"-ERR no\r\n"
    assert bytes(Err("no", "IN-USE")) == b"-ERR [IN-USE] no\r\n"
