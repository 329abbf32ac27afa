"""Threads behind one seam: real ones, without a reactor running."""

from __future__ import annotations

import errno
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, cast

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorFromThreads

from mailhub.net.disk import Lock, ThreadedDisk
from tests.rig import run

T = TypeVar("T")


class Loop:
    """The part of a reactor that takes results back: they wait until the test lets them in."""

    def __init__(self) -> None:
        self.calls: queue.Queue[tuple[Callable[..., Any], tuple[Any, ...]]] = queue.Queue()

    def callFromThread(self, function: Callable[..., Any], *args: Any) -> None:
        self.calls.put((function, args))

    def turn(self) -> None:
        """Let one result in."""
        function, args = self.calls.get(timeout=10)
        function(*args)


@pytest.fixture
def loop() -> Loop:
    return Loop()


@pytest.fixture
def disk(loop: Loop) -> Iterator[ThreadedDisk]:
    disk = ThreadedDisk(cast(IReactorFromThreads, loop), 2, limit=1)
    yield disk
    if not disk._stopped:
        stopping = Deferred.fromCoroutine(disk.stop())
        while not stopping.called:
            loop.turn()


def start(coroutine: Any) -> Deferred[Any]:
    return Deferred.fromCoroutine(coroutine)


def outcome(deferred: Deferred[T]) -> list[T | BaseException]:
    """What a Deferred has come to: a list of one, or of none."""
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


def test_work_is_done_in_a_thread(disk: ThreadedDisk, loop: Loop) -> None:
    """The result comes back to the loop's thread, with its arguments passed on."""
    done = outcome(start(disk.run(lambda a, b: (threading.current_thread(), a, b), 1, b=2)))
    assert done == []
    loop.turn()
    [(thread, a, b)] = done
    assert thread is not threading.current_thread()
    assert (a, b) == (1, 2)


def test_no_thread_left(disk: ThreadedDisk, loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work waits for the threads there are; where there is none at all, that is said."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        [error] = outcome(start(disk.run(int, "1")))
        assert isinstance(error, OSError)
        assert error.errno == errno.EAGAIN
    gate = threading.Event()
    first = outcome(start(disk.run(gate.wait)))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refuse)
        second = outcome(start(disk.run(int, "2")))
    gate.set()
    loop.turn()
    loop.turn()
    assert (first, second) == ([True], [2])


def test_errors_come_back(disk: ThreadedDisk, loop: Loop) -> None:
    """What the work raises is raised where it was waited for."""
    done = outcome(start(disk.run(int, "x")))
    loop.turn()
    assert isinstance(done[0], ValueError)


def test_cancelling_leaves_the_work_alone(disk: ThreadedDisk, loop: Loop) -> None:
    """A waiter that is cancelled goes at once; the work ends, and its result disturbs nobody."""
    gate = threading.Event()
    finished: list[bool] = []

    def work() -> None:
        gate.wait(10)
        finished.append(True)

    waiter = start(disk.run(work))
    done = outcome(waiter)
    waiter.cancel()
    assert isinstance(done[0], CancelledError)
    gate.set()
    loop.turn()
    assert finished == [True]
    assert len(done) == 1


def test_the_queue_is_bounded(disk: ThreadedDisk, loop: Loop) -> None:
    """Beyond its limit work waits in the loop, in order, and can be cancelled there."""
    gate = threading.Event()
    order: list[int] = []

    def work(n: int) -> int:
        gate.wait(10)
        order.append(n)
        return n

    waiters = [start(disk.run(work, n)) for n in range(6)]
    assert disk._under_way == 3
    waiters[4].cancel()
    assert isinstance(outcome(waiters[4])[0], CancelledError)
    gate.set()
    for _ in range(5):
        loop.turn()
    assert sorted(order) == [0, 1, 2, 3, 5]
    assert outcome(waiters[5]) == [5]


def test_stop_waits(disk: ThreadedDisk, loop: Loop) -> None:
    """Stopping lets work under way end, refuses new work, and leaves no thread."""
    before = threading.active_count()
    gate = threading.Event()
    working = outcome(start(disk.run(gate.wait, 10)))
    stopping = start(disk.stop())
    assert not stopping.called
    refused = outcome(start(disk.run(int)))
    assert isinstance(refused[0], OSError)
    gate.set()
    loop.turn()
    assert stopping.called
    assert working == [True]
    assert threading.active_count() <= before
    run(disk.stop())


def test_locks_are_fair(disk: ThreadedDisk) -> None:
    """Those who wait for a lock get it in order, one at a time, and one may give up."""
    lock = disk.lock()
    order: list[str] = []
    holding: list[Deferred[None]] = []

    async def hold(name: str) -> None:
        async with lock:
            order.append(name)
            wait: Deferred[None] = Deferred()
            holding.append(wait)
            await wait

    tasks = [start(hold(name)) for name in "abcd"]
    assert order == ["a"]
    tasks[2].cancel()
    assert isinstance(outcome(tasks[2])[0], CancelledError)
    holding[0].callback(None)
    assert order == ["a", "b"]
    holding[1].callback(None)
    assert order == ["a", "b", "d"]
    holding[2].callback(None)
    assert all(task.called for task in tasks)
    run(hold_once(lock))


async def hold_once(lock: Lock) -> None:
    async with lock:
        pass


class Watch:
    """A clock that work moves."""

    def __init__(self) -> None:
        self.time = 0.0

    def __call__(self) -> float:
        return self.time

    def work(self, seconds: float) -> int:
        """Take so long; the thread that did."""
        self.time += seconds
        return threading.get_ident()


class TestBrief:
    """Work that takes less than handing it over is done in place, while it does."""

    @pytest.fixture
    def watch(self) -> Watch:
        return Watch()

    @pytest.fixture
    def timed(self, loop: Loop, watch: Watch) -> Iterator[ThreadedDisk]:
        disk = ThreadedDisk(cast(IReactorFromThreads, loop), 1, clock=watch)
        yield disk
        run(disk.stop())

    def do(self, disk: ThreadedDisk, loop: Loop, watch: Watch, seconds: float) -> bool:
        """Whether brief work of so many seconds was done in place."""
        done = start(disk.brief(watch.work, seconds))
        if not done.called:
            loop.turn()
        return outcome(done) == [threading.get_ident()]

    def quicken(self, disk: ThreadedDisk, loop: Loop, watch: Watch) -> int:
        """How many quick pieces it takes until one is done in place."""
        count = 1
        while not self.do(disk, loop, watch, 0.000_1):
            count += 1
        return count

    def test_unknown(self, timed: ThreadedDisk, loop: Loop, watch: Watch) -> None:
        """A disk that is not known yet has to show first that it is quick."""
        assert not self.do(timed, loop, watch, 0.0)
        assert 10 < self.quicken(timed, loop, watch) < 100

    def test_slow(self, timed: ThreadedDisk, loop: Loop, watch: Watch) -> None:
        """One slow piece sends those that follow to a thread; a slower one for longer."""
        self.quicken(timed, loop, watch)
        assert self.do(timed, loop, watch, 0.005)
        some = self.quicken(timed, loop, watch)
        assert self.do(timed, loop, watch, 0.5)
        assert 10 < some < self.quicken(timed, loop, watch)

    def test_always_slow(self, timed: ThreadedDisk, loop: Loop, watch: Watch) -> None:
        """A disk that is never quick never holds up the loop."""
        assert not any(self.do(timed, loop, watch, 0.002) for _ in range(200))

    def test_failing(self, timed: ThreadedDisk, loop: Loop, watch: Watch) -> None:
        """What brief work raises is raised in place, too."""
        self.quicken(timed, loop, watch)
        [error] = outcome(start(timed.brief(int, "no number")))
        assert isinstance(error, ValueError)

    def test_stopped(self, loop: Loop, watch: Watch) -> None:
        """After `stop` nothing is done in place either."""
        disk = ThreadedDisk(cast(IReactorFromThreads, loop), 1, clock=watch)
        self.quicken(disk, loop, watch)
        run(disk.stop())
        with pytest.raises(OSError, match="stopped"):
            run(disk.brief(int, "5"))
