"""What the runner makes of an outcome."""

from __future__ import annotations

from dataclasses import replace

from mailhub.policy.cause import Cause
from mailhub.ports.outgoing import Outcome
from mailhub.queue.item import Answer
from mailhub.relay.agents import answers
from tests.queue import given as make
from tests.queue.given import LATER, OK


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
