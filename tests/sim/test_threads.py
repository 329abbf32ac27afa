"""Threads that are none."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.defer import Deferred

from mailhub.net.disk import BRIEF
from mailhub.ports.disk import Disk
from mailhub.sim.threads import SimThreads
from mailhub.sim.world import World


def begun(disk: Disk, world: World, done: list[Any], name: str) -> Deferred[Any]:
    """A piece of work, which notes its moment."""

    async def work() -> None:
        await disk.run(lambda: done.append((name, round(world.age, 3))))

    return Deferred.fromCoroutine(work())


def test_turns() -> None:
    """So many at once, and the others in order."""
    world, done = World(), list[Any]()
    disk = SimThreads(world.host("h.example"), 2, 0.1)
    for name in "abc":
        begun(disk, world, done, name)
    world.run(1)
    assert done == [("a", 0.1), ("b", 0.1), ("c", 0.2)]


def test_without_a_cost() -> None:
    """What costs nothing is done on the spot."""
    world, done = World(), list[Any]()
    begun(SimThreads(world.host("h.example"), 1, 0.0), world, done, "a")
    assert done == [("a", 0.0)]


def test_brief_work() -> None:
    """Brief work is done in place on a disk that is quick, whatever waits; else in its turn."""
    world, done = World(), list[Any]()
    for cost in (BRIEF, 2 * BRIEF):
        disk = SimThreads(world.host("h.example"), 1, cost)
        begun(disk, world, done, "a")
        Deferred.fromCoroutine(disk.brief(done.append, "b"))
        at_once, done[:] = list(done), []
        assert at_once == (["b"] if cost == BRIEF else [])
        world.run(1)
        assert [it[0] for it in done] == (["a"] if cost == BRIEF else ["a", "b"])
        done.clear()


def test_failures() -> None:
    """A failure is the caller's, and the next one has its turn."""
    world, failed = World(), list[Any]()
    disk = SimThreads(world.host("h.example"), 1, 0.1)
    Deferred.fromCoroutine(disk.run(lambda: 1 / 0)).addErrback(failed.append)
    done: list[Any] = []
    begun(disk, world, done, "b")
    world.run(1)
    assert failed[0].check(ZeroDivisionError)
    assert done == [("b", 0.2)]


def test_a_crash() -> None:
    """Work that a crash comes before does not happen."""
    world, done = World(), list[Any]()
    host = world.host("h.example")
    begun(SimThreads(host, 1, 0.1), world, done, "a")
    world.at(0.05, host.crash)
    world.run(1)
    assert done == []


@pytest.mark.parametrize("cost", [0.0, 0.1])
def test_a_lock(cost: float) -> None:
    """The lock is the hub's own."""
    world, order = World(), list[str]()
    disk = SimThreads(world.host("h.example"), 4, cost)
    lock = disk.lock()

    async def two(name: str) -> None:
        async with lock:
            await disk.run(order.append, f"{name}1")
            await disk.run(order.append, f"{name}2")

    for name in "ab":
        Deferred.fromCoroutine(two(name))
    world.run(1)
    assert order == ["a1", "a2", "b1", "b2"]
