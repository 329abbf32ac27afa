"""Work that is done once, a while after it is first wanted."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger


class Soon:
    """One such work; never twice at the same time.

    Args:
        what: What failed, for the log, if it fails.
        clock: A `IReactorTime`.
    """

    _log = Logger()

    def __init__(self, what: str, work: Callable[[], Awaitable[object]], clock: Any) -> None:
        self._what = what
        self._work = work
        self._clock = clock
        self._call: IDelayedCall | None = None
        self._again: float | None = None  # it is wanted once more, while it is under way
        self._under_way = False
        self._stopped = False

    def within(self, seconds: float) -> None:
        """It is wanted within so many seconds; if it is already, the shorter time counts."""
        if self._stopped:
            return
        if self._under_way:
            self._again = seconds if self._again is None else min(self._again, seconds)
        elif self._call is None:
            self._call = self._clock.callLater(seconds, self._begin)
        elif self._call.getTime() > self._clock.seconds() + seconds:
            self._call.reset(seconds)

    def stop(self) -> None:
        """Do it no more; what is under way goes on."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        self._call, self._under_way = None, True
        Deferred.fromCoroutine(self._once())

    async def _once(self) -> None:
        try:
            await self._work()
        except OSError as error:
            self._log.error("{what} failed: {why}", what=self._what, why=error)
        except Exception:
            self._log.failure("{what} failed", what=self._what)
        self._under_way = False
        again, self._again = self._again, None
        if again is not None:
            self.within(again)
