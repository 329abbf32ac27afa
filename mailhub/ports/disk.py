"""The one seam at which blocking work leaves the event loop."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import ParamSpec, Protocol, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Disk(Protocol):
    """The one seam at which blocking work leaves the event loop."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread, and wait for it.

        Work that has begun runs to its end, even if whoever waits is cancelled.
        """

    async def brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that takes tens of microseconds while the disk is quick.

        It may then be done in place, because handing it to a thread would cost
        more than it takes; on a disk that is not quick it is as `run`.
        """

    def lock(self) -> AbstractAsyncContextManager[None]:
        """A lock for ``async with``; those who wait get it in order. Use one object throughout."""
