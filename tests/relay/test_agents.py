"""What the runner makes of an outcome."""

from __future__ import annotations

from dataclasses import replace

from mailhub.policy.cause import Cause
from mailhub.policy.returnpath import Ticket
from mailhub.ports.outgoing import Outcome
from mailhub.queue.change import Due
from mailhub.queue.item import Answer
from mailhub.relay.agents import Unguarded, answers
from tests.queue import given as make
from tests.queue.given import LATER, OK
from tests.rig import run


def test_all_that_is_known() -> None:
    """Each recipient has the words, their host, who reports, and why; who had no turn, when."""
    outcome = Outcome(
        (OK, LATER, LATER),
        (),
        ("mx1", "mx2", ""),
        (True, False, False),
        (None, Cause.GREYLISTED, Cause.LOCAL),
        put_off=5.0,
    )
    assert answers(outcome) == [
        Answer(OK, "mx1", dsn=True),
        Answer(LATER, "mx2", cause=Cause.GREYLISTED),
        Answer(LATER, again=5.0, cause=Cause.LOCAL),
    ]


def test_facts_that_are_not_given() -> None:
    """Whose words they are can also be told from the last attempt, if it got through."""
    tried = make.attempt("mx")
    assert answers(Outcome((LATER,), (tried,))) == [Answer(LATER, "mx")]
    unreached = replace(tried, stage="connect")
    assert answers(Outcome((LATER,), (unreached,))) == [Answer(LATER)]


def test_return_paths() -> None:
    """What the return path names that was used is known with each answer."""
    ticket = Ticket(1, make.queue_id(1), 0)
    assert answers(Outcome((OK,), (), ("mx",)), ticket) == [Answer(OK, "mx", ticket=ticket)]


def test_unguarded() -> None:
    """Where nobody guards it, all mail goes as it is, and nothing is remembered."""
    guard, item = Unguarded(), make.item()
    assert not guard.concerns(item.flow, item.envelope.reverse_path)
    assert not guard.alone(Due(0.0, item.queue_id, 0, make.BOB, make.SENDER, local=False))
    assert guard.refused(item, (0,)) == {}
    assert run(guard.sent_as("hop", item, (0,), item.envelope)) == (item.envelope, None)
    assert guard.known(item, {0: Answer(OK)}) == ()
    guard.settled(item, {0: Answer(OK)})
