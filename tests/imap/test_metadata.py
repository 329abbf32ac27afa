"""Annotations that are told, and those that are too long."""

from __future__ import annotations

from mailhub.imap.command import Asked
from mailhub.imap.metadata import changed_response, metadata_response
from mailhub.imap.settings import Limits
from mailhub.imap.state import ANNOTATED
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


def test_told_unasked() -> None:
    """Whoever enabled it is told at the end of a command what others changed (RFC 5464 §4.1)."""
    talk = Talk().login()
    talk.store.annotated("INBOX", ["/shared/a"])
    assert talk.say("a NOOP") == ["a OK Nothing done"]
    assert talk.say("b ENABLE METADATA-SERVER")[0] == "* ENABLED METADATA-SERVER"
    talk.store.annotated("INBOX", ["/shared/a"])
    talk.store.annotated("", ["/shared/a"])
    assert talk.say("c NOOP") == ['* METADATA "" /shared/a', "c OK Nothing done"]
    talk.say("d ENABLE METADATA")
    talk.store.annotated("INBOX", ["/shared/a", "/private/b"])
    talk.store.annotated("INBOX", ["/shared/a"])
    assert talk.say("e NOOP")[:-1] == ["* METADATA INBOX /shared/a /private/b"]
    assert talk.say("f NOOP")[:-1] == []


def test_told_amid_idle() -> None:
    """An idle client is woken for it, with or without a mailbox."""
    talk = Talk().login()
    talk.say("a ENABLE METADATA")
    talk.say("b IDLE")
    talk.store.annotated("Work", ["/shared/a"])
    assert talk.woken == 1
    assert talk.heard() == ["* METADATA Work /shared/a"]


def test_not_told_after_login() -> None:
    """What was enabled ends with the login; what is not fetched does not pile up."""
    talk = Talk().login()
    talk.say("a ENABLE METADATA")
    for number in range(ANNOTATED + 5):
        talk.store.annotated(f"m{number}", ["/shared/a"])
    assert len(talk.session._state.annotated) == ANNOTATED
    talk.say("b UNAUTHENTICATE")
    talk.store.annotated("INBOX", ["/shared/a"])
    talk.login()
    assert talk.say("c NOOP") == ["c OK Nothing done"]
