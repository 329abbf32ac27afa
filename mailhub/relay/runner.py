"""The queue runner: has what is due attempted (`relay.attempting`), when there is room for it.

It learns of work in two ways: a fresh item is handed to it by whoever
committed it (`accepted`), and everything else is found by its moment in the
spool's index (`relay.finder`). Between moments it sleeps.

Next hops with the same hosts wait together (`Outbound.lane`), and begin as there are
places there: so that mail for a thousand domains of one provider is neither in each
other's way nor in anybody else's. Who runs a hop is found out when the first mail for
it has its turn; nothing is loaded or written for that.

Failures of an item that happen together are told together: while more of it is
being attempted, what its sender is to hear is written down as owed, and said
when the last of these attempts has ended, or after `RunnerLimits.gather` seconds.

Moments are dates, waiting is not: a timer never runs longer than
`RunnerLimits.sleep`, so that a clock that was set, or a machine that slept, is
noticed; and moments written by a clock that was ahead are brought back.

Invariants:

1. Whatever is in memory here is also in the spool: a crash loses nothing, and
   an attempt that was under way is made again.
2. No recipient is in two attempts at once.
3. Memory is bounded by `RunnerLimits`, however long the queue is.
4. Where nothing waits, nothing runs.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Final, Generic

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailhub.mail.address import Path
from mailhub.net.errand import Errand
from mailhub.net.journal import Journal
from mailhub.net.scribe import Nobody, Recorder
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import Schedule
from mailhub.policy.verdict import Verdict
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Due, Flush, Respread, Select
from mailhub.queue.flow import Flow
from mailhub.queue.item import Item
from mailhub.relay.agents import Announce, Guard, LocalAgent, Outbound, Unguarded
from mailhub.relay.attempting import Attempting
from mailhub.relay.finder import Finder
from mailhub.relay.fresh import Fresh
from mailhub.relay.hops import H, Hops, Routing
from mailhub.relay.lane import Job, Lanes, Weigh
from mailhub.relay.report import Reporter, Scheduling
from mailhub.relay.teller import Teller

_JUMP: Final = 5.0
"""Seconds by which the clock goes wrong before that is a jump."""
_SPACING: Final = 0.05
"""Seconds between two looks for what is due, unless something new is known."""
_ANEW: Final = 300.0
"""Seconds after which a look begins at the beginning in any case: somebody may have changed the
spool and not said so."""
_LIMITS: Final = RunnerLimits()
_ALL: Final = Select()
_NOBODY: Final = Nobody()
_UNGUARDED: Final = Unguarded()


def _unexplained(reverse_path: Path, path: Path, way: str) -> Sequence[Verdict]:  # noqa: ARG001
    """Nothing is known of why a next hop was chosen."""
    return ()


class Runner(Generic[H]):
    """Runs the queue of one journal from `start` to `stop`.

    `verdicts` says why a next hop was chosen. `weigh` says how often a flow has its turn,
    `longest` how long any wait of the schedules may be; `guard` says what is not sent at all,
    and under which return path the rest is. `clock` is for waiting, `now`
    for dates; `random` gives numbers from 0 up to 1 for the jitter of the schedule.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        outbound: Outbound[H],
        local: LocalAgent,
        route: Routing[H],
        reporter: Reporter,
        announce: Announce,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[], float],
        schedule: Scheduling,
        limits: RunnerLimits = _LIMITS,
        recorder: Recorder = _NOBODY,
        verdicts: Callable[[Path, Path, str], Sequence[Verdict]] = _unexplained,
        weigh: Weigh = lambda _: 1.0,
        longest: float = Schedule().longest,
        guard: Guard = _UNGUARDED,
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._now = now
        self._limits = limits
        self._longest = longest
        self._hops = Hops(outbound, route)
        self._attempts = Attempting(
            self,
            journal,
            outbound,
            local,
            reporter,
            announce,
            clock,
            now,
            random,
            schedule,
            recorder,
            verdicts,
            guard,
        )
        self._lanes = Lanes(limits, weigh, self._hops.places, guard.alone)
        reads, hops = journal.reads, self._hops
        self._finder = Finder(reads, self._lanes, hops.of, limits.page, hops.lane)
        self._fresh = Fresh(limits.cache)
        self._under_way: set[Errand[bool]] = set()
        self._attempting: Counter[QueueId] = Counter()  # attempts under way
        self._withheld: set[QueueId] = set()
        self._idle: Deferred[None] | None = None
        self._teller = Teller(
            journal, reporter, recorder, announce, now, self._has_told, limits.gather
        )
        self._anew = True  # the index is to be looked at from its beginning
        self._woken = False  # and soon
        self._looked = -math.inf  # when it was looked at, by the clock for waiting
        self._began = -math.inf  # when it was looked at from its beginning, likewise
        self._drift = 0.0  # between the two clocks
        self._scan: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._starting: IDelayedCall | None = None
        self._running = False

    # ---- From outside ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin, with whatever the spool holds."""
        self._running = True
        self._drift = self._now() - self._clock.seconds()
        latest = self._journal.reads.latest()
        if latest is not None and latest > self._now() + self._longest:
            self._bring_back()
        self._teller.begin()
        self.wake()

    def accepted(self, item: Item, content: Content) -> None:
        """An item was committed: attempt its remote recipients now, if there is room.

        Nothing is begun before the caller's turn of the loop has ended.
        """
        if not self._running:
            return
        if item.release > item.arrived:
            self._finder.put_off(item.flow, item.release)
            self._sleep()
            return
        envelope = item.envelope
        let_in = 0
        for place in item.remote:
            path = envelope.recipients[place].path
            due = Due(
                item.arrived,
                item.queue_id,
                item.number(place),
                path,
                envelope.reverse_path,
                False,
                item.flow,
            )
            let_in += self._finder.fresh(due)
        if let_in:
            if len(item.fates) <= self._limits.recipients:
                self._fresh.keep(item, content)
            self._start_soon()

    def wake(self) -> None:
        """Look at the whole index again: somebody else may have changed it."""
        self._anew = self._woken = True
        self._fresh.clear()
        self._look_after(0.0)

    def obey(self, limits: RunnerLimits, longest: float) -> None:
        """Go by other limits from here on; what `schedule` and `weigh` say may have changed too."""
        self._limits = self._lanes.limits = limits
        self._finder.page = limits.page
        self._longest = longest
        self._teller.gather = limits.gather
        self._fresh.limit = limits.cache
        self._lanes.relax()
        self._start_soon()
        self.wake()

    async def flush(self, select: Select = _ALL) -> int:
        """Attempt now what is selected, whatever its moment; how many recipients were to wait.

        Raises:
            OSError: The disk said no.
        """
        count = await self._journal.amend(Flush(select, self._now()))
        self.wake()
        return count

    @contextmanager
    def withheld(self, queue_id: QueueId) -> Iterator[bool]:
        """While in it, no attempt at an item begins; whether none is under way.

        To change in the spool what is not being sent: afterwards the spool is asked anew.
        """
        self._withheld.add(queue_id)
        try:
            yield queue_id not in self._attempting
        finally:
            self._withheld.discard(queue_id)
            self._fresh.drop(queue_id)
            self.wake()

    async def stop(self) -> None:
        """Begin nothing more; wait for what is under way, and at last cut it short.

        Results that have come are written. What was cut short stays pending.
        """
        self._running = False
        for call in (self._timer, self._starting):
            if call is not None and call.active():
                call.cancel()
        if self._scan is not None:
            self._scan.cancel()
        if self._under_way or self._teller.busy:
            self._idle = Deferred()
            cut = self._clock.callLater(self._limits.grace, self._cut)
            await self._idle
            if cut.active():
                cut.cancel()

    def _cut(self) -> None:
        for attempt in list(self._under_way):
            attempt.cancel()
        self._teller.stop()

    # ---- Finding what is due ---------------------------------------------------------------

    def _sleep(self) -> None:
        """Set the timer for the next moment; none where nothing waits."""
        moment = min(self._finder.next, self._teller.next)
        if moment < math.inf:
            spacing = max(self._looked + _SPACING - self._clock.seconds(), 0.0)
            self._look_after(max(min(moment - self._now(), self._limits.sleep), spacing, 0.0))

    def _look_after(self, delay: float) -> None:
        """Look at the index after `delay` seconds, or sooner if that was agreed before."""
        if not self._running or self._scan is not None:
            return  # a look that ends sets the timer anew
        when = self._clock.seconds() + delay
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._begin_look)

    def _begin_look(self) -> None:
        self._scan = Deferred.fromCoroutine(self._look())
        self._scan.addBoth(self._look_ended)

    def _look_ended(self, result: object) -> None:
        self._scan = None
        if isinstance(result, Failure):
            if result.check(CancelledError):
                return
            self._anew = True  # the queue must go on, whatever it was
            self._note("the queue could not be looked at", result)
        if self._woken:
            self._look_after(0.0)
        elif self._anew:
            self._look_after(self._limits.sleep)
        else:
            self._sleep()

    async def _look(self) -> None:
        """Admit all that is due, page by page."""
        self._notice_jump()
        self._looked = self._clock.seconds()
        if self._anew or self._looked >= self._began + _ANEW:
            self._anew = self._woken = False
            self._began = self._looked
            self._finder.begin()
        for _ in self._finder.look(self._now()):
            self._start()
            await deferLater(self._clock, 0)
        self._start()
        self._teller.tell_due()

    def _notice_jump(self) -> None:
        """See whether the clock was set; if it was set back, moments may be far too late."""
        drift = self._now() - self._clock.seconds()
        jumped, self._drift = drift - self._drift, drift
        if abs(jumped) > _JUMP:
            self._log.warn("the clock has jumped by {seconds:.0f} seconds", seconds=jumped)
            self._anew = True
            if jumped < 0:
                self._bring_back()

    def _bring_back(self) -> None:
        """Moments that no schedule would choose now come from another time: choose others."""
        now = self._now()
        change = Respread(_ALL, now, now + self._longest)
        done = Deferred.fromCoroutine(self._journal.amend(change))
        done.addCallbacks(
            lambda _: self.wake(),
            lambda failure: self._note("the queue could not be mended", failure),
        )

    def _refill(self, flow: Flow, lane: Hashable) -> None:
        """Fetch from the spool for a flow that has room again."""
        if not self._running:
            return
        try:
            over = self._finder.refill(flow, lane, self._now())
        except OSError:
            self._note("the queue could not be looked at", Failure())
            self._anew = True
            self._look_after(self._limits.sleep)
            return
        self._start_soon()
        if not over:
            self._clock.callLater(0, self._refill, flow, lane)
        self._sleep()

    # ---- Attempting ------------------------------------------------------------------------

    def _start_soon(self) -> None:
        if self._running and (self._starting is None or not self._starting.active()):
            self._starting = self._clock.callLater(0, self._start)

    def _start(self) -> None:
        """Begin attempts, as many as the limits allow."""
        while self._running and (job := self._lanes.next()) is not None:
            self._attempting[job.queue_id] += 1
            attempt = Errand(self._begun(job), partial(self._ended, job))
            self._under_way.add(attempt)
            attempt.begin()

    def _broken_off(self, failure: Failure, job: Job) -> None:
        if failure.check(CancelledError) is None:
            self._note(f"{job.queue_id}: attempt failed", failure)
            self._anew = True  # it is still due, and known to nobody
            self._look_after(self._limits.sleep)

    def _note(self, what: str, failure: Failure) -> None:
        """Log the disk's failures in one line, and mistakes of ours with their trace."""
        if failure.check(OSError):
            self._log.error("{what}: {why}", what=what, why=failure.value)
        else:
            self._log.failure("{what}", failure, what=what)

    def _ended(self, job: Job, attempt: Errand[bool], displaced: bool | Failure) -> None:
        if isinstance(displaced, Failure):
            self._broken_off(displaced, job)
        self._under_way.discard(attempt)
        self._attempting[job.queue_id] -= 1
        if not self._attempting[job.queue_id]:
            del self._attempting[job.queue_id]
        self._lanes.done(job)
        self._finder.done(job)
        if displaced is True and self._running:
            self._finder.again(job.dues)
            self._start_soon()
        if not self._lanes.busy(job.queue_id):
            self._fresh.drop(job.queue_id)
            if self._running:
                self._teller.tell(job.queue_id)
        self._perhaps_idle()
        self._refill(job.flow, job.lane)

    def _perhaps_idle(self) -> None:
        busy = self._under_way or self._teller.busy
        if self._idle is not None and not busy and not self._idle.called:
            self._idle.callback(None)

    def _has_told(self) -> None:
        self._perhaps_idle()
        self._sleep()

    async def _begun(self, job: Job) -> bool:
        """Attempt a job, unless it turns out to belong into another lane; whether it does."""
        displaced = await self._hops.displaced(job)
        if not displaced and job.queue_id not in self._withheld:
            await self._attempts.make(job, self._fresh.get(job.queue_id))
        return displaced

    # ---- What attempts ask of us: `relay.attempting.Queue` ---------------------------------

    @property
    def gather(self) -> float:
        """Seconds after which a sender hears what is owed."""
        return self._limits.gather

    def more_of_it(self, item: Item, count: int) -> bool:
        """Whether more of an item is attempted than these, or there is more to tell of it."""
        return self._lanes.how_busy(item.queue_id) > count or item.queue_id in self._teller

    def owe(self, queue_id: QueueId, moment: float) -> None:
        """An item's sender is to be told something, at a moment at the latest."""
        self._teller.owe(queue_id, moment)

    def written(self, after: Item, deferred: Iterable[tuple[str, float]]) -> None:
        """What came of an attempt is written: of mail to these domains there is more, and when."""
        for domain, due in deferred:
            self._finder.deferred(after.flow, domain, due)
