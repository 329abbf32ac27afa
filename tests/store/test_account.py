"""An account's mailboxes: made, deleted, renamed, subscribed, opened."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from mailhub.ports.message import Appending, FlagAction
from mailhub.ports.store import Listed, MailStore, StoreFault, StoreRefused
from mailhub.store.limits import Limits
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, contents


def refused(coroutine: Coroutine[Any, Any, object]) -> StoreFault:
    with pytest.raises(StoreRefused) as error:
        run(coroutine)
    return error.value.fault


def names(hub: Hub) -> list[str]:
    return [row.name for row in run(hub.store.list()) if row.selectable]


def test_port(tmp_path: Path) -> None:
    """It is what sessions are written against."""
    store: MailStore = Hub(tmp_path).store
    assert isinstance(run(store.list())[0], Listed)


class TestCreate:
    def test_made(self, tmp_path: Path) -> None:
        """Unicode names; a final separator means the same mailbox."""
        hub = Hub(tmp_path, mailboxes=())
        run(hub.store.create("Entwürfe/v1.0/", ["\\Drafts"]))
        assert names(hub) == ["Entwürfe/v1.0", "INBOX"]
        assert (hub.maildir / ".Entw&APw-rfe.v1&AC4-0/maildirfolder").exists()

    @pytest.mark.parametrize(
        ("name", "fault"),
        [
            ("inbox", StoreFault.ALREADY_EXISTS),
            ("Sent", StoreFault.ALREADY_EXISTS),
            ("a//b", StoreFault.CANNOT),
            ("", StoreFault.CANNOT),
            ("x" * 300, StoreFault.CANNOT),
        ],
    )
    def test_refused(self, tmp_path: Path, name: str, fault: StoreFault) -> None:
        """What exists, and what no mailbox can be called."""
        assert refused(Hub(tmp_path).store.create(name)) is fault

    def test_limit(self, tmp_path: Path) -> None:
        """So many mailboxes, and no more."""
        hub = Hub(tmp_path, limits=Limits(mailboxes=4))
        run(hub.store.create("a"))
        assert refused(hub.store.create("b")) is StoreFault.LIMIT

    def test_disk_fails(self, tmp_path: Path) -> None:
        """An error is SERVERBUG."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))
        store = hub.store
        files.arm(1)
        assert refused(store.create("a")) is StoreFault.SERVER_BUG


class TestDelete:
    def test_children_stay(self, tmp_path: Path) -> None:
        """The level stays, without a mailbox; it cannot be deleted then, but made again."""
        hub = Hub(tmp_path, mailboxes=("a", "a/b"))
        run(hub.store.delete("a"))
        assert names(hub) == ["INBOX", "a/b"]
        assert refused(hub.store.delete("a")) is StoreFault.HAS_CHILDREN
        assert refused(hub.store.open("a")) is StoreFault.NONEXISTENT
        run(hub.store.create("a"))
        run(hub.store.delete("a/b"))
        run(hub.store.delete("a"))
        assert refused(hub.store.delete("a")) is StoreFault.NONEXISTENT
        assert refused(hub.store.delete("InBox")) is StoreFault.CANNOT

    def test_open_mailbox(self, tmp_path: Path) -> None:
        """Sessions that have it open see its messages go; a new one of that name is another."""
        hub = Hub(tmp_path)
        hub.append(TEXT, name="Sent")
        old, woken = hub.open("Sent"), []
        old.watch(lambda: woken.append(len(old.uids)))
        run(hub.store.delete("Sent"))
        assert woken == [0]
        run(hub.store.create("Sent"))
        hub.append(TEXT, TEXT, name="Sent")
        new = hub.open("Sent")
        assert new is not old
        assert new.uid_validity > old.uid_validity
        assert refused(old.store([1], FlagAction.ADD, ["\\Seen"])) is StoreFault.NONEXISTENT
        assert refused(old.copy([1], "INBOX")) is StoreFault.NONEXISTENT
        assert list(new.flags) == [0, 0]
        run(old.release())
        assert hub.open("Sent") is new

    def test_uid_validity_grows(self, tmp_path: Path) -> None:
        """Also where the clock stands still and the index is lost."""
        hub = Hub(tmp_path, clock=lambda: 1_700_000_000.0)
        seen = []
        for _ in range(4):
            seen.append(hub.open("Sent").uid_validity)
            run(hub.store.delete("Sent"))
            hub.lose_index()
            run(hub.store.create("Sent"))
        assert seen == sorted(set(seen))


class TestRename:
    def test_with_children(self, tmp_path: Path) -> None:
        """Children, messages, UIDs, special use and open sessions follow."""
        hub = Hub(tmp_path, mailboxes=("a", "a/b", "ab"))
        hub.append(TEXT, name="a/b", flags=("Junk",))
        mailbox = hub.open("a/b")
        validity = mailbox.uid_validity
        run(hub.store.rename("a", "x/y"))
        assert names(hub) == ["INBOX", "ab", "x/y", "x/y/b"]
        assert mailbox.name == "x/y/b"
        assert hub.open("x/y/b") is mailbox
        assert run(contents(mailbox)) == [TEXT]
        assert (mailbox.uid_validity, mailbox.keywords) == (validity, ("Junk",))
        hub.restart()
        assert list(hub.open("x/y/b").uids) == [1]

    @pytest.mark.parametrize(
        ("name", "new", "fault"),
        [
            ("none", "x", StoreFault.NONEXISTENT),
            ("a", "b", StoreFault.ALREADY_EXISTS),
            ("a", "inbox", StoreFault.ALREADY_EXISTS),
            ("a", "c", StoreFault.ALREADY_EXISTS),
            ("a", "a", StoreFault.CANNOT),
            ("a", "a/x", StoreFault.CANNOT),
            ("a", "x" * 250, StoreFault.CANNOT),
        ],
    )
    def test_refused(self, tmp_path: Path, name: str, new: str, fault: StoreFault) -> None:
        """What is not there, what is there already, what cannot be; nothing changes."""
        hub = Hub(tmp_path, mailboxes=("a", "a/long", "b", "c/long"))
        before = names(hub)
        assert refused(hub.store.rename(name, new)) is fault
        assert names(hub) == before

    def test_level_without_mailbox(self, tmp_path: Path) -> None:
        """A level that only has children is renamed by them."""
        hub = Hub(tmp_path, mailboxes=("a/b",))
        run(hub.store.rename("a", "x"))
        assert names(hub) == ["INBOX", "x/b"]

    def test_special_use(self, tmp_path: Path) -> None:
        """The use of a mailbox goes with it."""
        hub = Hub(tmp_path, mailboxes=())
        run(hub.store.create("Sent", ["\\Sent"]))
        run(hub.store.rename("Sent", "Gesendet"))
        assert run(hub.store.list())[0].special_use == ("\\Sent",)

    def test_inbox(self, tmp_path: Path) -> None:
        """INBOX stays, empty; its messages are in the new mailbox."""
        hub = Hub(tmp_path)
        hub.append(TEXT, TEXT)
        inbox = hub.open()
        run(hub.store.rename("INBOX", "old"))
        assert list(inbox.uids) == []
        assert len(hub.open("old").uids) == 2
        assert hub.append(TEXT).uids == (3,)

    def test_uid_validity_of_a_name_never_falls(self, tmp_path: Path) -> None:
        """A mailbox that takes over a name gets a new one, if the name showed a greater."""
        hub = Hub(tmp_path, mailboxes=("old", "young"))
        old = hub.open("old")
        hub.append(TEXT, name="old")
        young = hub.open("young").uid_validity
        assert young > old.uid_validity
        run(hub.store.delete("young"))
        run(hub.store.rename("old", "young"))
        assert old.gone
        mailbox = hub.open("young")
        assert mailbox.uid_validity > young
        assert len(mailbox.uids) == 1

    def test_back_and_forth(self, tmp_path: Path) -> None:
        """Renaming alone costs no UIDVALIDITY."""
        hub = Hub(tmp_path)
        validity = hub.open("Sent").uid_validity
        for name, new in (("Sent", "x"), ("x", "y"), ("y", "Sent")):
            run(hub.store.rename(name, new))
        assert hub.open("Sent").uid_validity == validity


class TestSubscriptions:
    def test_kept(self, tmp_path: Path) -> None:
        """Whether it exists or not; deleting does not unsubscribe (RFC 3501 §6.3.6)."""
        hub = Hub(tmp_path, limits=Limits(subscriptions=4))
        for name in ("Sent", "not there"):
            run(hub.store.subscribe(name))
        run(hub.store.delete("Sent"))
        hub.restart()
        subscribed = {row.name: row.selectable for row in run(hub.store.list()) if row.subscribed}
        assert subscribed == {"INBOX": True, "Sent": False, "Trash": True, "not there": False}
        assert refused(hub.store.subscribe("third")) is StoreFault.LIMIT
        assert refused(hub.store.subscribe("a//b")) is StoreFault.CANNOT
        run(hub.store.unsubscribe("Sent"))
        names = [row.name for row in run(hub.store.list()) if row.subscribed]
        assert names == ["INBOX", "Trash", "not there"]


class TestMessages:
    @pytest.mark.parametrize(
        "act",
        [
            lambda hub: hub.store.status("none"),
            lambda hub: hub.store.open("none"),
            lambda hub: hub.store.append("none", []),
        ],
    )
    def test_nonexistent(self, tmp_path: Path, act: Callable[[Hub], Any]) -> None:
        """A mailbox that is not there is NONEXISTENT, and leaves nothing behind."""
        hub = Hub(tmp_path)
        assert refused(act(hub)) is StoreFault.NONEXISTENT
        assert list(hub.store.mailboxes) == []

    def test_date_is_now(self, tmp_path: Path) -> None:
        """Without a date it is now."""
        hub = Hub(tmp_path, clock=lambda: 1_700_000_000.0)
        hub.append(TEXT)
        assert list(hub.open().dates) == [1_700_000_000]

    def test_uploads_end_either_way(self, tmp_path: Path) -> None:
        """Whatever becomes of an append, its uploads are over."""
        hub = Hub(tmp_path)
        upload = run(hub.store.upload())
        run(upload.write(TEXT))
        assert refused(hub.store.append("none", [Appending(upload)])) is StoreFault.NONEXISTENT
        assert refused(hub.store.append("INBOX", [Appending(upload)])) is StoreFault.SERVER_BUG

    def test_another_stores_upload(self, tmp_path: Path) -> None:
        """An upload that is none of ours is a mistake of the caller."""

        class Other:
            async def write(self, octets: bytes) -> None: ...
            async def abort(self) -> None: ...

        with pytest.raises(AssertionError, match="another store"):
            run(Hub(tmp_path).store.append("INBOX", [Appending(Other())]))


class TestPop3:
    def test_exclusive(self, tmp_path: Path) -> None:
        """One POP3 session at a time; IMAP does not mind."""
        hub = Hub(tmp_path)

        async def use() -> None:
            lock = await hub.store.lock()
            async with lock:
                with pytest.raises(StoreRefused) as error:
                    await hub.store.lock()
                assert error.value.fault is StoreFault.IN_USE
                await hub.store.open("INBOX")
            async with await hub.store.lock():
                pass

        run(use())
