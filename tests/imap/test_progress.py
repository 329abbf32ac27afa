"""INPROGRESS: said now and then, to whom waits long (RFC 9585)."""

from __future__ import annotations

from mailhub.imap.progress import EVERY, Progress
from mailhub.imap.settings import Settings
from tests.imap.given import Talk
from tests.imap.test_searches import letter, talk


def test_told() -> None:
    """Not at once, and not all the time; with what is known of the goal."""
    now = 1000.0
    state = Talk().session._state
    state.settings = Settings("hub.example", now=lambda: now)
    state.tag = b'a"b'
    progress = Progress(state)
    assert progress.told(1, 9) == b""
    now += EVERY
    assert progress.told(2, 9) == b'* OK [INPROGRESS ("a\\"b" 2 9)] Still at it\r\n'
    assert progress.told(3, 9) == b""
    now += EVERY
    assert progress.told(9, 9) == b'* OK [INPROGRESS ("a\\"b" NIL NIL)] Still at it\r\n'


def test_searches() -> None:
    """A search that has to teach the index much tells how far it is, before its response."""
    for command in ("SEARCH BODY body", "SORT (DATE) UTF-8 ALL", "THREAD REFS UTF-8 BODY body"):
        session = talk(*(letter(n % 28 + 1, "x") for n in range(30)))
        session.store.inbox.left = 20
        moment = 1000.0

        def later() -> float:
            nonlocal moment
            moment += 4.0
            return moment

        session.session._state.settings = Settings("hub.example", now=later)
        heard = session.say(f"a {command}")
        told = [line for line in heard if "INPROGRESS" in line]
        assert len(told) >= 4
        assert told[0].startswith('* OK [INPROGRESS ("a" ')
        assert heard[len(told)].startswith(f"* {command.split()[0]}")
