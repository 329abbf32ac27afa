"""The one seam at which blocking work leaves the event loop: a pool of threads.

Invariants:

1. Work that has begun runs to its end, whatever becomes of those who wait for
   it: cancelling a waiter leaves the work alone (Twisted cannot stop a thread).
2. At most `limit` pieces of work are with the pool; further callers wait their
   turn, in order, and hold up whoever feeds them.
3. After `stop` no thread is left, and nothing was cut short.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

P = ParamSpec("P")
T = TypeVar("T")


class Turns:
    """Lets so many in at a time, and the others in the order of their coming."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._waiting: deque[Deferred[None]] = deque()
        self._passing = False

    async def enter(self) -> None:
        """Wait for a place, and take it."""
        if self._free and not self._waiting:
            self._free -= 1
            return
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Give the place back; whoever is next runs at once.

        A loop, not a recursion: the next one may leave again before it waits.
        """
        self._free += 1
        if self._passing:
            return
        self._passing = True
        try:
            while self._waiting and self._free:
                self._free -= 1
                self._waiting.popleft().callback(None)
        finally:
            self._passing = False


class Lock(AbstractAsyncContextManager[None]):
    """A fair lock for ``async with``."""

    def __init__(self) -> None:
        self._turns = Turns(1)

    async def __aenter__(self) -> None:
        await self._turns.enter()

    async def __aexit__(self, *_: object) -> None:
        self._turns.leave()


class ThreadedDisk:
    """A `ports.Disk` over a thread pool of its own.

    `reactor` takes the results back; `threads` is how many pieces of work run
    at once, `limit` how many may be waiting for them besides.
    """

    def __init__(
        self, reactor: IReactorFromThreads, threads: int, name: str = "disk", limit: int = 1000
    ) -> None:
        self._reactor = reactor
        self._pool = ThreadPool(0, threads, name)
        self._turns = Turns(threads + limit)
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._pool.start()
        self._stopped = False

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread, and wait for it; see `ports.Disk.run`.

        Raises:
            OSError: ESHUTDOWN after `stop`.
        """
        await self._turns.enter()
        if self._stopped:
            self._turns.leave()
            raise OSError(errno.ESHUTDOWN, "the disk's threads have stopped")
        done: Deferred[T] = Deferred()
        self._under_way += 1
        self._pool.callInThread(self._work, done, function, args, kwargs)
        return await done

    def _work(
        self, done: Deferred[T], function: Callable[..., T], args: Any, kwargs: dict[str, Any]
    ) -> None:
        """In a thread: the work, and its result on the way back."""
        result: T | Failure
        try:
            result = function(*args, **kwargs)
        except BaseException:  # it is handed to whoever waits
            result = Failure()
        self._reactor.callFromThread(self._worked, done, result)

    def _worked(self, done: Deferred[T], result: T | Failure) -> None:
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
        self._pool.stop()
