"""The directories of an account's mailboxes."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from mailhub.store import folders, uidlist
from mailhub.store.files import Files
from mailhub.store.stores import MAILBOXES
from tests.rig import run
from tests.store.world import TEXT, FailingFiles, Hub, each_failure, faulted


def listed(hub: Hub) -> dict[str, tuple[bool, bool]]:
    return {row.name: (row.selectable, row.subscribed) for row in run(hub.store.list())}


class TestListing:
    def test_levels_and_subscriptions(self, tmp_path: Path) -> None:
        """Mailboxes, the levels above them, and what is subscribed, in order of names."""
        hub = Hub(tmp_path, mailboxes=())
        run(hub.store.create("a/b/c"))
        run(hub.store.create("Z"))
        run(hub.store.subscribe("gone"))
        run(hub.store.subscribe("Z"))
        assert listed(hub) == {
            "INBOX": (True, False),
            "Z": (True, True),
            "a": (False, False),
            "a/b": (False, False),
            "a/b/c": (True, False),
            "gone": (False, True),
        }
        assert [row.name for row in run(hub.store.list())] == sorted(listed(hub))

    def test_special_use(self, tmp_path: Path) -> None:
        """A mailbox shows its special use; a level that lost its mailbox does not."""
        hub = Hub(tmp_path, mailboxes=())
        run(hub.store.create("Sent", ["\\Sent"]))
        run(hub.store.create("Sent/2020"))
        assert run(hub.store.list())[1].special_use == ("\\Sent",)
        run(hub.store.delete("Sent"))
        assert run(hub.store.list())[1].special_use == ()


def there(hub: Hub) -> set[str]:
    """The mailboxes that exist."""
    return {name for name, (selectable, _) in listed(hub).items() if selectable}


class TestAccount:
    def test_made_once(self, tmp_path: Path) -> None:
        """A new account has what is configured; a maildir that is there keeps its own."""
        hub = Hub(tmp_path)
        assert list(listed(hub)) == ["INBOX", "Sent", "Trash"]
        assert all(subscribed for _, subscribed in listed(hub).values())
        run(hub.store.delete("Trash"))
        hub.restart()
        assert there(hub) == {"INBOX", "Sent"}

    def test_subscribed_already(self, tmp_path: Path) -> None:
        """Subscriptions that are there before the first login stay as they are."""
        hub = Hub(tmp_path)
        hub.maildir.mkdir(parents=True)
        (hub.maildir / "subscriptions").write_bytes(b"V\t2\n\nTrash\n")
        assert {name for name, (_, subscribed) in listed(hub).items() if subscribed} == {"Trash"}

    def test_special_uses(self, tmp_path: Path) -> None:
        """What is configured gets its special use."""
        hub = Hub(tmp_path)
        hub.stores._mailboxes = MAILBOXES
        uses = {row.name: row.special_use for row in run(hub.store.list())}
        assert uses == {"INBOX": (), **MAILBOXES}

    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """Whatever fails, the next attempt makes all of it."""
        hub = Hub(tmp_path, files=(files := FailingFiles()))

        def action() -> None:
            try:
                run(hub.stores.of(hub.account))
            except OSError:
                assert files.failed

        for _ in each_failure(files, action):
            pass
        assert list(listed(hub)) == ["INBOX", "Sent", "Trash"]


class TestRename:
    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """All of a tree is renamed or none, and the mail in it stays."""
        hub = Hub(tmp_path, files=(files := FailingFiles()), mailboxes=("a", "a/b", "a/c"))
        hub.append(TEXT, name="a/b")
        for at in range(80):
            old = "a" if "a" in there(hub) else "x"
            new = "x" if old == "a" else "a"
            files.arm(at)
            refused = faulted(lambda: run(hub.store.rename(old, new)))  # noqa: B023 -- at once
            failed = files.failed
            files.disarm()
            names = there(hub) - {"INBOX"}
            assert names in ({"a", "a/b", "a/c"}, {"x", "x/b", "x/c"})
            if not refused:
                assert new in names
            now = "a" if "a" in names else "x"
            assert run(hub.store.status(f"{now}/b")).messages == 1
            if not failed:
                return
        raise AssertionError("too many calls")

    def test_corrupt_uid_list(self, tmp_path: Path) -> None:
        """A mailbox whose UID list is broken gets a new UIDVALIDITY anyway."""
        hub = Hub(tmp_path)
        mailbox = hub.open("Sent")
        (hub.maildir / ".Sent/mailhub-uidlist").write_bytes(b"junk")
        run(hub.store.rename("Sent", "x"))
        assert mailbox.gone
        assert hub.open("x").uid_validity > mailbox.uid_validity

    def test_never_opened(self, tmp_path: Path) -> None:
        """A mailbox without a UID list has nothing to lose."""
        hub = Hub(tmp_path)
        run(hub.store.rename("Sent", "x"))
        assert hub.open("x").uid_validity > 0


class TestDelete:
    def test_each_call_may_fail(self, tmp_path: Path) -> None:
        """A mailbox is there or not; what is left over of one is out of sight."""
        hub = Hub(tmp_path, files=(files := FailingFiles()), mailboxes=())
        for at in range(60):
            if "x" not in listed(hub):
                run(hub.store.create("x"))
            hub.append(TEXT, name="x")
            files.arm(at)
            refused = faulted(lambda: run(hub.store.delete("x")))
            failed = files.failed
            files.disarm()
            assert "x" in listed(hub) or not hub.store.mailboxes.get(b".x")
            if not refused:
                assert "x" not in listed(hub)
            if not failed:
                return
        raise AssertionError("too many calls")

    def test_corrupt_uid_list(self, tmp_path: Path) -> None:
        """A mailbox with a broken UID list can be deleted."""
        hub = Hub(tmp_path)
        (run(hub.stores.of(hub.account)).path, hub.maildir)
        (hub.maildir / ".Sent/mailhub-uidlist").write_bytes(b"junk")
        run(hub.store.delete("Sent"))
        assert "Sent" not in there(hub)


def test_names(tmp_path: Path) -> None:
    """Names of mailboxes; other directories are none."""
    hub = Hub(tmp_path)
    run(hub.stores.of(hub.account))
    (hub.maildir / ".no-maildir").mkdir()
    assert folders.names(Files(), os.fsencode(hub.maildir)) == ["INBOX", "Sent", "Trash"]
    assert uidlist.FILE.decode() not in os.listdir(hub.maildir)


def test_made_by_two_at_once(tmp_path: Path) -> None:
    """A first login and a first delivery may make an account at the same moment."""
    hub = Hub(tmp_path)
    hub.stores._mailboxes = MAILBOXES
    store = hub.stores.store_of(hub.account)
    with ThreadPoolExecutor(8) as threads:
        for made in [threads.submit(hub.stores.make, store) for _ in range(8)]:
            made.result()
    assert listed(hub) == dict.fromkeys(sorted(["INBOX", *MAILBOXES]), (True, True))
    assert {row.name: row.special_use for row in run(hub.store.list())} == {
        "INBOX": (),
        **MAILBOXES,
    }
    assert not list(hub.maildir.glob("subscriptions.*"))
