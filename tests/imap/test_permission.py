r"""Rights on the selected mailbox, as commands on its messages ask for them (RFC 4314 §4)."""

from __future__ import annotations

import pytest

from mailhub.mail.flag import ANSWERED, DELETED, FLAGGED, SEEN
from mailhub.mail.rights import Rights
from tests.imap.given import Talk


def selected(rights: str) -> Talk:
    talk = Talk().login()
    talk.store.inbox.rights = Rights(rights)
    talk.say("s SELECT INBOX")
    return talk


@pytest.mark.parametrize(
    ("rights", "access", "flags"),
    [
        ("lrswipkxtea", "READ-WRITE", "\\Seen \\Answered \\Flagged \\Deleted \\Draft \\*"),
        ("lrs", "READ-WRITE", "\\Seen"),
        ("lrt", "READ-WRITE", "\\Deleted"),
        ("lrw", "READ-WRITE", "\\Answered \\Flagged \\Draft \\*"),
        ("lri", "READ-WRITE", ""),
        ("lrpkxa", "READ-ONLY", ""),
    ],
)
def test_select(rights: str, access: str, flags: str) -> None:
    """SELECT tells what may be changed."""
    talk = Talk().login()
    talk.store.inbox.rights = Rights(rights)
    said = talk.say("s SELECT INBOX")
    assert said[-1] == f"s OK [{access}] Select completed"
    assert any(f"[PERMANENTFLAGS ({flags})]" in line for line in said)


def test_store_some() -> None:
    """Only permitted flags change; the others stay as they are, also where all are replaced."""
    talk = selected("lrw")
    talk.store.inbox.flags[0] = SEEN | ANSWERED | DELETED
    assert talk.say("a STORE 1 +FLAGS (\\Flagged \\Draft \\Seen)")[-1].startswith("a OK")
    talk.say("b STORE 1 -FLAGS (\\Draft \\Deleted)")
    assert talk.store.inbox.flags[0] == SEEN | ANSWERED | DELETED | FLAGGED
    assert talk.say("c STORE 1 FLAGS (\\Answered)") == [
        "* 1 FETCH (FLAGS (\\Seen \\Answered \\Deleted \\Recent))",
        "c OK Store completed",
    ]


def test_store_silent() -> None:
    """What .SILENT did not do is told."""
    talk = selected("lrw")
    assert talk.say("a STORE 1 +FLAGS.SILENT (\\Flagged \\Seen)") == [
        "* 1 FETCH (UID 1 FLAGS (\\Flagged \\Recent))",
        "a OK Store completed",
    ]


@pytest.mark.parametrize(
    "command",
    [
        "STORE 1 +FLAGS (\\Seen)",
        "STORE 1 -FLAGS.SILENT (\\Deleted \\Seen)",
        "EXPUNGE",
        "UID EXPUNGE 1",
        "MOVE 1 Work",
        "UID MOVE 1 Work",
    ],
)
def test_none(command: str) -> None:
    """A command that could do nothing of what it says is refused."""
    talk = selected("lrwi")
    assert talk.say(f"a {command}") == ["a NO [NOPERM] The mailbox's owner does not allow it"]
    assert len(talk.store.inbox.uids) == 3


def test_read_only() -> None:
    """Where nothing may be changed at all, that is said; EXAMINE has its own word."""
    talk = selected("lr")
    for command in ("STORE 1 +FLAGS (\\Seen)", "EXPUNGE", "MOVE 1 Work"):
        assert talk.say(f"a {command}") == ["a NO [NOPERM] The mailbox can only be read"]
    assert talk.say("b CLOSE")[-1].startswith("b OK")
    assert len(talk.store.inbox.uids) == 3


def test_close() -> None:
    """CLOSE expunges only what may be expunged, and closes in any case."""
    talk = selected("lrwt")
    assert talk.say("a CLOSE") == ["a OK Close completed"]
    assert len(talk.store.inbox.uids) == 3


def test_fetch() -> None:
    r"""FETCH of a body does not set ``\Seen`` without the right to."""
    talk = selected("lrw")
    talk.say("a FETCH 1 BODY[]")
    assert not talk.store.inbox.flags[0] & SEEN
    talk.store.inbox.rights = Rights("lrs")
    talk.say("b FETCH 1 BODY[]")
    assert talk.store.inbox.flags[0] & SEEN


def test_taken_away() -> None:
    """A right that is taken from an open mailbox is missed at once."""
    talk = selected("lrswite")
    talk.store.inbox.rights = Rights("lrsi")
    assert talk.say("a EXPUNGE")[-1].startswith("a NO [NOPERM]")
    talk.store.inbox.ended = "You may not read this mailbox any more"
    bye = "* BYE [UNAVAILABLE] You may not read this mailbox any more"
    assert talk.say("b FETCH 1 BODY[]") == [bye]
    assert talk.session.closed


def test_taken_away_amid_idle() -> None:
    """An idle client hears of it when the mailbox wakes it."""
    talk = selected("lr")
    talk.say("a IDLE")
    talk.store.inbox.ended = "Gone"
    assert talk.heard() == ["* BYE [UNAVAILABLE] Gone"]
