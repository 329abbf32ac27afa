"""SELECT, EXPUNGE and CLOSE that the dialogues do not show."""

from __future__ import annotations

import pytest

from mailhub.imap.selection import EXPUNGE_ROWS
from mailhub.ports.store import Status, StoreFault, StoreRefused
from tests.imap.fakes import FakeStore
from tests.imap.given import PLAIN, Talk, store


def test_recent() -> None:
    r"""The first to select takes ``\Recent``; EXAMINE only counts it."""
    mail = store()
    looker = Talk(mail).login()
    assert "* 3 RECENT" in looker.say("a EXAMINE INBOX")
    assert "* 3 RECENT" in Talk(mail).login().say("a SELECT INBOX")
    assert "* 0 RECENT" in Talk(mail).login().say("a SELECT INBOX")
    mail.inbox.deliver(PLAIN)
    assert "* 0 RECENT" in looker.say("b NOOP")


def test_failing_examine(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mailbox that was opened is given back, whatever fails then."""

    async def failing(self: FakeStore, name: str) -> Status:
        raise StoreRefused(StoreFault.SERVER_BUG, "The disk said no")

    talk = Talk().login()
    monkeypatch.setattr(FakeStore, "status", failing)
    assert talk.say("a EXAMINE INBOX") == ["a NO [SERVERBUG] The disk said no"]
    assert talk.store.inbox.released == 1


def test_given_back() -> None:
    """Each way out of a mailbox gives it back once, and stops its calls."""
    talk = Talk().login()
    for line in ("CLOSE", "UNSELECT", "SELECT Work", "EXAMINE Work", "DELETE INBOX"):
        talk.say("s SELECT INBOX")
        talk.say(f"a {line}")
    inbox = talk.store.inbox
    assert inbox.opened == inbox.released + 1  # DELETE INBOX is refused
    talk.say("b LOGOUT")
    assert inbox.opened == inbox.released


def test_many() -> None:
    """Many messages are expunged in several steps, and told in numbers that hold."""
    mail = FakeStore()
    count = 2 * EXPUNGE_ROWS + 7
    for _ in range(count):
        mail.inbox.deliver(PLAIN, 8)
    talk = Talk(mail).select()
    assert talk.say("a EXPUNGE")[:-1] == [f"* {n} EXPUNGE" for n in range(count, 0, -1)]


def test_close_many() -> None:
    """CLOSE does so without a word; after EXAMINE it removes nothing."""
    mail = store()
    talk = Talk(mail).login()
    talk.say("a EXAMINE INBOX")
    talk.say("b CLOSE")
    assert len(mail.inbox.uids) == 3
    talk.say("c SELECT INBOX")
    assert talk.say("d CLOSE") == ["d OK Close completed"]
    assert len(mail.inbox.uids) == 2
