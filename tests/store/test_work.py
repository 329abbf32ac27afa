"""Blocking work and its consequences: both or neither."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from mailhub.store.work import _Job, wholly
from tests.rig import InlineDisk, run
from tests.store.world import Cancelled, StepDisk


class Log:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def says(self, line: str) -> Callable[[], None]:
        return lambda: self.lines.append(line)


def fail() -> None:
    raise ValueError("no")


class TestWholly:
    def test_in_order(self) -> None:
        """The work, then what follows, then its result."""
        log = Log()
        assert run(wholly(InlineDisk(), lambda: 5, log.says("after"))) == 5
        assert log.lines == ["after"]

    def test_failure(self) -> None:
        """Failed work has consequences too; its exception comes out."""
        log = Log()
        with pytest.raises(ValueError, match="no"):
            run(wholly(InlineDisk(), fail, log.says("after")))
        assert log.lines == ["after"]

    def test_cancelled_before_it_began(self) -> None:
        """Work that was not begun never begins, and nothing follows."""
        disk, log = StepDisk(), Log()
        task = disk.start(wholly(disk, log.says("work"), log.says("after")))
        assert task.waits is not None
        job = task.waits.job
        task.cancel()
        assert job is not None
        job()  # a pool may get round to it all the same
        assert isinstance(task.error, Cancelled)
        assert log.lines == []

    def test_cancelled_while_it_runs(self) -> None:
        """Work that was begun is waited for, and has its consequences, before we give up."""
        disk, log = StepDisk(), Log()
        task = disk.start(wholly(disk, log.says("work"), log.says("after")))
        assert task.waits is not None
        assert task.waits.job is not None
        task.waits.job()  # the thread has done it; the loop was not told yet
        task.cancel()
        assert log.lines == ["work"]
        disk.finish(task)
        assert log.lines == ["work", "after"]
        assert isinstance(task.error, Cancelled)

    def test_cancelled_twice(self) -> None:
        """A second cancellation changes nothing."""
        disk, log = StepDisk(), Log()
        task = disk.start(wholly(disk, log.says("work"), log.says("after")))
        assert task.waits is not None
        assert task.waits.job is not None
        task.waits.job()
        task.cancel()
        task.cancel()
        assert isinstance(task.error, Cancelled)
        assert log.lines == ["work", "after"]

    def test_closed(self) -> None:
        """A coroutine that is thrown away still shows what was done."""
        disk, log = StepDisk(), Log()
        coroutine = wholly(disk, log.says("work"), log.says("after"))
        wait = coroutine.send(None)
        wait.job()
        coroutine.close()
        assert log.lines == ["work", "after"]


class TestJob:
    def test_cannot_be_abandoned_while_it_runs(self) -> None:
        """Whoever abandons running work is told to wait for it."""
        begun, go = threading.Event(), threading.Event()

        def work() -> int:
            begun.set()
            go.wait()
            return 7

        job = _Job(work)
        thread = threading.Thread(target=job.run)
        thread.start()
        begun.wait()
        assert not job.abandon()
        go.set()
        job.join()
        assert job.result() == 7
        thread.join()
