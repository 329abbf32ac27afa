"""Writes journeys behind the mail's back: gathered in memory, written together by a thread.

Invariants:

1. `note` never waits and never raises, and costs microseconds: no mail depends on it.
   Events become texts there: what waits is nothing that Python's collector looks through.
2. What waits is bounded by `JourneyLimits.waiting`; what finds no room is told to
   the log, and is missing in its journey.
3. One batch is written at a time, in the order in which things happened.

When the disk refuses a batch it is lost, which is told to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailhub.policy.limits import JourneyLimits
from mailhub.policy.rule import Rule
from mailhub.ports.disk import Disk
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Event
from mailhub.queue.journeys import Batch, Journeys, Written

T = TypeVar("T")

PURGE_EVERY: Final = 60.0
"""Seconds between looks at what is too old; what is too much is looked at with each batch."""
PURGES: Final = 20
"""Goes at it in one batch: others want the thread, too."""


class Recorder(Protocol):
    """Is told what happens to messages."""

    def note(self, queue_id: QueueId, *events: Event) -> None:
        """This has happened to a message."""

    def rule(self, rule: Rule | None) -> str:
        """A line of the configuration, and where it stands, as events tell it."""


class Nobody:
    """A `Recorder` of a hub that remembers nothing."""

    def note(self, queue_id: QueueId, *events: Event) -> None:
        """Forget it."""

    def rule(self, rule: Rule | None) -> str:  # noqa: ARG002  # nobody reads it
        """Nothing."""
        return ""


class Watcher(Protocol):
    """Wants to know what happens at once."""

    def happened(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        """This has happened to a message; it is not written yet."""

    def written(self, parts: Sequence[Written]) -> None:
        """These parts of journeys were written."""


class Scribe:
    """A `Recorder` over a database of journeys.

    Args:
        journeys: Used in `disk`'s thread alone, which nothing else keeps busy.
        told: Says of a rule where it stands.

    Attributes:
        limits: What is kept.
    """

    _log = Logger()

    def __init__(
        self,
        journeys: Journeys,
        disk: Disk,
        clock: IReactorTime,
        now: Callable[[], float],
        limits: JourneyLimits,
        told: Callable[[Rule | None], str],
    ) -> None:
        self.limits = limits
        self._told = told
        self._rules: dict[Rule | None, str] = {}
        self._journeys = journeys
        self._disk = disk
        self._clock = clock
        self._now = now
        self._waiting = Batch()
        self._count = 0
        self._lost = 0
        self._timer: IDelayedCall | None = None
        self._writing = False
        self._idle: list[Deferred[None]] = []
        self._stopped = False
        self._purged = 0.0
        self._watchers: list[Watcher] = []

    def note(self, queue_id: QueueId, *events: Event) -> None:
        """This has happened to a message."""
        limits = self.limits
        if not limits.keep or self._stopped:
            return
        if self._count >= limits.waiting:
            self._lost += len(events)
            return
        self._waiting.add(queue_id, events)
        self._count += len(events)
        if self._timer is None and not self._writing:
            self._timer = self._clock.callLater(limits.wait, self._begin)
        for watcher in self._watchers:
            watcher.happened(queue_id, events)

    def rule(self, rule: Rule | None) -> str:
        """A line of the configuration, and where it stands."""
        text = self._rules.get(rule)
        if text is None:
            text = self._rules[rule] = self._told(rule)
        return text

    def obey(self, limits: JourneyLimits, told: Callable[[Rule | None], str]) -> None:
        """Go by other limits from here on, and by another configuration."""
        self.limits = limits
        self._told = told
        self._rules = {}

    def watch(self, watcher: Watcher) -> None:
        """Tell somebody, too, from now on."""
        self._watchers.append(watcher)

    def unwatch(self, watcher: Watcher) -> None:
        """Tell him no more."""
        self._watchers.remove(watcher)

    async def ask(self, question: Callable[..., T], *arguments: Any) -> T:
        """Ask the database, behind what is being written.

        Raises:
            OSError: The disk said no.
        """
        return await self._disk.run(question, self._journeys, *arguments)

    async def stop(self) -> None:
        """Write what waits, and let go of the database."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self.catch_up()
        self._journeys.close()

    async def catch_up(self) -> None:
        """Write what has happened so far, if it waits."""
        await self._quiet()
        if self._count and not self._writing:
            if self._timer is not None:
                self._timer.cancel()
            self._begin()
        await self._quiet()

    async def _quiet(self) -> None:
        """Wait for the batch under way, if there is one."""
        if self._writing:
            idle: Deferred[None] = Deferred()
            self._idle.append(idle)
            await idle

    # ---- Writing ---------------------------------------------------------------------------

    def _begin(self) -> None:
        self._timer = None
        self._writing = True
        done = Deferred.fromCoroutine(self._write())
        done.addErrback(lambda failure: self._log.failure("journeys were not written", failure))
        done.addBoth(self._ended)

    async def _write(self) -> None:
        batch, self._waiting, self._count = self._waiting, Batch(), 0
        lost, self._lost = self._lost, 0
        if lost:
            self._log.warn("{count} events of journeys found no room", count=lost)
        try:
            parts = await self._disk.run(self._written, batch, self._now())
        except OSError as error:
            count = len(batch.texts)
            self._log.error("{count} journeys not written: {why}", count=count, why=error)
            return
        for watcher in list(self._watchers):
            watcher.written(parts)

    def _written(self, batch: Batch, now: float) -> list[Written]:
        """Blocking: write a batch, and make room."""
        parts = self._journeys.write_batch(batch)
        limits = self.limits
        full = self._journeys.size > limits.size
        if full or not 0 <= now - self._purged < PURGE_EVERY:
            self._purged = now
            for _ in range(PURGES):
                if not self._journeys.purge(now - limits.keep, limits.size):
                    break
        return parts

    def _ended(self, _: Failure | None) -> None:
        self._writing = False
        if self._count and not self._stopped:
            self._timer = self._clock.callLater(self.limits.wait, self._begin)
        idle, self._idle = self._idle, []
        for waiting in idle:
            waiting.callback(None)
