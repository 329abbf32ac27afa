"""Work that outlives those who wait for it."""

from __future__ import annotations

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailhub.net.shield import shielded
from tests.net.test_journal import outcome
from tests.rig import run


async def work(until: Deferred[int], done: list[int]) -> int:
    done.append(await until)
    if not done[-1]:
        raise ValueError
    return done[-1]


def test_result() -> None:
    """Whoever waits gets the result, or what was raised."""
    done: list[int] = []
    ready: Deferred[int] = Deferred()
    ready.callback(7)
    assert run(shielded(work(ready, done))) == 7
    late: Deferred[int] = Deferred()
    found = outcome(Deferred.fromCoroutine(shielded(work(late, done))))
    assert found == []
    late.callback(0)
    assert isinstance(found[0], ValueError)


@pytest.mark.parametrize("result", [0, 1])
def test_cancelled(result: int) -> None:
    """Whoever is cancelled hears of it at once; the work goes on, and its failure is nobody's."""
    done: list[int] = []
    until: Deferred[int] = Deferred()
    waiting = Deferred.fromCoroutine(shielded(work(until, done)))
    found = outcome(waiting)
    waiting.cancel()
    assert isinstance(found[0], CancelledError)
    until.callback(result)
    assert done == [result]
