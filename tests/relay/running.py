"""A queue runner in a time of its own, with next hops that say what a test wants."""

from __future__ import annotations

import errno
from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailhub.mail.address import Path as Address
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.policy.cause import Cause
from mailhub.policy.limits import RunnerLimits
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import AccountId
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome, QueueId
from mailhub.queue.ids import QueueIds
from mailhub.queue.item import Item, Local
from mailhub.queue.spool import Spool
from mailhub.relay.report import Reporter
from mailhub.relay.runner import Runner
from tests.queue import given as make
from tests.queue.given import LATER, OK, SENDER
from tests.rig import InlineDisk, run
from tests.wording import LANGUAGES, other

HERE = Local(AccountId(7))
SCHEDULE = Schedule(jitter=0.0)
START = 1000.0
LIMITS = RunnerLimits()

Say = Callable[[Hashable, Address], Reply]


class Outbound:
    """Next hops that say what the test wants, at once or when it lets them."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.says: Say = lambda hop, path: OK
        self.waits = False
        self.waiting: list[Deferred[None]] = []
        self.asked: list[tuple[Hashable, list[str], bytes, float]] = []
        self.fails: Exception | None = None
        self.facts = True
        self.put_off: float | None = None
        self.stage = "rcpt"
        self.runs: dict[Hashable, Hashable] = {}  # who runs hops, once it is found out
        self.lanes: dict[Hashable, Hashable] = {}
        self.room: dict[Hashable, int] = {}
        self.found: list[Hashable] = []

    def lane(self, hop: Hashable) -> Hashable:
        return self.lanes.get(hop, hop)

    async def find(self, hop: Hashable) -> None:
        self.found.append(hop)
        self.lanes.update(self.runs)

    def places(self, lane: Hashable) -> int | None:
        return self.room.get(lane)

    async def deliver(self, hop: Hashable, envelope: Envelope, content: Content) -> Outcome:
        octets = await content.read()
        paths = [recipient.path for recipient in envelope.recipients]
        self.asked.append((hop, [path.local for path in paths], octets, self.clock.seconds()))
        if self.waits:
            wait: Deferred[None] = Deferred()
            self.waiting.append(wait)
            await wait
        if self.fails is not None:
            raise self.fails
        if self.put_off is not None:
            causes = (Cause.LOCAL,) * len(paths)
            return Outcome((LATER,) * len(paths), (), causes=causes, put_off=self.put_off)
        replies = tuple(self.says(hop, path) for path in paths)
        attempts = (replace(make.attempt("mx", replies[-1]), stage=self.stage),)
        if not self.facts:
            return Outcome(replies, attempts)
        return Outcome(replies, attempts, ("mx",) * len(paths), (False,) * len(paths))

    def go(self) -> None:
        """Let the first one that waits go on."""
        self.waiting.pop(0).callback(None)


class Agent:
    """Local delivery that is tried again."""

    def __init__(self) -> None:
        self.says = OK
        self.asked: list[tuple[QueueId, tuple[int, ...]]] = []
        self.held: set[tuple[QueueId, int]] = set()
        self.refused = 0

    async def deliver(
        self, item: Item, numbers: Sequence[int], content: Content
    ) -> Sequence[Reply]:
        self.asked.append((item.queue_id, tuple(numbers)))
        self.held.update((item.queue_id, number) for number in numbers)
        return [self.says] * len(numbers)

    def unwritten(self) -> None:
        self.refused += 1

    def let_go(self, item: Item, places: Sequence[int]) -> None:
        self.held.difference_update((item.queue_id, place) for place in places)


class Rig:
    """A hub's queue: what is announced is filed or relayed, as in the service."""

    def __init__(self, directory: Path, limits: RunnerLimits = LIMITS) -> None:
        self.directory = directory
        self.clock = Clock()
        self.clock.advance(START)
        self.outbound = Outbound(self.clock)
        self.agent = Agent()
        self.limits = limits
        self.announced: list[Item] = []
        self.skew = 0.0
        self.open()

    def open(self) -> None:
        self.spool = Spool(str(self.directory))
        self.journal = Journal(self.spool, InlineDisk(), InlineDisk())
        reporter = Reporter(
            "hub.example",
            QueueIds(self.now, lambda _: 0, self.journal.floor()),
            self.now,
            lambda _: 1,
            self.expand,
            lambda item, place: SCHEDULE,
            LANGUAGES,
            other,
        )
        self.runner = Runner(
            self.journal,
            self.outbound,
            self.agent,
            self.route,
            reporter,
            self.announce,
            self.clock,
            self.now,
            lambda: 0.5,
            lambda item, place: SCHEDULE,
            self.limits,
        )

    def now(self) -> float:
        return self.clock.seconds() + self.skew

    def route(self, reverse_path: Address, path: Address, way: str) -> Hashable:
        if path.domain == "refused.example":
            raise Refusal(550, "4.4", "No route")
        return path.domain

    async def expand(self, to: Recipient) -> Sequence[tuple[Recipient, Local | None]]:
        return [(to, HERE if to.path == SENDER else None)]

    def announce(self, item: Item, content: Content) -> None:
        self.announced.append(item)
        self.runner.accepted(item, content)

    def accept(self, item: Item, content: bytes = b"x", *, tell: bool = True) -> Item:
        run(self.journal.accept(item, content))
        if tell:
            self.runner.accepted(item, Octets(content))
        return item

    def pass_time(self, seconds: float = 0.0) -> None:
        """Let time go by, moment by moment."""
        end = self.clock.seconds() + seconds
        while True:
            calls = [call.getTime() for call in self.clock.getDelayedCalls()]
            due = [at for at in calls if at <= end]
            if not due:
                break
            self.clock.advance(max(0.0, min(due) - self.clock.seconds()))
        self.clock.advance(end - self.clock.seconds())

    def step(self) -> None:
        """Let the next call happen, and nothing that it leads to."""
        call = self.clock.calls.pop(0)
        call.called = 1
        call.func(*call.args, **call.kw)

    def fates(self, item: Item) -> tuple[Any, ...] | None:
        now = self.journal.load(item.queue_id)
        return None if now is None else now.fates

    def close(self) -> None:
        stopping = Deferred.fromCoroutine(self.runner.stop())
        self.outbound.waits = False
        while self.outbound.waiting:
            self.outbound.go()
        if not stopping.called:
            self.pass_time(100)
        assert stopping.called
        run(self.journal.close())
        assert self.clock.getDelayedCalls() == []

    def kill(self) -> None:
        """End as SIGKILL does: whatever was under way is never heard of again."""
        self.outbound.waiting.clear()
        self.clock.calls.clear()
        self.journal._reads.close()
        self.spool.close()
        self.open()


class Broken(InlineDisk):
    """A disk that refuses as long as it is told to."""

    def __init__(self) -> None:
        self.refuses = False

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        if self.refuses and function.__name__ == "commit":
            function.__self__._database._roll_back()
            raise OSError(errno.ENOSPC, "full")
        return function(*args, **kwargs)

    brief = run
