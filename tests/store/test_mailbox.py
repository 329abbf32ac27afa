"""The shared state of a mailbox: what sessions see, and when."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.ports.accounts import Account
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Change, FlagAction, ModSeq, Rendering, Stored, Summary, Uid
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import reading
from mailhub.store.box import Box, Delta
from mailhub.store.content import ReadAhead
from mailhub.store.index import IndexLost
from mailhub.store.limits import Limits
from mailhub.store.rows import Row
from tests.rig import run
from tests.store.world import (
    TEXT,
    Cancelled,
    FailingFiles,
    Hub,
    StepDisk,
    append,
    contents,
)


class TestSharing:
    def test_one_state(self, tmp_path: Path) -> None:
        """Sessions on one mailbox have one object, as the port describes it."""
        hub = Hub(tmp_path)
        one, other = hub.open(), hub.open()
        assert one is other
        mailbox: Mailbox = one
        assert [column.typecode for column in (mailbox.uids, mailbox.flags)] == ["I", "I"]
        assert [c.typecode for c in (mailbox.modseqs, mailbox.sizes, mailbox.dates)] == [
            "Q",
            "Q",
            "q",
        ]

    def test_history(self, tmp_path: Path) -> None:
        """Each change is told once, in order."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.append(TEXT, TEXT)
        run(mailbox.store([2], FlagAction.ADD, ["\\Seen"]))
        run(mailbox.expunge([1]))
        assert mailbox.changes(0) == [
            (Change.ARRIVED, 1),
            (Change.ARRIVED, 2),
            (Change.FLAGGED, 2),
            (Change.EXPUNGED, 1),
        ]
        assert mailbox.changes(mailbox.cursor) == []

    def test_forgotten_history(self, tmp_path: Path) -> None:
        """Who asks too late is told so."""
        hub = Hub(tmp_path, limits=Limits(changes=3))
        mailbox = hub.open()
        hub.append(TEXT)
        for n in range(5):
            run(mailbox.store([1], FlagAction.REPLACE, [f"k{n}"]))
        assert mailbox.changes(0) is None
        assert len(mailbox.changes(mailbox.cursor - 3) or []) == 3


class TestMany:
    def test_batches(self, tmp_path: Path) -> None:
        """More messages than a batch holds are changed all the same."""
        hub = Hub(tmp_path, limits=Limits(batch=3, read_batch=2))
        hub.append(*[TEXT] * 10)
        mailbox = hub.open()
        done = run(mailbox.store(mailbox.uids, FlagAction.ADD, ["\\Seen"]))
        assert len(done.changed) == 10
        assert None not in run(mailbox.headers(mailbox.uids))
        assert len(run(mailbox.rendered(Rendering.BODY, [9, 3, 5]))) == 3
        assert run(mailbox.expunge(range(2, 10))) == tuple(range(2, 10))
        assert list(mailbox.uids) == [1, 10]


class TestOpening:
    def test_warm(self, tmp_path: Path) -> None:
        """A mailbox that was closed is kept, and looks at times of change only."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT)
        mailbox = hub.open()
        hub.store.mailboxes[b""].box.verified()
        mailbox.box.seen = mailbox.box.look()
        run(mailbox.release())
        store = hub.store
        files.arm(-1)
        assert run(store.open("INBOX")) is mailbox
        assert files.made == ["stat", "stat", "stat"], "new, cur, and the index"

    def test_cold(self, tmp_path: Path) -> None:
        """A mailbox that nobody touched since is read from the index alone."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT)
        for place in ("new", "cur"):
            os.utime(hub.maildir / place, (9, 9))
        mailbox = hub.open()
        uids, modseqs = list(mailbox.uids), list(mailbox.modseqs)
        hub.restart()
        store = hub.store
        files.arm(-1, only=["listdir"])
        again = run(store.open("INBOX"))
        assert files.made == ["listdir"]  # tmp, for the broom
        assert (list(again.uids), list(again.modseqs)) == (uids, modseqs)

    def test_two_at_once(self, tmp_path: Path) -> None:
        """Two who open it at the same time load it once, and share it."""
        disk = StepDisk()
        hub = Hub(tmp_path, disk=disk)
        store = hub.stores.store_of(hub.account)
        hub.stores.make(store)
        tasks = [disk.start(store.open("INBOX")) for _ in range(2)]
        disk.finish(*tasks)
        assert tasks[0].result is tasks[1].result
        assert tasks[0].result.users == 2

    def test_recent_is_kept(self, tmp_path: Path) -> None:
        """Which messages were recent survives the last release."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        assert mailbox.take_recent() == {1}
        run(mailbox.release())
        hub.restart()
        assert hub.open().take_recent() == frozenset()

    def test_release_fails(self, tmp_path: Path) -> None:
        """An index that fails does not keep a session from leaving."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        mailbox.take_recent()
        mailbox.box.kept.id = "x"  # type: ignore[assignment]  # cannot be written
        run(mailbox.release())
        assert mailbox.users == 0

    def test_status(self, tmp_path: Path) -> None:
        """STATUS has the numbers of a mailbox, open or not."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, flags=("\\Deleted",))
        hub.append(TEXT, flags=("\\Seen",))
        status = run(hub.store.status("INBOX"))
        assert (status.messages, status.recent, status.unseen, status.deleted) == (3, 3, 2, 2)
        assert status.size == 3 * len(TEXT)
        mailbox = hub.open()
        assert (status.uid_next, status.uid_validity) == (4, mailbox.uid_validity)
        assert status.highest_modseq == mailbox.highest_modseq


class TestReading:
    def test_in_order(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A client that reads in order costs few jobs."""
        hub = Hub(tmp_path)
        hub.append(*[b"%d" % n for n in range(200)])
        mailbox, jobs = hub.open(), []
        read_ahead = reading.read_ahead

        def counting(box: Box, uid: int, messages: int) -> reading.Ahead:
            jobs.append(uid)
            return read_ahead(box, uid, messages)

        monkeypatch.setattr(reading, "read_ahead", counting)
        assert run(contents(mailbox)) == [b"%d" % n for n in range(200)]
        assert jobs == [1, 5, 21, 85, 149]
        assert run(mailbox.content(999)) is None

    def test_read_ahead(self) -> None:
        """More and more for who reads in order, one for who jumps."""
        ahead = ReadAhead()
        assert [ahead.at(n, 64) for n in range(5)] == [4, 16, 64, 64, 64]
        assert [ahead.at(n, 64) for n in (9, 3, 4)] == [1, 1, 4]

    def test_gone_since(self, tmp_path: Path) -> None:
        """A message whose file is gone is None."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        assert run(mailbox.content(1)) is None


class TestLosses:
    def test_index_lost_under_an_open_mailbox(self, tmp_path: Path) -> None:
        """It is made anew, and sessions hear only of what is different."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT, flags=("Junk",))
        mailbox = hub.open()
        cursor, uids = mailbox.cursor, list(mailbox.uids)
        hub.store.index.close()
        for path in hub.maildir.glob("mailhub-index*"):
            path.write_bytes(b"not a database" * 100)
        (hub.maildir / "cur" / hub.cur()[1]).unlink()
        assert run(mailbox.store([3], FlagAction.ADD, ["\\Seen"])).changed == (3,)
        assert list(mailbox.uids) == [1, 3]
        assert list(mailbox.flags) == [32, 33]
        changes = mailbox.changes(cursor) or []
        assert [uid for change, uid in changes if change is Change.EXPUNGED] == [2]
        assert {uid for _, uid in changes} <= set(uids)
        assert "set aside" in hub.logged[0]

    def test_lost_again_and_again(self, tmp_path: Path) -> None:
        """An index that cannot be kept is SERVERBUG in the end."""
        hub = Hub(tmp_path)
        mailbox = hub.open()

        def job(told: object) -> None:
            raise IndexLost

        with pytest.raises(StoreRefused) as refused:
            run(mailbox.work(job))
        assert refused.value.fault is StoreFault.SERVER_BUG

    def test_reload_fails(self, tmp_path: Path) -> None:
        """A disk that fails meanwhile is SERVERBUG; a maildir that is gone, NONEXISTENT."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        mailbox = hub.open()
        mailbox.box.ready = False
        files.arm(0)
        with pytest.raises(StoreRefused) as refused:
            run(mailbox._reload())
        assert refused.value.fault is StoreFault.SERVER_BUG
        files.disarm()
        hub.maildir.rename(tmp_path / "away")
        with pytest.raises(StoreRefused) as refused:
            run(mailbox._reload())
        assert refused.value.fault is StoreFault.NONEXISTENT
        assert mailbox.gone

    def test_deleted_outside(self, tmp_path: Path) -> None:
        """A maildir that is removed takes its messages with it."""
        hub = Hub(tmp_path)
        hub.append(TEXT, name="Sent")
        mailbox = hub.open("Sent")
        (hub.maildir / ".Sent").rename(tmp_path / "away")
        with pytest.raises(StoreRefused) as refused:
            run(mailbox.refresh())
        assert refused.value.fault is StoreFault.NONEXISTENT
        assert list(mailbox.uids) == []
        run(mailbox.refresh())
        with pytest.raises(StoreRefused):
            run(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        run(mailbox.release())
        assert b".Sent" not in hub.store.mailboxes


class TestConcurrency:
    def world(self, path: Path) -> tuple[StepDisk, Hub]:
        disk = StepDisk()
        hub = Hub(path, disk=disk)
        hub.stores.make(hub.stores.store_of(hub.account))
        return disk, hub

    def test_appends_go_together(self, tmp_path: Path) -> None:
        """What came while one job ran goes in the next, all of it; each gets its own UIDs."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)
        tasks = [disk.start(append(store, [b"%d" % n] * 2)) for n in range(4)]
        jobs = 0
        while not all(task.ended for task in tasks):
            disk.ready()[0].step()
            jobs += 1
        assert [task.result.uids for task in tasks] == [(1, 2), (3, 4), (5, 6), (7, 8)]
        assert jobs == 2

    def test_one_append_is_to_blame(self, tmp_path: Path) -> None:
        """An append that is refused does not take others with it."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)
        keywords = [(), (), tuple(f"k{n}" for n in range(27)), ()]
        tasks = [disk.start(append(store, [TEXT], flags=names)) for names in keywords]
        disk.finish(*tasks)
        assert [task.error is None for task in tasks] == [True, True, False, True]
        assert isinstance(tasks[2].error, StoreRefused)
        assert len(hub.cur()) == 3

    def test_cancelled_append(self, tmp_path: Path) -> None:
        """A client that goes away while it waits is forgotten; while its job runs, it is done."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)
        tasks = [disk.start(append(store, [TEXT])) for _ in range(3)]
        assert tasks[0].waits is not None
        assert tasks[0].waits.job is not None
        tasks[0].waits.job()
        tasks[0].cancel()
        tasks[1].cancel()
        disk.finish(*tasks)
        assert [isinstance(task.error, Cancelled) for task in tasks] == [True, True, False]
        assert tasks[2].result.uids == (2,)
        assert len(hub.cur()) == 2

    def test_cancelled_append_of_many(self, tmp_path: Path) -> None:
        """Who was carried along by one that goes away gets an answer, and one message."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)
        tasks = [disk.start(append(store, [TEXT])) for _ in range(4)]
        tasks[0].step()
        assert tasks[1].waits is not None
        assert tasks[1].waits.job is not None
        tasks[1].waits.job()
        tasks[1].cancel()
        disk.finish(*tasks)
        assert [task.error is None for task in tasks] == [True, False, True, True]
        assert [task.result.uids for task in tasks[2:]] == [(3,), (4,)]
        assert len(hub.cur()) == 4

    def test_cancelled_before_the_job_of_many(self, tmp_path: Path) -> None:
        """If its job never began, the others do it themselves."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)
        tasks = [disk.start(append(store, [TEXT])) for _ in range(4)]
        tasks[0].step()
        tasks[1].cancel()
        disk.finish(*tasks)
        assert [task.error is None for task in tasks] == [True, False, True, True]
        assert [task.result.uids for task in tasks[2:]] == [(2,), (3,)]
        assert len(hub.cur()) == 3

    def test_copies_both_ways(self, tmp_path: Path) -> None:
        """Two copies in opposite directions do not wait for each other for ever."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)

        async def prepare() -> tuple[Mailbox, Mailbox]:
            await append(store, [TEXT])
            await append(store, [TEXT], "Sent")
            return await store.open("INBOX"), await store.open("Sent")

        task = disk.start(prepare())
        disk.finish(task)
        inbox, sent = task.result
        tasks = [disk.start(inbox.copy([1], "Sent")), disk.start(sent.move([1], "INBOX"))]
        disk.finish(*tasks)
        assert tasks[0].result.uids == (2,)
        assert tasks[1].result.uids == (2,)
        assert (list(inbox.uids), list(sent.uids)) == ([1, 2], [2])

    def test_cancelled_change(self, tmp_path: Path) -> None:
        """A change whose client went away is shown to the others."""
        disk, hub = self.world(tmp_path)
        store = hub.stores.store_of(hub.account)

        async def prepare() -> Mailbox:
            await append(store, [TEXT])
            return await store.open("INBOX")

        task = disk.start(prepare())
        disk.finish(task)
        mailbox = task.result
        task = disk.start(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        assert task.waits is not None
        assert task.waits.job is not None
        task.waits.job()
        task.cancel()
        disk.finish(task)
        assert isinstance(task.error, Cancelled)
        assert list(mailbox.flags) == [1]


class TestHistory:
    def test_vanished(self, tmp_path: Path) -> None:
        """Who comes back learns what has left since, also after a restart and a move."""
        hub = Hub(tmp_path)
        hub.append(*[TEXT] * 9)
        mailbox = hub.open()
        begun = mailbox.highest_modseq
        run(mailbox.expunge([2, 3, 4]))
        middle = mailbox.highest_modseq
        run(mailbox.move([6], "Sent"))
        (hub.maildir / "cur" / hub.cur()[0]).unlink()
        run(mailbox.refresh())
        assert run(mailbox.vanished(begun)) == ((1, 4), (6, 6))
        assert run(mailbox.vanished(middle)) == ((1, 1), (6, 6))
        assert run(mailbox.vanished(mailbox.highest_modseq)) == ()
        hub.restart()
        assert run(hub.open().vanished(begun)) == ((1, 4), (6, 6))

    def test_bounded(self, tmp_path: Path) -> None:
        """The oldest is forgotten, and whoever asks for it is told that it is."""
        hub = Hub(tmp_path, limits=Limits(expunged=3))
        hub.append(*[TEXT] * 30)
        mailbox = hub.open()
        known = []
        for uid in range(1, 20, 2):
            known.append((uid, mailbox.highest_modseq))
            run(mailbox.expunge([uid]))
        found = [run(mailbox.vanished(modseq)) for _, modseq in known]
        lost = found.count(None)
        assert 0 < lost < len(known)
        assert found[:lost] == [None] * lost
        assert [it and it[0][0] for it in found[lost:]] == [uid for uid, _ in known[lost:]]
        with mailbox.box.transaction(write=False) as transaction:
            assert len(transaction.departures.expunged(mailbox.box.kept.id, 0)) <= 6

    def test_lost_index(self, tmp_path: Path) -> None:
        """An index made anew knows of no earlier expunges, and says so."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        begun = mailbox.highest_modseq
        run(mailbox.expunge([1]))
        hub.lose_index()
        again = hub.open()
        assert run(again.vanished(begun)) is None
        assert run(again.vanished(again.highest_modseq)) == ()

    def test_after_a_crash(self, tmp_path: Path) -> None:
        """Who was told what the crash took is told everything."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        known = hub.open().highest_modseq
        hub.boot = "second boot"
        hub.restart()
        mailbox = hub.open()
        assert run(mailbox.vanished(known)) == ()
        assert run(mailbox.vanished(ModSeq(known + 1))) is None

    def test_all_at_once(self, tmp_path: Path) -> None:
        """A watcher that keeps up sees every change, however many come together."""
        hub = Hub(tmp_path, limits=Limits(changes=4))
        hub.append(*[TEXT] * 12)
        mailbox = hub.open()
        cursor, told = mailbox.cursor, []

        def woken() -> None:
            told.append(mailbox.changes(cursor))

        mailbox.watch(woken)
        removed, changed = list(range(1, 9)), [(uid, 1, 99) for uid in range(9, 13)]
        mailbox.apply(Delta(removed, changed, [Row(20, b"", 0, 99, 1, 1, 1)]))
        assert told == [
            [(Change.EXPUNGED, uid) for uid in range(1, 9)]
            + [(Change.FLAGGED, uid) for uid in range(9, 13)]
            + [(Change.ARRIVED, 20)]
        ]


class TestUnchangedSince:
    def test_after_two_crashes(self, tmp_path: Path) -> None:
        """A message has a MODSEQ that is believed, whatever crashes lie behind it."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        for boot in ("second boot", "third boot"):
            hub.boot = boot
            hub.restart()
            mailbox = hub.open()
            run(mailbox.store([1], FlagAction.REPLACE, [f"k{len(boot)}"]))
        hub.boot = "fourth boot"
        hub.restart()
        mailbox = hub.open()
        (modseq,) = mailbox.modseqs
        assert not mailbox.doubtful(modseq)
        assert modseq <= mailbox.highest_modseq
        done = run(mailbox.store([1], FlagAction.ADD, ["\\Seen"], ModSeq(modseq)))
        assert done.changed == (1,)

    def test_modified(self, tmp_path: Path) -> None:
        """What changed since is left alone, and named."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()
        known = mailbox.highest_modseq
        run(mailbox.store([2], FlagAction.ADD, ["\\Flagged"]))
        done = run(mailbox.store([1, 2, 3], FlagAction.ADD, ["\\Seen"], known))
        assert done == Stored((Uid(1), Uid(3)), (Uid(2),))
        assert list(mailbox.flags) == [1, 4, 1]
        assert run(mailbox.store([1], FlagAction.ADD, ["\\Seen"], ModSeq(0))).modified == (1,)


class TestIdentities:
    def test_stay(self, tmp_path: Path) -> None:
        """EMAILID and MAILBOXID stay with what they name; SAVEDATE is of the mailbox."""
        now = [1_700_000_000]
        hub = Hub(tmp_path, clock=lambda: now[0])
        hub.deliver("a")
        hub.append(TEXT, internal_date=5)
        mailbox = hub.open()
        names = {name: hub.open(name).mailbox_id for name in ("INBOX", "Sent")}
        assert len(set(names.values())) == 2
        one, two = run(mailbox.identities([1, 2]))
        assert one is not None
        assert two is not None
        assert (one.saved, two.saved) == (now[0], now[0])
        assert len({one.email, two.email}) == 2
        now[0] = later = 1_700_000_100
        run(mailbox.copy([1], "Sent"))
        run(mailbox.move([2], "Sent"))
        run(hub.store.rename("Sent", "Gone"))
        hub.lose_index()
        there = hub.open("Gone")
        assert there.mailbox_id == names["Sent"]
        found = run(there.identities([1, 2, 3]))
        assert found == [replace(one, saved=later), replace(two, saved=later), None]
        assert run(hub.store.status("INBOX")).mailbox_id == names["INBOX"]

    def test_thread(self, tmp_path: Path) -> None:
        """What the summary says; a message that says nothing is a thread of its own."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, b"Subject: none\r\n\r\n")
        mailbox = hub.open()
        run(mailbox.rendered(Rendering.BODY, [1, 2, 3]))
        with mailbox.box.transaction() as transaction:
            known = Summary(b"", b"", b"", thread=b"Tx")
            transaction.put_summaries(mailbox.box.kept.id, [(1, known), (2, known)])
        one, two, other = run(mailbox.identities([1, 2, 3]))
        assert one is not None
        assert two is not None
        assert other is not None
        assert (one.thread, two.thread) == (b"Tx", b"Tx")
        assert other.thread not in {b"Tx", b"", other.email}


class Asked:
    """What the spool still answers for: everything, until it is asked."""

    def __init__(self) -> None:
        self.settled: list[str] = []

    def any(self, account: Account) -> bool:
        return True

    async def settle(self, account: Account, uniques: Collection[str]) -> None:
        self.settled += sorted(uniques)


def test_flags_of_what_is_not_durable(tmp_path: Path) -> None:
    """Flags last as long as their message: the sync that it waits for is made before OK."""
    hub = Hub(tmp_path)
    asked = hub.stores.unsettled = Asked()
    hub.deliver("q0", "q1", "q2")
    box = hub.open()
    uids = list(box.uids)[:2]
    run(box.store(uids, FlagAction.ADD, ["\\Flagged"]))
    run(box.expunge(uids[:1]))
    asked.settled.clear()
    run(box.durable())
    run(box.durable())
    assert asked.settled == ["q1"]
    hub.stores.close()


@pytest.mark.parametrize("what", ["expunge", "copy", "move"])
def test_settled_first(tmp_path: Path, what: str) -> None:
    """What the spool answers for is settled before it leaves, or is copied; nothing else is."""
    hub = Hub(tmp_path)
    asked = hub.stores.unsettled = Asked()
    hub.deliver("q0", "q1", "q2")
    box = hub.open()
    uids = list(box.uids)[:2]
    if what == "expunge":
        run(box.expunge(uids))
    else:
        run(hub.store.create("Elsewhere"))
        run(getattr(box, what)(uids, "Elsewhere"))
    assert asked.settled == ["q0", "q1"]
    hub.stores.close()
