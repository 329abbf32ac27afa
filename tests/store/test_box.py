"""One mailbox on disk: UID list, index row and directories together."""

from __future__ import annotations

import collections
import os
from pathlib import Path

import pytest

from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import reconcile, uidlist
from mailhub.store.box import Box, Delta, Vanished
from mailhub.store.index import IndexLost
from mailhub.store.limits import Limits
from mailhub.store.rows import Row
from mailhub.store.uidlist import UID_LIMIT, UidList
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub


def saved(box: Box) -> UidList:
    uid_list = uidlist.load(box.ground.files, box.path)
    assert uid_list is not None
    return uid_list


class TestLoading:
    def test_new_mailbox(self, tmp_path: Path) -> None:
        """A new mailbox gets a UIDVALIDITY, which is durable at once."""
        hub = Hub(tmp_path)
        box = hub.box("Sent")
        assert saved(box).uid_validity == box.kept.uid_validity > 1_700_000_000
        assert box.path == os.fsencode(hub.maildir / ".Sent")
        assert str(box).endswith("/.Sent")

    def test_no_maildir(self, tmp_path: Path) -> None:
        """What is not there cannot be loaded."""
        hub = Hub(tmp_path)
        with pytest.raises(StoreRefused) as refused:
            hub.open("None")
        assert refused.value.fault is StoreFault.NONEXISTENT
        assert list(hub.store.mailboxes) == []

    def test_corrupt_uid_list(self, tmp_path: Path) -> None:
        """A broken UID list is set aside: the mailbox becomes another one, with all its mail."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        before = hub.open().uid_validity
        hub.restart()
        (hub.maildir / "mailhub-uidlist").write_bytes(b"junk")
        mailbox = hub.open()
        assert mailbox.uid_validity > before
        assert len(mailbox.uids) == 1
        assert (hub.maildir / "mailhub-uidlist.corrupt").exists()
        assert "UIDVALIDITY" in hub.logged[0]

    def test_sweeps_tmp(self, tmp_path: Path) -> None:
        """What a crash left in tmp goes when it is old."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))
        (hub.maildir / "tmp/old").touch()
        os.utime(hub.maildir / "tmp/old", (1, 1))
        hub.open()
        assert os.listdir(hub.maildir / "tmp") == []


class TestUids:
    def test_ceiling_is_durable_first(self, tmp_path: Path) -> None:
        """Every UID given out is below the ceiling on the disk."""
        box = Hub(tmp_path).box()
        for count in (1, 600, 10, 2000):
            first = box.allocate(count)
            assert first + count <= saved(box).ceiling

    def test_ceiling_is_raised_in_blocks(self, tmp_path: Path) -> None:
        """Few UIDs cost no write at all."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        box = hub.box()
        box.allocate(1)
        files.arm(-1)
        for _ in range(100):
            box.allocate(1)
        assert files.made == []

    def test_failure_gives_nothing(self, tmp_path: Path) -> None:
        """A ceiling that cannot be written gives no UID."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        box = hub.box()
        files.arm(0)
        with pytest.raises(OSError, match="output"):
            box.allocate(1)
        files.disarm()
        assert (box.kept.uid_next, box.ceiling) == (1, 1)
        assert box.allocate(1) == 1

    def test_used_up(self, tmp_path: Path) -> None:
        """The last UID is refused, not wrapped round."""
        box = Hub(tmp_path).box()
        box.kept.uid_next = UID_LIMIT
        with pytest.raises(StoreRefused) as refused:
            box.allocate(1)
        assert refused.value.fault is StoreFault.LIMIT

    def test_modseqs_grow(self, tmp_path: Path) -> None:
        """One by one, always below a ceiling that is durable."""
        box = Hub(tmp_path, limits=Limits(modseq_block=5)).box()
        first = box.next_modseq()
        for later in range(1, 12):
            assert box.next_modseq() == first + later
            assert first + later < saved(box).modseq == box.modseq_ceiling

    def test_modseqs_do_not_go_back(self, tmp_path: Path) -> None:
        """After a crash of the machine they go on from the ceiling; what clients saw is doubted."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        box = hub.box()
        known, ceiling = box.kept.modseq, box.modseq_ceiling
        hub.boot = "second boot"
        hub.restart()
        mailbox = hub.open()
        assert mailbox.highest_modseq > ceiling
        assert not mailbox.doubtful(known)
        assert mailbox.doubtful(known + 1)
        assert mailbox.doubtful(ceiling - 1)
        assert not mailbox.doubtful(mailbox.highest_modseq)

    def test_a_full_disk_gives_no_modseq(self, tmp_path: Path) -> None:
        """Where the ceiling cannot be raised nothing is changed."""
        files = FailingFiles()
        box = Hub(tmp_path, files=files, limits=Limits(modseq_block=1)).box()
        before = box.kept.modseq, box.modseq_ceiling
        files.arm(0)
        with pytest.raises(OSError, match="output error"):
            collections.deque((box.next_modseq() for _ in range(9)), maxlen=0)
        files.disarm()
        assert box.modseq_ceiling == before[1]
        assert box.next_modseq() > before[0]


class TestKeywords:
    def test_made_and_found(self, tmp_path: Path) -> None:
        """A keyword gets the next letter, keeps its first spelling, has no case."""
        box = Hub(tmp_path).box()
        assert box.bits(["$Forwarded", "\\SEEN", "\\Recent"]) == 32 | 1
        assert box.bits(["$FORWARDED", "Junk"]) == 32 | 64
        assert saved(box).keywords == box.keywords == ("$Forwarded", "Junk")
        assert box.bits(["NotYet"], make=False) == 0

    def test_limit(self, tmp_path: Path) -> None:
        """There are 26 letters; the 27th keyword is refused, or left out where that is wanted."""
        box = Hub(tmp_path).box()
        box.bits([f"k{n}" for n in range(26)])
        with pytest.raises(StoreRefused) as refused:
            box.bits(["one-more"])
        assert refused.value.fault is StoreFault.LIMIT
        assert box.bits(["one-more", "k0"], spare=True) == 32

    @pytest.mark.parametrize("bad", ["", "two words", "ü", "a\x00"])
    def test_not_a_keyword(self, tmp_path: Path, bad: str) -> None:
        """What no flag-keyword can be is refused."""
        with pytest.raises(StoreRefused) as refused:
            Hub(tmp_path).box().bits([bad])
        assert refused.value.fault is StoreFault.CANNOT

    def test_failure_makes_none(self, tmp_path: Path) -> None:
        """A keyword that cannot be written down is none."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        box = hub.box()
        files.arm(0)
        with pytest.raises(OSError, match="output"):
            box.bits(["Junk"])
        files.disarm()
        assert box.keywords == ()


class TestSeeing:
    def test_our_changes_are_known(self, tmp_path: Path) -> None:
        """After a change of ours there is nothing to look for."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.append(TEXT)
        assert mailbox.box.seen[1] != 0
        assert mailbox.box.seen[1] == mailbox.box.look()[1]

    def test_others_before_ours(self, tmp_path: Path) -> None:
        """A change by another just before ours does not count as seen."""
        box = Hub(tmp_path).box()
        box.seen = (1, 1)
        with box.changing():
            pass
        assert box.seen == (1, 0)

    def test_new_is_others(self, tmp_path: Path) -> None:
        """What is put into `new` while we change files does not count as seen."""
        hub = Hub(tmp_path)
        box = hub.box()
        os.utime(hub.maildir / "new", (5, 5))
        box.seen = box.look()
        with box.changing():
            hub.drop("1.M1.x")
        assert box.disturbed()

    def test_failure(self, tmp_path: Path) -> None:
        """After a failure nothing counts as seen."""
        box = Hub(tmp_path).box()
        with pytest.raises(ZeroDivisionError), box.changing():
            raise ZeroDivisionError
        assert box.seen == (0, 0)

    def test_missed_meanwhile(self, tmp_path: Path) -> None:
        """What is found missing while we change files is not forgotten by the end of it."""
        box = Hub(tmp_path).box()
        box.seen = box.look()
        with box.changing():
            box.missed()
        assert box.seen == (0, 0)

    def test_deleted(self, tmp_path: Path) -> None:
        """A maildir that is gone is noticed."""
        hub = Hub(tmp_path)
        box = hub.box("Sent")
        (hub.maildir / ".Sent").rename(tmp_path / "elsewhere")
        with pytest.raises(Vanished):
            box.look()


class TestIndex:
    def test_another_index(self, tmp_path: Path) -> None:
        """A box notices that the index it was loaded from is no more."""
        hub = Hub(tmp_path)
        box = hub.box()
        box.index.generation += 1
        with pytest.raises(IndexLost), box.transaction():
            pass
        assert not box.ready

    def test_failure_is_remembered(self, tmp_path: Path) -> None:
        """When the index fails, files and index are compared soon."""
        box = Hub(tmp_path).box()
        box.seen = box.look()
        with pytest.raises(OSError, match="x"), box.transaction():
            raise OSError("x")
        assert box.seen == (0, 0)

    def test_reloaded_box_forgets_nothing(self, tmp_path: Path) -> None:
        """A box that was in use knows more than an older index."""
        hub = Hub(tmp_path)
        box = hub.box()
        box.allocate(7)
        box.ready = False
        reconcile.refresh(box)
        assert box.kept.uid_next == 8


def test_departures(tmp_path: Path) -> None:
    """Young filed messages are remembered when they leave; others are not."""
    box = Hub(tmp_path).box()
    now = int(box.ground.clock())
    names = [b"%d.H000000_young.h" % now, b"9.H000000_old.h", b"%d.M1.h" % now]
    with box.transaction() as transaction:
        box.note_departure(transaction, [Row(1, name, 0, 0, 0, 0, 0) for name in names])
        box.note_departure(transaction, [])
        assert transaction.departures.departed(b"young")
        assert not transaction.departures.departed(b"old")


def test_delta() -> None:
    """A delta is true if anything is different."""
    assert not Delta()
    assert Delta(removed=[1])
