"""Promises of APPEND, over a real spool and real maildirs."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path as FilePath

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock

from mailhub.mail.address import parse_address
from mailhub.net.journal import Journal
from mailhub.policy.limits import JournalLimits, LocalLimits
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.filing import Promise
from mailhub.ports.message import Appending, Placed, Summary
from mailhub.ports.store import MailStore, StoreFault, StoreRefused
from mailhub.queue.change import Promised
from mailhub.queue.ids import QueueIds
from mailhub.queue.spool import Spool
from mailhub.relay.ledger import SpoolLedger
from mailhub.store.filing import MaildirFiler
from mailhub.store.stores import Stores
from tests.rig import InlineDisk, run

ALICE = Account(AccountId(1), parse_address("alice@hub.example"), "mail/hub.example/alice")
TEXT = b"Subject: kept\r\n\r\nHello.\r\n"
LIMITS = LocalLimits(sync_after=2.0, sync_count=3, retry_sync=5.0)


class Hub:
    """A ledger, its spool and its store; a crash is a new one on the same directory."""

    def __init__(self, root: FilePath, token: str = "1") -> None:
        self.clock = Clock()
        self.clock.rightNow = 1_800_000_000.0 + int(token)
        disk = InlineDisk()
        self.spool = Spool(str(root / "spool"))
        self.ids = QueueIds(self.clock.seconds, lambda bits: 0, self.spool.floor())
        self.journal = Journal(self.spool, disk, disk, JournalLimits(inline=2000))
        self.accounts: dict[AccountId, Account] = {ALICE.id: ALICE}
        self.stores = Stores(
            str(root),
            disk,
            clock=self.clock.seconds,
            host="hub.example",
            token=token,
            boot="boot",
            summarise=lambda octets: Summary(b"", b"", b""),
            log=lambda line: None,
        )
        self.filer: MaildirFiler = self.stores.filer()
        self.ledger = SpoolLedger(
            self.journal, self.filer, self.accounts.get, self.ids, self.clock, LIMITS
        )
        self.stores.ledger = self.ledger

    def promises(self) -> list[Promised]:
        """What the spool holds."""
        return self.spool.another().promises()

    def store(self) -> MailStore:
        return run(self.stores.of(ALICE))

    def append(self, *contents: bytes, flags: tuple[str, ...] = ()) -> Placed:
        """APPEND to INBOX."""
        return run(self._append(contents, flags))

    async def _append(self, contents: Sequence[bytes], flags: tuple[str, ...]) -> Placed:
        store = await self.stores.of(ALICE)
        messages = []
        for content in contents:
            upload = await store.upload(len(content))
            await upload.write(content)
            messages.append(Appending(upload, flags, 1_000_000_000.0))
        return await store.append("INBOX", messages)

    def recover(self) -> int:
        return run(self.ledger.recover(self.ids()))

    def messages(self, name: str = "INBOX") -> list[bytes]:
        """The octets of a mailbox's messages."""
        return run(self._messages(name))

    async def _messages(self, name: str) -> list[bytes]:
        mailbox = await (await self.stores.of(ALICE)).open(name)
        found = []
        for uid in list(mailbox.uids):
            content = await mailbox.content(uid)
            assert content is not None
            found.append(await content.read())
        await mailbox.release()
        return found


@pytest.fixture
def hub(tmp_path: FilePath) -> Hub:
    return Hub(tmp_path)


class TestPromises:
    """What APPEND leaves behind, and for how long."""

    def test_a_promise_until_it_is_synced(self, hub: Hub) -> None:
        """The spool holds the message from the OK until its file is synced."""
        assert hub.append(TEXT, flags=("\\Seen", "$Work")).uids == (1,)
        [promise] = hub.promises()
        assert (promise.account, promise.mailbox, promise.content) == (ALICE.id, "INBOX", TEXT)
        assert (promise.flags, promise.date) == (("\\Seen", "$Work"), 1_000_000_000.0)
        hub.clock.advance(1.9)
        assert len(hub.promises()) == 1
        hub.clock.advance(0.1)
        assert hub.promises() == []
        assert hub.messages() == [TEXT]

    def test_many_are_synced_at_once(self, hub: Hub) -> None:
        """With the third one all three are synced, without waiting."""
        for _ in range(2):
            hub.append(TEXT)
        assert len(hub.promises()) == 2
        hub.append(TEXT)
        assert hub.promises() == []

    def test_large_ones_are_synced_themselves(self, hub: Hub) -> None:
        """What is too large for the spool's rows is durable in its file before the OK."""
        hub.append(TEXT + b"x" * 2000 + b"\r\n")
        assert hub.promises() == []

    def test_a_refused_append_leaves_no_promise(self, hub: Hub, tmp_path: FilePath) -> None:
        """Nothing is told, nothing is kept."""
        hub.append(TEXT)
        hub.clock.advance(2)
        limit = "".join(f"k{n} " for n in range(30)).split()
        with pytest.raises(StoreRefused):
            hub.append(TEXT, flags=tuple(limit))
        assert hub.promises() == []
        assert hub.messages() == [TEXT]

    def test_a_full_spool_takes_the_message_back(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Where no promise can be written the message is not there, and the client hears NO."""

        def full(promises: Sequence[Promise]) -> Deferred[None]:
            failed: Deferred[None] = Deferred()
            failed.errback(OSError(errno.ENOSPC, "No space left on device"))
            return failed

        monkeypatch.setattr(hub.ledger, "promise", full)
        with pytest.raises(StoreRefused) as caught:
            hub.append(TEXT)
        assert caught.value.fault is StoreFault.SERVER_BUG
        assert hub.messages() == []

    def test_a_client_that_goes_leaves_no_promise(
        self, hub: Hub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Cancelled while the promise is written: it was told to nobody, and goes again."""
        real = hub.ledger.promise

        def slow(promises: Sequence[Promise]) -> Deferred[None]:
            real(promises)
            return Deferred()

        monkeypatch.setattr(hub.ledger, "promise", slow)
        waiting = Deferred.fromCoroutine(hub._append([TEXT], ()))
        waiting.cancel()
        outcome: list[object] = []
        waiting.addErrback(lambda failure: outcome.append(failure.check(CancelledError)))
        assert outcome == [CancelledError]
        assert hub.promises() == []

    def test_a_disk_that_refuses_to_sync(self, hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
        """The promise stays, syncing is tried again, and its file is written anew before that."""
        tries: list[tuple[int, int]] = []

        async def refuse(accounts: Sequence[Account], doubtful: Sequence[Promise]) -> None:
            tries.append((len(accounts), len(doubtful)))
            if len(tries) == 1:
                hub.filer.failures += 1
                raise OSError(errno.EIO, "Input/output error")

        monkeypatch.setattr(hub.filer, "settle", refuse)
        hub.append(TEXT)
        hub.clock.advance(2)
        assert len(hub.promises()) == 1
        hub.clock.advance(5)
        assert (hub.promises(), tries) == ([], [(1, 0), (1, 1)])
        hub.append(TEXT)
        hub.clock.advance(2)
        assert tries[-1] == (1, 0), "what is made later is not doubted"
        assert hub.ledger._since == {}

    def test_a_stop_syncs(self, hub: Hub) -> None:
        """Nothing is left after a stop, and no call is pending."""
        hub.append(TEXT)
        run(hub.ledger.stop())
        assert hub.promises() == []
        assert hub.clock.getDelayedCalls() == []


class TestCrash:
    """What the next start does."""

    def test_a_lost_file_is_put_back(self, hub: Hub, tmp_path: FilePath) -> None:
        """A machine that lost the unsynced file has the message again, flags and date too."""
        hub.append(TEXT, flags=("\\Flagged",))
        for path in (tmp_path / "mail/hub.example/alice/cur").iterdir():
            path.unlink()
        again = Hub(tmp_path, "2")
        assert again.recover() == 1
        assert again.messages() == [TEXT]
        mailbox = run(again.store().open("INBOX"))
        assert (list(mailbox.flags), list(mailbox.dates)) == ([4], [1_000_000_000])
        assert list(mailbox.uids) != [1], "its UID was told to somebody, and is not used again"
        again.clock.advance(2)
        assert again.promises() == []

    def test_a_torn_file_is_made_whole(self, hub: Hub, tmp_path: FilePath) -> None:
        """A file of which the crash kept the name and not the octets is replaced."""
        hub.append(TEXT)
        [path] = (tmp_path / "mail/hub.example/alice/cur").iterdir()
        path.write_bytes(TEXT[:5])
        again = Hub(tmp_path, "2")
        again.recover()
        assert again.messages() == [TEXT]

    def test_what_is_there_is_not_doubled(self, hub: Hub, tmp_path: FilePath) -> None:
        """After a SIGKILL the file is there; redeeming the promise changes nothing."""
        hub.append(TEXT)
        again = Hub(tmp_path, "2")
        assert again.recover() == 1
        assert again.messages() == [TEXT]

    def test_what_was_expunged_does_not_return(self, hub: Hub, tmp_path: FilePath) -> None:
        """Expunged or moved before the crash: it stays gone."""
        hub.append(TEXT, TEXT)
        run(hub.store().create("Elsewhere"))
        mailbox = run(hub.store().open("INBOX"))
        run(mailbox.expunge([mailbox.uids[0]]))  # type: ignore[list-item]  # a Uid is an int
        run(mailbox.move([mailbox.uids[0]], "Elsewhere"))  # type: ignore[list-item]
        again = Hub(tmp_path, "2")
        assert again.recover() == 2
        assert (again.messages(), again.messages("Elsewhere")) == ([], [TEXT])

    def test_a_deleted_account(self, hub: Hub, tmp_path: FilePath) -> None:
        """Promises to an account that is gone go, too."""
        hub.append(TEXT)
        again = Hub(tmp_path, "2")
        again.accounts.clear()
        assert again.recover() == 1
        assert again.promises() == []

    def test_a_deleted_mailbox(self, hub: Hub, tmp_path: FilePath) -> None:
        """So do promises to a mailbox that was deleted since."""
        run(hub.store().create("Gone"))
        ledger = hub.ledger
        promise = Promise(ALICE, "Gone", ledger.unique(), TEXT, (), 0.0)
        run(_awaited(ledger, promise))
        run(hub.store().delete("Gone"))
        again = Hub(tmp_path, "2")
        assert again.recover() == 1
        again.clock.advance(2)
        assert again.promises() == []


async def _awaited(ledger: SpoolLedger, promise: Promise) -> None:
    await ledger.promise([promise])
