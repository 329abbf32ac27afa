"""Work that is done some time after it was asked for."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs

from mailhub.net.afterwards import Afterwards


class Work:
    """Counts, waits and fails as told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.begun = 0
        self.fault: Exception | None = None
        self.waits: Deferred[None] | None = None
        self.afterwards = Afterwards("counting", self.count, self.clock)

    async def count(self) -> None:
        self.begun += 1
        if self.fault is not None:
            raise self.fault
        if self.waits is not None:
            await self.waits


def test_together() -> None:
    """However often it is asked for it is done once, and then not before somebody asks again."""
    work = Work()
    work.afterwards.ask(2)
    work.clock.advance(1)
    work.afterwards.ask(2)
    work.clock.advance(1)
    assert work.begun == 1
    assert work.clock.getDelayedCalls() == []
    work.afterwards.ask(2)
    work.clock.advance(2)
    assert work.begun == 2


def test_sooner() -> None:
    """Who is in haste does not wait for who is not."""
    work = Work()
    work.afterwards.ask(600)
    work.afterwards.ask(2)
    work.afterwards.ask(60)
    work.clock.advance(2)
    assert work.begun == 1
    assert work.clock.getDelayedCalls() == []


def test_asked_meanwhile() -> None:
    """Whoever asks while it is being done has it done anew, as soon as the most hasty wants."""
    work = Work()
    work.waits = Deferred()
    work.afterwards.ask(0)
    work.clock.advance(0)
    work.afterwards.ask(5)
    work.afterwards.ask(3)
    work.clock.advance(60)
    assert work.begun == 1
    waits, work.waits = work.waits, None
    waits.callback(None)
    work.clock.advance(3)
    assert work.begun == 2


@pytest.mark.parametrize("fault", [OSError("the disk is full"), KeyError("x")])
def test_failure(fault: Exception) -> None:
    """A failure is told, with its trace where it is a bug, and nothing is stuck."""
    work = Work()
    work.fault = fault
    with capturedLogs() as logged:
        work.afterwards.ask(1)
        work.clock.advance(1)
    assert ("log_failure" in logged[0]) == isinstance(fault, KeyError)
    work.afterwards.ask(1)
    work.fault = None
    work.clock.advance(1)
    assert work.begun == 2


def test_stop() -> None:
    """What is under way is waited for; what was agreed, or is asked for later, is not begun."""
    work = Work()
    work.afterwards.ask(1)
    assert Deferred.fromCoroutine(work.afterwards.stop()).called
    work = Work()
    work.waits = Deferred()
    work.afterwards.ask(1)
    work.clock.advance(1)
    work.afterwards.ask(1)
    stopping = Deferred.fromCoroutine(work.afterwards.stop())
    assert not stopping.called
    work.waits.callback(None)
    assert stopping.called
    work.afterwards.ask(1)
    work.clock.advance(60)
    assert work.begun == 1
    assert work.clock.getDelayedCalls() == []
