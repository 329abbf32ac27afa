"""Threads that are none: blocking work runs on the spot, and takes time all the same.

Invariants:

1. At most so many pieces of work take place at once; others wait their turn, in order.
2. A piece of work happens at the end of its time, all at once: a crash before that
   moment finds nothing of it, one behind it everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailhub.net.disk import BRIEF, Lock

if TYPE_CHECKING:
    from mailhub.sim.network import Host

P = ParamSpec("P")
T = TypeVar("T")

COSTS: Final = {"writer": 0.001, "files": 0.0003, "hashing": 0.02}
"""Seconds that a piece of work takes, by the name of its pool: a commit with its sync on
an SSD, a few calls to the file system, one hash of argon2id."""


class SimThreads:
    """A `ports.disk.Disk` in virtual time."""

    def __init__(self, host: Host, number: int, cost: float) -> None:
        self._reactor = host.reactor
        self._cost = cost
        self._free = number
        self._waiting: deque[tuple[Deferred[Any], Callable[[], object]]] = deque()

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work; see `ports.disk.Disk.run`."""
        if not self._cost:
            return function(*args, **kwargs)
        done: Deferred[T] = Deferred()
        self._waiting.append((done, lambda: function(*args, **kwargs)))
        self._begin()
        return await done

    async def brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do brief work: in place where the disk is quick, as `net.disk.ThreadedDisk` does."""
        if self._cost <= BRIEF:
            return function(*args, **kwargs)
        return await self.run(function, *args, **kwargs)

    def _begin(self) -> None:
        while self._free and self._waiting:
            self._free -= 1
            self._reactor.callLater(self._cost, self._work, *self._waiting.popleft())

    def _work(self, done: Deferred[Any], work: Callable[[], object]) -> None:
        result: object
        try:
            result = work()
        except BaseException:  # it is handed to whoever waits
            result = Failure()
        self._free += 1
        done.callback(result)
        self._begin()

    def lock(self) -> Lock:
        """A lock for ``async with``; those who wait get it in order."""
        return Lock()

    async def stop(self) -> None:
        """There is nothing to stop."""
