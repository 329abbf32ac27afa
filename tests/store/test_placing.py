"""New messages put into maildirs."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.ports.filing import Filing
from mailhub.ports.message import FlagAction
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.limits import Limits
from mailhub.store.placing import as_refused
from mailhub.store.rows import Row, Transaction
from tests.rig import run
from tests.store.test_transfer import Unlinkable
from tests.store.world import TEXT, FailingFiles, Hub, append, contents, faulted


class TestAppend:
    def test_whole(self, tmp_path: Path) -> None:
        """Content, flags, keywords and date; the file's time says the date to other programs."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        placed = hub.append(TEXT, TEXT + b"2", flags=("\\Draft", "Junk"), internal_date=1234.5)
        assert placed.uids == (1, 2)
        assert placed.uid_validity == mailbox.uid_validity
        assert list(mailbox.flags) == [16 | 32] * 2
        assert list(mailbox.dates) == [1234] * 2
        assert list(mailbox.sizes) == [len(TEXT), len(TEXT) + 1]
        assert run(contents(mailbox)) == [TEXT, TEXT + b"2"]
        assert os.stat(hub.maildir / "cur" / hub.cur()[0]).st_mtime == 1234

    def test_before_the_epoch(self, tmp_path: Path) -> None:
        """INTERNALDATE begins in 1970."""
        hub = Hub(tmp_path)
        hub.append(TEXT, internal_date=-5.0)
        assert list(hub.open().dates) == [0]

    def test_after_what_was_delivered_before(self, tmp_path: Path) -> None:
        """Mail that waits in new has come earlier, and has the smaller UID."""
        hub = Hub(tmp_path)
        hub.deliver("a")
        assert hub.append(TEXT).uids == (2,)

    def test_durable(self, tmp_path: Path) -> None:
        """The file is synced before it has its name, the directory before we answer."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        hub.append(TEXT)
        files.arm(-1, only=["fsync", "rename"])
        hub.append(TEXT)
        assert files.made == ["fsync", "rename", "fsync"]

    @pytest.mark.parametrize("size", [10, 300])
    def test_each_call_may_fail(self, tmp_path: Path, size: int) -> None:
        """All or none, from memory or from a file, and nothing stays in tmp."""
        files = FailingFiles()
        hub = Hub(tmp_path, files=files, limits=Limits(upload_memory=100))
        mailbox, count = hub.open(), 0
        for at in range(60):
            files.arm(at)
            if not faulted(lambda: run(append(hub.store, [b"x" * size] * 2, flags=("Junk",)))):
                count += 2
            failed = files.failed
            files.disarm()
            run(mailbox.refresh())
            assert len(mailbox.uids) == len(hub.cur()) == count
            if not failed:
                break
        assert run(contents(mailbox)) == [b"x" * size] * count
        left = os.listdir(hub.maildir / "tmp")
        assert len(left) <= 1  # what a failing unlink(2) left is swept in time

    def test_index_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """When the index does not take it, nothing was appended."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        with monkeypatch.context() as patch:
            patch.setattr("mailhub.store.rows.Transaction.put", _full)
            with pytest.raises(StoreRefused):
                hub.append(TEXT)
        assert hub.cur() == []
        run(mailbox.refresh())
        assert list(mailbox.uids) == []


class TestDelivery:
    def test_closed_mailbox(self, tmp_path: Path) -> None:
        """One file in new, neither UID list nor index."""
        hub = Hub(tmp_path)
        hub.deliver("q1", arrived=hub.clock() + 1)
        (name,) = os.listdir(hub.maildir / "new")
        assert name.endswith(f"_q1.hub,S={len(TEXT)}")
        assert not (hub.maildir / "mailhub-uidlist").exists()
        assert not (hub.maildir / "mailhub-index").exists()

    def test_open_mailbox(self, tmp_path: Path) -> None:
        """The name carries the UID from the beginning."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        hub.deliver("q1", "q2")
        assert [name.split(",")[2] for name in hub.cur()] == ["U=1:2", "U=2:2"]
        assert list(mailbox.uids) == [1, 2]
        assert mailbox.take_recent() == {1, 2}

    def test_head_goes_first(self, tmp_path: Path) -> None:
        """Trace fields precede the content, and count."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        (tmp_path / "spool").write_bytes(b"envelope" + TEXT)
        filings = [
            _headed(hub, "a", TEXT, 0),
            _headed(hub, "b", str(tmp_path / "spool"), 8),
        ]
        assert run(hub.filer.file(filings)) == [None, None]
        assert run(contents(mailbox)) == [b"R: <>\r\n" + TEXT] * 2
        assert list(mailbox.sizes) == [len(TEXT) + 7] * 2

    @pytest.mark.parametrize("linkable", [True, False])
    def test_link(self, tmp_path: Path, linkable: bool) -> None:
        """A file of the spool that is the message already is linked, else copied."""
        hub = Hub(tmp_path)
        run(hub.stores.of(hub.account))
        spool = tmp_path / "spool"
        spool.write_bytes(b"R: <>\r\n" + TEXT)
        filing = replace(_headed(hub, "a", str(spool), 7), linkable=True)
        hub.files = hub.files if linkable else Unlinkable()
        hub.restart()
        assert run(hub.filer.file([filing])) == [None]
        (name,) = (hub.maildir / "new").iterdir()
        assert name.read_bytes() == b"R: <>\r\n" + TEXT
        assert (name.stat().st_nlink == 2) == linkable

    @pytest.mark.parametrize("is_open", [True, False])
    def test_each_call_may_fail(self, tmp_path: Path, is_open: bool) -> None:
        """A filing that fails leaves nothing; the other one of the batch is not harmed."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        run(hub.stores.of(hub.account))
        mailbox = hub.open() if is_open else None
        for at in range(40):
            filings = [hub.filing(f"a{at}"), hub.filing(f"b{at}")]
            files.arm(at)
            faults = run(hub.filer.file(filings))
            failed = files.failed
            files.disarm()
            assert all(fault is None or fault.fault is StoreFault.SERVER_BUG for fault in faults)
            # Those that failed are filed again, as the runner does.
            again = [f for f, fault in zip(filings, faults, strict=True) if fault is not None]
            assert run(hub.filer.file(again)) == [None] * len(again)
            mailbox = hub.open()
            stems = [name.split("_")[1].split(".")[0] for name in hub.cur()]
            assert sorted(stems) == sorted(f"{x}{n}" for n in range(at + 1) for x in "ab")
            if not is_open:
                run(mailbox.release())
            if not failed:
                return
        raise AssertionError("too many calls")

    def test_index_fails(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A message that lies in the mailbox is delivered, whatever the index says."""
        hub = Hub(tmp_path)
        mailbox = hub.open()
        failures = [1]

        def put(transaction: Transaction, box: int, rows: Iterable[Row]) -> None:
            if failures:
                failures.pop()
                raise OSError("full")
            original(transaction, box, rows)

        original = Transaction.put
        monkeypatch.setattr(Transaction, "put", put)
        hub.deliver("a")
        assert len(mailbox.uids) == len(hub.cur()) == 1


class TestRepetition:
    def repeat(self, hub: Hub, *uniques: str, content: bytes = TEXT) -> None:
        """File again after a crash."""
        filings = self.filings[: len(uniques)]
        hub.restart()
        assert run(hub.filer.file(filings)) == [None] * len(filings)

    def begin(self, hub: Hub, *uniques: str) -> None:
        self.filings = hub.deliver(*uniques)

    def test_in_new_and_cur(self, tmp_path: Path) -> None:
        """What lies in the mailbox is not filed again, also with UID and flags."""
        hub = Hub(tmp_path)
        self.begin(hub, "a", "b")
        run(hub.open().store([1], FlagAction.ADD, ["\\Seen"]))
        self.repeat(hub, "a", "b")
        assert len(hub.open().uids) == 2

    def test_in_one_process(self, tmp_path: Path) -> None:
        """A filing that this process remembers is not carried out again."""
        hub = Hub(tmp_path)
        self.begin(hub, "a")
        mailbox = hub.open()
        run(mailbox.expunge([1]))
        assert run(hub.filer.file(self.filings)) == [None]
        assert list(mailbox.uids) == []

    @pytest.mark.parametrize("way", ["expunge", "move"])
    def test_left_before_the_crash(self, tmp_path: Path, way: str) -> None:
        """A message that was removed or moved away does not come back."""
        hub = Hub(tmp_path)
        self.begin(hub, "a")
        mailbox = hub.open()
        run(mailbox.expunge([1]) if way == "expunge" else mailbox.move([1], "Trash"))
        self.repeat(hub, "a")
        assert list(hub.open().uids) == []

    @pytest.mark.parametrize("numbered", [True, False])
    @pytest.mark.parametrize("is_open", [True, False])
    def test_torn(self, tmp_path: Path, numbered: bool, is_open: bool) -> None:
        """A file that the crash tore is made whole, under the name it has."""
        hub = Hub(tmp_path)
        self.begin(hub, "a")
        if numbered:
            run(hub.open().release())
        (path,) = (hub.maildir / ("cur" if numbered else "new")).iterdir()
        path.write_bytes(b"")
        hub.lose_index()
        if is_open:
            mailbox = hub.open()
            assert list(mailbox.uids) == []
            filings = self.filings
            assert run(hub.filer.file(filings)) == [None]
        else:
            self.repeat(hub, "a")
            mailbox = hub.open()
        assert run(contents(mailbox)) == [TEXT]

    def test_torn_link(self, tmp_path: Path) -> None:
        """Also one that would be linked."""
        hub = Hub(tmp_path)
        (tmp_path / "spool").write_bytes(TEXT)
        filing = replace(hub.filing("a"), content=str(tmp_path / "spool"), linkable=True)
        run(hub.filer.file([filing]))
        (path,) = (hub.maildir / "new").iterdir()
        path.unlink()
        path.write_bytes(b"")
        hub.restart()
        run(hub.filer.file([filing]))
        assert path.read_bytes() == TEXT

    def test_gone_this_moment(self, tmp_path: Path) -> None:
        """A file that is renamed while we look at it was whole."""

        class Racing(FailingFiles):
            def listdir(self, path: bytes) -> list[bytes]:
                return [name + b":2,S" for name in super().listdir(path)]

        hub = Hub(tmp_path)
        self.begin(hub, "a")
        hub.files = Racing()
        self.repeat(hub, "a")
        assert len(os.listdir(hub.maildir / "new")) == 1


def _headed(hub: Hub, unique: str, content: bytes | str, skip: int) -> Filing:
    return Filing(hub.account, unique, hub.clock(), b"R: <>\r\n", content, len(TEXT), skip=skip)


def _full(*_: object) -> None:
    raise OSError("full")


def test_refusals() -> None:
    """A fault of the disk is SERVERBUG; a refusal stays what it is."""
    refused = StoreRefused(StoreFault.LIMIT, "x")
    assert as_refused(refused) is refused
    assert as_refused(OSError("x")).fault is StoreFault.SERVER_BUG
