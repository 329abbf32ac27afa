"""Flags and removal, on disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.ports.message import FlagAction
from mailhub.ports.store import StoreRefused
from mailhub.store import change
from mailhub.store.change import translation
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, faulted


class TestStore:
    @pytest.mark.parametrize(
        ("action", "names", "expected"),
        [
            (FlagAction.ADD, ["\\Seen"], [1 | 4, 1]),
            (FlagAction.REMOVE, ["\\flagged"], [0, 0]),
            (FlagAction.REPLACE, ["Junk", "\\Deleted"], [8 | 32, 8 | 32]),
        ],
    )
    def test_three_ways(
        self, tmp_path: Path, action: FlagAction, names: list[str], expected: list[int]
    ) -> None:
        """FLAGS, +FLAGS and -FLAGS; memory, index and, a moment later, names agree."""
        hub = Hub(tmp_path)
        hub.append(TEXT, flags=("\\Flagged",))
        hub.append(TEXT)
        mailbox = hub.open()
        before = list(mailbox.flags)
        changed = run(mailbox.store([1, 2], action, names)).changed
        assert list(mailbox.flags) == expected
        pairs = zip(before, expected, strict=True)
        assert list(changed) == [uid for uid, (a, b) in enumerate(pairs, 1) if a != b]
        hub.restart()
        assert list(hub.open().flags) == expected
        hub.follow()
        hub.lose_index()
        assert list(hub.open().flags) == expected

    def test_what_does_not_change(self, tmp_path: Path) -> None:
        """A message that has the flags already keeps its MODSEQ."""
        hub = Hub(tmp_path)
        hub.append(TEXT, flags=("\\Seen",))
        mailbox = hub.open()
        modseqs = list(mailbox.modseqs)
        assert run(mailbox.store([1, 77], FlagAction.ADD, ["\\Seen"])).changed == ()
        assert list(mailbox.modseqs) == modseqs

    def test_unknown_keyword_taken_off(self, tmp_path: Path) -> None:
        """-FLAGS with a keyword that nobody uses makes none."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        run(mailbox.store([1], FlagAction.REMOVE, ["Junk"]))
        assert mailbox.keywords == ()

    def test_renamed_by_another(self, tmp_path: Path) -> None:
        """A file that mutt renamed this moment keeps mutt's flag, and gets ours."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        first, second = hub.cur()
        (hub.maildir / "cur" / first).rename(hub.maildir / "cur" / (first + "F"))
        (hub.maildir / "cur" / second).unlink()
        run(mailbox.store([1, 2], FlagAction.ADD, ["\\Seen"]))
        run(mailbox.refresh())
        assert list(mailbox.uids) == [1]
        assert list(mailbox.flags) == [5]
        hub.follow()
        assert [name[-2:] for name in hub.cur()] == ["FS"]

    @pytest.mark.parametrize("name", ["strange:1,odd", "bare", "other:2,ZS"])
    def test_names_of_others(self, tmp_path: Path, name: str) -> None:
        """Whatever a name looks like, what stands in it stays but for the letters we know."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        first, _ = hub.cur()
        mailbox = hub.open()
        (hub.maildir / "cur" / first).rename(hub.maildir / "cur" / name)
        run(mailbox.refresh())
        uids = list(mailbox.uids)
        run(mailbox.store(uids, FlagAction.ADD, ["\\Flagged"]))
        hub.follow()
        seen = 1 if name.endswith("S") else 0
        assert sorted(mailbox.flags) == sorted([4, 4 | seen])
        [theirs] = [it for it in hub.cur() if it.startswith(name.partition(":")[0])]
        assert theirs.endswith(":2,FSZ" if seen else ":2,F")
        hub.lose_index()
        assert sorted(hub.open().flags) == sorted([4, 4 | seen])

    def test_gaps_and_differences(self, tmp_path: Path) -> None:
        """Each message has its own flags, wherever some are missing, differ, or are left alone."""
        hub = Hub(tmp_path)
        given = ["", "\\Seen", "", "\\Flagged", "", "\\Seen", "", ""]
        for flag in given:
            hub.append(TEXT, flags=(flag,) if flag else ())
        mailbox = hub.open()
        run(mailbox.expunge([5]))
        run(mailbox.store([1, 2, 3, 4, 6, 8], FlagAction.ADD, ["\\Flagged"]))
        assert list(mailbox.flags) == [4, 5, 4, 4, 5, 0, 4]
        assert len({*mailbox.modseqs} - {mailbox.highest_modseq}) == 2  # of the two left alone
        hub.follow()
        before = hub.cur()
        hub.lose_index()
        assert list(hub.open().flags) == [4, 5, 4, 4, 5, 0, 4]
        assert hub.cur() == before

    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """All flags change or none, whichever call fails; and what is shown is true."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT, TEXT, TEXT)
        mailbox = hub.open()
        for at in range(40):
            files.arm(at)
            action = FlagAction.REMOVE if mailbox.flags[0] else FlagAction.ADD
            before = list(mailbox.flags)
            if faulted(lambda: run(mailbox.store([1, 2, 3], action, ["\\Seen", f"k{at}"]))):  # noqa: B023 -- at once
                files.disarm()
                run(mailbox.refresh())
                assert list(mailbox.flags) == before
            failed = files.failed
            files.disarm()
            run(mailbox.refresh())
            assert len(set(mailbox.flags)) == 1
            if not failed:
                return
        raise AssertionError("too many calls")

    def test_index_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the index does not take it, all is as it was."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox, names = hub.open(), hub.cur()
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.save_mailbox", _full)
            with pytest.raises(StoreRefused):
                run(mailbox.store([1], FlagAction.ADD, ["\\Seen"]))
        hub.follow()
        assert hub.cur() == names
        assert list(mailbox.flags) == [0]
        assert list(hub.box().rows([1])[0])[2] == 0


class TestExpunge:
    def test_removed(self, tmp_path: Path) -> None:
        """The file goes; a UID that was gone before does not count."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        modseq = mailbox.highest_modseq
        assert run(mailbox.expunge([1, 5])) == (1,)
        assert list(mailbox.uids) == [2]
        assert mailbox.highest_modseq > modseq
        assert run(mailbox.expunge([1])) == ()
        assert len(hub.cur()) == 1

    def test_renamed_or_gone(self, tmp_path: Path) -> None:
        """A renamed file is found and removed; one that is gone counts as removed."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        first, second = hub.cur()
        (hub.maildir / "cur" / first).rename(hub.maildir / "cur" / (first + "F"))
        (hub.maildir / "cur" / second).unlink()
        assert run(mailbox.expunge([1, 2])) == (1, 2)
        assert hub.cur() == []

    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """What is shown afterwards is what is there, and the refusal says that some may be left."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        for at in range(30):
            hub.append(TEXT, TEXT)
            mailbox = hub.open()
            files.arm(at)
            faulted(lambda: run(mailbox.expunge(mailbox.uids)))  # noqa: B023 -- called at once
            failed = files.failed
            files.disarm()
            run(mailbox.refresh())
            assert len(mailbox.uids) == len(hub.cur())
            if not failed:
                assert hub.cur() == []
                return
            run(mailbox.expunge(mailbox.uids))
        raise AssertionError("too many calls")

    def test_removal_stops_at_an_error(self, tmp_path: Path) -> None:
        """What was removed before the error is told of."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT, TEXT)
        box = hub.box()
        files.arm(1, only=["unlink"])
        removal = change.expunge(box, [1, 2])
        assert list(removal.delta.removed) == [1]
        assert removal.error is not None


def test_translation(tmp_path: Path) -> None:
    """Keywords in use are made in the other mailbox and get its letters; others are not."""
    hub = Hub(tmp_path)
    target = hub.box("Sent")
    target.bits(["Other"])
    translate = translation(["Junk", "Unused"], target, [1 | 32])
    assert target.keywords == ("Other", "Junk")
    assert translate(1 | 32) == 1 | 64
    assert translate(0) == 0
    target.bits([f"k{n}" for n in range(24)])
    assert translation(["More"], target, [32])(32 | 2) == 2


def _full(*_: object) -> None:
    raise OSError("full")
