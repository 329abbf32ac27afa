"""Local delivery: files what was accepted for our own mailboxes, and lets the spool forget it.

A message is filed as soon as it is committed, together with all that were
committed meanwhile, and shows in its mailbox at once. What was filed is synced
later, many at a time, and only then dropped from the spool. A filing that fails
is put off: its recipient waits in the queue like a remote one, and the runner
hands it back through `deliver`.

Invariants:

1. The spool forgets a recipient after its message is durable in its mailbox,
   and never before; what a crash leaves there is filed again by `recover`.
2. A filing that is repeated is the same one: its name is made of the queue id
   and the recipient's number.
3. One batch is filed at a time, and one synced; what was accepted and is not
   dropped is bounded by `LocalLimits`, as long as the intake waits for `room`.
4. Whoever asked for it (NOTIFY=SUCCESS) is told of delivery in the transaction
   that settles the recipient.
"""

from __future__ import annotations

from collections import deque
from collections.abc import (
    AsyncIterator,
    Awaitable,
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing, suppress
from typing import Any, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailhub.mail import trace
from mailhub.mail.address import NULL
from mailhub.mail.envelope import Notify
from mailhub.mail.reply import Reply
from mailhub.net.content import FileContent, Octets
from mailhub.net.scribe import Nobody, Recorder
from mailhub.net.shield import under_way
from mailhub.policy.limits import LocalLimits
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.filing import Filer, Filing
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.queue.change import Change, Stale, Unfiled
from mailhub.queue.ids import unique_part
from mailhub.queue.item import Answer, Item, attempted, local_answer
from mailhub.queue.journey import Attempted
from mailhub.relay import chronicle, maillog
from mailhub.relay.agents import Announce
from mailhub.relay.report import Reporter, Scheduling
from mailhub.relay.settling import Settling


class Found(Protocol):
    """What is found in the spool, one by one; closed in the end."""

    def __aiter__(self) -> AsyncIterator[Unfiled]: ...
    def __anext__(self) -> Awaitable[Unfiled]: ...
    def aclose(self) -> Awaitable[None]: ...


class Journal(Protocol):
    """What local delivery needs of `net.journal.Journal`."""

    def filed(self, item: Item, numbers: Iterable[int]) -> None: ...
    async def drop_filed(
        self, filed: Iterable[tuple[Item, Sequence[int]]], at: float = 0.0
    ) -> None: ...
    async def settle(
        self, before: Item, after: Item, attempts: Iterable[Attempted] = (), *also: Change
    ) -> None: ...
    def content(self, item: Item) -> Content: ...
    def unfiled(self, page: int = 200) -> Found: ...


DELIVERED: Final = Reply(250, "0.0", ("Delivered to the mailbox",))
_FULL: Final = Reply(452, "2.2", ("Mailbox full",))
_FAULT: Final = Reply(451, "3.0", ("The mailbox cannot be written at the moment",))
_GONE: Final = Reply(550, "1.1", ("No such mailbox here any more",))


_NOBODY: Final = Nobody()


class _Job:
    """One item's local recipients on their way into their mailboxes.

    Attributes:
        filings: By the recipients' numbers.
        weight: Octets of content in memory.
        told: The sender has been told of its delivery, and its fate is written.
    """

    __slots__ = ("content", "filings", "item", "told", "weight")

    def __init__(self, item: Item, filings: dict[int, Filing], content: Content) -> None:
        self.item = item
        self.filings = filings
        self.content = content
        self.weight = content.size if isinstance(content, Octets) else 0
        self.told = False


class LocalDelivery:
    """Delivers to the mailboxes of this hub.

    Args:
        account: Finds an account by its id; None once it was deleted.
        wake: Tells the runner that something waits in the queue that it has not seen.
        clock: For waiting; `now` is for dates.
        random: Gives numbers from 0 up to 1, for the jitter of the schedule.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        filer: Filer,
        account: Callable[[AccountId], Account | None],
        reporter: Reporter,
        announce: Announce,
        wake: Callable[[], None],
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[], float],
        schedule: Scheduling,
        limits: LocalLimits | None = None,
        recorder: Recorder = _NOBODY,
        settling: Settling | None = None,
    ) -> None:
        self._journal = journal
        self._recorder = recorder
        self._filer = filer
        self._account = account
        self._reporter = reporter
        self._announce = announce
        self._wake = wake
        self._clock = clock
        self._now = now
        self._random = random
        self._schedule = schedule
        self._limits = limits or LocalLimits()
        self._settling = settling or Settling()
        self._arrived: deque[_Job] = deque()
        self._filed: list[_Job] = []  # and not yet synced
        self._filed_weight = 0
        self._filing = False
        self._syncing = False
        self._timer: IDelayedCall | None = None
        self._pending = 0
        self._weight = 0
        self._crowd: list[Deferred[None]] = []
        self._under_way = 0
        self._idle: Deferred[None] | None = None
        self._stopping = False
        self._repeats: set[IDelayedCall] = set()

    # ---- From outside ----------------------------------------------------------------------

    def accepted(self, item: Item, content: Content) -> None:
        """An item was committed: file it for its local recipients, in the next turn of the loop."""
        numbers = item.local
        if numbers:
            self._take(item, numbers, content)

    def obey(self, limits: LocalLimits) -> None:
        """Go by other limits from here on."""
        self._limits = limits
        self._let_in()

    async def room(self) -> None:
        """Wait until local delivery can bear more."""
        while self._crowded:
            turn: Deferred[None] = Deferred()
            self._crowd.append(turn)
            await turn

    @property
    def _crowded(self) -> bool:
        limits = self._limits
        return self._pending >= limits.pending or self._weight >= limits.pending_octets

    async def deliver(self, item: Item, places: Sequence[int], content: Content) -> Sequence[Reply]:
        """File durably what was put off before: `relay.agents.LocalAgent`."""
        filings = self._filings(item, places, content)
        for each in filings.values():
            # Its fate is written right behind this: there is nothing to hurry.
            self._settling.hold(each.account, each.unique, _patience)
        results = await self._file(list(filings.values()))
        replies = {n: _reply(no) for n, no in zip(filings, results, strict=True)}
        try:
            await self._filer.sync([filings[n] for n, reply in replies.items() if reply.positive])
        except OSError as error:
            self._log.error("{id}: not synced: {why}", id=item.queue_id, why=error)
            replies = dict.fromkeys(replies, _FAULT)
        done = {n: filings[n] for n, reply in replies.items() if reply.positive}
        self._note_filed(item, done)
        return [replies.get(place, _GONE) for place in places]

    def unwritten(self) -> None:
        """The disk refuses to write what came of it, for now."""
        self._settling.failed()

    def let_go(self, item: Item, places: Sequence[int]) -> None:
        """What came of it is written, or will not be."""
        for place in places:
            local = item.places[place]
            account = None if local is None else self._account(local.account)
            if account is not None:
                self._settling.let_go(account, unique(item, place))

    async def recover(self, until: QueueId) -> int:
        """File and sync what a crash left in the spool; how many items.

        Items from `until` on, which were accepted since the start, come by themselves.
        """
        count = 0
        async with aclosing(self._journal.unfiled()) as found:
            async for left in found:
                if left.item.queue_id >= until:
                    break
                count += 1
                await self.room()
                content = self._journal.content(left.item)
                if left.unfiled:
                    self._take(left.item, left.unfiled, content)
                if left.filed:
                    self._mark_filed(self._job(left.item, left.filed, content))
        return count

    async def stop(self) -> None:
        """File and sync all that was accepted; if the disk refuses, it stays in the spool."""
        self._stopping = True
        for call in self._repeats:
            call.cancel()
        await self._quiet()
        self._sync_soon()
        await self._quiet()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    # ---- Jobs ------------------------------------------------------------------------------

    def _job(self, item: Item, numbers: Sequence[int], content: Content) -> _Job:
        job = _Job(item, self._filings(item, numbers, content), content)
        self._pending += len(job.filings)
        self._weight += job.weight
        for each in job.filings.values():
            self._settling.hold(each.account, each.unique, self._sync_soon)
        return job

    def _filings(self, item: Item, places: Sequence[int], content: Content) -> dict[int, Filing]:
        """What is to be filed for these recipients; without those whose account is gone."""
        found = {}
        for place in places:
            local = item.places[place]
            assert local is not None, "a local recipient has a place"
            account = self._account(local.account)
            if account is not None:
                found[place] = filing(item, place, account, content)
        return found

    def _leave(self, job: _Job) -> None:
        """A job is done: others may come."""
        self._pending -= len(job.filings)
        self._weight -= job.weight
        for each in job.filings.values():
            self._settling.let_go(each.account, each.unique)
        self._let_in()

    def _let_in(self) -> None:
        """Let those who wait for `room` look again."""
        crowd, self._crowd = self._crowd, []
        for turn in crowd:
            turn.callback(None)

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        """See to it that work ends, and that its failure is told."""
        self._under_way += 1
        done = under_way(work)
        done.addErrback(lambda failure: self._log.failure("local delivery failed", failure))
        done.addBoth(self._ended)

    def _ended(self, _: object) -> None:
        self._under_way -= 1
        if not self._under_way and self._idle is not None:
            idle, self._idle = self._idle, None
            idle.callback(None)

    async def _quiet(self) -> None:
        """Wait until nothing is under way."""
        while self._under_way or self._filing:
            self._idle = self._idle or Deferred()
            await self._idle

    # ---- Filing ----------------------------------------------------------------------------

    def _take(self, item: Item, numbers: Sequence[int], content: Content) -> None:
        job = self._job(item, numbers, content)
        if len(job.filings) < len(numbers):
            gone = {number: Answer(_GONE) for number in numbers if number not in job.filings}
            self._own(self._put_off(item, gone, content))
        if job.filings:
            self._arrived.append(job)
            if not self._filing:
                self._filing = True
                self._clock.callLater(0, self._begin_filing)

    def _begin_filing(self) -> None:
        self._own(self._file_all())

    async def _file_all(self) -> None:
        """File batch after batch, until nothing has arrived meanwhile."""
        arrived = self._arrived
        while arrived:
            batch = [arrived.popleft() for _ in range(min(len(arrived), self._limits.batch))]
            filings = [each for job in batch for each in job.filings.values()]
            results = iter(await self._file(filings))
            for job in batch:
                told = [next(results) for _ in job.filings]
                try:
                    self._filed_or_not(job, told)
                except Exception:  # a mistake of ours: the next start sees to it, others go on
                    self._log.failure("{id} is not noted as filed", id=job.item.queue_id)
                    self._leave(job)
        self._filing = False

    async def _file(self, filings: Sequence[Filing]) -> Sequence[StoreRefused | None]:
        try:
            return await self._filer.file(filings)
        except OSError as error:
            self._log.error("{count} messages not filed: {why}", count=len(filings), why=error)
        except Exception:  # a mistake of ours is no reason to lose mail
            self._log.failure("{count} messages were not filed", count=len(filings))
        # Some may be filed: to do it again is harmless.
        return [StoreRefused(StoreFault.SERVER_BUG, "not filed")] * len(filings)

    def _filed_or_not(self, job: _Job, results: Sequence[StoreRefused | None]) -> None:
        """Note that a job is filed, and put off those of its recipients that are not."""
        if any(results):
            refused = {
                number: local_answer(_reply(no))
                for number, no in zip(job.filings, results, strict=True)
                if no is not None
            }
            for number in refused:
                gone = job.filings.pop(number)
                self._settling.let_go(gone.account, gone.unique)
            self._pending -= len(refused)
            self._own(self._put_off(job.item, refused, job.content))
        if job.filings:
            self._journal.filed(job.item, job.filings)
            maillog.filed(job.item, job.filings)
            self._note_filed(job.item, job.filings)
            self._mark_filed(job)
        else:
            self._leave(job)

    def _note_filed(self, item: Item, filings: Mapping[int, Filing]) -> None:
        """Tell the journey where the message can be read."""
        places = (
            (item.number(place), it.account, it.mailbox, self._filer.uid(it) or 0)
            for place, it in filings.items()
        )
        chronicle.filed(self._recorder, item, self._now(), places)

    async def _put_off(self, item: Item, answers: Mapping[int, Answer], content: Content) -> None:
        """Let recipients wait for another attempt, or fail, as the schedule says."""
        for number, answer in answers.items():
            to, why = item.envelope.recipients[number].path, answer.reply.text
            self._log.warn("{id}: not filed for <{to}>: {why}", id=item.queue_id, to=to, why=why)
        schedule = self._schedule(item, next(iter(answers)))
        after = attempted(item, answers, self._now(), schedule, self._random())
        try:
            await self._settle(item, after, content)
        except Stale:
            self._log.error("{id}: its fate was settled by somebody else", id=item.queue_id)
        except OSError as error:
            # It stays in the spool as it was: fresh, so that the runner never sees it.
            self._log.error("{id}: fate not written: {why}", id=item.queue_id, why=error)
            self._repeat(item, tuple(answers), content)
        self._wake()

    def _repeat(self, item: Item, numbers: Sequence[int], content: Content) -> None:
        """File once more, in a while; after a stop, the next start does."""
        if self._stopping:
            return

        def again() -> None:
            self._repeats.discard(call)
            self._take(item, numbers, content)

        call = self._clock.callLater(self._limits.retry_sync, again)
        self._repeats.add(call)

    async def _settle(self, before: Item, after: Item, content: Content) -> None:
        """Write fates together with the notices they call for."""
        notices = await self._reporter.reports(before, after, content)
        await self._journal.settle(before, after, (), *notices)
        now = self._now()
        chronicle.fated(self._recorder, before, after, now, self._schedule(before, 0))
        chronicle.reported(self._recorder, before, after, notices, now)
        for notice in notices:
            self._announce(notice.item, Octets(notice.content or b""))

    # ---- Syncing ---------------------------------------------------------------------------

    def _mark_filed(self, job: _Job) -> None:
        limits = self._limits
        self._filed.append(job)
        self._filed_weight += job.item.size
        if self._many_filed():
            self._sync_soon()
        elif self._timer is None or not self._timer.active():
            self._timer = self._clock.callLater(limits.sync_after, self._sync_soon)

    def _many_filed(self) -> bool:
        limits = self._limits
        return len(self._filed) >= limits.sync_count or self._filed_weight >= limits.sync_octets

    def _sync_soon(self) -> None:
        if self._filed and not self._syncing:
            self._syncing = True
            self._own(self._sync_all())

    async def _sync_all(self) -> None:
        """Sync what is filed, again as long as there is much of it."""
        going = True
        while going:
            jobs, self._filed, self._filed_weight = self._filed, [], 0
            try:
                await self._filer.sync([each for job in jobs for each in job.filings.values()])
                await self._drop(jobs)
            except Exception as error:
                if isinstance(error, OSError):
                    self._log.error(
                        "{count} messages stay spooled: {why}", count=len(jobs), why=error
                    )
                else:  # a mistake of ours is no reason to lose mail
                    self._log.failure("{count} messages stay spooled for now", count=len(jobs))
                again = [job for job in jobs if not job.told]
                self._filed[:0] = again
                self._filed_weight += sum(job.item.size for job in again)
                for job in jobs:
                    if job.told:
                        self._leave(job)
                self._after(self._limits.retry_sync)
                self._settling.failed()
                break
            for job in jobs:
                self._leave(job)
            going = self._many_filed()
        else:
            if self._filed:
                self._after(self._limits.sync_after)
        self._syncing = False

    def _after(self, delay: float) -> None:
        """Sync after so many seconds, in place of when that was meant to be."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = self._clock.callLater(delay, self._sync_soon)

    async def _drop(self, jobs: Sequence[_Job]) -> None:
        """Settle those whose sender wants to hear of it, and drop all others in one commit."""
        now = self._now()
        silent = []
        for job in jobs:
            if _wants_report(job):
                answers = dict.fromkeys(job.filings, Answer(DELIVERED))
                after = attempted(job.item, answers, now, self._schedule(job.item, 0))
                with suppress(Stale):  # somebody else has settled it
                    await self._settle(job.item, after, job.content)
                job.told = True
            else:
                silent.append((job.item, tuple(job.filings)))
        if silent:
            await self._journal.drop_filed(silent, now)


def unique(item: Item, place: int) -> str:
    """The middle of a message's name for one recipient: the same, whatever part this item is."""
    return unique_part(item.queue_id, item.number(place))


def filing(item: Item, place: int, account: Account, content: Content) -> Filing:
    """What is filed for the recipient at a place of an item."""
    local, recipient = item.places[place], item.envelope.recipients[place]
    name = unique(item, place)
    head = trace.delivery(item.envelope.reverse_path, recipient.path)
    mailbox = "INBOX" if local is None else local.mailbox
    if isinstance(content, Octets):
        return Filing(
            account, name, item.arrived, head, content.octets, item.size, 0, False, mailbox
        )
    assert isinstance(content, FileContent), "the journal has no other content"
    skip, linkable = content.skip, item.head == head
    return Filing(
        account, name, item.arrived, head, content.path, item.size, skip, linkable, mailbox
    )


def _patience() -> None:
    """There is nothing to hurry: see `relay.settling.Hurry`."""


def _reply(no: StoreRefused | None) -> Reply:
    if no is None:
        return DELIVERED
    return _FULL if no.fault is StoreFault.OVER_QUOTA else _FAULT


def _wants_report(job: _Job) -> bool:
    """Whether NOTIFY=SUCCESS was asked for, by one who can be told."""
    envelope = job.item.envelope
    if envelope.reverse_path == NULL:
        return False
    asked = (envelope.recipients[number].notify for number in job.filings)
    return any(notify is not None and notify & Notify.SUCCESS for notify in asked)
