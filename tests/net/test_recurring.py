"""Work that is done again and again."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from mailhub.net.recurring import Recurring


class Work:
    """Counts, and fails as told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.begun = 0
        self.fault: Exception | None = None
        self.waits: Deferred[None] | None = None
        self.recurring = Recurring("counting", self.count, self.clock)

    async def count(self) -> None:
        self.begun += 1
        if self.fault is not None:
            raise self.fault
        if self.waits is not None:
            await self.waits


def test_again_and_again() -> None:
    """Every so many seconds until it is stopped; stopping twice does no harm."""
    work = Work()
    work.recurring.stop()
    work.recurring.start(60)
    work.clock.advance(59)
    assert work.begun == 0
    work.clock.pump([1, 60, 60])
    assert work.begun == 3
    work.recurring.stop()
    work.recurring.stop()
    work.clock.advance(600)
    assert work.begun == 3
    assert work.clock.getDelayedCalls() == []


@pytest.mark.parametrize(
    ("fault", "level"),
    [(OSError("the disk is full"), LogLevel.error), (KeyError("x"), LogLevel.critical)],
)
def test_failures(fault: Exception, level: object) -> None:
    """A failure is told, with its trace where it is a bug, and the work goes on."""
    work = Work()
    work.fault = fault
    with capturedLogs() as logged:
        work.recurring.start(60)
        work.clock.pump([60, 60])
    assert work.begun == 2
    assert [event["log_level"] for event in logged] == [level, level]
    assert ("log_failure" in logged[0]) == (level is LogLevel.critical)
    work.recurring.stop()


def test_one_at_a_time() -> None:
    """Work that takes longer than its interval is not begun twice."""
    work = Work()
    work.waits = Deferred()
    work.recurring.start(60)
    work.clock.pump([60, 60, 60])
    assert work.begun == 1
    waits, work.waits = work.waits, None
    waits.callback(None)
    work.clock.advance(60)
    assert work.begun == 2
    work.recurring.stop()
