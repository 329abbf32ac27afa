"""The queue runner: attempts what is due, and writes down what came of it.

It learns of work in two ways: a fresh item is handed to it by whoever
committed it (`accepted`), and everything else is found by its moment in the
spool's index. Between moments it sleeps. An attempt is: group recipients by
next hop, hand them to `Outbound`, decide with `queue.item` what that means,
commit the new fates with the notices they call for, and only then tell others.

Invariants:

1. Whatever is in memory here is also in the spool: a crash loses nothing, and
   an attempt that was under way is made again.
2. No recipient is in two attempts at once.
3. A fate and the notice of it are committed together. The result of an attempt
   is not given up because the disk refuses it: writing is tried again.
4. Memory is bounded by `RunnerLimits`, however long the queue is.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, Generic, Protocol, TypeVar, cast

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Nobody, Recorder
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import Schedule
from mailhub.policy.verdict import Verdict
from mailhub.ports import Attempt, Content, Outcome, QueueId
from mailhub.queue.change import Accept, Due, Flush, Select, Stale
from mailhub.queue.item import Answer, Held, Item, Pending, addressed, attempted
from mailhub.queue.journey import Attempted, bounded
from mailhub.relay import chronicle, maillog
from mailhub.relay.lane import Job, Lanes
from mailhub.relay.report import Reporter

H = TypeVar("H", bound=Hashable)
"""What next hops are here: this module only compares them."""
H_contra = TypeVar("H_contra", bound=Hashable, contravariant=True)


class Outbound(Protocol[H_contra]):
    """Hands messages to next hops."""

    async def deliver(self, hop: H_contra, envelope: Envelope, content: Content) -> Outcome:
        """Try to hand `content` on, for all recipients of `envelope`.

        Whatever goes wrong out there is an outcome, not an exception.
        """


class LocalAgent(Protocol):
    """Files for recipients of ours whose first filing was put off."""

    async def deliver(
        self, item: Item, numbers: Sequence[int], content: Content
    ) -> Sequence[Reply]:
        """File durably; one reply for each of `numbers`."""


Announce = Callable[[Item, Content], None]
"""Tells local delivery and the runner of an item that was just committed."""

_LOCAL: Final = object()
"""The hop of recipients that are ours."""
_NEVER: Final = -math.inf
_LIMITS: Final = RunnerLimits()
_ALL: Final = Select()
_NOBODY: Final = Nobody()
_BROKEN: Final = Reply(451, "3.0", ("Internal error; will try again",))
_REWRITE: Final = 1.0
_REWRITE_LIMIT: Final = 60.0
"""Seconds between attempts to write a result that the disk refuses: at first, and at most."""


def _unexplained(reverse_path: Path, path: Path) -> Sequence[Verdict]:  # noqa: ARG001
    """Nothing is known of why a next hop was chosen."""
    return ()


class Runner(Generic[H]):
    """Runs the queue of one journal from `start` to `stop`.

    `route` gives the next hop for a reverse-path and a forward-path, or raises
    `Refusal`, with which the attempt then ends.
    `clock` is for waiting, `now` for dates; `random` gives numbers from 0 up to
    1 for the jitter of the schedule. `verdicts` says why a next hop is what it is.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        outbound: Outbound[H],
        local: LocalAgent,
        route: Callable[[Path, Path], H],
        reporter: Reporter,
        announce: Announce,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[], float],
        schedule: Schedule,
        limits: RunnerLimits = _LIMITS,
        recorder: Recorder = _NOBODY,
        verdicts: Callable[[Path, Path], Sequence[Verdict]] = _unexplained,
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._verdicts = verdicts
        self._outbound = outbound
        self._local = local
        self._route = route
        self._reporter = reporter
        self._announce = announce
        self._clock = clock
        self._now = now
        self._random = random
        self._schedule = schedule
        self._limits = limits
        self._lanes = Lanes(limits)
        self._fresh: dict[QueueId, tuple[Item, Content]] = {}
        self._cached = 0  # octets in `_fresh`
        self._under_way: set[Deferred[None]] = set()
        self._attempting: Counter[QueueId] = Counter()  # attempts under way
        self._withheld: set[QueueId] = set()
        self._idle: Deferred[None] | None = None
        self._scanned = _NEVER  # the index has been looked at up to here
        self._rescanned = _NEVER  # when it was last looked at from its beginning
        self._scan: Deferred[None] | None = None
        self._timer: IDelayedCall | None = None
        self._starting: IDelayedCall | None = None
        self._running = False

    # ---- From outside ----------------------------------------------------------------------

    def start(self) -> None:
        """Begin, with whatever the spool holds."""
        self._running = True
        self.wake()

    def accepted(self, item: Item, content: Content) -> None:
        """An item was committed: attempt its remote recipients now, if there is room.

        Nothing is begun before the caller's turn of the loop has ended.
        """
        if not self._running:
            return
        reverse_path = item.envelope.reverse_path
        for number in item.remote:
            path = item.envelope.recipients[number].path
            self._admit(Due(item.arrived, item.queue_id, number, path, reverse_path, local=False))
        if self._lanes.busy(item.queue_id):
            self._keep(item, content)
            self._start_soon()

    def wake(self) -> None:
        """Look at the whole index again: somebody else may have changed it."""
        self._rescanned = _NEVER
        self._scan_after(0.0)

    def obey(self, schedule: Schedule, limits: RunnerLimits) -> None:
        """Go by another schedule and other limits from here on."""
        self._schedule = schedule
        self._limits = self._lanes.limits = limits
        self._start_soon()
        self._scan_after(limits.sleep)

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
            self._drop(queue_id)
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
        if self._under_way:
            self._idle = Deferred()
            cut = self._clock.callLater(self._limits.grace, self._cut)
            await self._idle
            if cut.active():
                cut.cancel()

    def _cut(self) -> None:
        for attempt in list(self._under_way):
            attempt.cancel()

    # ---- Finding what is due ---------------------------------------------------------------

    def _scan_after(self, delay: float) -> None:
        """Look at the index after `delay` seconds, or sooner if that was agreed before."""
        if not self._running or self._scan is not None:
            return  # a scan that ends sets the timer anew
        when = self._clock.seconds() + delay
        if self._timer is not None and self._timer.active():
            if self._timer.getTime() <= when:
                return
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._begin_scan)

    def _begin_scan(self) -> None:
        self._scan = Deferred.fromCoroutine(self._look())
        self._scan.addBoth(self._scan_ended)

    def _scan_ended(self, result: object) -> None:
        self._scan = None
        delay = self._limits.sleep
        try:
            if isinstance(result, Failure):
                result.raiseException()
            due = self._journal.next_due(self._scanned)
            if self._rescanned == _NEVER:  # woken meanwhile
                delay = 0.0
            elif due is not None:
                delay = min(max(due - self._now(), 0.0), delay)
        except CancelledError:
            return
        except Exception:  # the queue must go on, whatever it was
            self._rescanned = _NEVER
            self._note("the queue could not be looked at", Failure())
        self._scan_after(delay)

    async def _look(self) -> None:
        """Admit all that is due, page by page."""
        now = self._now()
        quiet = 0 <= now - self._rescanned < self._limits.sleep
        if now < self._scanned or not (quiet or (self._lanes.hungry and self._rescanned > _NEVER)):
            self._rescanned, self._scanned = now, _NEVER
        last: Due | float = self._scanned
        self._scanned = now  # at once: what is deferred meanwhile may set it back
        while True:
            page = self._journal.due(now, last, self._limits.page)
            for due in page:
                self._admit(due)
            self._start()
            if len(page) < self._limits.page:
                break
            last = page[-1]
            await deferLater(self._clock, 0)

    def _admit(self, due: Due) -> None:
        self._lanes.admit(self._hop(due), due)

    def _hop(self, due: Due) -> Hashable:
        if due.local:
            return _LOCAL
        try:
            return self._route(due.reverse_path, due.path)
        except Refusal as refusal:
            return refusal.reply  # an attempt that has ended before it began

    def _refill(self) -> None:
        """Fetch from the spool for one lane that has room again."""
        wanted = self._lanes.wanted()
        if wanted is None:
            return
        lane, domain, limit = wanted
        found = self._journal.destined(domain, self._now(), limit)
        self._lanes.refill(lane, domain, limit, [(self._hop(due), due) for due in found])

    # ---- Attempting ------------------------------------------------------------------------

    def _start_soon(self) -> None:
        if self._running and (self._starting is None or not self._starting.active()):
            self._starting = self._clock.callLater(0, self._start)

    def _start(self) -> None:
        """Begin attempts, as many as the limits allow."""
        while self._running and (job := self._lanes.next()) is not None:
            self._attempting[job.queue_id] += 1
            attempt = Deferred.fromCoroutine(self._attempt(job))
            self._under_way.add(attempt)
            attempt.addErrback(self._broken_off, job)
            attempt.addBoth(self._ended, attempt, job)

    def _broken_off(self, failure: Failure, job: Job) -> None:
        if failure.check(CancelledError) is None:
            self._note(f"{job.queue_id}: attempt failed", failure)

    def _note(self, what: str, failure: Failure) -> None:
        """Log the disk's failures in one line, and mistakes of ours with their trace."""
        if failure.check(OSError):
            self._log.error("{what}: {why}", what=what, why=failure.value)
        else:
            self._log.failure("{what}", failure, what=what)

    def _ended(self, _: None, attempt: Deferred[None], job: Job) -> None:
        self._under_way.discard(attempt)
        self._attempting[job.queue_id] -= 1
        if not self._attempting[job.queue_id]:
            del self._attempting[job.queue_id]
        self._lanes.done(job)
        if not self._lanes.busy(job.queue_id):
            self._drop(job.queue_id)
        if self._idle is not None and not self._under_way:
            self._idle.callback(None)
        if self._running:
            try:
                self._refill()
            except OSError:
                self._note("the queue could not be looked at", Failure())
            self._start_soon()

    async def _attempt(self, job: Job) -> None:
        """Attempt a job's recipients, those of them that are still pending."""
        if job.queue_id in self._withheld:
            return
        fresh = self._fresh.get(job.queue_id)
        item = fresh[0] if fresh is not None else self._journal.load(job.queue_id)
        if item is None:
            return
        numbers = tuple(n for n in job.numbers if isinstance(item.fates[n], Pending))
        if not numbers:
            return
        content = fresh[1] if fresh is not None else self._journal.content(item)
        try:
            answers, attempts = await self._answers(job.lane.hop, item, numbers, content)
            await self._conclude(
                item,
                dict(zip(numbers, answers, strict=True)),
                tuple(Attempted(numbers, each) for each in bounded(attempts)),
                content,
            )
        finally:
            content.close()

    async def _answers(
        self, hop: Hashable, item: Item, numbers: tuple[int, ...], content: Content
    ) -> tuple[Sequence[Answer], Sequence[Attempt]]:
        """What the next hop answers to each of these recipients, and what it took to hear it."""
        if isinstance(hop, Reply):
            return [Answer(hop)] * len(numbers), ()
        try:
            if hop is _LOCAL:
                replies = await self._local.deliver(item, numbers, content)
                return [Answer(reply) for reply in replies], ()
            hop = cast(H, hop)  # there are no others in a lane
            began = self._now()
            outcome = await self._outbound.deliver(hop, addressed(item, numbers), content)
        except CancelledError:
            raise
        except Exception:  # a mistake of ours is no reason to lose mail
            self._log.failure("{id}: attempt failed", id=item.queue_id)
            return [Answer(_BROKEN)] * len(numbers), ()
        self._note_attempt(item, numbers, outcome, began)
        return _answers(outcome), outcome.attempts

    def _note_attempt(
        self, item: Item, numbers: tuple[int, ...], outcome: Outcome, began: float
    ) -> None:
        """Tell the journey of an attempt that has ended."""
        path = item.envelope.recipients[numbers[0]].path
        chronicle.attempted(
            self._recorder,
            item,
            numbers,
            began,
            self._verdicts(item.envelope.reverse_path, path),
            outcome.lookups,
            bounded(outcome.attempts),
        )

    async def _conclude(
        self,
        item: Item,
        answers: dict[int, Answer],
        attempts: tuple[Attempted, ...],
        content: Content,
    ) -> None:
        """Write what came of an attempt, with its notices; then act on it."""
        now, chance = self._now(), self._random()
        wait = _REWRITE
        before: Item | None = item
        while before is not None:
            news = {n: a for n, a in answers.items() if isinstance(before.fates[n], Pending | Held)}
            after = attempted(before, news, now, self._schedule, chance)
            try:
                before = await self._written(before, after, attempts, content)
            except OSError as error:
                self._log.error("{id}: not written: {why}", id=item.queue_id, why=error)
                await deferLater(self._clock, wait)
                wait = min(2 * wait, _REWRITE_LIMIT)

    async def _written(
        self, before: Item, after: Item, attempts: tuple[Attempted, ...], content: Content
    ) -> Item | None:
        """None once it is; else the item, which somebody else has changed meanwhile.

        Raises:
            OSError: It is not, for the disk's sake.
        """
        notices = await self._reporter.reports(before, after, content)
        try:
            await self._journal.settle(before, after, attempts, *notices)
        except Stale:
            return self._journal.load(after.queue_id)
        self._act(before, after, notices)
        return None

    def _act(self, before: Item, after: Item, notices: Sequence[Accept]) -> None:
        """What follows from fates that are written."""
        maillog.attempted(before, after)
        now = self._now()
        chronicle.fated(self._recorder, before, after, now, self._schedule)
        chronicle.reported(self._recorder, before, after, notices, now)
        for notice in notices:
            assert notice.content is not None
            self._announce(notice.item, Octets(notice.content))
        for was, fate in zip(before.fates, after.fates, strict=True):
            if isinstance(fate, Pending) and fate != was:
                # A moment that the index was looked at for already would be overlooked.
                self._scanned = min(self._scanned, math.nextafter(fate.due, _NEVER))
                self._scan_after(max(fate.due - self._now(), 0.0))

    # ---- Fresh items -----------------------------------------------------------------------

    def _keep(self, item: Item, content: Content) -> None:
        """Have an item at hand that is about to be attempted, if there is memory for it."""
        weight = _weight(content)
        if item.queue_id not in self._fresh and self._cached + weight <= self._limits.cache:
            self._fresh[item.queue_id] = item, content
            self._cached += weight

    def _drop(self, queue_id: QueueId) -> None:
        kept = self._fresh.pop(queue_id, None)
        if kept is not None:
            self._cached -= _weight(kept[1])


def _weight(content: Content) -> int:
    return content.size if isinstance(content, Octets) else 0


def _answers(outcome: Outcome) -> list[Answer]:
    """The outcome, one answer for each recipient."""
    count = len(outcome.replies)
    hosts = outcome.hosts or (_speaker(outcome),) * count
    dsn = outcome.dsn or (False,) * count
    again = outcome.put_off
    return [Answer(*each, again) for each in zip(outcome.replies, hosts, dsn, strict=True)]


def _speaker(outcome: Outcome) -> str:
    """Whose words the replies are, as far as the last attempt tells."""
    if not outcome.attempts or outcome.attempts[-1].stage == "connect":
        return ""
    return outcome.attempts[-1].host
