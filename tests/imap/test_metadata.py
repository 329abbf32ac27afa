"""Annotations that are told, and those that are too long."""

from __future__ import annotations

from mailhub.imap.command import Asked
from mailhub.imap.metadata import changed_response, metadata_response
from mailhub.imap.settings import Limits
from tests.imap.given import Talk

ENTRIES = {
    "/private/a": b"1",
    "/private/a/b": b"22",
    "/private/a/b/c": b"333",
    "/private/ab": b"4444",
}


def told(*entries: str, depth: int | None = 0, longest: int | None = None) -> tuple[str, int]:
    response, skipped = metadata_response(b"INBOX", ENTRIES, Asked(entries, depth, longest))
    return response.decode(), skipped


def test_depth() -> None:
    """DEPTH 0 is the entry, 1 the entry and its children, infinity all below (RFC 5464 §4.2.2)."""
    assert told("/private/a")[0] == '* METADATA INBOX (/private/a "1")\r\n'
    one = '* METADATA INBOX (/private/a "1" /private/a/b "22")\r\n'
    assert told("/private/a", depth=1)[0] == one
    assert told("/private/a", depth=None)[0].count('"') == 6
    assert (
        told("/private", depth=1)[0] == '* METADATA INBOX (/private/a "1" /private/ab "4444")\r\n'
    )
    assert told("/shared", depth=None) == ("", 0)


def test_each_once() -> None:
    """An entry that several names mean is told once."""
    assert told("/private/a", "/private/a/b", depth=1)[0].count("/private/a/b ") == 1


def test_too_long() -> None:
    """The longest value that was left out is counted."""
    assert told("/private", depth=None, longest=2)[1] == 4
    assert told("/private/a", longest=0) == ("", 1)


def test_changed() -> None:
    """Changes are told without values."""
    assert changed_response(b'""', ["/shared/a", "/shared/b c"]) == (
        b'* METADATA "" /shared/a "/shared/b c"\r\n'
    )


def test_limit() -> None:
    """A value longer than may be is refused with the limit (RFC 5464 §4.3)."""
    talk = Talk(limits=Limits(annotation=4)).login()
    assert talk.say('a SETMETADATA INBOX (/private/a "12345")') == [
        "a NO [METADATA MAXSIZE 4] The value is too long"
    ]
    assert talk.say('b SETMETADATA INBOX (/private/a "1234")') == ["b OK Setmetadata completed"]
