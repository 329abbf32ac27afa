"""The one seam at which blocking work leaves the event loop: a pool of threads.

Invariants:

1. Work that has begun runs to its end, whatever becomes of those who wait for
   it: cancelling a waiter leaves the work alone (Twisted cannot stop a thread).
2. At most `limit` pieces of work are with the pool; further callers wait their
   turn, in order, and hold up whoever feeds them.
3. After `stop` no thread is left, and nothing was cut short.
4. Work is done in place of being handed to a thread only if it was called brief
   and such work has been brief of late: one that was not keeps the next ones
   from the event loop.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, Final, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from mailhub.net.turns import Turns

P = ParamSpec("P")
T = TypeVar("T")


BRIEF: Final = 0.000_5
"""Seconds that work may take in place: about what the loop takes for a message."""
FORGIVENESS: Final = 0.9
"""What is left of the memory of slow work after each piece that was quicker: one of 10 ms is
forgiven after some thirty, one of a second after seventy."""


_Work = tuple["Deferred[Any]", Callable[[], object]]
"""A piece of work, and who waits for it."""


class Lock(AbstractAsyncContextManager[None]):
    """A fair lock for ``async with``."""

    def __init__(self) -> None:
        self._turns = Turns(1)

    async def __aenter__(self) -> None:
        await self._turns.enter()

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave()


class ThreadedDisk:
    """A `ports.disk.Disk` over threads of its own, which are started when they are needed.

    `reactor` takes the results back; `threads` is how many pieces of work run
    at once, `limit` how many may be waiting for them besides. Without a `clock`
    nothing is ever brief.

    Not Twisted's pool: a piece of work of ours takes tens of microseconds, and
    handing it over by a `SimpleQueue` takes a third of the time.
    """

    def __init__(
        self,
        reactor: IReactorFromThreads,
        threads: int,
        name: str = "disk",
        limit: int = 1000,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._slowest = 20 * BRIEF  # of brief work, of late; at first we know nothing
        self._name = name
        self._places = threads
        self._threads: list[Thread] = []
        self._work: SimpleQueue[_Work | None] = SimpleQueue()
        self._turns = Turns(threads + limit)
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._stopped = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread, and wait for it; see `ports.disk.Disk.run`.

        Raises:
            OSError: ESHUTDOWN after `stop`; EAGAIN where the system gives us no thread at all.
        """
        await self._turns.enter()
        if self._stopped:
            self._turns.leave()
            raise OSError(errno.ESHUTDOWN, "the disk's threads have stopped")
        if self._under_way >= len(self._threads) < self._places and not self._begin_thread():
            self._turns.leave()
            raise OSError(errno.EAGAIN, "the system has no thread left")
        done: Deferred[T] = Deferred()
        self._under_way += 1
        self._work.put((done, partial(function, *args, **kwargs)))
        return await done

    async def brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do brief work, in place while the disk is quick; see `ports.disk.Disk.brief`."""
        clock = self._clock
        if clock is None:
            return await self.run(function, *args, **kwargs)
        timed = partial(self._timed, clock, partial(function, *args, **kwargs))
        if self._slowest > BRIEF or self._stopped:
            return await self.run(timed)
        return timed()

    def _timed(self, clock: Callable[[], float], function: Callable[[], T]) -> T:
        """Do it, and remember how long it took. (Threads may do so at once: it is a guess.)"""
        began = clock()
        try:
            return function()
        finally:
            took = clock() - began
            self._slowest = max(took, self._slowest * FORGIVENESS)

    def _begin_thread(self) -> bool:
        """One thread more, if the system has it; whether there is any."""
        thread = Thread(target=self._serve, name=f"{self._name}-{len(self._threads)}")
        with suppress(RuntimeError):  # "can't start new thread"
            thread.start()
            self._threads.append(thread)
        return bool(self._threads)

    def _serve(self) -> None:
        """In a thread: work, piece by piece, and its results on the way back."""
        while (piece := self._work.get()) is not None:
            done, work = piece
            result: object
            try:
                result = work()
            except BaseException:  # it is handed to whoever waits
                result = Failure()
            self._reactor.callFromThread(self._worked, done, result)

    def _worked(self, done: Deferred[Any], result: object) -> None:
        self._under_way -= 1
        # If the waiter was cancelled, its Deferred takes this and drops it.
        done.callback(result)
        self._turns.leave()
        if self._idle is not None and not self._under_way:
            self._idle.callback(None)

    def lock(self) -> Lock:
        """A lock for ``async with``; those who wait get it in order."""
        return Lock()

    async def stop(self) -> None:
        """Refuse new work, wait for what is under way, and end the threads."""
        if self._stopped:
            return
        self._stopped = True
        if self._under_way:
            self._idle = Deferred()
            await self._idle
        for _ in self._threads:
            self._work.put(None)
        for thread in self._threads:
            thread.join()
