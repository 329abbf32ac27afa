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

_log = Logger()


async def tried(what: str, work: Callable[[], Awaitable[object]]) -> None:
    """Do it; a failure is told to the log, with its trace where it is no fault of the disk's."""
    try:
        await work()
    except OSError as error:
        _log.error("{what} failed: {why}", what=what, why=error)
    except Exception:  # whoever wants it again has it done again
        _log.failure("{what} failed", what=what)


class Recurring:
    """One such work; never twice at the same time.

    Args:
        what: What failed, for the log, if it fails.
    """

    def __init__(self, what: str, work: Callable[[], Awaitable[object]], clock: Any) -> None:
        self._call = LoopingCall(lambda: Deferred.fromCoroutine(tried(what, work)))
        self._call.clock = clock

    def start(self, every: float) -> None:
        """Do it every so many seconds, for the first time in as many."""
        self._call.start(every, now=False)

    def stop(self) -> None:
        """Do it no more; what is under way goes on."""
        if self._call.running:
            self._call.stop()
