"""One sync for all who wait for it."""

from __future__ import annotations

import errno

import pytest

from mailhub.store.barrier import Barrier
from tests.rig import InlineDisk, run
from tests.store.world import StepDisk


def test_shared() -> None:
    """Those who come while one is under way share the next one; none trusts an earlier one."""
    disk = StepDisk()
    synced: list[int] = []
    barrier = Barrier(disk, lambda: synced.append(1))
    first = disk.start(barrier.passed())
    others = [disk.start(barrier.passed()) for _ in range(3)]
    first.step()
    assert first.ended
    assert not any(task.ended for task in others)
    disk.finish(*others)
    assert len(synced) == 2
    disk.finish(disk.start(barrier.passed()))
    assert len(synced) == 3


def test_cancelled() -> None:
    """Who waits no longer takes nothing from those who do."""
    disk = StepDisk()
    synced: list[int] = []
    barrier = Barrier(disk, lambda: synced.append(1))
    first, second, third = (disk.start(barrier.passed()) for _ in range(3))
    second.cancel()
    first.cancel()
    disk.finish(third)
    assert third.result is None
    assert synced == [1]


def test_failure() -> None:
    """A sync that fails is not taken for one by the next."""
    faults: list[OSError] = [OSError(errno.EIO, "broken")]

    def sync() -> None:
        if faults:
            raise faults.pop()

    barrier = Barrier(InlineDisk(), sync)
    with pytest.raises(OSError, match="broken"):
        run(barrier.passed())
    run(barrier.passed())
