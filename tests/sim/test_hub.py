"""Whole hubs in a world."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.sim.disk import FaultyDisk, Operation
from mailhub.sim.hub import SimHub
from mailhub.sim.world import World
from tests.sim.machines import hub, submit


def inbox(hub: SimHub, user: str = "ann") -> list[str]:
    """The texts of all messages in an account's INBOX."""
    return sorted(
        path.read_text().rpartition("\n\n")[2].strip()
        for path in Path(hub.state).glob(f"mail/*/{user}/new/*")
    )


def two(world: World, **more: object) -> tuple[SimHub, SimHub]:
    one, other = hub(world, "one.example", **more), hub(world, "other.example", **more)
    one.start()
    other.start()
    return one, other


def test_two_hubs() -> None:
    """Two hubs in one world talk to each other, and stop cleanly."""
    with World(1) as world:
        one, other = two(world)
        heard = submit(world, one.host, "ann@one.example", "ann@other.example")
        assert b"queued as" in heard
        assert inbox(other) == ["hello"]
        stopped = [it.stop() for it in (one, other)]
        world.run(30)
        assert all(each.called for each in stopped)
        assert world.errors == []
        one.start()
        assert b"queued as" in submit(world, one.host, "ann@one.example", "ann@one.example")


def digest(seed: int) -> str:
    with World(seed) as world:
        one, _ = two(world)
        for number in range(5):
            submit(world, one.host, "ann@one.example", "ann@other.example", text=f"{number}")
        submit(world, one.host, "ann@one.example", "nobody@other.example")
        one.crash()
        world.run(10)
        one.start()
        world.run(3600)
        return world.digest


def test_the_same_again() -> None:
    """The same seed gives the same digest; another seed, another."""
    assert digest(7) == digest(7)
    assert digest(7) != digest(8)


def test_an_outage() -> None:
    """What cannot be delivered waits, through a crash of the hub, until it can."""
    with World(1) as world:
        one, other = two(world)
        other.crash()
        assert b"queued as" in submit(world, one.host, "ann@one.example", "ann@other.example")
        one.crash()
        world.run(60)
        one.start()
        world.run(3600)
        other.start()
        world.run(2 * 3600)
        assert inbox(other) == ["hello"]


def test_a_power_cut_between_promise_and_sync() -> None:
    """Mail that was accepted survives a power cut at once behind the reply."""
    with World(1) as world:
        one = hub(world, "one.example", faulty=True)
        one.start()
        assert b"queued as" in submit(
            world, one.host, "ann@one.example", "ann@one.example", wait=0.05
        )
        one.crash(power=True)
        world.run(10)
        assert inbox(one) == [], "its file had not been synced"
        one.start()
        world.run(10)
        assert inbox(one) == ["hello"]


def test_a_crash_in_the_midst_of_a_commit() -> None:
    """A power cut before a commit leaves nothing of it, and nobody was told 250."""
    with World(1) as world:
        one = hub(world, "one.example", faulty=True)
        one.start()
        world.run(1)
        assert isinstance(one.disk, FaultyDisk)

        def watch(operation: Operation) -> None:
            if operation.name == "commit" and operation.path == "spool/spool.db":
                one.crash(power=True)

        one.disk.watch = watch
        assert b"queued as" not in submit(
            world, one.host, "ann@one.example", "ann@one.example", wait=60
        )
        one.start()
        world.run(60)
        assert inbox(one) == []


def test_only_a_faulty_disk_knows() -> None:
    """A loss of power takes a disk that knows what was synced."""
    with World(1) as world:
        one = hub(world, "one.example")
        one.start()
        world.run(1)
        with pytest.raises(ValueError, match="faulty"):
            one.crash(power=True)
