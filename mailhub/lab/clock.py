"""A world's clock that keeps pace with the machine's, and can be moved ahead of it.

    clock = PacedClock(reactor, time.time())
    await clock.move(5 * 3600)       # five hours, with all that happens in them

Invariants:

1. Calls run in the order of their moments, each at its own: `seconds` is the moment that was
   asked for, however late the machine gets to it, and however far the clock is moved.
2. It never goes back.
3. The reactor's sockets get their turn after each `BREATH`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from mailhub.sim.clock import Call, Clock, Life

BREATH: Final = 0.02
"""Seconds of the machine's time after which sockets are looked at."""


class PacedClock(Clock):
    """Runs on a real reactor.

    Args:
        reactor: Tells the machine's time, and wakes us.
        start: The first moment, seconds since the epoch.
    """

    _log = Logger()

    def __init__(self, reactor: Any, start: float) -> None:
        super().__init__(start)
        self._reactor = reactor
        self._ahead: float = start - reactor.seconds()
        self._wake: IDelayedCall | None = None
        self._beating = False
        self._awaited: list[tuple[float, Deferred[None]]] = []

    def seconds(self) -> float:
        """The moment: that of the call which runs, or now; no later than the next call's."""
        if not self._beating:
            due, goal = self.next(), self.goal()
            self._now = max(self._now, goal if due is None else min(due, goal))
        return self._now

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002  # its name in IReactorTime
        *args: object,
        **kw: object,
    ) -> Call:
        """See `Clock`."""
        self.seconds()
        return super().callLater(delay, callable, *args, **kw)

    def in_life(
        self, life: Life, delay: float, function: Callable[..., object], arguments: Any, words: Any
    ) -> Call:
        """See `Clock`."""
        self.seconds()
        return super().in_life(life, delay, function, arguments, words)

    def push(self, call: Call) -> None:
        """See `Clock`."""
        super().push(call)
        if not self._beating:
            self._arm(call.getTime())

    def move(self, seconds: float) -> Deferred[None]:
        """Move ahead; fires when all that was to happen until then has.

        Raises:
            ValueError: Back is no way.
        """
        if seconds < 0:
            raise ValueError("time does not go back")
        self._ahead += seconds
        done: Deferred[None] = Deferred()
        self._awaited.append((self.goal(), done))
        self._arm(self._now)
        return done

    def goal(self) -> float:
        """The moment at which it will have caught up with the machine, and all moves."""
        now: float = self._reactor.seconds()
        return now + self._ahead

    def stop(self) -> None:
        """Let nothing more happen; nobody waits for a moment any longer."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        self._beating = True  # for ever: nothing wakes us
        awaited, self._awaited = self._awaited, []
        for _, done in awaited:
            done.callback(None)

    # ---- Running ---------------------------------------------------------------------------

    def _arm(self, when: float) -> None:
        """Be woken at a moment, or before."""
        delay = max(0.0, when - self.goal())
        if self._wake is not None:
            if self._wake.getTime() <= self._reactor.seconds() + delay:
                return
            self._wake.cancel()
        self._wake = self._reactor.callLater(delay, self._beat)

    def _beat(self) -> None:
        """Run what is due, for a breath."""
        self._wake = None
        self._beating = True
        started = self._reactor.seconds()
        while self._run_one() and self._reactor.seconds() - started < BREATH:
            pass
        if self._beating:
            self._beating = False
            self._rest()

    def _run_one(self) -> bool:
        """Run the next call, if it is due; what it raises is its own affair."""
        try:
            return self.step(self.goal())
        except Exception:
            self._log.failure("a call failed")
            return True

    def _rest(self) -> None:
        """Tell those who wait for a moment that has come, and wait for the next one."""
        due, now = self.next(), self.seconds()
        come = [done for when, done in self._awaited if when <= now and (due is None or when < due)]
        self._awaited = [it for it in self._awaited if it[1] not in come]
        for done in come:
            done.callback(None)
        if due is not None:
            self._arm(due)
