"""Group commit: what shares one, what does not, and what is durable when."""

from __future__ import annotations

import errno
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar, cast

import pytest
from twisted.internet import epollreactor
from twisted.internet.defer import CancelledError, Deferred, DeferredList

from mailhub.mail.address import Path as MailPath
from mailhub.net.disk import Lock, ThreadedDisk
from mailhub.net.journal import LOOP_ROWS, Journal, Pages
from mailhub.policy.limits import JournalLimits
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import AccountId
from mailhub.ports.disk import Disk
from mailhub.queue.change import Accept, Cancel, Change, Edit, Hold, Select, Settle, Stale
from mailhub.queue.content import files
from mailhub.queue.ids import to_number
from mailhub.queue.item import Answer, Item, Local, attempted
from mailhub.queue.spool import Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, OK
from tests.rig import InlineDisk, run

T = TypeVar("T")
HERE = Local(AccountId(4))
SCHEDULE = Schedule(jitter=0.0)
LIMITS = JournalLimits()


class SlowDisk:
    """A disk whose work waits until the test lets it happen."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Deferred[None], str]] = []

    async def run(self, function: Any, /, *args: Any, **kwargs: Any) -> Any:
        turn: Deferred[None] = Deferred()
        self.waiting.append((turn, function.__name__))
        await turn
        return function(*args, **kwargs)

    brief = run

    def lock(self) -> AbstractAsyncContextManager[None]:
        return Lock()

    def turn(self) -> str:
        """Let the first waiting work happen; its name."""
        turn, name = self.waiting.pop(0)
        turn.callback(None)
        return name


class CountingSpool(Spool):
    """A spool that notes what each commit held."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches: list[int] = []

    def _write(self, changes: Any) -> None:
        super()._write(changes)
        self.batches.append(len(changes))

    def another(self) -> Spool:
        return Spool(self.directory)


class Rig:
    """A journal over a slow writer."""

    def __init__(self, directory: Path, limits: JournalLimits = LIMITS, **spool: Any) -> None:
        self.spool = CountingSpool(str(directory), **spool)
        self.writer = SlowDisk()
        self.journal = Journal(self.spool, self.writer, InlineDisk(), limits)
        self.other = Spool(str(directory))

    def commit(self, *changes: Change) -> list[Any]:
        """Begin a commit; its outcome once there is one: None or what was raised."""
        return outcome(Deferred.fromCoroutine(self.journal.commit(*changes)))

    def stored(self) -> list[int]:
        """The numbers of the items that others see."""
        return [to_number(item.queue_id) - (1 << 50) for item in self.other.find(Select())]

    def close(self) -> None:
        closing = Deferred.fromCoroutine(self.journal.close())
        while self.writer.waiting:
            self.writer.turn()
        assert closing.called
        self.other.close()


def outcome(deferred: Deferred[T]) -> list[Any]:
    found: list[Any] = []
    deferred.addCallbacks(found.append, lambda failure: found.append(failure.value))
    return found


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    yield rig
    rig.close()


def accept(number: int, content: bytes = b"x") -> Accept:
    return Accept(make.item(number=number), content)


class TestGroupCommit:
    def test_not_before_it_is_durable(self, rig: Rig) -> None:
        """A caller hears nothing before the commit, and then the item is there for all."""
        done = rig.commit(accept(1))
        assert rig.writer.waiting[0][1] == "commit"
        assert (done, rig.stored()) == ([], [])
        rig.writer.turn()
        assert (done, rig.stored()) == ([None], [1])

    def test_those_of_one_turn_share_the_first(self, tmp_path: Path) -> None:
        """A commit begins at the end of the loop's turn, for all that came in it."""
        turn: Deferred[None] = Deferred()
        spool = CountingSpool(str(tmp_path))
        journal = Journal(spool, InlineDisk(), InlineDisk(), LIMITS, lambda: turn)
        first, second = (outcome(Deferred.fromCoroutine(journal.commit(accept(n)))) for n in (1, 2))
        assert (first, second, spool.batches) == ([], [], [])
        turn.callback(None)
        assert (first, second, spool.batches) == ([None], [None], [2])
        Deferred.fromCoroutine(journal.close())

    def test_those_who_come_meanwhile_share_the_next(self, rig: Rig) -> None:
        """One commit for the first, one for all who came while it ran."""
        first = rig.commit(accept(1))
        others = [rig.commit(accept(n)) for n in range(2, 12)]
        rig.writer.turn()
        assert first == [None]
        assert others == [[]] * 10
        rig.writer.turn()
        assert others == [[None]] * 10
        assert rig.spool.batches == [1, 10]
        assert rig.writer.waiting == []

    def test_answers_are_given_while_the_next_one_runs(self, rig: Rig) -> None:
        """Whoever commits again in answer to a commit joins the one after the next."""
        order: list[str] = []

        async def session() -> None:
            await rig.journal.commit(accept(1))
            order.append("one")
            await rig.journal.commit(accept(2))
            order.append("two")

        Deferred.fromCoroutine(session())
        other = rig.commit(accept(3))
        rig.writer.turn()
        assert order == ["one"]
        rig.writer.turn()
        assert other == [None]
        rig.writer.turn()
        assert order == ["one", "two"]
        assert rig.spool.batches == [1, 1, 1]

    def test_a_commit_is_bounded(self, tmp_path: Path) -> None:
        """No commit grows beyond its limit, but one call is never divided."""
        rig = Rig(tmp_path, JournalLimits(batch=3))
        rig.commit(accept(0))
        rig.commit(*(accept(n) for n in range(1, 6)))
        for n in range(6, 10):
            rig.commit(accept(n))
        while rig.writer.waiting:
            rig.writer.turn()
        assert rig.spool.batches == [1, 5, 3, 1]
        assert rig.stored() == list(range(10))
        rig.close()

    def test_callers_wait_while_too_much_is_on_its_way(self, tmp_path: Path) -> None:
        """Back-pressure: beyond the limit of octets a caller is not even heard."""
        rig = Rig(tmp_path, JournalLimits(in_flight=100))
        rig.commit(accept(1, b"x" * 80))
        rig.commit(accept(2, b"x" * 80))
        late = rig.commit(accept(3))
        assert len(rig.journal._waiting) == 1
        rig.writer.turn()
        assert late == []
        rig.writer.turn()
        assert late == [None]
        assert rig.spool.batches == [1, 2]
        rig.close()

    def test_a_cancelled_caller(self, rig: Rig) -> None:
        """Whoever stops waiting does not stop the commit, nor disturb the others."""
        waiting = Deferred.fromCoroutine(rig.journal.commit(accept(1)))
        done = outcome(waiting)
        other = rig.commit(accept(2))
        waiting.cancel()
        assert isinstance(done[0], CancelledError)
        rig.writer.turn()
        rig.writer.turn()
        assert rig.stored() == [1, 2]
        assert other == [None]


class TestFailures:
    def test_one_bad_call_does_not_harm_the_others(self, rig: Rig) -> None:
        """A commit that fails is done again call by call: only the bad one fails."""
        rig.commit(accept(0))
        item = make.item(number=99)
        gone = Settle(item, attempted(item, {0: Answer(OK)}, 1.0, SCHEDULE))
        good, bad, late = rig.commit(accept(1)), rig.commit(gone, accept(5)), rig.commit(accept(2))
        while rig.writer.waiting:
            rig.writer.turn()
        assert (good, late) == ([None], [None])
        assert isinstance(bad[0], Stale)
        assert rig.stored() == [0, 1, 2]

    def test_a_full_disk(self, rig: Rig) -> None:
        """Every caller whose change did not fit is told; those with room are not."""
        [pages] = rig.spool._database.row("PRAGMA page_count")
        rig.spool._database.execute(f"PRAGMA max_page_count={pages + 4}")
        rig.commit(accept(1))
        big = [rig.commit(accept(n, b"x" * 50_000)) for n in (2, 3)]
        small = rig.commit(accept(4))
        while rig.writer.waiting:
            rig.writer.turn()
        assert [done[0].errno for done in big] == [errno.ENOSPC] * 2
        assert small == [None]

    def test_the_commit_itself_fails(self, tmp_path: Path) -> None:
        """A disk that fails at the sync fails each call once, and may work again."""
        failing = [2, 3, 4]

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
                if sql == "COMMIT":
                    failing[:] = [n - 1 for n in failing]
                    if 0 in failing:
                        error = sqlite3.OperationalError("disk I/O error")
                        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
                        raise error
                return super().execute(sql, *parameters)

        def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
            return sqlite3.connect(*args, factory=Connection, **kwargs)

        Spool(str(tmp_path)).close()
        rig = Rig(tmp_path, connect=connect)
        first = rig.commit(accept(1))
        both = [rig.commit(accept(2)), rig.commit(accept(3))]
        while rig.writer.waiting:
            rig.writer.turn()
        assert first == [None]
        assert [done[0].errno for done in both] == [errno.EIO] * 2
        again = rig.commit(accept(4))
        rig.writer.turn()
        assert again == [None]
        assert rig.stored() == [1, 4]
        rig.close()

    def test_another_process_writes(self, rig: Rig) -> None:
        """While the command line writes, the writer's thread waits for it, not the loop."""
        rig.other.stage([accept(1)])
        done = rig.commit(accept(2))
        assert rig.writer.waiting[0][1] == "apply"
        rig.other.commit()
        rig.writer.turn()
        assert done == [None]
        assert rig.stored() == [1, 2]

    def test_another_process_never_ends(self, rig: Rig) -> None:
        """If it was waited for in vain, all who share the commit are told, and none waits again."""
        rig.other.stage([accept(1)])
        rig.commit(accept(2))
        both = [rig.commit(accept(3)), rig.commit(accept(4))]
        rig.spool._database._connection.execute("PRAGMA busy_timeout=0")
        rig.spool._database._patient = True
        rig.writer.turn()
        rig.spool._database._connection.execute("PRAGMA busy_timeout=0")
        rig.spool._database._patient = True
        rig.writer.turn()
        assert [done[0].errno for done in both] == [errno.EBUSY] * 2
        assert not rig.writer.waiting
        rig.other.commit()

    def test_closed(self, tmp_path: Path) -> None:
        """A closed journal takes nothing; what was asked before is written."""
        rig = Rig(tmp_path)
        before = rig.commit(accept(1))
        rig.commit(accept(2))
        rig.close()
        assert before == [None]
        after = rig.commit(accept(3))
        assert after[0].errno == errno.ESHUTDOWN
        with pytest.raises(OSError, match="closed"):
            run(rig.journal.amend(Hold(Select(), "why")))
        other = Spool(str(tmp_path))
        assert len(other.find(Select())) == 2
        other.close()


class TestItems:
    @pytest.fixture
    def journal(self, tmp_path: Path) -> Iterator[Journal]:
        journal = Journal(Spool(str(tmp_path)), InlineDisk(), InlineDisk())
        yield journal
        run(journal.close())

    def test_small(self, journal: Journal) -> None:
        """Small content is read back from the database."""
        item = make.item(content=b"0123456789")
        run(journal.accept(item, b"0123456789"))
        assert journal.load(item.queue_id) == item
        assert journal.stored(item.queue_id) == b"0123456789"
        content = journal.content(item)
        assert (content.size, run(content.read(2, 3))) == (10, b"234")

    def test_large(self, journal: Journal, tmp_path: Path) -> None:
        """Large content is synced with its head before the item is there."""
        item = make.item(content=b"0123456789")
        large = journal.large(item.queue_id, b"head")
        run(large.write(b"0123456789"))
        item = replace(item, head=b"head")
        run(journal.accept(item, large))
        run(large.abort())
        path = journal.stored(item.queue_id)
        assert isinstance(path, str)
        assert Path(path).read_bytes() == b"head0123456789"
        assert run(journal.content(item).read(2, 3)) == b"234"
        run(journal.drop_filed([(item, (0,))]))
        assert list(files(str(tmp_path))) == []

    def test_large_and_refused(self, journal: Journal, tmp_path: Path) -> None:
        """Large content whose item is not accepted can be aborted."""
        item = make.item()
        large = journal.large(item.queue_id)
        run(large.write(b"x"))
        with pytest.raises(Stale):
            run(journal.accept(item, large, settle(make.item(number=9))))
        run(large.abort())
        assert list(files(str(tmp_path))) == []

    def test_settle(self, journal: Journal) -> None:
        """Fates and the notice of them are one change."""
        item = make.item(BOB, CAROL)
        run(journal.accept(item, b"x"))
        notice = make.item(number=2)
        change = settle(item)
        run(journal.settle(change.before, change.after, (), Accept(notice, b"notice")))
        assert journal.load(item.queue_id) == change.after
        assert journal.load(notice.queue_id) == notice

    def test_due(self, journal: Journal) -> None:
        """What is due can be asked for in the loop."""
        item = make.item(BOB)
        run(journal.accept(item, b"x"))
        [(flow, moment)] = journal.reads.awaited()
        assert (flow, moment) == (item.flow, 1000.0)
        [due] = journal.reads.due(flow, BOB.domain, 1000.0, 10)
        assert due.queue_id == item.queue_id

    def test_a_part(self, journal: Journal) -> None:
        """Some recipients of an item can be loaded alone."""
        item = make.item(BOB, CAROL)
        run(journal.accept(item, b"x"))
        part = journal.load(item.queue_id, (1,))
        assert part is not None
        assert part.numbers == (1,)

    def test_a_very_large_item(self, journal: Journal) -> None:
        """So many rows are not written in the loop's thread."""
        paths = [MailPath(f"u{n}", "remote.example") for n in range(LOOP_ROWS + 1)]
        item = make.item(*paths)
        run(journal.accept(item, b"x"))
        assert len(journal.reads.due(item.flow, "remote.example", 1000.0, 9999)) == len(paths)

    def test_edit(self, journal: Journal) -> None:
        """A recipient is corrected while its item waits."""
        item = make.item(BOB)
        run(journal.accept(item, b"x"))
        assert run(journal.edit(Edit(item.queue_id, 0, CAROL, None, 1001.0)))
        now = journal.load(item.queue_id)
        assert now is not None
        assert now.envelope.recipients[0].path == CAROL

    def test_amend(self, journal: Journal) -> None:
        """What operators ask is done to all that is selected, in steps."""
        for n in range(3):
            run(journal.accept(make.item(BOB, CAROL, number=n), b"x"))
        assert run(journal.amend(Hold(Select(recipient=BOB), "why"))) == 3
        assert run(journal.amend(Cancel(Select(), 1.0))) == 6
        assert journal.load(make.queue_id(1)) is None


def settle(item: Item) -> Settle:
    return Settle(item, attempted(item, {0: Answer(OK)}, 1.0, SCHEDULE))


class TestFiling:
    def local(self, number: int) -> Item:
        return make.item(DAVE, number=number, places={0: HERE})

    async def left(self, journal: Journal) -> list[tuple[Any, ...]]:
        return [(u.item, u.unfiled, u.filed) async for u in journal.unfiled(2)]

    def test_marks_ride_along(self, rig: Rig) -> None:
        """A mark is written with the next commit, whosever it is; it makes none of its own."""
        item = self.local(1)
        rig.commit(Accept(item, b"x"))
        rig.writer.turn()
        rig.journal.filed(item, (0,))
        assert rig.writer.waiting == []
        assert run(self.left(rig.journal)) == [(item, (0,), ())]
        rig.commit(accept(2))
        rig.writer.turn()
        assert run(self.left(rig.journal)) == [(item, (), (0,))]

    def test_marks_survive_a_failure(self, rig: Rig) -> None:
        """A mark that shared a failed commit is written with the next one."""
        item = self.local(1)
        rig.commit(Accept(item, b"x"))
        rig.writer.turn()
        rig.journal.filed(item, (0,))
        bad = rig.commit(settle(make.item(number=9)))
        assert isinstance(bad[0], Stale)
        rig.commit(accept(2))
        rig.writer.turn()
        assert run(self.left(rig.journal)) == [(item, (), (0,))]

    def test_marks_are_written_at_the_end(self, tmp_path: Path) -> None:
        """A journal that is closed leaves no mark behind."""
        rig = Rig(tmp_path)
        item = self.local(1)
        rig.commit(Accept(item, b"x"))
        rig.writer.turn()
        rig.journal.filed(item, (0,))
        rig.close()
        spool = Spool(str(tmp_path))
        assert [u.filed for u in spool.unfiled()] == [(0,)]
        spool.close()

    def test_a_full_disk_at_the_end(self, tmp_path: Path) -> None:
        """Then marks are lost, which costs a look at the next start; it is closed all the same."""
        rig = Rig(tmp_path)
        item = self.local(1)
        rig.commit(Accept(item, b"x"))
        rig.writer.turn()
        rig.journal.filed(item, (0,))
        rig.spool._database.execute("PRAGMA query_only=1")
        rig.close()
        with pytest.raises(OSError, match="closed"):
            run(rig.journal.commit())
        spool = Spool(str(tmp_path))
        assert [u.unfiled for u in spool.unfiled()] == [(0,)]
        spool.close()

    def test_abandoned(self, tmp_path: Path) -> None:
        """Whoever reads what is left can be closed while the disk is asked, as in a crash."""
        rig = Rig(tmp_path)
        rig.commit(Accept(self.local(1), b"x"))
        rig.writer.turn()
        asked: list[object] = []

        class Silent:
            async def run(self, function: Any, *arguments: Any) -> Any:
                if asked:
                    await Deferred()
                asked.append(function)
                return function(*arguments)

        async def read() -> None:
            pages = Pages(cast(Disk, Silent()), rig.spool.another, lambda spool: spool.unfiled())
            async with aclosing(pages) as found:
                async for _ in found:
                    pass

        reading = read()
        reading.send(None)
        reading.close()
        assert len(asked) == 1
        rig.close()

    def test_all_that_is_left(self, tmp_path: Path) -> None:
        """After a start all local recipients not dropped are given, page by page, once."""
        journal = Journal(Spool(str(tmp_path)), InlineDisk(), InlineDisk())
        items = [self.local(n) for n in range(5)]
        for item in items:
            run(journal.accept(item, b"x"))
        run(journal.drop_filed([(items[3], (0,))]))
        run(journal.close())
        journal = Journal(Spool(str(tmp_path)), InlineDisk(), InlineDisk())
        assert run(journal.recover("boot")) == 0
        left = run(self.left(journal))
        assert [item for item, _, _ in left] == [items[0], items[1], items[2], items[4]]
        assert journal.floor() >= to_number(items[4].queue_id)
        run(journal.close())


@pytest.mark.parametrize("sessions", [1, 20])
def test_with_threads(tmp_path: Path, sessions: int) -> None:
    """Many sessions at once, over real threads: each item is there when its commit returns."""
    reactor = epollreactor.EPollReactor()
    writer, disk = ThreadedDisk(reactor, 1, "writer"), ThreadedDisk(reactor, 2)
    journal = Journal(Spool(str(tmp_path)), writer, disk)
    numbers = iter(range(200))
    seen: list[bool] = []
    problems: list[Any] = []

    async def session() -> None:
        for number in numbers:
            item = make.item(number=number)
            await journal.accept(item, b"x" * 4096)
            seen.append(journal.load(item.queue_id) == item)

    async def all_of_it() -> None:
        try:
            talks = [Deferred.fromCoroutine(session()) for _ in range(sessions)]
            for success, result in await DeferredList(talks, consumeErrors=True):
                if not success:
                    problems.append(result)
            await journal.close()
            await writer.stop()
            await disk.stop()
        finally:
            reactor.stop()

    reactor.callWhenRunning(lambda: Deferred.fromCoroutine(all_of_it()).addErrback(problems.append))
    reactor.run(installSignalHandlers=False)
    assert problems == []
    assert seen == [True] * 200
    assert not [t for t in threading.enumerate() if "writer" in t.name]
