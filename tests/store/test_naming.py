"""Names follow flags: in pieces, whatever other programs do, wherever it ends."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.ports.message import FlagAction
from mailhub.ports.store import StoreRefused
from mailhub.store import following, naming, reconcile
from mailhub.store.limits import Limits
from mailhub.store.mailbox import SharedMailbox
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, contents, each_failure, faulted


def letters(hub: Hub) -> list[str]:
    """What the names say, in order of UIDs."""
    names = sorted(hub.cur(), key=lambda name: int(name.partition(",U=")[2].partition(":")[0]))
    return [name.partition(":2,")[2] for name in names]


def add(mailbox: SharedMailbox, uids: list[int], *flags: str) -> None:
    run(mailbox.store(uids, FlagAction.ADD, flags))


def take(mailbox: SharedMailbox, uids: list[int], *flags: str) -> None:
    run(mailbox.store(uids, FlagAction.REMOVE, flags))


def renamed(hub: Hub, uid: int, ending: str) -> None:
    """Another program gives a file other letters."""
    [name] = [name for name in hub.cur() if f",U={uid}:" in name]
    path = hub.maildir / "cur" / name
    path.rename(path.with_name(name.partition(":2,")[0] + ":2," + ending))


class TestFollowing:
    def test_later(self, tmp_path: Path) -> None:
        """Flags change at once, names when they are asked to; in order, and then no more."""
        hub = Hub(tmp_path, limits=Limits(names=2))
        hub.append(*[TEXT] * 5)
        mailbox = hub.open()
        add(mailbox, [1, 2, 4, 5], "\\Seen", "Junk")
        assert letters(hub) == [""] * 5
        hub.follow()
        assert letters(hub) == ["Sa", "Sa", "", "Sa", "Sa"]
        assert not mailbox.box.behind
        assert run(contents(mailbox)) == [TEXT] * 5
        before = os.stat(hub.maildir / "cur").st_mtime_ns
        hub.follow()
        assert os.stat(hub.maildir / "cur").st_mtime_ns == before

    def test_set_and_taken_off(self, tmp_path: Path) -> None:
        """What is as it was before names followed costs no rename."""
        files = FailingFiles()
        hub = Hub(tmp_path, files=files)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        add(mailbox, [1, 2], "\\Deleted")
        take(mailbox, [1, 2], "\\Deleted")
        files.arm(1_000)
        hub.follow()
        assert "rename" not in files.made
        assert not mailbox.box.behind

    def test_in_pieces(self, tmp_path: Path) -> None:
        """Between two pieces others have the mailbox; what they change is for the next round."""
        hub = Hub(tmp_path, limits=Limits(names=2))
        hub.append(*[TEXT] * 5)
        mailbox = hub.open()
        add(mailbox, [1, 2, 3, 4, 5], "\\Seen")
        box = mailbox.box
        round_ = naming.Round(box)
        assert round_.step(box)
        assert letters(hub) == ["S", "S", "", "", ""]
        take(mailbox, [1], "\\Seen")
        add(mailbox, [5], "\\Flagged")
        run(mailbox.expunge([3]))
        assert not round_.step(box)
        round_.end(box)
        assert letters(hub) == ["S", "S", "S", "FS"]
        assert box.behind
        hub.follow()
        assert letters(hub) == ["", "S", "S", "FS"]

    def test_copied_and_moved_meanwhile(self, tmp_path: Path) -> None:
        """Copies have the flags that there are, whatever the original's name says."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        add(mailbox, [1, 2], "\\Seen", "Junk")
        run(mailbox.copy([1], "Sent"))
        run(mailbox.move([2], "Sent"))
        assert all(name.endswith(":2,Sa") for name in hub.cur(".Sent"))
        assert list(hub.open("Sent").flags) == [1 | 32] * 2

    def test_not_let_go(self, tmp_path: Path) -> None:
        """A closed mailbox is kept until its names are right, and followed at once."""
        hub = Hub(tmp_path, limits=Limits(warm_mailboxes=0))
        wanted: list[float] = []
        hub.stores.following.wanted = wanted.append
        hub.append(TEXT)
        store, mailbox = hub.store, hub.open()
        add(mailbox, [1], "\\Seen")
        add(mailbox, [1], "\\Flagged")
        assert wanted == [hub.limits.names_after]
        run(mailbox.release())
        assert wanted[1:] == [0.0]
        assert list(store.mailboxes.values()) == [mailbox]
        hub.follow()
        assert letters(hub) == ["FS"]
        assert store.mailboxes == {}

    def test_deleted_meanwhile(self, tmp_path: Path) -> None:
        """Of a mailbox that is gone no name follows."""
        hub = Hub(tmp_path)
        hub.append(TEXT, name="Sent")
        mailbox = hub.open("Sent")
        add(mailbox, [1], "\\Seen")
        run(hub.store.delete("Sent"))
        hub.follow()
        assert mailbox.users == 1


class TestOtherPrograms:
    def test_both_change_flags(self, tmp_path: Path) -> None:
        """Each program's changes count, whoever was first."""
        hub = Hub(tmp_path)
        hub.append(TEXT, flags=("\\Flagged",))
        mailbox = hub.open()
        add(mailbox, [1], "\\Answered", "\\Deleted")
        renamed(hub, 1, "S")  # seen, and flagged no more
        run(mailbox.refresh())
        assert list(mailbox.flags) == [1 | 2 | 8]
        hub.follow()
        assert letters(hub) == ["RST"]
        hub.lose_index()
        assert list(hub.open().flags) == [1 | 2 | 8]

    def test_renamed_amid_a_round(self, tmp_path: Path) -> None:
        """A file that is renamed under our eyes, or removed, is left to the next round."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()
        add(mailbox, [1, 2, 3], "\\Seen")
        box = mailbox.box
        round_ = naming.Round(box)
        renamed(hub, 2, "F")
        [gone] = [name for name in hub.cur() if ",U=3:" in name]
        (hub.maildir / "cur" / gone).unlink()
        while round_.step(box):
            pass
        round_.end(box)
        assert letters(hub) == ["S", "F"]
        assert box.behind
        hub.follow()
        assert letters(hub) == ["S", "FS"]
        assert list(mailbox.uids) == [1, 2]
        assert not box.behind

    def test_letters_of_others_stay(self, tmp_path: Path) -> None:
        """A letter that means nothing here is left in the name."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        renamed(hub, 1, "PSz")
        run(mailbox.refresh())
        add(mailbox, [1], "\\Flagged")
        hub.follow()
        assert letters(hub) == ["FPSz"]


class TestFailures:
    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """Whatever fails, flags are what they are; and names follow when nothing fails."""
        hub = Hub(tmp_path, files=(files := FailingFiles()), limits=Limits(names=2))
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()

        def follow() -> None:
            faulted(lambda: run(following.follow(mailbox, hub.disk)))

        for at in each_failure(files, follow):
            assert list(mailbox.flags) == [at % 2] * 3 or at == 0
            (take if at % 2 else add)(mailbox, [1, 2, 3], "\\Seen")
        hub.follow()
        assert len(set(letters(hub))) == 1
        assert not mailbox.box.behind

    def test_renamed_and_not_noted(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A rename of ours that the index missed is not taken for another program's wish."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        add(mailbox, [1], "\\Seen")
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.rename", _full)
            with pytest.raises(StoreRefused):
                run(following.follow(mailbox, hub.disk))
        assert letters(hub) == ["S"]
        take(mailbox, [1], "\\Seen")
        run(mailbox.refresh())
        assert list(mailbox.flags) == [0]
        hub.follow()
        assert letters(hub) == [""]

    def test_tried_again(self, tmp_path: Path) -> None:
        """What the disk did not let us do is wanted once more."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT)
        mailbox = hub.open()
        add(mailbox, [1], "\\Seen")
        wanted: list[float] = []
        hub.stores.following.wanted = wanted.append
        files.arm(0, only=["rename"])
        hub.follow()
        files.disarm()
        assert wanted == [hub.limits.names_after]
        hub.follow()
        assert letters(hub) == ["S"]


class TestCrashes:
    def test_killed(self, tmp_path: Path) -> None:
        """Flags that were set are there after the process was killed, and names follow."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        add(hub.open(), [1], "\\Seen", "Junk")
        hub.restart()
        mailbox = hub.open()
        assert list(mailbox.flags) == [1 | 32, 0]
        hub.follow()
        assert letters(hub) == ["Sa", ""]

    def test_killed_amid_a_piece(self, tmp_path: Path) -> None:
        """Files were renamed and the index not told: what it says of flags holds."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        add(mailbox, [1, 2], "\\Seen")
        modseq = mailbox.highest_modseq
        round_ = naming.Round(mailbox.box)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.rename", _full)
            with pytest.raises(OSError, match="full"):
                round_.step(mailbox.box)
        assert letters(hub) == ["S", "S"]
        hub.restart()
        mailbox = hub.open()
        assert list(mailbox.flags) == [1, 1]
        assert set(mailbox.modseqs) == {modseq}
        take(mailbox, [1], "\\Seen")
        hub.follow()
        assert letters(hub) == ["", "S"]

    def test_power_lost_before_names_were_durable(self, tmp_path: Path) -> None:
        """A rename of ours that a crash of the machine undid is no change of flags."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        add(mailbox, [1], "\\Seen")
        round_ = naming.Round(mailbox.box)
        round_.step(mailbox.box)
        hub.stores.close()
        renamed(hub, 1, "")
        hub.boot = "second boot"
        hub.start()
        mailbox = hub.open()
        assert list(mailbox.flags) == [1]
        hub.follow()
        assert letters(hub) == ["S"]

    def test_another_program_before_a_reboot(self, tmp_path: Path) -> None:
        """Where no rename of ours was begun, another program's change counts after it, too."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        add(mailbox, [1], "\\Seen")
        hub.stores.close()
        renamed(hub, 1, "F")
        hub.boot = "second boot"
        hub.start()
        assert list(hub.open().flags) == [1 | 4]

    def test_name_is_right_without_the_index(self, tmp_path: Path) -> None:
        """An index that is deleted takes along those flags alone that no name says yet."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        add(mailbox, [1], "\\Seen")
        hub.follow()
        add(mailbox, [1, 2], "\\Flagged")
        hub.lose_index()
        mailbox = hub.open()
        assert list(mailbox.flags) == [1, 0]

    def test_index_that_is_wrong(self, tmp_path: Path) -> None:
        """Of what is not behind, names say the flags."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        box = hub.box()
        [row] = box.rows([1])
        with box.transaction() as transaction:
            transaction.put(box.kept.id, [row._replace(flags=8)])
        renamed(hub, 1, "F")
        reconcile.refresh(box)
        assert [row.flags for row in box.rows([1])] == [4]


def _full(*_: object) -> None:
    raise OSError("full")
