"""Work that is done some time after it was asked for, once for all who asked meanwhile.

What is gathered in memory is so written together, by a thread, and nobody waits for it.

Invariants:

1. It is never done twice at the same time.
2. Where nobody asks, no timer runs.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from mailhub.net.recurring import tried


class Afterwards:
    """One such work.

    Args:
        what: What failed, for the log, if it raises.
    """

    def __init__(
        self, what: str, work: Callable[[], Awaitable[object]], clock: IReactorTime
    ) -> None:
        self._what = what
        self._work = work
        self._clock = clock
        self._timer: IDelayedCall | None = None
        self._under_way: Deferred[None] | None = None
        self._again: float | None = None  # asked for while it was being done
        self._stopped = False

    def ask(self, delay: float) -> None:
        """Have it done in so many seconds, or sooner if that was agreed before."""
        if self._stopped:
            return
        if self._under_way is not None:
            self._again = delay if self._again is None else min(delay, self._again)
            return
        if self._timer is not None:
            if self._timer.getTime() <= self._clock.seconds() + delay:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._begin)

    async def stop(self) -> None:
        """Begin it no more, and wait for what is under way."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._under_way is not None:
            await self._under_way

    def _begin(self) -> None:
        self._timer = None
        self._under_way = Deferred.fromCoroutine(tried(self._what, self._work))
        self._under_way.addCallback(self._ended)

    def _ended(self, _: None) -> None:
        self._under_way = None
        again, self._again = self._again, None
        if again is not None:
            self.ask(again)
