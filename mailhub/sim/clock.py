"""Virtual time: a heap of calls, run one after the other, each at its moment.

Invariants:

1. Time moves only between calls, and never back.
2. Calls of the same moment run in the order in which they were asked for.
3. Nothing here depends on hashes, addresses or the machine's clock: the same
   calls in give the same order out, everywhere.

Not `twisted.internet.task.Clock`, which sorts all its calls whenever one is added.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextvars import ContextVar
from heapq import heapify, heappop, heappush
from typing import Any, Final, TypeVar

from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from zope.interface import implementer

T = TypeVar("T")

_STALE_LIMIT: Final = 4096
"""Entries of the heap that mean nothing any more, before they are swept out."""


class Ground:
    """What a world itself is made of: it outlasts the lives on it.

    The search for what a life has left behind (`mailhub.sim.remains`) does not lead through it.
    """

    __slots__ = ()

    def part_of(self, life: Life) -> bool:  # noqa: ARG002
        """Whether it belongs to a life all the same."""
        return False


class Life(Ground):
    """One life of a host, from a start to the next crash: what belongs to it ends with it.

    Attributes:
        clock: Its world's.
        over: Whether it has ended.
        wakes: Until this moment nothing of it runs, and what is due does so then.
        remains: What leads to whatever was under way when it did, until that is closed down.
    """

    __slots__ = ("clock", "over", "remains", "wakes")

    def __init__(self, clock: Clock | None = None) -> None:
        self.clock = clock
        self.over = False
        self.wakes = 0.0
        self.remains: list[object] = []

    def call(self, function: Callable[..., T], /, *arguments: Any, **words: Any) -> T:
        """Call something as part of it."""
        token = TURN.set(self)
        try:
            return function(*arguments, **words)
        finally:
            TURN.reset(token)


TURN: Final[ContextVar[Life | None]] = ContextVar("turn", default=None)
"""Whose turn it is. A coroutine of Twisted's keeps that of its start, whoever resumes it."""


@implementer(IDelayedCall)
class Call:
    """A call to come."""

    __slots__ = (
        *("_arguments", "_clock", "_function", "_keywords"),
        *("_life", "_number", "_state", "_when"),
    )

    def __init__(
        self,
        clock: Clock,
        when: float,
        function: Callable[..., object],
        arguments: Any,
        words: Any,
        life: Life | None = None,
    ) -> None:
        self._clock = clock
        self._life = life
        self._when = when
        self._function = function
        self._arguments = arguments
        self._keywords = words
        self._number = 0
        self._state = ""

    def getTime(self) -> float:
        """When it is to run."""
        return self._when

    def active(self) -> bool:
        """Whether it is still to run."""
        return not self._state

    def cancel(self) -> None:
        """Do not run it.

        Raises:
            AlreadyCalled: Too late.
            AlreadyCancelled: That was said before.
        """
        self._check()
        self._state = "cancelled"
        self._function = self._arguments = self._keywords = None  # type: ignore[assignment]
        self._clock.stale()

    def reset(self, secondsFromNow: float) -> None:
        """Run it so many seconds from now."""
        self._check()
        self._move(self._clock.seconds() + secondsFromNow)

    def delay(self, secondsLater: float) -> None:
        """Run it so many seconds later than it was to run."""
        self._check()
        self._move(self._when + secondsLater)

    def _check(self) -> None:
        if self._state == "called":
            raise AlreadyCalled
        if self._state:
            raise AlreadyCancelled

    def _move(self, when: float) -> None:
        later = when >= self._when
        self._when = when
        if not later:  # else its entry is put back when it comes up
            self._clock.push(self)
            self._clock.stale()

    def run(self) -> None:
        """Run it, unless the life is over that it belongs to; for the clock."""
        life = self._life
        if life is not None and life.over:
            life.remains.append(self)
            return
        if life is not None and life.wakes > self._clock.seconds():
            self._when = life.wakes
            self._clock.push(self)
            return
        function, arguments, keywords = self._function, self._arguments, self._keywords
        self._state = "called"
        self._function = self._arguments = self._keywords = None  # type: ignore[assignment]
        token = TURN.set(life)
        try:
            function(*arguments, **keywords)
        finally:
            TURN.reset(token)


@implementer(IReactorTime)
class Clock(Ground):
    """A world's time. `start` is its first moment, seconds since the epoch."""

    def __init__(self, start: float = 0.0) -> None:
        self._now = start
        self._heap: list[tuple[float, int, Call]] = []
        self._next = 0
        self._stale = 0
        self.ran = 0

    def seconds(self) -> float:
        """The moment."""
        return self._now

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002  # its name in IReactorTime
        *args: object,
        **kw: object,
    ) -> Call:
        """Call something after `delay` seconds."""
        if delay < 0:
            raise ValueError(f"{delay} seconds are over already")
        call = Call(self, self._now + delay, callable, args, kw)
        self.push(call)
        return call

    def in_life(
        self, life: Life, delay: float, function: Callable[..., object], arguments: Any, words: Any
    ) -> Call:
        """Likewise, if a life lasts that long."""
        call = Call(self, self._now + delay, function, arguments, words, life)
        if life.over:
            life.remains.append(call)
        else:
            self.push(call)
        return call

    def at(self, when: float, function: Callable[..., object], *arguments: object) -> Call:
        """Call something at a moment, which is not to be over."""
        call = Call(self, max(when, self._now), function, arguments, {})
        self.push(call)
        return call

    def getDelayedCalls(self) -> list[Call]:
        """All that is to come, in order."""
        return [entry[2] for entry in sorted(filter(self._valid, self._heap))]

    def push(self, call: Call) -> None:
        """Put a call where its moment is; for `Call`."""
        self._next += 1
        call._number = self._next  # noqa: SLF001
        heappush(self._heap, (call._when, self._next, call))  # noqa: SLF001

    def stale(self) -> None:
        """An entry of the heap has come to mean nothing; for `Call`."""
        self._stale += 1
        if self._stale > _STALE_LIMIT and self._stale * 2 > len(self._heap):
            self._heap = [entry for entry in self._heap if self._valid(entry)]
            heapify(self._heap)
            self._stale = 0

    def drop(self, lives: Collection[Life]) -> None:
        """Put what was to come in lives that are over to their remains."""
        kept = []
        for entry in self._heap:
            life = entry[2]._life  # noqa: SLF001
            if life is not None and life in lives:
                life.remains.append(entry[2])
            elif self._valid(entry):
                kept.append(entry)
        heapify(kept)
        self._heap, self._stale = kept, 0

    @staticmethod
    def _valid(entry: tuple[float, int, Call]) -> bool:
        call = entry[2]
        return not call._state and call._number == entry[1]  # noqa: SLF001

    # ---- Running ---------------------------------------------------------------------------

    def next(self) -> float | None:
        """The moment of the next call; None if nothing is to come."""
        heap = self._heap
        while heap:
            when, number, call = heap[0]
            if call._state or call._number != number:  # noqa: SLF001
                heappop(heap)
                self._stale -= 1
            elif call._when > when:  # noqa: SLF001  # it was put off
                heappop(heap)
                self.push(call)
            else:
                return when
        return None

    def step(self, until: float) -> bool:
        """Run the next call, if its moment is no later than `until`; say whether there was one."""
        when = self.next()
        if when is None or when > until:
            return False
        _, _, call = heappop(self._heap)
        self._now = max(self._now, when)
        self.ran += 1
        call.run()
        return True

    def run(self, until: float) -> None:
        """Run all calls up to a moment, and let it be that moment."""
        step = self.step
        while step(until):
            pass
        self._now = max(self._now, until)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.run(self._now + seconds)
