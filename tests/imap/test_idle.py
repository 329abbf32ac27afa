"""IDLE: news as they happen."""

from __future__ import annotations

from mailhub.ports.message import FlagAction, Uid
from tests.imap.given import PLAIN, Talk, store
from tests.rig import run


def test_news() -> None:
    """Arrivals, flags and expunges of others are told at once, expunges included."""
    talk = Talk().select()
    assert talk.say("a IDLE") == ["+ idling"]
    box = talk.store.inbox
    box.deliver(PLAIN)
    run(box.store([Uid(2)], FlagAction.ADD, ["\\Flagged"]))
    run(box.expunge([Uid(1)]))
    assert talk.woken == 3
    assert talk.heard() == [
        "* 1 EXPUNGE",
        "* 3 EXISTS",
        "* 3 RECENT",
        "* 1 FETCH (UID 2 FLAGS (\\Seen \\Flagged \\Recent))",
    ]
    assert talk.raw(b"DO") == b""
    assert talk.raw(b"NE\r\n") == b"a OK Idle completed\r\n"
    box.deliver(PLAIN)
    assert talk.woken == 3


def test_waiting_news() -> None:
    """What has happened before is told when IDLE begins."""
    talk = Talk().select()
    talk.store.inbox.deliver(PLAIN)
    assert talk.say("a IDLE") == ["+ idling", "* 4 EXISTS", "* 4 RECENT"]


def test_other_session() -> None:
    """What one session does another hears, and its own maildir is looked at."""
    mail = store()
    one, two = Talk(mail).select(), Talk(mail).select()
    two.say("a IDLE")
    one.say("a APPEND INBOX {5+}\r\nHello")
    assert two.woken == 1
    assert two.heard()[0] == "* 4 EXISTS"


def test_bad_end() -> None:
    """Anything but DONE ends IDLE in BAD."""
    talk = Talk().select()
    talk.say("a IDLE")
    assert talk.say("b NOOP") == ["a BAD Expected DONE"]
    talk.store.inbox.deliver(PLAIN)
    assert talk.woken == 0
    talk.say("c IDLE")
    assert talk.say("x" * 70000) == ["c BAD Command line too long"]
