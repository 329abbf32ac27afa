"""What is left of lives that have ended: nothing."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from zope.interface import implementer

from mailhub.sim.network import Host, HostReactor
from mailhub.sim.world import World
from tests.sim.cycle import Pair
from tests.sim.runs import result


@contextmanager
def listening() -> Iterator[list[str]]:
    """All that anybody logs as a failure."""
    heard: list[str] = []

    @implementer(ILogObserver)
    def observer(event: Any) -> None:
        if event.get("log_failure") is not None:
            heard.append(event["log_failure"].getTraceback())

    globalLogPublisher.addObserver(observer)
    try:
        yield heard
    finally:
        globalLogPublisher.removeObserver(observer)


def sleep(reactor: HostReactor, seconds: float) -> Deferred[None]:
    woken: Deferred[None] = Deferred()
    reactor.callLater(seconds, woken.callback, None)
    return woken


async def sleeper(reactor: HostReactor, ended: Callable[[], object], inner: int = 0) -> None:
    """Sleeps for an hour, a few coroutines deep, and says when it is over."""
    try:
        if inner:
            await sleeper(reactor, ended, inner - 1)
        else:
            await sleep(reactor, 3600)
    finally:
        ended()


def begin(host: Host, coroutine: Any) -> Deferred[Any]:
    return host.life.call(Deferred.fromCoroutine, coroutine)


def test_at_once() -> None:
    """Coroutines of a host that crashes are closed the moment it does; others go on."""
    with World() as world:
        here, there = world.host("here.example"), world.host("there.example")
        ended: list[float] = []
        begin(here, sleeper(here.reactor, lambda: ended.append(world.age), 2))
        elsewhere = begin(there, sleeper(there.reactor, list))
        world.at(10, here.crash)
        world.run(10)
        assert ended == [10, 10, 10]
        world.run(3600)
        assert elsewhere.called


def test_another_life_that_is_known() -> None:
    """What leads to another host's coroutine, or to a later life of the same, leaves it alone."""
    with World() as world:
        here, there = world.host("here.example"), world.host("there.example")
        others: list[Deferred[Any]] = [begin(there, sleeper(there.reactor, list))]
        here.reactor.callLater(3600, others.append, others)  # leads to all of them
        here.crash()
        others.append(begin(here, sleeper(here.reactor, list)))
        world.run(7200)
        assert [each.called for each in others] == [True, True]


def test_a_generator_amid_its_turn() -> None:
    """One who waits within an asynchronous generator is told so inside it, and can close it."""
    ended: list[str] = []

    async def pieces(host: Host) -> AsyncIterator[int]:
        try:
            while True:
                await sleep(host.reactor, 3600)
                yield 1
        finally:
            ended.append("inner")

    async def reader(host: Host) -> None:
        found = pieces(host)
        try:
            async for _ in found:
                pass
        except BaseException:
            await found.aclose()  # type: ignore[attr-defined]  # it has one
            ended.append("outer")
            raise

    with World() as world, listening() as heard:
        host = world.host("a.example")
        begin(host, reader(host))
        world.run(5000)
        host.crash()
        world.run(0)
        assert ended == ["inner", "outer"]
    assert heard == []


def test_one_that_begins_again() -> None:
    """What waits anew when it is closed, or starts something else, is closed as well."""
    ended: list[str] = []

    async def stubborn(host: Host) -> None:
        reactor = host.reactor
        try:
            await sleep(reactor, 1)
        finally:
            Deferred.fromCoroutine(sleeper(reactor, lambda: ended.append("child")))
            try:
                await sleep(reactor, 1)
            finally:
                ended.append("itself")

    with World() as world:
        host = world.host("a.example")
        begin(host, stubborn(host))
        host.crash()
        world.run(0)
    assert sorted(ended) == ["child", "itself"]


def test_nobody_hears() -> None:
    """What a dead machine makes of its end is in no log, neither then nor when it is collected."""

    async def failing(host: Host) -> None:
        try:
            await sleep(host.reactor, 1)
        finally:
            raise ValueError("and this is how it ends")

    with World() as world, listening() as heard:
        host = world.host("a.example")
        kept = [begin(host, failing(host))]
        host.reactor.callLater(1, kept.append, kept)
        host.crash()
        world.run(0)
        kept.clear()
        del host
        gc.collect()
    assert heard == []


def test_the_end_of_a_world() -> None:
    """A world that ends leaves nothing that is suspended."""
    ended: list[int] = []
    with World() as world:
        host = world.host("a.example")
        begin(host, sleeper(host.reactor, lambda: ended.append(1)))
    assert ended == [1]


@pytest.mark.parametrize("number", range(6))
def test_hubs(number: int) -> None:
    """Of hubs that crash amid their work, or whose world ends amid it, no coroutine is left."""
    gc.collect()
    before = suspended()
    with listening() as heard:
        with World(number) as world:
            pair = Pair(world)
            pair.send(pair.hubs[0])
            world.run(0.02 + number * 0.1)
            if number % 3 < 2:
                pair.hubs[number % 3].crash()
                world.run(0.05)
        assert after(before) == []
        del pair
        gc.collect()
    assert heard == []


def suspended() -> set[int]:
    return {id(it) for it in gc.get_objects() if _is_suspended(it)}


def after(before: set[int]) -> list[object]:
    return [it for it in gc.get_objects() if _is_suspended(it) and id(it) not in before]


def _is_suspended(it: object) -> bool:
    frame = getattr(it, "cr_frame", None) if type(it).__name__ == "coroutine" else None
    return frame is not None


# ---- What the process did before ---------------------------------------------------------------

_FRESH = "from tests.sim.runs import result; print(result().as_json(), end='')"


def hostile() -> weakref.ref[World]:
    """A world amid its work, with a hub that has crashed, and nobody who closes it.

    At this moment connections are being made: coroutines that close each other. When the
    collector comes upon them they log three failures.
    """
    world = World(31)
    pair = Pair(world)
    pair.send(pair.hubs[0])
    world.run(0.423)
    pair.hubs[1].crash()
    world.run(0.05)
    return weakref.ref(world)


def test_what_was_before(monkeypatch: pytest.MonkeyPatch) -> None:
    """A result is the same to the octet in a fresh process, and amid the remains of other worlds.

    The collector is made to come upon those within the turns of the world.
    """
    environment = {**os.environ, "PYTHONHASHSEED": "4711"}
    fresh = subprocess.run(
        [sys.executable, "-c", _FRESH], capture_output=True, env=environment, check=True
    ).stdout
    dice, worlds = random.Random(1), [hostile() for _ in range(2)]
    run, turns = type(World(0).clock).step, 0

    def step(clock: Any, until: float) -> bool:
        nonlocal turns
        turns += 1
        if turns % 300 == 0:
            gc.collect(dice.randrange(3))
        return run(clock, until)

    monkeypatch.setattr("mailhub.sim.clock.Clock.step", step)
    thresholds = gc.get_threshold()
    gc.set_threshold(400, 10, 10)
    result.cache_clear()
    try:
        found = result().as_json()
    finally:
        gc.set_threshold(*thresholds)
    assert turns > 3000
    assert None in [reference() for reference in worlds], "one was collected meanwhile"
    assert found.encode() == fresh
