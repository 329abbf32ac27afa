"""One attempt: takes what an item has for a next hop, hands it on, writes what came of it.

What that means is `queue.item`'s to decide; only when it is written others are told.

Invariants:

1. A fate is committed together with the notice of it, or with the fact that it is owed.
2. The result of an attempt is not given up because the disk refuses it: writing is tried
   again, and what somebody else has changed meanwhile stays as they want it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Final, Generic, Protocol, cast

from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Recorder
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.policy.verdict import Verdict
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Attempt, Outcome, QueueId
from mailhub.queue.change import Accept, Settle, Stale
from mailhub.queue.item import (
    LATE,
    Answer,
    Held,
    Item,
    Pending,
    addressed,
    attempted,
    is_late,
    local_answer,
)
from mailhub.queue.journey import Attempted, bounded
from mailhub.queue.telling import to_tell
from mailhub.relay import chronicle, maillog
from mailhub.relay.agents import Announce, Guard, LocalAgent, Outbound, answers
from mailhub.relay.hops import LOCAL, H
from mailhub.relay.lane import Job
from mailhub.relay.report import Reporter, Scheduling

_BROKEN: Final = Reply(451, "3.0", ("Internal error; will try again",))
_REWRITE: Final = 1.0
_REWRITE_LIMIT: Final = 60.0
"""Seconds between attempts to write a result that the disk refuses: at first, and at most."""


class Queue(Protocol):
    """What an attempt asks of the runner that makes it."""

    @property
    def gather(self) -> float:
        """Seconds after which a sender hears what is owed."""

    def wake(self) -> None:
        """Somebody else has changed the spool."""

    def more_of_it(self, item: Item, count: int) -> bool:
        """Whether more of an item is attempted than these, or there is more to tell of it."""

    def owe(self, queue_id: QueueId, moment: float) -> None:
        """An item's sender is to be told something, at a moment at the latest."""

    def written(self, after: Item, deferred: Iterable[tuple[str, float]]) -> None:
        """What came of an attempt is written: of mail to these domains there is more, and when."""


class Attempting(Generic[H]):
    """Makes attempts, for one runner. The arguments are those of `runner.Runner`."""

    _log = Logger()

    def __init__(
        self,
        queue: Queue,
        journal: Journal,
        outbound: Outbound[H],
        local: LocalAgent,
        reporter: Reporter,
        announce: Announce,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[], float],
        schedule: Scheduling,
        recorder: Recorder,
        verdicts: Callable[[Path, Path, str], Sequence[Verdict]],
        guard: Guard,
    ) -> None:
        self._queue = queue
        self._journal = journal
        self._outbound = outbound
        self._local = local
        self._reporter = reporter
        self._announce = announce
        self._clock = clock
        self._now = now
        self._random = random
        self._schedule = schedule
        self._recorder = recorder
        self._verdicts = verdicts
        self._guard = guard

    async def make(self, job: Job, fresh: tuple[Item, Content] | None) -> None:
        """Attempt a job's recipients, those of them that are still pending.

        `fresh` are the item and its content, if they need not be asked of the spool.
        """
        item = fresh[0] if fresh is not None else self._journal.load(job.queue_id, job.numbers)
        if item is None:
            return
        places = self._places(job, item)
        if not places:
            return
        content = fresh[1] if fresh is not None else self._journal.content(item)
        try:
            answers = self._kept_back(job.hop, item, places)
            going = tuple(place for place in places if place not in answers)
            attempts: Sequence[Attempt] = ()
            if going and not is_late(item, self._now()):
                came, attempts = await self._answers(job.hop, item, going, content)
            else:
                came = [Answer(LATE, cause=Cause.LATE)] * len(going)
            answers.update(zip(going, came, strict=True))
            numbers = tuple(item.number(place) for place in going)
            tried = tuple(Attempted(numbers, each) for each in bounded(attempts))
            await self._conclude(item, answers, tried, content)
        finally:
            if job.hop is LOCAL:
                self._local.let_go(item, places)
            content.close()

    def _kept_back(self, hop: Hashable, item: Item, places: tuple[int, ...]) -> dict[int, Answer]:
        """Answers for recipients elsewhere who are not to be attempted."""
        if hop is LOCAL or not self._guard.concerns(item.flow, item.envelope.reverse_path):
            return {}
        return dict(self._guard.refused(item, places))

    def _places(self, job: Job, item: Item) -> tuple[int, ...]:
        """The places of the job's recipients that are still pending, and still go there."""
        numbers = {due.number: due for due in job.dues}
        found = []
        for place, fate in enumerate(item.fates):
            due = numbers.get(item.number(place))
            if due is None or not isinstance(fate, Pending):
                continue
            if due.path == item.envelope.recipients[place].path and due.route == fate.route:
                found.append(place)
            else:
                self._queue.wake()  # an operator has changed it: its place is with another hop
        return tuple(found)

    async def _answers(
        self, hop: Hashable, item: Item, places: tuple[int, ...], content: Content
    ) -> tuple[Sequence[Answer], Sequence[Attempt]]:
        """What the next hop answers to each of these recipients, and what it took to hear it."""
        if isinstance(hop, Reply):
            return [Answer(hop)] * len(places), ()
        try:
            if hop is LOCAL:
                replies = await self._local.deliver(item, places, content)
                return [local_answer(reply) for reply in replies], ()
            hop = cast(H, hop)  # there are no others in a lane
            began = self._now()
            envelope, ticket = addressed(item, places, began), None
            if self._guard.concerns(item.flow, item.envelope.reverse_path):
                envelope, ticket = await self._guard.sent_as(hop, item, places, envelope)
            outcome = await self._outbound.deliver(hop, envelope, content)
        except CancelledError:
            raise
        except Exception:  # a mistake of ours is no reason to lose mail
            self._log.failure("{id}: attempt failed", id=item.queue_id)
            return [Answer(_BROKEN)] * len(places), ()
        self._note_attempt(item, places, outcome, began)
        return answers(outcome, ticket), outcome.attempts

    def _note_attempt(
        self, item: Item, places: tuple[int, ...], outcome: Outcome, began: float
    ) -> None:
        """Tell the journey of an attempt that has ended."""
        path, fate = item.envelope.recipients[places[0]].path, item.fates[places[0]]
        way = fate.route if isinstance(fate, Pending) else ""
        chronicle.attempted(
            self._recorder,
            item,
            tuple(item.number(place) for place in places),
            began,
            self._verdicts(item.envelope.reverse_path, path, way),
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
        now = self._now()
        again = any(not answer.reply.positive for answer in answers.values())
        chance = self._random() if again else 0.5  # nobody is to come back at any moment
        schedule = self._schedule(item, next(iter(answers)))
        wait = _REWRITE
        before: Item | None = item
        while before is not None:
            news = {
                place: answer
                for place, answer in answers.items()
                if isinstance(before.fates[place], Pending | Held)
                and before.envelope.recipients[place] == item.envelope.recipients[place]
            }
            after = attempted(before, news, now, schedule, chance)
            try:
                before = await self._written(before, after, schedule, news, attempts, content)
            except OSError as error:
                self._log.error("{id}: not written: {why}", id=item.queue_id, why=error)
                self._local.unwritten()
                await deferLater(self._clock, wait)
                wait = min(2 * wait, _REWRITE_LIMIT)

    async def _written(
        self,
        before: Item,
        after: Item,
        schedule: Schedule,
        news: Mapping[int, Answer],
        attempts: tuple[Attempted, ...],
        content: Content,
    ) -> Item | None:
        """None once it is; else the item, which somebody else has changed meanwhile.

        Raises:
            OSError: It is not, for the disk's sake.
        """
        notices: list[Accept] = []
        owed: tuple[int, ...] = ()
        moment = self._now() + self._queue.gather
        if self._queue.more_of_it(after, len(news)):
            owed = tuple(to_tell(before, after))
        else:
            notices = await self._reporter.reports(before, after, content)
        try:
            settle = Settle(before, after, attempts, owed, moment)
            await self._journal.commit(settle, *notices, *self._guard.known(after, news))
        except Stale:
            return self._journal.load(
                after.queue_id, [*map(before.number, range(len(before.fates)))]
            )
        if owed:
            self._queue.owe(after.queue_id, moment)
        self._act(before, after, schedule, notices)
        self._guard.settled(after, news)
        return None

    def _act(
        self, before: Item, after: Item, schedule: Schedule, notices: Sequence[Accept]
    ) -> None:
        """What follows from fates that are written."""
        maillog.attempted(before, after)
        now = self._now()
        chronicle.fated(self._recorder, before, after, now, schedule)
        chronicle.reported(self._recorder, before, after, notices, now)
        for notice in notices:
            assert notice.content is not None
            self._announce(notice.item, Octets(notice.content))
        fates = zip(before.fates, after.fates, after.envelope.recipients, strict=True)
        deferred = (
            (recipient.path.domain, fate.due)
            for was, fate, recipient in fates
            if isinstance(fate, Pending) and fate != was
        )
        self._queue.written(after, deferred)
