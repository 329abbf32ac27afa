"""Copies and moves."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mailhub.ports.message import Change, FlagAction, Rendering
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import transfer
from mailhub.store.files import Files
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, contents, faulted


class Unlinkable(Files):
    """A file system without hard links, or one that has enough of them."""

    @staticmethod
    def link(*_: object, **__: object) -> None:
        raise OSError(errno.EMLINK, "too many links")


class TestCopy:
    def test_all_that_belongs_to_it(self, tmp_path: Path) -> None:
        """Content, flags, keywords, date, size and summary go along; UIDs are new."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT + b"2", flags=("\\Seen", "Junk"), internal_date=99.0)
        hub.append(TEXT, name="Sent", flags=("Other",))
        inbox, sent = hub.open(), hub.open("Sent")
        run(inbox.rendered(Rendering.BODY, [1, 2]))
        cursor = sent.cursor
        placed = run(inbox.copy([2, 1, 2, 9], "Sent"))
        assert (placed.sources, placed.uids) == ((1, 2), (2, 3))
        assert placed.uid_validity == sent.uid_validity
        assert sent.changes(cursor) == [(Change.ARRIVED, 2), (Change.ARRIVED, 3)]
        assert list(sent.flags)[1:] == [1 | 64, 1 | 64]
        assert sent.keywords == ("Other", "Junk")
        assert list(sent.dates)[1:] == [99, 99]
        assert run(contents(sent))[1:] == [TEXT, TEXT + b"2"]
        assert list(inbox.uids) == [1, 2]
        with sent.box.transaction(write=False) as transaction:
            kept = transaction.rendered(Rendering.BODY, sent.box.kept.id, [2, 3])
            assert list(kept) == [b"body"] * 2

    def test_stems_stay(self, tmp_path: Path) -> None:
        """A message is known by its stem wherever it goes."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        inbox = hub.open()
        run(inbox.copy([1], "Sent"))
        run(inbox.copy([1], "INBOX"))
        stems = {name.split(",")[0] for name in hub.cur() + hub.cur(".Sent")}
        assert len(stems) == 1
        assert list(inbox.uids) == [1, 2]

    def test_links(self, tmp_path: Path) -> None:
        """A copy costs no room; where links cannot be had it is a file of its own."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        run(hub.open().copy([1], "Sent"))
        assert os.stat(hub.maildir / "cur" / hub.cur()[0]).st_nlink == 2
        hub.files = Unlinkable()
        hub.restart()
        run(hub.open().copy([1], "Trash"))
        copied = hub.maildir / ".Trash/cur" / hub.cur(".Trash")[0]
        assert copied.read_bytes() == TEXT
        assert copied.stat().st_nlink == 1

    def test_no_such_target(self, tmp_path: Path) -> None:
        """A target that is not there is NONEXISTENT, and the source stays open."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        mailbox = hub.open()
        with pytest.raises(StoreRefused) as refused:
            run(mailbox.copy([1], "Nowhere"))
        assert refused.value.fault is StoreFault.NONEXISTENT
        assert not mailbox.gone
        assert len(mailbox.uids) == 1

    def test_nothing_to_copy(self, tmp_path: Path) -> None:
        """UIDs that are gone are passed over, even if all are."""
        hub = Hub(tmp_path)
        placed = run(hub.open().copy([4], "Sent"))
        assert (placed.sources, placed.uids) == ((), ())

    def test_renamed_or_gone(self, tmp_path: Path) -> None:
        """A file that was renamed this moment is found with its flags; one that is gone is not."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        mailbox = hub.open()
        first, second = hub.cur()
        (hub.maildir / "cur" / first).rename(hub.maildir / "cur" / (first + "F"))
        (hub.maildir / "cur" / second).unlink()
        assert run(mailbox.copy([1, 2], "Sent")).sources == (1,)
        assert list(hub.open("Sent").flags) == [4]
        assert hub.cur(".Sent")[0].endswith(":2,F")


class TestMove:
    def test_moved(self, tmp_path: Path) -> None:
        """Messages leave the one mailbox and arrive in the other."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        inbox, trash = hub.open(), hub.open("Trash")
        placed = run(inbox.move([2], "Trash"))
        assert (placed.sources, placed.uids) == ((2,), (1,))
        assert (list(inbox.uids), list(trash.uids)) == ([1], [1])
        assert (len(hub.cur()), len(hub.cur(".Trash"))) == (1, 1)

    def test_to_itself(self, tmp_path: Path) -> None:
        """A move to the same mailbox gives new UIDs."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        inbox = hub.open()
        run(inbox.move([1], "inbox"))
        assert list(inbox.uids) == [2, 3]
        assert len(run(contents(inbox))) == 2


@pytest.mark.parametrize("way", ["copy", "move"])
class TestFailures:
    def test_each_call_may_fail(self, tmp_path: Path, way: str) -> None:
        """All or none: whichever call fails, no message is lost, doubled or half there."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT, TEXT, TEXT, flags=("Junk",))
        for at in range(60):
            inbox, sent = hub.open(), hub.open("Sent")
            before = len(sent.uids)
            files.arm(at)
            act = getattr(inbox, way)
            arrived = 0 if faulted(lambda: run(act(inbox.uids, "Sent"))) else 3  # noqa: B023
            failed = files.failed
            files.disarm()
            run(inbox.refresh())
            run(sent.refresh())
            assert len(sent.uids) == len(hub.cur(".Sent")) == before + arrived
            assert len(inbox.uids) == len(hub.cur()) == (0 if way == "move" and arrived else 3)
            assert os.listdir(hub.maildir / ".Sent/tmp") == []
            if not failed:
                return
            if way == "move" and arrived:
                run(sent.move(sent.uids, "INBOX"))
        raise AssertionError("too many calls")

    def test_index_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
        """What the index does not take is taken back."""
        hub = Hub(tmp_path)
        hub.append(TEXT)
        inbox, sent = hub.open(), hub.open("Sent")
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.copy_summaries", _full)
            with pytest.raises(StoreRefused):
                run(getattr(inbox, way)([1], "Sent"))
        for mailbox in (inbox, sent):
            run(mailbox.refresh())
        assert (list(inbox.uids), list(sent.uids)) == ([1], [])
        run(inbox.store([1], FlagAction.ADD, ["\\Seen"]))


def _full(*_: object) -> None:
    raise OSError("full")


def test_copy_file(tmp_path: Path) -> None:
    """A head goes before, some octets are left out, the date stays."""
    source, target = tmp_path / "a", tmp_path / "b"
    source.write_bytes(b"skip" + b"x" * (3 << 20))
    os.utime(source, (50, 50))
    transfer.copy_file(
        Files(), os.fsencode(source), os.fsencode(target), head=b"head", skip=4, sync=False
    )
    assert target.read_bytes() == b"head" + b"x" * (3 << 20)
    assert target.stat().st_mtime == 50
