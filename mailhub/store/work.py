"""Blocking work with its consequences: both happen, or neither.

Whoever waits for a thread may be cancelled, because the client has gone; the thread
is not. Were the result forgotten then, memory would no longer show what is on the disk,
and the next job would begin while the last one still runs.

Invariants:

1. Work that was begun is waited for, and `after` is called, whatever happens to the caller.
2. Work that was not begun when its caller was cancelled never begins.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Generic, TypeVar, cast

from mailhub.ports.disk import Disk

T = TypeVar("T")


class _Job(Generic[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        self._work = work
        self._running = threading.Lock()
        self._begun = False
        self._abandoned = False
        self._error: BaseException | None = None
        self._result: T | None = None

    def run(self) -> None:
        with self._running:
            if self._abandoned:
                return
            self._begun = True
            try:
                self._result = self._work()
            except BaseException as error:  # handed over to whoever waits
                self._error = error

    def abandon(self) -> bool:
        """Never begin, if it has not begun yet."""
        if not self._running.acquire(blocking=False):
            return False
        try:
            self._abandoned = not self._begun
        finally:
            self._running.release()
        return self._abandoned

    def join(self) -> None:
        """Wait until it has ended."""
        with self._running:
            pass

    def result(self) -> T:
        if self._error is not None:
            raise self._error
        return cast("T", self._result)


async def wholly(
    disk: Disk, work: Callable[[], T], after: Callable[[], None], *, brief: bool = False
) -> T:
    """Do `work` in a thread, then call `after`, whether the work failed or not.

    Work that is `brief` may be done in place: see `ports.disk.Disk.brief`.

    Raises:
        BaseException: What the work raised, or what interrupted us; `after`
            was called unless the work never began.
    """
    job = _Job(work)
    interruption: BaseException | None = None
    try:
        await (disk.brief(job.run) if brief else disk.run(job.run))
    except BaseException as error:
        if job.abandon():
            raise
        interruption = error
        if not isinstance(error, GeneratorExit):
            with suppress(BaseException):
                await disk.run(job.join)
        job.join()
    after()
    if interruption is not None:
        raise interruption
    return job.result()
