"""Work that is finished even if whoever waits for it no longer does."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailhub.net.errand import Errand

T = TypeVar("T")


def under_way(work: Coroutine[Any, Any, T]) -> Deferred[T]:
    """Begin `work`, which runs to its end whatever becomes of those who wait for its result."""
    arrival: Deferred[T] = Deferred()

    def arrived(_: Errand[T], result: T | Failure) -> None:
        if not arrival.called:
            arrival.callback(result)  # a Failure makes it an errback

    Errand(work, arrived).begin()
    return arrival


async def shielded(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs to its end even if whoever waits is cancelled."""
    return await under_way(work)
