"""A connection's state between commands."""

from __future__ import annotations

import pytest

from mailhub.imap.census import Census
from mailhub.imap.response import Bye, No
from mailhub.imap.state import Phase, Selected
from mailhub.imap.view import View
from tests.imap.fakes import FakeMailbox
from tests.imap.given import Talk
from tests.rig import run


def test_deselect() -> None:
    """Leaving a mailbox gives it back, and is harmless without one."""
    state = Talk().select().session._state
    box = state.box.mailbox
    assert isinstance(box, FakeMailbox)
    for _ in range(2):
        run(state.deselect())
        assert state.phase is Phase.AUTHENTICATED
        assert state.selected is None
    assert box.released == 1
    box.deliver(b"x")


def test_names() -> None:
    """Names are held to the limits."""
    state = Talk().login().session._state
    assert state.name(b"inbox") == "INBOX"
    with pytest.raises(No):
        state.name(b"x" * 1000)


def test_recents() -> None:
    r"""Who may only read takes ``\Recent`` from nobody (RFC 3501 §6.3.2)."""
    box = FakeMailbox("INBOX")
    selected = Selected(box, View(box), read_only=True, changed=lambda: None)
    box.deliver(b"x")
    assert b"".join(selected.tell_arrivals()) == b"* 1 EXISTS\r\n* 0 RECENT\r\n"
    assert box.recent_count == 1


def test_lost() -> None:
    """A lost view cannot be brought up to date."""
    box = FakeMailbox("INBOX")
    selected = Selected(box, View(box), read_only=False, changed=lambda: None)
    box.memory = 0
    box.deliver(b"x")
    with pytest.raises(Bye):
        selected.tell(expunges=True)


def test_left_whatever_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """A connection that ends badly is counted no more, or its account could not log in one day."""
    census = Census()
    talk = Talk(census=census).select()
    selected, account = talk.session._state.selected, talk.session._state.account
    assert selected is not None
    assert account is not None
    assert census.full(account.id, 1)

    async def fail() -> None:
        raise OSError("the disk is gone")

    monkeypatch.setattr(selected.mailbox, "release", fail)
    with pytest.raises(OSError, match="gone"):
        run(talk.session.close())
    assert not census.full(account.id, 1)
    run(talk.session.close())
