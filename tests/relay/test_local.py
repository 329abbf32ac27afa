"""Local delivery: filed at once, synced in batches, forgotten by the spool last of all."""

from __future__ import annotations

import errno
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from typing import Any, cast

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from mailhub.mail.address import NULL, Path, parse_path
from mailhub.mail.envelope import Envelope, Notify, Recipient
from mailhub.mail.reply import Reply
from mailhub.net.content import FileContent, Octets
from mailhub.policy.alias import Rules
from mailhub.policy.cause import Cause
from mailhub.policy.limits import LocalLimits
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.filing import Filing, Promise
from mailhub.ports.message import Content, Uid
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.queue.change import Accept, Change, Stale, Unfiled
from mailhub.queue.item import Delivered, Failed, Item, Local, Pending, new_item
from mailhub.relay.addressees import members
from mailhub.relay.local import LocalDelivery, filing
from mailhub.relay.report import Reporter
from mailhub.relay.settling import Settling
from tests.policy.test_alias import FakeDirectory
from tests.rig import InlineDisk, run
from tests.wording import LANGUAGES, other

SENDER = parse_path("dan@elsewhere.example")
LIMITS = LocalLimits(
    batch=3,
    sync_after=2.0,
    sync_count=5,
    sync_octets=10_000,
    pending=8,
    pending_octets=5000,
    retry_sync=7.0,
)


def account(number: int) -> Account | None:
    """Accounts 1 to 9 are there."""
    if not 1 <= number <= 9:
        return None
    return Account(AccountId(number), Path(f"user{number}", "hub.example"), f"mail/{number}")


def item(name: str, *numbers: int, notify: Notify | None = None, head: bytes = b"") -> Item:
    """An item for these accounts; 0 is a remote recipient."""
    recipients = tuple(Recipient(Path(f"user{n}", "hub.example"), notify) for n in numbers)
    places = [Local(AccountId(n)) if n else None for n in numbers]
    envelope = Envelope(SENDER, recipients)
    return new_item(QueueId(name), 1000.0, envelope, places, 4, head=head)


class FakeJournal:
    """Writes down in which order it was told what."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.settled: list[tuple[Item, Item]] = []
        self.accepted: list[Item] = []
        self.left: list[Unfiled] = []
        self.fault: Exception | None = None

    def filed(self, item: Item, numbers: Iterable[int]) -> None:
        self.log.append(f"filed {item.queue_id} {list(numbers)}")

    async def drop_filed(
        self, filed: Iterable[tuple[Item, Sequence[int]]], at: float = 0.0
    ) -> None:
        if self.fault is not None:
            raise self.fault
        self.log.append("drop " + " ".join(f"{item.queue_id}{list(n)}" for item, n in filed))

    async def settle(self, before: Item, after: Item, attempts: Any = (), *also: Change) -> None:
        if self.fault is not None:
            raise self.fault
        self.log.append(f"settle {after.queue_id}")
        self.settled.append((before, after))
        self.accepted += [change.item for change in also if isinstance(change, Accept)]

    def content(self, item: Item) -> Content:
        return Octets(b"text")

    async def unfiled(self, page: int = 200) -> AsyncGenerator[Unfiled, None]:
        for left in self.left:
            yield left


class FakeFiler:
    """Files when it is told to."""

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.batches: list[Sequence[Filing]] = []
        self.refuses: dict[int, StoreRefused] = {}
        self.fault: Exception | None = None
        self.sync_fault: Exception | None = None
        self.failures = 0
        self.slow = False
        self.waiting: list[Deferred[None]] = []

    async def file(self, filings: Sequence[Filing]) -> Sequence[StoreRefused | None]:
        self.log.append("file " + " ".join(f"{each.account.id}" for each in filings))
        self.batches.append(filings)
        await self._pause()
        if self.fault is not None:
            raise self.fault
        return [self.refuses.get(each.account.id) for each in filings]

    async def sync(self, filings: Sequence[Filing]) -> None:
        self.log.append("sync " + " ".join(f"{each.account.id}" for each in filings))
        await self._pause()
        if self.sync_fault is not None:
            raise self.sync_fault

    def uid(self, filing: Filing) -> Uid | None:
        return Uid(7) if filing.mailbox == "INBOX" else None

    async def redeem(self, promises: Sequence[Promise]) -> None:
        raise AssertionError("local delivery promises nothing")

    async def settle(self, accounts: Sequence[Account], doubtful: Sequence[Promise] = ()) -> None:
        raise AssertionError("nor does it keep promises")

    async def _pause(self) -> None:
        if self.slow:
            turn: Deferred[None] = Deferred()
            self.waiting.append(turn)
            await turn

    def go_on(self) -> None:
        waiting, self.waiting = self.waiting, []
        for turn in waiting:
            turn.callback(None)


class House:
    """Local delivery among fakes, and a list of all that happened."""

    def __init__(self, limits: LocalLimits = LIMITS) -> None:
        self.log: list[str] = []
        self.journal = FakeJournal(self.log)
        self.filer = FakeFiler(self.log)
        self.clock = Clock()
        self.settling = Settling()
        self.settling.recovered()
        self.woken = 0
        self.announced: list[Item] = []
        directory = FakeDirectory({"user1": True})
        reporter = Reporter(
            "hub.example",
            lambda: QueueId("notice"),
            self.now,
            lambda bits: 7,
            lambda recipient: members(recipient, directory, Rules()),
            lambda item, place: Schedule(),
            LANGUAGES,
            other,
        )
        self.local = LocalDelivery(
            self.journal,
            self.filer,
            account,
            reporter,
            lambda item, content: self.announced.append(item),
            self.wake,
            self.clock,
            self.now,
            lambda: 0.5,
            lambda item, place: Schedule(),
            limits,
            settling=self.settling,
        )

    def now(self) -> float:
        return 1000.0 + self.clock.seconds()

    def wake(self) -> None:
        self.woken += 1

    def accept(self, *items: Item) -> None:
        for each in items:
            self.local.accepted(each, Octets(b"text"))

    def begin(self, coroutine: Any) -> Deferred[Any]:
        return Deferred.fromCoroutine(coroutine)


class TestFiling:
    def test_order(self) -> None:
        """Filed in the next turn, marked, then after a while synced, then dropped."""
        house = House()
        house.accept(item("a", 1))
        assert house.log == []
        house.clock.advance(0)
        assert house.log == ["file 1", "filed a [0]"]
        house.clock.advance(1.9)
        assert house.log == ["file 1", "filed a [0]"]
        house.clock.advance(0.1)
        assert house.log[2:] == ["sync 1", "drop a[0]"]
        assert house.clock.getDelayedCalls() == []

    def test_together(self) -> None:
        """What was committed in one turn is filed in one job, up to the batch's limit."""
        house = House()
        house.accept(*(item(name, n) for n, name in enumerate("abcd", 1)))
        house.clock.advance(0)
        assert house.log == [
            "file 1 2 3", "filed a [0]", "filed b [0]", "filed c [0]", "file 4", "filed d [0]"
        ]  # fmt: skip

    def test_one_job_at_a_time(self) -> None:
        """What comes while a job runs is filed by the next one."""
        house = House()
        house.filer.slow = True
        house.accept(item("a", 1))
        house.clock.advance(0)
        house.accept(item("b", 2), item("c", 3))
        house.clock.advance(0)
        assert house.log == ["file 1"]
        house.filer.go_on()
        assert house.log == ["file 1", "filed a [0]", "file 2 3"]

    def test_several_recipients(self) -> None:
        """One item may be for many here, and for others elsewhere."""
        house = House()
        house.accept(item("a", 1, 0, 2), item("r", 0))
        house.clock.advance(2)
        house.clock.advance(2)
        assert house.log == ["file 1 2", "filed a [0, 2]", "sync 1 2", "drop a[0, 2]"]

    def test_count_begins_sync(self) -> None:
        """So many messages, or octets, are synced at once."""
        house = House()
        house.accept(*(item(name, 1) for name in "abcde"))
        house.clock.advance(0)
        assert house.log[-2:] == ["sync 1 1 1 1 1", "drop a[0] b[0] c[0] d[0] e[0]"]
        house.accept(replace(item("f", 1), size=10_000))
        house.clock.advance(0)
        assert house.log[-1] == "drop f[0]"

    def test_sync_goes_on(self) -> None:
        """What is filed during a sync is synced by another one, at once if it is much."""
        house = House()
        house.accept(*(item(name, 1) for name in "abcde"))
        house.filer.slow = True
        house.clock.advance(0)
        house.filer.go_on()
        house.filer.go_on()
        assert house.log[-1] == "sync 1 1 1 1 1"
        house.filer.slow = False
        house.accept(*(item(name, 2) for name in "fghij"))
        house.clock.advance(0)
        house.accept(item("k", 3))
        assert not house.log[-1].startswith("sync")
        house.filer.go_on()
        assert house.log[-1] == "drop f[0] g[0] h[0] i[0] j[0]"
        house.clock.advance(0)
        house.clock.advance(2)
        assert house.log[-1] == "drop k[0]"

    def test_timer_after_sync(self) -> None:
        """What is filed during a sync, if it is little, waits for its own moment."""
        house = House()
        house.accept(*(item(name, 1) for name in "abcde"))
        house.clock.advance(0)
        house.filer.slow = True
        house.accept(item("f", 1))
        house.clock.advance(0)
        house.filer.go_on()
        house.clock.advance(2)  # the sync begins, and waits
        house.filer.slow = False
        house.accept(item("g", 2))
        house.clock.advance(0)
        house.filer.go_on()
        assert house.log[-1] == "drop f[0]"
        house.clock.advance(2)
        assert house.log[-1] == "drop g[0]"


class TestFilings:
    def test_small(self) -> None:
        """What lies in memory is filed with the trace fields of its recipient before it."""
        found = filing(item("a", 1, 2), 1, cast("Account", account(2)), Octets(b"text"))
        assert found.head == (
            b"Return-Path: <dan@elsewhere.example>\r\nDelivered-To: user2@hub.example\r\n"
        )
        assert (found.unique, found.arrived, found.content) == ("a-1", 1000.0, b"text")
        assert not found.linkable
        first = filing(item("a", 1), 0, cast("Account", account(1)), Octets(b"text"))
        assert first.unique == "a"

    def test_file(self) -> None:
        """A file that begins with just these fields may be linked; another one is copied."""
        head = filing(item("a", 1), 0, cast("Account", account(1)), Octets(b"")).head
        content = FileContent("/spool/a", len(head), 4, InlineDisk())
        found = filing(item("a", 1, head=head), 0, cast("Account", account(1)), content)
        assert (found.content, found.skip, found.linkable) == ("/spool/a", len(head), True)
        content = FileContent("/spool/b", 0, 4, InlineDisk())
        found = filing(item("b", 1, 2), 0, cast("Account", account(1)), content)
        assert (found.skip, found.linkable) == (0, False)


class TestRefused:
    def test_put_off(self) -> None:
        """A full mailbox gets it later; the others of the item get it now."""
        house = House()
        house.filer.refuses[2] = StoreRefused(StoreFault.OVER_QUOTA, "full")
        house.accept(item("a", 1, 2))
        house.clock.advance(0)
        assert house.log == ["file 1 2", "settle a", "filed a [0]"]
        [(_, after)] = house.journal.settled
        fate = after.fates[1]
        assert isinstance(fate, Pending)
        assert fate.attempts == 1
        assert fate.reply is not None
        assert fate.reply.status == "4.2.2"
        assert after.fates[0] == Pending(1000.0)
        assert house.woken == 1
        house.clock.advance(2)
        assert house.log[-1] == "drop a[0]"

    def test_all_refused(self) -> None:
        """An item that nobody could be given is not synced."""
        house = House()
        house.filer.refuses[1] = StoreRefused(StoreFault.SERVER_BUG, "EIO")
        house.accept(item("a", 1))
        house.clock.advance(9)
        assert house.log == ["file 1", "settle a"]
        assert run(house.local.room()) is None

    @pytest.mark.parametrize("fault", [OSError(errno.EIO, "x"), ValueError("a bug")])
    def test_filer_fails(self, fault: Exception) -> None:
        """A filer that fails has filed nothing, as far as we know: all is put off."""
        house = House()
        house.filer.fault = fault
        house.accept(item("a", 1), item("b", 2))
        house.clock.advance(0)
        assert house.log == ["file 1 2", "settle a", "settle b"]
        fate = house.journal.settled[0][1].fates[0]
        assert isinstance(fate, Pending)
        assert fate.reply is not None
        assert fate.reply.status == "4.3.0"

    def test_account_gone(self) -> None:
        """Mail for an account that was deleted meanwhile comes back to its sender."""
        house = House()
        house.accept(item("a", 1, 99))
        house.clock.advance(2)
        assert house.log == ["settle a", "file 1", "filed a [0]"]
        fate = house.journal.settled[0][1].fates[1]
        assert isinstance(fate, Failed)
        assert fate.reply.status == "5.1.1"
        [notice] = house.journal.accepted
        assert notice.envelope.reverse_path == NULL
        assert house.announced == [notice]

    def test_old_when_it_came(self) -> None:
        """One failure gives nothing up, however old the mail: its sender is told that it waits."""
        house = House()
        house.filer.refuses[1] = StoreRefused(StoreFault.OVER_QUOTA, "full")
        house.accept(replace(item("a", 1), arrived=-1e9))
        house.clock.advance(0)
        fate = house.journal.settled[0][1].fates[0]
        assert isinstance(fate, Pending)
        assert (fate.warned, fate.cause) == (True, Cause.MAILBOX_FULL)
        assert len(house.announced) == 1

    def test_settled_by_another(self) -> None:
        """A fate that somebody else has written is let be."""
        house = House()
        house.filer.refuses[1] = StoreRefused(StoreFault.OVER_QUOTA, "full")
        house.journal.fault = Stale(QueueId("a"))
        house.accept(item("a", 1), item("b", 2))
        house.clock.advance(0)
        assert house.log == ["file 1 2", "filed b [0]"]

    def test_fate_not_written(self) -> None:
        """If even that cannot be written, it is filed again, without waiting for a restart."""
        house = House()
        house.filer.refuses[1] = StoreRefused(StoreFault.SERVER_BUG, "full")
        house.journal.fault = OSError(errno.ENOSPC, "full")
        house.accept(item("a", 1))
        house.clock.advance(0)
        house.clock.advance(7)
        house.clock.advance(0)
        assert house.log == ["file 1", "file 1"]
        house.filer.refuses.clear()
        house.journal.fault = None
        house.clock.advance(7)
        house.clock.advance(0)
        house.clock.advance(2)
        assert house.log[2:] == ["file 1", "filed a [0]", "sync 1", "drop a[0]"]

    def test_fate_not_written_before_a_stop(self) -> None:
        """Whatever is still to be repeated then is left to the next start."""
        house = House()
        house.filer.refuses[1] = StoreRefused(StoreFault.SERVER_BUG, "full")
        house.journal.fault = OSError(errno.ENOSPC, "full")
        house.accept(item("a", 1), item("b", 99))
        house.clock.advance(0)
        house.accept(item("c", 1))
        stopping = house.begin(house.local.stop())
        house.clock.advance(0)
        assert stopping.called
        assert house.clock.getDelayedCalls() == []

    def test_mistake(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A mistake of ours costs the mail at hand some time, and holds up none beside it."""
        house = House()
        house.filer.slow = True
        house.accept(item("a", 1))
        house.clock.advance(0)
        house.accept(item("b", 2))

        def fail(*_: object) -> None:
            raise KeyError

        with monkeypatch.context() as patch, capturedLogs() as logged:
            patch.setattr(house.journal, "filed", fail)
            house.filer.go_on()
        assert any("log_failure" in event for event in logged)
        house.filer.go_on()
        assert house.log[-2:] == ["file 2", "filed b [0]"]
        run(house.local.room())


class TestSyncFails:
    @pytest.mark.parametrize("fault", [OSError(errno.EIO, "x"), ValueError("a bug")])
    def test_again(self, fault: Exception) -> None:
        """What could not be synced, or dropped, is tried again later, and not forgotten."""
        house = House()
        house.filer.sync_fault = fault
        house.accept(item("a", 1))
        house.clock.advance(2)
        house.clock.advance(2)
        assert house.log[-1] == "sync 1"
        house.filer.sync_fault = None
        house.journal.fault = OSError(errno.ENOSPC, "x")
        house.clock.advance(7)
        assert house.log[2:] == ["sync 1", "sync 1"]
        house.journal.fault = None
        house.clock.advance(7)
        assert house.log[-1] == "drop a[0]"

    def test_weighs_as_before(self) -> None:
        """What waits for another sync counts for when there is enough for one."""
        house = House()
        house.filer.sync_fault = OSError(errno.EIO, "x")
        large = replace(item("a", 1), size=9_999)
        house.accept(large)
        house.clock.advance(2)
        house.clock.advance(2)
        house.filer.sync_fault = None
        house.accept(item("b", 2))
        house.clock.advance(0)
        assert house.log[-1] == "drop a[0] b[0]"

    def test_told_once(self) -> None:
        """A delivery that was reported is not reported again, whatever failed behind it."""
        house = House()
        house.accept(item("a", 1, notify=Notify.SUCCESS), item("b", 2))
        house.clock.advance(0)
        drop = house.journal.drop_filed

        async def failing(filed: Any, at: float = 0.0) -> None:
            raise OSError(errno.EIO, "x")

        house.journal.drop_filed = failing  # type: ignore[method-assign]
        house.clock.advance(2)
        assert house.log[-1] == "settle a"
        house.journal.drop_filed = drop  # type: ignore[method-assign]
        house.clock.advance(7)
        assert house.log[-2:] == ["sync 2", "drop b[0]"]
        assert len(house.journal.settled) == 1


class TestReports:
    def test_success(self) -> None:
        """Who asked for it is told of delivery, once it is durable (RFC 3461 §5.2.4)."""
        house = House()
        house.accept(item("a", 1, notify=Notify.SUCCESS), item("b", 2))
        house.clock.advance(2)
        house.clock.advance(2)
        assert house.log[-3:] == ["sync 1 2", "settle a", "drop b[0]"]
        [(_, after)] = house.journal.settled
        assert isinstance(after.fates[0], Delivered)
        [notice] = house.announced
        assert notice.envelope.recipients[0].path == SENDER

    def test_null_is_not_told(self) -> None:
        """Nobody is told of a bounce's delivery."""
        house = House()
        asked = item("a", 1, notify=Notify.SUCCESS)
        house.accept(replace(asked, envelope=replace(asked.envelope, reverse_path=NULL)))
        house.clock.advance(2)
        house.clock.advance(2)
        assert house.log[-1] == "drop a[0]"

    def test_settled_by_others(self) -> None:
        """If somebody else has settled it meanwhile, that counts."""
        house = House()
        house.accept(item("a", 1, notify=Notify.SUCCESS), item("b", 2))
        house.clock.advance(0)

        async def stale(before: Item, after: Item, attempts: Any = (), *also: Change) -> None:
            raise Stale(QueueId("a"))

        house.journal.settle = stale  # type: ignore[method-assign]
        house.clock.advance(2)
        assert house.log[-1] == "drop b[0]"
        assert house.announced == []


class TestRoom:
    def test_messages(self) -> None:
        """The intake waits while too much is accepted and not dropped."""
        house = House(replace(LIMITS, sync_count=100))
        house.accept(*(item(f"m{n}", 1) for n in range(8)))
        waiting = house.begin(house.local.room())
        house.clock.advance(0)
        assert not waiting.called
        house.clock.advance(2)
        assert waiting.called

    def test_other_limits(self) -> None:
        """More room lets those in who wait; less keeps others out."""
        house = House(replace(LIMITS, sync_count=100))
        house.accept(*(item(f"m{n}", 1) for n in range(8)))
        waiting = house.begin(house.local.room())
        house.clock.advance(0)
        house.local.obey(replace(LIMITS, sync_count=100, pending=9))
        assert waiting.called
        house.local.obey(replace(LIMITS, sync_count=100, pending=1))
        again = house.begin(house.local.room())
        assert not again.called
        house.clock.advance(2)
        assert again.called

    def test_octets(self) -> None:
        """Likewise for octets in memory."""
        house = House()
        house.local.accepted(item("a", 1), Octets(b"x" * 5000))
        waiting = house.begin(house.local.room())
        assert not waiting.called
        house.clock.advance(0)
        house.clock.advance(2)
        assert waiting.called
        house.local.accepted(item("b", 1), FileContent("/spool/b", 0, 10**9, InlineDisk()))
        assert run(house.local.room()) is None


class TestRunner:
    def deliver(self, house: House, numbers: list[int]) -> list[str]:
        done = house.begin(house.local.deliver(item("a", 1, 2, 99), numbers, Octets(b"text")))
        found: list[Sequence[Reply]] = []
        done.addCallback(found.append)
        return [reply.status for reply in found[0]]

    def test_durable(self) -> None:
        """What was put off is filed and synced when the runner says so; a reply for each."""
        house = House()
        house.filer.refuses[2] = StoreRefused(StoreFault.OVER_QUOTA, "full")
        assert self.deliver(house, [2, 1, 0]) == ["5.1.1", "4.2.2", "2.0.0"]
        assert house.log == ["file 2 1", "sync 1"]

    def test_sync_fails(self) -> None:
        """What is not durable is not delivered."""
        house = House()
        house.filer.sync_fault = OSError(errno.EIO, "x")
        assert self.deliver(house, [0, 2]) == ["4.3.0", "5.1.1"]

    def test_a_part_of_an_item(self) -> None:
        """A recipient's message has the same name, whichever others are attempted with it."""
        house = House()
        whole = item("a", 1, 1, 2)
        part = replace(
            whole,
            envelope=replace(whole.envelope, recipients=whole.envelope.recipients[1:]),
            places=whole.places[1:],
            fates=whole.fates[1:],
            numbers=(1, 2),
            total=3,
        )
        names = [filing(whole, n, cast("Account", account(1)), Octets(b"")).unique for n in (1, 2)]
        run(house.local.deliver(part, [0, 1], Octets(b"text")))
        assert [each.unique for each in house.filer.batches[0]] == names == ["a-1", "a-2"]

    def test_it_is_answered_for(self) -> None:
        """Until its fate is written nobody moves or removes what was filed."""
        house = House()
        run(house.local.deliver(item("a", 1, 2), [0, 1], Octets(b"text")))
        one, two = cast("Account", account(1)), cast("Account", account(2))
        waiting = house.begin(house.settling.settle(one, ["a"]))
        refused: list[Failure] = []
        house.begin(house.settling.settle(two, ["a-1"])).addErrback(refused.append)
        assert not waiting.called
        house.local.let_go(item("a", 1, 2), [0])
        assert waiting.called
        house.local.unwritten()
        [failure] = refused
        assert failure.check(StoreRefused)
        house.local.let_go(item("a", 1, 2), [1])
        assert run(house.settling.settle(two, ["a-1"])) is None


class TestStartAndStop:
    def test_recover(self) -> None:
        """What a crash left is filed, or only synced if it was filed, in the order it came."""
        house = House()
        house.journal.left = [
            Unfiled(item("a", 1), (0,), ()),
            Unfiled(item("b", 2, 3), (1,), (0,)),
            Unfiled(item("c", 4), (0,), ()),
        ]
        done = house.begin(house.local.recover(QueueId("c")))
        found: list[int] = []
        done.addCallback(found.append)
        house.clock.advance(0)
        house.clock.advance(2)
        assert found == [2]
        assert house.log[:3] == ["file 1 3", "filed a [0]", "filed b [1]"]
        assert house.log[3:] == ["sync 2 1 3", "drop b[0] a[0] b[1]"]

    def test_recover_waits(self) -> None:
        """A large backlog does not fill the memory."""
        house = House(replace(LIMITS, pending=2, sync_count=2))
        house.journal.left = [Unfiled(item(f"m{n}", 1), (0,), ()) for n in range(5)]
        done = house.begin(house.local.recover(QueueId("z")))
        most = 0
        while not done.called:
            most = max(most, house.local._pending)
            house.clock.advance(0)
        assert most == 2

    def test_stop(self) -> None:
        """A hub that stops files and syncs what it accepted."""
        house = House()
        house.filer.slow = True
        house.accept(item("a", 1))
        stopped = house.begin(house.local.stop())
        house.clock.advance(0)
        house.filer.go_on()
        assert house.log[-1] == "sync 1"
        assert not stopped.called
        house.filer.go_on()
        assert stopped.called
        assert house.log[-1] == "drop a[0]"
        assert house.clock.getDelayedCalls() == []

    def test_stop_when_idle(self) -> None:
        """One that has nothing to do stops at once."""
        assert House().begin(House().local.stop()).called

    def test_stop_on_a_bad_disk(self) -> None:
        """If the disk refuses, it stays in the spool."""
        house = House()
        house.filer.sync_fault = OSError(errno.EIO, "x")
        house.accept(item("a", 1))
        house.clock.advance(0)
        assert house.begin(house.local.stop()).called
        assert house.clock.getDelayedCalls() == []
        assert house.log == ["file 1", "filed a [0]", "sync 1"]
