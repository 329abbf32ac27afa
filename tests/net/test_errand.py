"""Errands run to their end whenever what they await comes, and tell one of it."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from mailhub.net.errand import Errand


class Told:
    """Is told of the end of one errand."""

    def __init__(self, work: Coroutine[Any, Any, Any]) -> None:
        self.results: list[Any] = []
        self.errand: Errand[Any] = Errand(work, self.hear)

    def hear(self, errand: Errand[Any], result: object) -> None:
        assert errand is self.errand
        self.results.append(result)

    @property
    def error(self) -> BaseException | None:
        """What it ended with."""
        [failure] = self.results
        assert isinstance(failure, Failure)
        return failure.value


async def summed(*parts: Deferred[int]) -> int:
    return sum([await part for part in parts])


def test_it_goes_on_whenever_what_it_awaits_is_there() -> None:
    """Nothing runs before `begin`; what is there already is not waited for."""
    first: Deferred[int] = Deferred()
    last: Deferred[int] = Deferred()
    told = Told(summed(first, succeed(2), last))
    told.errand.begin()
    first.callback(1)
    assert told.results == []
    last.callback(3)
    assert told.results == [6]


def test_at_once() -> None:
    """One that waits for nothing has ended when it has begun."""
    told = Told(summed())
    assert told.results == []
    told.errand.begin()
    assert told.results == [0]


def test_a_failure_is_raised_where_it_is_awaited() -> None:
    """The coroutine may catch it."""

    async def careful(part: Deferred[int]) -> str:
        try:
            return str(await part)
        except OSError as error:
            return f"no: {error}"

    part: Deferred[int] = Deferred()
    told = Told(careful(part))
    told.errand.begin()
    part.errback(OSError("full"))
    assert told.results == ["no: full"]


@pytest.mark.parametrize("late", [False, True])
def test_what_it_does_not_catch_is_told(*, late: bool) -> None:
    """Whether at the beginning or later."""

    async def broken(part: Deferred[None]) -> None:
        await part
        raise KeyError("x")

    part: Deferred[None] = Deferred()
    told = Told(broken(part if late else succeed(None)))
    told.errand.begin()
    if late:
        part.callback(None)
    assert isinstance(told.error, KeyError)


def test_cancelled() -> None:
    """What it waits for is cancelled, and the errand ends with that."""
    part: Deferred[int] = Deferred()
    told = Told(summed(part))
    told.errand.begin()
    told.errand.cancel()
    assert isinstance(told.error, CancelledError)
    told.errand.cancel()
    assert len(told.results) == 1


def test_it_may_go_on_after_a_cancellation() -> None:
    """That is its own decision."""

    async def stubborn(one: Deferred[int], other: Deferred[int]) -> int:
        try:
            return await one
        except CancelledError:
            return await other

    one: Deferred[int] = Deferred()
    other: Deferred[int] = Deferred()
    told = Told(stubborn(one, other))
    told.errand.begin()
    told.errand.cancel()
    assert told.results == []
    other.callback(7)
    assert told.results == [7]
