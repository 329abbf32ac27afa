"""Work that is done again and again, whatever came of it before.

Stock's `LoopingCall` ends with the first failure: a disk that was full for a moment would then
have nobody look at maildirs until the next start.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import LoopingCall
from twisted.logger import Logger


class Recurring:
    """One such work; never twice at the same time.

    Args:
        what: What failed, for the log, if it fails.
    """

    _log = Logger()

    def __init__(self, what: str, work: Callable[[], Awaitable[object]], clock: Any) -> None:
        self._what = what
        self._work = work
        self._call = LoopingCall(lambda: Deferred.fromCoroutine(self._once()))
        self._call.clock = clock

    def start(self, every: float) -> None:
        """Do it every so many seconds, for the first time in as many."""
        self._call.start(every, now=False)

    def stop(self) -> None:
        """Do it no more; what is under way goes on."""
        if self._call.running:
            self._call.stop()

    async def _once(self) -> None:
        try:
            await self._work()
        except OSError as error:
            self._log.error("{what} failed: {why}", what=self._what, why=error)
        except Exception:
            self._log.failure("{what} failed", what=self._what)
