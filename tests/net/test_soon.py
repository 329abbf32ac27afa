"""Work that is done once, a while after it is first wanted."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs

from mailhub.net.soon import Soon


class Work:
    """Counts, and fails or waits as told."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.begun = 0
        self.fault: Exception | None = None
        self.waits: Deferred[None] | None = None
        self.soon = Soon("counting", self.count, self.clock)

    async def count(self) -> None:
        self.begun += 1
        if self.fault is not None:
            raise self.fault
        if self.waits is not None:
            await self.waits


def test_once() -> None:
    """However often it is wanted; the shortest time counts; and nothing is left to wait for."""
    work = Work()
    work.soon.within(5.0)
    work.soon.within(9.0)
    work.clock.advance(1.0)
    work.soon.within(2.0)
    work.clock.advance(1.9)
    assert work.begun == 0
    work.clock.advance(0.1)
    assert work.begun == 1
    assert work.clock.getDelayedCalls() == []


def test_wanted_meanwhile() -> None:
    """What is wanted while it is under way is done after it, once."""
    work = Work()
    work.waits = Deferred()
    work.soon.within(1.0)
    work.clock.advance(1.0)
    work.soon.within(3.0)
    work.soon.within(2.0)
    work.clock.advance(9.0)
    assert work.begun == 1
    waits, work.waits = work.waits, None
    waits.callback(None)
    work.clock.advance(2.0)
    assert work.begun == 2
    work.clock.advance(9.0)
    assert work.begun == 2


@pytest.mark.parametrize(
    ("fault", "level"),
    [(OSError("the disk is full"), LogLevel.error), (KeyError("x"), LogLevel.critical)],
)
def test_failures(fault: Exception, level: object) -> None:
    """A failure is told, with its trace where it is a bug, and it can be wanted again."""
    work = Work()
    work.fault = fault
    with capturedLogs() as logged:
        for _ in range(2):
            work.soon.within(1.0)
            work.clock.advance(1.0)
    assert work.begun == 2
    assert [event["log_level"] for event in logged] == [level, level]


def test_stop() -> None:
    """What has not begun never does, and nothing is wanted any more."""
    work = Work()
    work.soon.within(1.0)
    work.soon.stop()
    work.soon.within(1.0)
    work.clock.advance(9.0)
    assert work.begun == 0
    assert work.clock.getDelayedCalls() == []
