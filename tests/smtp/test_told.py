"""Which refusals an intake is told of."""

from __future__ import annotations

import pytest

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.smtp.command import parse
from mailhub.smtp.told import about, about_line, matters

ENVELOPE = Envelope(Path("a", "b.example"))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b"MAIL FROM:<>", ("MAIL", Envelope(NULL), None)),
        (b"RCPT TO:<x@y.example>", ("RCPT", ENVELOPE, Path("x", "y.example"))),
        (b"DATA", ("DATA", ENVELOPE, None)),
        (b"BDAT 5 LAST", ("DATA", ENVELOPE, None)),
        (b"AUTH PLAIN", ("AUTH", None, None)),
        (b"NOOP", ("", None, None)),
    ],
)
def test_about(line: bytes, expected: object) -> None:
    """Stage, envelope and recipient, as far as a command says."""
    assert about(parse(line, utf8=False), ENVELOPE) == expected


def test_about_a_line() -> None:
    """Of a line that could not be read only its verb is known."""
    assert about_line(b"mail \xff") == ("MAIL", None, None)
    assert about_line(b"\xff\xfe") == ("\ufffd\ufffd", None, None)


def test_what_matters() -> None:
    """Mail and logins do, commands out of order do not."""
    assert matters("MAIL", Refusal(550, "7.1", "No"))
    assert not matters("MAIL", Refusal(503, "5.1", "Say EHLO first"))
    assert not matters("NOOP", Refusal(550, "7.1", "No"))
