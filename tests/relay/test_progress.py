"""Replies and excuses, recipient by recipient."""

from __future__ import annotations

from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.relay.names import Names
from mailhub.relay.progress import Excuse, Progress
from tests.relay.sending import Names as Resolver
from tests.relay.sending import envelope, told

OK = Reply(250, "0.0", ("Ok",))
LATER = Excuse(Reply(451, "4.1", ("Later",)), Cause.UNREACHABLE)
NEVER = Excuse(Reply(554, "6.3", ("Never",)), Cause.PROTOCOL)
BLOCKED = Reply(550, "7.1", ("Blocked",))


def progress(*names: str) -> Progress:
    return Progress.of(envelope(*names), Names(Resolver({}, {}), lambda: 0.0))


def test_settled() -> None:
    """Who has a reply is not open any more, and keeps it."""
    it = progress("ann", "bea")
    it.settle(1, OK, None, "mx", dsn=True)
    assert it.open == [0]
    it.excuse(LATER)
    outcome = it.outcome()
    assert told(outcome) == ["451 4.4.1", "250 2.0.0"]
    assert outcome.hosts == ("", "mx")
    assert outcome.dsn == (False, True)
    assert outcome.causes == (Cause.UNREACHABLE, None)


def test_excuses() -> None:
    """A temporary excuse is never replaced by a permanent one; else the last counts."""
    for order in ((LATER, NEVER), (NEVER, LATER)):
        it = progress("ann")
        for excuse in order:
            it.excuse(excuse)
        assert told(it.outcome()) == ["451 4.4.1"]


def test_nothing() -> None:
    """Without any excuse there was nobody to try."""
    assert told(progress("ann").outcome()) == ["451 4.4.1"]


def test_put_off() -> None:
    """The moment to come again is told."""
    assert progress("ann").outcome(7.0).put_off == 7.0


def test_blocked() -> None:
    """Who was refused for a block can be tried another way; who was taken after all is not."""
    it = progress("ann", "bea", "cid", "dan")
    it.settle(0, BLOCKED, Cause.BLOCKED, "mx", dsn=False)
    it.excuse(Excuse(BLOCKED, Cause.BLOCKED), (1, 2))
    it.excuse(LATER, (1,))
    it.settle(2, OK, None, "mx", dsn=False)
    assert it.blocked() == [0, 1]
    it.reopen([0, 1])
    assert it.open == [0, 1, 3]
    assert it.blocked() == []
