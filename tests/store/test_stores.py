"""Stores of accounts, and mailboxes kept warm."""

from __future__ import annotations

import gc
import shutil
from array import array
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from mailhub.ports.accounts import AccountId, Quota
from mailhub.ports.message import FlagAction
from mailhub.ports.store import MailStores
from mailhub.store.limits import Limits
from mailhub.store.state import BARE
from tests.rig import run
from tests.store.world import TEXT, Hub


def test_port(tmp_path: Path) -> None:
    """It is what the portal is written against."""
    stores: MailStores = Hub(tmp_path).stores
    assert stores is not None


class TestAccounts:
    def test_shared(self, tmp_path: Path) -> None:
        """All sessions of an account share its store, with the quota it has now."""
        hub = Hub(tmp_path)
        one = hub.store
        assert run(hub.stores.of(replace(hub.account, quota=Quota(5)))) is one
        assert one.account.quota == Quota(5)

    def test_forgotten(self, tmp_path: Path) -> None:
        """Of the stores that nobody uses only the latest are kept at hand."""
        hub = Hub(tmp_path, limits=Limits(recent_accounts=3))
        for n in range(20):
            run(hub.stores.of(replace(hub.account, id=AccountId(n), maildir=f"m/{n}")))
        gc.collect()
        assert len(hub.stores._stores) <= 4

    def test_made_once(self, tmp_path: Path) -> None:
        """A first login and many first deliveries at the same moment make one maildir."""
        for number in range(30):
            hub = Hub(tmp_path / str(number))
            store = hub.stores.store_of(hub.account)
            with ThreadPoolExecutor(4) as pool:
                list(pool.map(hub.stores.make, [store] * 4))  # raises what one of them raised

    def test_maildir_elsewhere(self, tmp_path: Path) -> None:
        """An absolute path is taken as it is."""
        hub = Hub(tmp_path / "a")
        run(hub.stores.of(replace(hub.account, maildir=str(tmp_path / "b"))))
        assert (tmp_path / "b/cur").is_dir()


class TestLook:
    def test_open_mailboxes(self, tmp_path: Path) -> None:
        """What another program does reaches those who have the mailbox open, and ask nothing."""
        hub = Hub(tmp_path)
        inbox, sent = hub.open(), hub.open("Sent")
        woken: list[str] = []
        inbox.watch(lambda: woken.append("inbox"))
        sent.watch(lambda: woken.append("sent"))
        hub.drop("1.a.elsewhere")
        run(hub.stores.look())
        assert woken == ["inbox"]
        assert list(inbox.uids) == [1]
        run(hub.stores.look())
        assert woken == ["inbox"]

    def test_deleted(self, tmp_path: Path) -> None:
        """A mailbox that another program removed is empty from then on."""
        hub = Hub(tmp_path)
        hub.append(TEXT, name="Sent")
        sent = hub.open("Sent")
        shutil.rmtree(hub.maildir / ".Sent")
        run(hub.stores.look())
        assert sent.gone
        assert not sent.uids
        run(hub.stores.look())

    def test_closed(self, tmp_path: Path) -> None:
        """Nobody looks at what nobody has open."""
        hub = Hub(tmp_path)
        inbox = hub.open()
        run(inbox.release())
        hub.drop("1.a.elsewhere")
        run(hub.stores.look())
        assert not inbox.uids


class TestWarm:
    def test_number(self, tmp_path: Path) -> None:
        """So many are kept, those that were used last."""
        hub = Hub(tmp_path, limits=Limits(warm_mailboxes=1))
        store = hub.store
        for name in ("INBOX", "Sent"):
            run(hub.open(name).release())
        assert list(store.mailboxes) == [b".Sent"]

    def test_memory(self, tmp_path: Path) -> None:
        """So much memory may all of them take, each for what it holds and what it remembers."""
        hub = Hub(tmp_path, limits=Limits(warm_memory=2 * BARE + 4 * 32 - 1))
        store = hub.store
        hub.append(TEXT, TEXT)
        hub.append(TEXT, TEXT, name="Sent")
        for name in ("INBOX", "Sent"):
            run(hub.open(name).release())
        assert list(store.mailboxes) == [b".Sent"]
        sent = hub.open("Sent")
        assert sent.octets == BARE + 2 * 32
        sent.memo["order"], sent.memo["said"] = array("I", (2, 1)), bytes(100)
        assert sent.octets == BARE + 2 * 32 + 8 + 100
        run(sent.store([1], FlagAction.ADD, ["\\Seen"]))
        assert sent.octets == BARE + 2 * 32 + 4 + 8 + 100
        sent.memo["said"] = bytes(2 * BARE)
        hub.follow()
        run(sent.release())
        assert store.mailboxes == {}

    def test_one_in_use_stays(self, tmp_path: Path) -> None:
        """A mailbox that was opened again is not taken away."""
        hub = Hub(tmp_path, limits=Limits(warm_mailboxes=1))
        store = hub.store
        run(hub.open("Sent").release())
        sent = hub.open("Sent")
        run(hub.open().release())
        assert hub.open("Sent") is sent
        assert store.mailboxes[b".Sent"] is sent


def test_boot(tmp_path: Path) -> None:
    """Where the system names no boot, each start of the process counts as one."""
    hub = Hub(tmp_path)
    hub.boot = ""
    hub.restart()
    hub.append(TEXT)
    uid_next = hub.open().uid_next
    hub.restart()
    assert hub.open().uid_next > uid_next
