"""The spool: what is written is there, what crashes is whole, whoever else writes."""

from __future__ import annotations

import errno
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from mailhub.mail.address import NULL
from mailhub.mail.reply import Reply
from mailhub.policy.retry import Schedule
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue import item as queue
from mailhub.queue.change import (
    Accept,
    Cancel,
    Drop,
    Filed,
    Flush,
    Hold,
    Release,
    Select,
    Settle,
    Stale,
    Unfiled,
)
from mailhub.queue.content import ContentFile, files, path_of
from mailhub.queue.database import Busy
from mailhub.queue.flow import Flow
from mailhub.queue.ids import to_number
from mailhub.queue.item import Answer, Cancelled, Delivered, Item, Local, Pending, attempted
from mailhub.queue.journey import Attempted
from mailhub.queue.spool import LOST, Spool
from tests.queue import given as make
from tests.queue.given import BOB, CAROL, DAVE, LATER, NO, OK

SCHEDULE = Schedule(jitter=0.0)
HERE = Local(AccountId(4))


def large(spool: Spool, item: Item, octets: bytes = b"large\r\n") -> Item:
    """Put an item with a content file into the spool."""
    file = ContentFile(spool.directory, item.queue_id, b"head")
    file.write(octets)
    file.finish()
    item = replace(item, head=b"head", size=len(octets))
    spool.apply([Accept(item, None)])
    return item


def answer(item: Item, *said: Any, now: float = 1001.0) -> Settle:
    """A settlement of its recipients, in order, by these replies."""
    answers = {n: Answer(reply, "mx") for n, reply in enumerate(said) if reply is not None}
    return Settle(item, attempted(item, answers, now, SCHEDULE))


class TestAccept:
    def test_item_and_content(self, spool: Spool) -> None:
        """An accepted item is there, with its content, for every connection."""
        item = make.item(BOB, DAVE, places={1: HERE})
        spool.apply([Accept(item, b"octets")])
        other = spool.another()
        assert other.load(item.queue_id) == item
        assert other.content(item.queue_id) == b"octets"
        other.close()

    def test_content_in_a_file(self, spool: Spool) -> None:
        """Where the content is in a file, its path is given."""
        item = large(spool, make.item())
        assert spool.load(item.queue_id) == item
        assert spool.content(item.queue_id) == path_of(spool.directory, item.queue_id)

    def test_only_once(self, spool: Spool) -> None:
        """A queue id that is taken is a bug, and harms nothing."""
        item = make.item()
        spool.apply([Accept(item, b"one")])
        with pytest.raises(sqlite3.IntegrityError):
            spool.apply([Accept(item, b"two")])
        assert spool.content(item.queue_id) == b"one"

    def test_settled_before_it_came(self, spool: Spool) -> None:
        """An item that nobody waits for is not kept."""
        item = queue.cancel(make.item(), [0], 1.0)
        spool.apply([Accept(item, b"x")])
        assert spool.load(item.queue_id) is None

    def test_floor(self, spool: Spool) -> None:
        """No id is given out twice, although its item has left; after a failed commit neither."""
        assert spool.floor() == 0
        item = make.item(number=9)
        spool.apply([Accept(item, b"x")])
        spool.apply([answer(item, OK)])
        assert spool.load(item.queue_id) is None
        assert spool.floor() >= to_number(item.queue_id)


class TestSettle:
    def test_the_last_one_takes_the_item_along(self, spool: Spool) -> None:
        """An item stays until all are settled, then leaves without a trace."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x")])
        first = answer(item, OK, LATER)
        spool.apply([first])
        assert spool.load(item.queue_id) == first.after
        second = Settle(first.after, attempted(first.after, {1: Answer(NO)}, 2000.0, SCHEDULE))
        spool.apply([second])
        assert spool.load(item.queue_id) is None
        for table in ("item", "content", "recipient"):
            assert spool._database.row(f"SELECT count(*) FROM {table}") == (0,)

    def test_attempts_on_several_hops_at_once(self, spool: Spool) -> None:
        """Each attempt writes its own recipients, whatever it believes of the others."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x")])
        spool.apply([answer(item, OK), answer(item, None, OK)])
        assert spool.load(item.queue_id) is None

    def test_content_files_go_too(self, spool: Spool) -> None:
        """The file is removed after the row, and a failure to do so is no failure."""
        item = large(spool, make.item())
        Path(path_of(spool.directory, item.queue_id)).unlink()
        spool.apply([answer(item, OK)])
        other = large(spool, make.item(number=2))
        spool.apply([answer(other, OK)])
        assert list(files(spool.directory)) == []

    def test_stale(self, spool: Spool) -> None:
        """A fate that was changed meanwhile is not written over; nothing of the change is."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x")])
        assert make.amended(spool, Cancel(Select(recipient=BOB), 1000.5)) == 1
        notice = make.item(number=2, sender=NULL)
        with pytest.raises(Stale):
            spool.apply([answer(item, NO, OK), Accept(notice, b"notice")])
        assert spool.load(notice.queue_id) is None
        now = spool.load(item.queue_id)
        assert now is not None
        assert now.fates == (Cancelled(1000.5), item.fates[1])
        spool.apply([answer(now, None, OK)])
        assert spool.load(item.queue_id) is None

    def test_gone(self, spool: Spool) -> None:
        """An item that has left is stale too."""
        with pytest.raises(Stale):
            spool.apply([answer(make.item(), OK)])

    def test_a_local_recipient_that_could_not_be_filed(self, spool: Spool) -> None:
        """It becomes one with a moment, whether or not it had been marked as filed."""
        item = make.item(DAVE, DAVE, places={0: HERE, 1: HERE})
        spool.apply([Accept(item, b"x"), Filed(item, (1,))])
        spool.apply([answer(item, LATER, LATER)])
        assert spool.unfiled() == []
        assert [due.local for due in make.due(spool, 2000.0)] == [True, True]

    def test_attempts_are_remembered(self, spool: Spool) -> None:
        """The facts of attempts stay while the item is here."""
        item = make.item(BOB, CAROL)
        spool.apply([Accept(item, b"x")])
        facts = Attempted((0, 1), make.attempt())
        spool.apply([replace(answer(item, OK, LATER), attempts=(facts,))])
        assert spool.attempts(item.queue_id) == [facts]

    def test_attempts_of_an_item_that_leaves_at_once(self, spool: Spool) -> None:
        """Nothing is written for whom nobody will ask here: the journey has it."""
        item = make.item(BOB)
        spool.apply([Accept(item, b"x")])
        spool.apply([replace(answer(item, OK), attempts=(Attempted((0,), make.attempt()),))])
        assert spool.load(item.queue_id) is None
        assert spool.attempts(item.queue_id) == []

    def test_attempts_are_bounded(self, tmp_path: Path) -> None:
        """The oldest attempts give way to new ones."""
        spool = Spool(str(tmp_path), attempts_kept=10)
        item = make.item()
        many = tuple(Attempted((n,), make.attempt()) for n in range(300))
        spool.apply([Accept(item, b"x"), Settle(item, item, many)])
        assert [a.numbers[0] for a in spool.attempts(item.queue_id)] == list(range(246, 300))
        spool.close()


class TestFiling:
    def test_dropped_whole(self, spool: Spool) -> None:
        """An item whose recipients are all filed durably leaves, with its file."""
        one = make.item(DAVE, places={0: HERE})
        spool.apply([Accept(one, b"x")])
        two = large(spool, make.item(DAVE, number=2, places={0: HERE}))
        spool.apply([Filed(one, (0,)), Drop(one, (0,), 1.0), Drop(two, (0,), 1.0)])
        assert spool.find(Select()) == []
        assert list(files(spool.directory)) == []

    def test_dropped_in_part(self, spool: Spool) -> None:
        """Other recipients keep the item here."""
        item = make.item(DAVE, BOB, places={0: HERE})
        spool.apply([Accept(item, b"x")])
        spool.apply([Drop(item, (0,), 1001.0)])
        now = spool.load(item.queue_id)
        assert now is not None
        assert isinstance(now.fates[0], Delivered)
        assert spool.unfiled() == []
        spool.apply([answer(now, None, OK)])
        assert spool.load(item.queue_id) is None

    def test_left_by_a_crash(self, spool: Spool) -> None:
        """All that was not dropped is given again, in pages, each item once."""
        items = [make.item(DAVE, BOB, DAVE, number=n, places={0: HERE, 2: HERE}) for n in range(5)]
        spool.apply([Accept(item, b"x") for item in items])
        spool.apply([Filed(items[1], (0, 2)), Filed(items[3], (2,)), Drop(items[2], (0, 2), 1.0)])
        first = spool.unfiled(None, 2)
        rest = spool.unfiled(first[-1].item.queue_id, 9)
        assert [*first, *rest] == [
            Unfiled(items[0], (0, 2), ()),
            Unfiled(items[1], (), (0, 2)),
            Unfiled(items[3], (0,), (2,)),
            Unfiled(items[4], (0, 2), ()),
        ]

    def test_filed_while_it_is_looked_for(
        self, spool: Spool, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What has come since the start may leave while a page is read: it is not given."""
        items = [make.item(DAVE, number=n, places={0: HERE}) for n in range(5)]
        spool.apply([Accept(item, b"x") for item in items])
        reader, load = spool.another(), Spool.load

        def late(self: Spool, queue_id: QueueId, numbers: Sequence[int] | None = None) -> Any:
            spool.apply([Drop(item, (0,), 1.0) for item in items[1:4]])
            return load(self, queue_id, numbers)

        monkeypatch.setattr(Spool, "load", late)
        assert reader.unfiled(items[0].queue_id, 2) == [Unfiled(items[4], (0,), ())]
        reader.close()

    @pytest.mark.parametrize(("boot", "unfiled"), [("one", ()), ("two", (0,))])
    def test_the_machine_started_anew(
        self, tmp_path: Path, boot: str, unfiled: tuple[int, ...]
    ) -> None:
        """What was filed before the machine crashed may be gone; before a mere kill it is not."""
        spool = Spool(str(tmp_path))
        spool.recover("one")
        item = make.item(DAVE, places={0: HERE})
        spool.apply([Accept(item, b"x"), Filed(item, (0,))])
        spool.close()
        spool = Spool(str(tmp_path))
        spool.recover(boot)
        assert [left.unfiled for left in spool.unfiled()] == [unfiled]
        spool.close()


class TestRecover:
    def test_orphans(self, spool: Spool) -> None:
        """Files without an item are removed; those of items stay."""
        item = large(spool, make.item())
        orphan = ContentFile(spool.directory, make.queue_id(5))
        orphan.finish()
        inline = make.item(number=6)
        spool.apply([Accept(inline, b"x")])
        ContentFile(spool.directory, inline.queue_id).finish()
        assert spool.recover("one") == 2
        assert [queue_id for queue_id, _ in files(spool.directory)] == [item.queue_id]

    def test_a_lost_database(self, spool: Spool) -> None:
        """A spool that is new, beside content that is not, destroys none of it."""
        file = ContentFile(spool.directory, make.queue_id(5))
        file.write(b"accepted once")
        file.finish()
        assert spool.recover("one") == 1
        assert spool.recover("one") == 0
        assert Path(file.path + LOST).read_bytes() == b"accepted once"


class TestOthers:
    def test_another_process_writes(self, spool: Spool) -> None:
        """Staging never waits for others; applying does, and both see what they wrote."""
        other = spool.another()
        other.stage([Accept(make.item(number=1), b"x")])
        with pytest.raises(Busy):
            spool.stage([Accept(make.item(number=2), b"x")])
        other.commit()
        spool.stage([Accept(make.item(number=2), b"x")])
        spool.commit()
        assert len(other.find(Select())) == 2
        other.close()

    def test_full(self, spool: Spool) -> None:
        """A full disk refuses the change, keeps what was there, and works again with room."""
        spool.apply([Accept(make.item(number=1), b"x")])
        [pages] = spool._database.row("PRAGMA page_count")
        spool._database.execute(f"PRAGMA max_page_count={pages}")
        with pytest.raises(OSError, match="full") as caught:
            spool.apply([Accept(make.item(number=2), b"x" * 100_000)])
        assert caught.value.errno == errno.ENOSPC
        assert [item.queue_id for item in spool.find(Select())] == [make.queue_id(1)]
        spool._database.execute("PRAGMA max_page_count=1000000")
        spool.apply([Accept(make.item(number=2), b"x" * 100_000)])

    def test_closed_with_something_staged(self, tmp_path: Path) -> None:
        """What was staged and not committed is as if it had never been."""
        spool = Spool(str(tmp_path))
        spool.stage([Accept(make.item(), b"x")])
        spool.close()
        spool = Spool(str(tmp_path))
        assert spool.find(Select()) == []
        spool.close()


# ---- Crashes -------------------------------------------------------------------------------


class Failing(sqlite3.Connection):
    """A connection whose disk gives up at a given statement."""

    left = 1 << 30

    def _step(self) -> None:
        Failing.left -= 1
        if Failing.left == 0:
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR
            raise error

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._step()
        return super().execute(sql, *parameters)

    def executemany(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        self._step()
        return super().executemany(sql, *parameters)


def connect_failing(*args: Any, **kwargs: Any) -> sqlite3.Connection:
    return sqlite3.connect(*args, factory=Failing, **kwargs)


def test_a_flow_of_a_failed_commit(tmp_path: Path) -> None:
    """What a commit that failed had begun to know is forgotten: numbers of flows go to others."""
    spool = Spool(str(tmp_path), connect=connect_failing)
    ann, ben = (make.item(number=n, flow=Flow(f"{n}@hub.example")) for n in (1, 2))
    spool.stage([Accept(ann, b"1")])
    Failing.left = 1
    with pytest.raises(OSError, match="disk I/O"):
        spool.commit()
    spool.apply([Accept(ben, b"2")])
    spool.apply([Accept(ann, b"1")])
    assert [item.flow for item in spool.find(Select())] == [ann.flow, ben.flow]
    spool.close()


def script() -> list[list[Any]]:
    """A life in commits that uses each kind of change."""
    one = make.item(BOB, CAROL, number=1)
    two = make.item(DAVE, BOB, number=2, places={0: HERE})
    three = make.item(DAVE, number=3, places={0: HERE})
    notice = make.item(number=4, sender=NULL)
    failed = answer(one, NO, LATER)
    facts = (Attempted((0, 1), make.attempt()),)
    return [
        [Accept(one, b"1"), Accept(two, b"2")],
        [Filed(two, (0,)), Accept(three, b"3")],
        [replace(failed, attempts=facts), Accept(notice, b"notice")],
        [Drop(two, (0,), 1.0), Drop(three, (0,), 1.0), Filed(three, (0,))],
        [answer(failed.after, None, OK)],
    ]


def contents(directory: str) -> list[tuple[Item, Any]]:
    """All that a spool holds."""
    spool = Spool(directory)
    try:
        return [(item, spool.content(item.queue_id)) for item in spool.find(Select())]
    finally:
        spool.close()


@pytest.fixture(scope="module")
def stages() -> list[list[tuple[Item, Any]]]:
    """What the spool holds after none, one, … all of the script's commits."""
    with tempfile.TemporaryDirectory() as directory:
        found = [contents(directory)]
        for changes in script():
            spool = Spool(directory)
            spool.apply(changes)
            spool.close()
            found.append(contents(directory))
    return found


def test_killed_before_each_statement(tmp_path: Path, stages: list[list[tuple[Item, Any]]]) -> None:
    """A process that ends before any statement leaves one commit's state, and none in between.

    What a killed process leaves is what its files hold at that moment: they are copied.
    """
    copies = iter(range(10_000))
    seen = []

    class Copying(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql[:6] in ("INSERT", "UPDATE", "DELETE", "COMMIT"):
                copy = str(tmp_path / f"copy{next(copies)}")
                shutil.copytree(tmp_path / "spool", copy)
                seen.append((done, contents(copy)))
            return super().execute(sql, *parameters)

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=Copying, **kwargs)

    done = 0
    spool = Spool(str(tmp_path / "spool"), connect=connect)
    seen.clear()
    for done, changes in enumerate(script()):  # noqa: B007  # read by `Copying`
        spool.apply(changes)
    spool.close()
    assert len(seen) > 20
    for committed, state in seen:
        assert state == stages[committed]


def test_each_statement_fails(tmp_path: Path, stages: list[list[tuple[Item, Any]]]) -> None:
    """A disk that fails at any statement undoes the whole commit, and the next one works."""
    counter = 1
    while True:
        directory = str(tmp_path / str(counter))
        spool = Spool(directory, connect=connect_failing)
        Failing.left = counter
        failed = None
        for number, changes in enumerate(script()):
            try:
                spool.apply(changes)
            except OSError:
                assert failed is None
                failed = number
                assert contents(directory) == stages[number]
                spool.apply(changes)
        Failing.left = 1 << 30
        spool.close()
        assert contents(directory) == stages[-1]
        if failed is None:
            break
        counter += 1
    assert counter > 20


# ---- Any order of operations ---------------------------------------------------------------


class Life(RuleBasedStateMachine):
    """Random operations on a spool, against a dictionary of items."""

    ids: Bundle[QueueId] = Bundle("ids")

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.mkdtemp()
        self.spool = Spool(self.directory)
        self.model: dict[QueueId, Item] = {}
        self.filed: set[tuple[QueueId, int]] = set()
        self.count = 0
        self.now = 1000.0

    def teardown(self) -> None:
        self.spool.close()
        shutil.rmtree(self.directory)

    def put(self, item: Item) -> None:
        if item.settled:
            del self.model[item.queue_id]
        else:
            self.model[item.queue_id] = item

    @rule(target=ids, places=st.lists(st.booleans(), min_size=1, max_size=4), in_file=st.booleans())
    def accept(self, places: list[bool], in_file: bool) -> QueueId:
        self.count += 1
        item = make.item(
            *(DAVE if local else BOB for local in places),
            number=self.count,
            places={n: HERE for n, local in enumerate(places) if local},
            arrived=self.now,
        )
        if in_file:
            item = large(self.spool, item)
        else:
            self.spool.apply([Accept(item, b"x")])
        self.model[item.queue_id] = item
        return item.queue_id

    @rule(queue_id=ids, data=st.data())
    def attempt(self, queue_id: QueueId, data: st.DataObject) -> None:
        item = self.model.get(queue_id)
        if item is None:
            return
        numbers = data.draw(st.sets(st.sampled_from(item.open)))
        said = {n: Answer(data.draw(st.sampled_from([OK, LATER, NO]))) for n in numbers}
        after = attempted(item, said, self.now, SCHEDULE)
        self.spool.apply([Settle(item, after)])
        self.filed -= {(queue_id, n) for n in numbers}
        self.put(after)

    @rule(queue_id=ids)
    def attempt_again(self, queue_id: QueueId) -> None:
        """With what was known at first: refused if anything of it is settled or held now."""
        item = self.model.get(queue_id)
        if item is None or item.fates == (
            first := tuple(Pending(item.arrived) for _ in item.fates)
        ):
            return
        before = replace(item, fates=first)
        after = queue.cancel(before, range(len(first)), 1.0)
        fitting = all(
            isinstance(fate, Pending) and (fate.attempts == 0 or place is None)
            for fate, place in zip(item.fates, item.places, strict=True)
        )
        if not fitting:  # else it would be a second attempt like any other
            with pytest.raises(Stale):
                self.spool.apply([Settle(before, after)])

    @rule(queue_id=ids, drop=st.booleans())
    def file(self, queue_id: QueueId, drop: bool) -> None:
        item = self.model.get(queue_id)
        if item is None or not (numbers := item.local):
            return
        self.spool.apply([Filed(item, numbers)])
        self.filed |= {(queue_id, n) for n in numbers}
        if drop:
            self.spool.apply([Drop(item, numbers, self.now)])
            self.filed -= {(queue_id, n) for n in numbers}
            fates = list(item.fates)
            for n in numbers:
                fates[n] = Delivered(Reply(250, "0.0", ("",)), self.now)
            self.put(replace(item, fates=tuple(fates)))

    @rule(queue_id=ids, kind=st.sampled_from([Flush, Hold, Release, Cancel]))
    def amend(self, queue_id: QueueId, kind: type) -> None:
        select = Select(queue_ids=(queue_id,))
        self.now += 1
        change = kind(select, "why") if kind is Hold else kind(select, self.now)
        make.amended(self.spool, change)
        item = self.model.get(queue_id)
        if item is None:
            return
        numbers = [n for n in item.open if n not in item.local]
        match change:
            case Flush():
                self.put(queue.flush(item, numbers, self.now))
            case Hold():
                self.put(queue.hold(item, numbers, "why"))
            case Release():
                self.put(queue.release(item, numbers, self.now))
            case Cancel():
                self.put(queue.cancel(item, numbers, self.now))

    @rule(same_boot=st.booleans())
    def reopen(self, same_boot: bool) -> None:
        self.spool.close()
        self.spool = Spool(self.directory)
        self.spool.recover("boot" if same_boot else f"boot{self.now}")
        self.now += 1
        if not same_boot:
            self.filed.clear()

    @rule(seconds=st.floats(1, 1e6))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: hasattr(self, "spool"))
    @invariant()
    def the_same(self) -> None:
        items = self.spool.find(Select())
        assert {item.queue_id: item for item in items} == self.model
        pending = {
            (item.queue_id, n)
            for item in self.model.values()
            for n, fate in enumerate(item.fates)
            if isinstance(fate, Pending) and fate.due <= self.now and n not in item.local
        }
        due = make.due(self.spool, self.now)
        assert {(each.queue_id, each.number) for each in due} == pending
        assert {q for q, _ in files(self.directory)} == {
            q for q, item in self.model.items() if item.head
        }
        unfiled = {(u.item.queue_id, n) for u in self.spool.unfiled() for n in u.unfiled}
        marked = {(u.item.queue_id, n) for u in self.spool.unfiled() for n in u.filed}
        local = {(q, n) for q, item in self.model.items() for n in item.local}
        assert unfiled | marked == local
        assert marked <= self.filed


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=25,
    stateful_step_count=25,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
