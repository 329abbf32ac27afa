"""Connects to the first of a host's addresses that answers, without waiting long for any.

The addresses are tried in order; while one does not answer the next is tried beside
it, and whoever answers first is taken (RFC 8305 §5). So a family that leads nowhere,
or a host that is down, costs a moment and not a time-out.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from mailhub.smtp.wire import Broken


class Connection(Protocol):
    """What is raced for."""

    def abort(self) -> None:
        """Do without it."""


C = TypeVar("C", bound=Connection)


@dataclass(slots=True)
class Result(Generic[C]):
    """What came of it.

    Attributes:
        winner: The connection, and its address; None if there is none to be had.
        failed: Addresses that gave none, with when each was tried, and why not.
        left: Addresses that nothing is known of: not tried, or slower than the winner.
    """

    winner: tuple[str, float, C] | None = None
    failed: list[tuple[str, float, Broken]] = field(default_factory=list)
    left: list[str] = field(default_factory=list)


async def race(
    addresses: Sequence[str],
    connect: Callable[[str], Coroutine[Any, Any, C]],
    clock: IReactorTime,
    time: Callable[[], float],
    stagger: float,
) -> Result[C]:
    """The first connection to be had; `stagger` seconds pass before the next address joins in."""
    return await _Race(addresses, connect, clock, time, stagger).run()


class _Race(Generic[C]):
    def __init__(
        self,
        addresses: Sequence[str],
        connect: Callable[[str], Coroutine[Any, Any, C]],
        clock: IReactorTime,
        time: Callable[[], float],
        stagger: float,
    ) -> None:
        self._left = deque(addresses)
        self._connect = connect
        self._clock = clock
        self._time = time
        self._stagger = stagger
        self._result: Result[C] = Result()
        self._running: dict[str, Deferred[C]] = {}
        self._timer: IDelayedCall | None = None
        self._over: Deferred[None] = Deferred()
        self._finished = False

    async def run(self) -> Result[C]:
        if not self._left:
            return self._result
        try:
            self._next()
            await self._over
        finally:
            self._finished = True
            self._stop_timer()
            losers, self._running = self._running, {}
            for attempt in losers.values():
                attempt.cancel()
        self._result.left = [*losers, *self._left]
        return self._result

    def _next(self) -> None:
        """One more address."""
        self._stop_timer()
        if not self._left:
            return
        address = self._left.popleft()
        started = self._time()
        if self._left:
            self._timer = self._clock.callLater(self._stagger, self._next)
        attempt = Deferred.fromCoroutine(self._connect(address))
        self._running[address] = attempt
        attempt.addCallbacks(
            self._won, self._lost, callbackArgs=(address, started), errbackArgs=(address, started)
        )

    def _won(self, connection: C, address: str, started: float) -> None:
        self._running.pop(address, None)
        if self._finished:
            connection.abort()  # too late by a moment
            return
        self._finished = True
        self._result.winner = (address, started, connection)
        self._over.callback(None)

    def _lost(self, failure: Failure, address: str, started: float) -> None:
        self._running.pop(address, None)
        if self._finished and failure.check(CancelledError, Broken):
            return
        error = failure.value
        if not isinstance(error, Broken):
            self._finished = True
            self._over.errback(failure)
            return
        self._result.failed.append((address, started, error))
        if self._left:
            self._next()
        elif not self._running:
            self._finished = True
            self._over.callback(None)

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
