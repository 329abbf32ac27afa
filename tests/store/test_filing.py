"""Local delivery: visible at once, durable when asked for."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.mail.address import Path as Address
from mailhub.ports.accounts import Account, AccountId, Quota
from mailhub.ports.filing import Filer, Filing
from mailhub.ports.store import StoreFault
from mailhub.store.files import Files
from mailhub.store.filing import _Filed
from mailhub.store.limits import Limits
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, StepDisk, contents


def test_port(tmp_path: Path) -> None:
    """It is what local delivery is written against."""
    filer: Filer = Hub(tmp_path).filer
    assert run(filer.file([])) == []
    run(filer.sync([]))


class TestFiling:
    def test_many_accounts(self, tmp_path: Path) -> None:
        """A batch goes to many accounts, whose maildirs are made on first use."""
        hub = Hub(tmp_path)
        accounts = [
            replace(
                hub.account, id=AccountId(n), path=Address(f"u{n}", "h"), maildir=f"mail/h/u{n}"
            )
            for n in range(5)
        ]
        filings = [
            replace(hub.filing(f"q{n}"), account=account) for n, account in enumerate(accounts)
        ]
        assert run(hub.filer.file(filings)) == [None] * 5
        for account in accounts:
            assert len(os.listdir(tmp_path / account.maildir / "new")) == 1
        store = run(hub.stores.of(accounts[3]))
        assert len(run(store.open("INBOX")).uids) == 1

    def test_one_message_for_two(self, tmp_path: Path) -> None:
        """The same unique part in two accounts is two filings."""
        hub = Hub(tmp_path)
        other = replace(hub.account, id=AccountId(2), maildir="mail/other")
        one = hub.filing("q")
        assert run(hub.filer.file([one, replace(one, account=other)])) == [None, None]
        assert len(os.listdir(tmp_path / "mail/other/new")) == 1

    def test_mailbox(self, tmp_path: Path) -> None:
        """Into another mailbox, if it is there, else into the INBOX, open or not."""
        hub = Hub(tmp_path)
        assert hub.store.made
        filings = [
            hub.filing("a", mailbox="Sent"),
            hub.filing("b", mailbox="None"),
            hub.filing("c"),
        ]
        filings.append(hub.filing("d", mailbox="a//b"))
        faults = [fault and fault.fault for fault in run(hub.filer.file(filings))]
        assert faults == [None, None, None, StoreFault.CANNOT]
        assert run(hub.store.status("Sent")).messages == 1
        assert len(hub.open().uids) == 2
        more = [hub.filing("e", mailbox="None"), hub.filing("f")]
        assert run(hub.filer.file(more)) == [None, None]
        assert len(hub.open().uids) == 4

    def test_first_mailboxes(self, tmp_path: Path) -> None:
        """The first mail of an account may be for one of the mailboxes that it is made with."""
        hub = Hub(tmp_path)
        assert run(hub.filer.file([hub.filing("a", mailbox="Sent")])) == [None]
        assert run(hub.store.status("Sent")).messages == 1

    def test_same_turn(self, tmp_path: Path) -> None:
        """Sessions are woken in the turn in which the thread returns."""
        disk = StepDisk()
        hub = Hub(tmp_path, disk=disk)
        store = hub.stores.store_of(hub.account)
        hub.stores.make(store)
        opening = disk.start(store.open("INBOX"))
        disk.finish(opening)
        mailbox, woken = opening.result, []
        mailbox.watch(lambda: woken.append(list(mailbox.uids)))
        task = disk.start(hub.filer.file([hub.filing("a"), hub.filing("b")]))
        task.step()
        assert task.ended
        assert woken == [[1, 2]]

    def test_quota_does_not_stop_it(self, tmp_path: Path) -> None:
        """What was accepted is delivered: RCPT is where a quota refuses."""
        hub = Hub(tmp_path, quota=Quota(messages=1))
        hub.deliver("a", "b")
        assert run(hub.store.usage()).messages == 2
        assert run(hub.stores.over_quota(hub.account, 1))

    def test_account_cannot_be_made(self, tmp_path: Path) -> None:
        """An error while the maildir is made refuses that account's filings."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        files.arm(0)
        (fault,) = run(hub.filer.file([hub.filing("a")]))
        assert fault is not None
        assert fault.fault is StoreFault.SERVER_BUG
        files.disarm()
        hub.deliver("a")


class TestSync:
    def made(
        self, tmp_path: Path, count: int, **limits: int
    ) -> tuple[Hub, FailingFiles, list[Filing]]:
        files = FailingFiles()
        hub = Hub(tmp_path, files=files, limits=Limits(**limits))  # type: ignore[arg-type]  # numbers all
        filings = hub.deliver(*(f"q{n}" for n in range(count)))
        files.arm(-1)
        return hub, files, filings

    def test_few(self, tmp_path: Path) -> None:
        """Few messages: each file, and once their directory and that where they are moved to."""
        hub, files, filings = self.made(tmp_path, 3)
        run(hub.filer.sync(filings))
        assert files.made.count("fsync") == 5
        assert "syncfs" not in files.made

    def test_moved_before(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """``cur`` goes first: an earlier message that was moved there must not be in neither."""
        hub, _, filings = self.made(tmp_path, 1)
        synced: list[str] = []
        monkeypatch.setattr(
            "mailhub.store.filing.sync_directory",
            lambda _, path: synced.append(os.path.basename(path).decode()),
        )
        run(hub.filer.sync(filings))
        assert synced == ["cur", "new"]

    def test_many(self, tmp_path: Path) -> None:
        """Many messages: the file system at once."""
        hub, files, filings = self.made(tmp_path, 9)
        run(hub.filer.sync(filings))
        assert files.made.count("syncfs") == 1
        assert "fsync" not in files.made

    def test_renamed_since(self, tmp_path: Path) -> None:
        """A message that was given its UID meanwhile is durable all the same."""
        hub, files, filings = self.made(tmp_path, 2)
        hub.open()
        files.arm(-1)
        run(hub.filer.sync(filings))
        assert files.made.count("syncfs") == 1

    def test_filed_before_the_crash(self, tmp_path: Path) -> None:
        """One that was found in the mailbox is synced where it lies; one that has left, too."""
        hub, files, filings = self.made(tmp_path, 2)
        mailbox = hub.open()
        run(mailbox.expunge([1]))
        hub.restart()
        assert run(hub.filer.file(filings)) == [None, None]
        files.arm(-1)
        run(hub.filer.sync(filings))
        assert "syncfs" in files.made or files.made.count("fsync") == 2

    def test_never_filed_here(self, tmp_path: Path) -> None:
        """One that this process does not know is made durable with all others."""
        hub, files, filings = self.made(tmp_path, 1)
        hub.restart()
        files.arm(-1)
        run(hub.filer.sync(filings))
        assert files.made.count("syncfs") == 1

    @pytest.mark.parametrize("count", [1, 9])
    def test_each_call_may_fail(self, tmp_path: Path, count: int) -> None:
        """An error comes out as OSError: the spool keeps what it has."""
        hub, files, filings = self.made(tmp_path, count)
        for at in range(20):
            files.arm(at)
            try:
                run(hub.filer.sync(filings))
            except OSError:
                assert files.failed
                continue
            assert not files.failed
            return

    def test_without_syncfs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is no syncfs(2), all file systems are synced."""
        called: list[int] = []
        monkeypatch.setattr(os, "sync", lambda: called.append(1))

        class Old(Files):
            def syncfs(self, descriptor: int) -> bool:
                return False

        hub = Hub(tmp_path, files=Old(), limits=Limits(sync_each=1))
        filings = hub.deliver("a", "b")
        run(hub.filer.sync(filings))
        assert called == [1]


class TestMemory:
    def filing(self, unique: str, arrived: float) -> Filing:
        account = Account(AccountId(1), Address("a", "b"), "m")
        return Filing(account, unique, arrived, b"", TEXT, len(TEXT))

    def test_doubt(self) -> None:
        """What arrived before we began may have been filed; what came later was not."""
        filed = _Filed(100.0, 2)
        assert filed.doubtful(self.filing("a", 99.0))
        assert not filed.doubtful(self.filing("a", 101.0))

    def test_forgotten(self) -> None:
        """What is forgotten is doubtful from then on; what is not synced is not forgotten."""
        filed = _Filed(0.0, 2)
        filings = [self.filing(f"q{n}", 10.0 + n) for n in range(6)]
        for filing in filings:
            filed.add(filing, b"/path", 0)
        assert all(filed.path(filing) for filing in filings)
        for filing in filings[1:]:
            filed.synced(filing)
        last = self.filing("last", 50.0)
        filed.add(last, b"/path", 0)
        assert filed.path(filings[0]) == b"/path"
        assert filed.path(filings[1]) is None
        assert filed.doubtful(filings[1])
        assert not filed.doubtful(last)


def test_index_that_fails_under_an_open_mailbox(tmp_path: Path) -> None:
    """The mailbox shows the message once the index can be read again."""
    hub = Hub(tmp_path)
    mailbox = hub.open()
    hub.store.index.close()
    for path in hub.maildir.glob("mailhub-index*"):
        path.write_bytes(b"not a database" * 100)
    hub.deliver("a")
    assert len(mailbox.uids) == 1
    assert run(contents(mailbox)) == [TEXT]
