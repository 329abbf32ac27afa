"""Maildirs that an operator replaces under a running hub: from a backup, from another server."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mailhub.ports.store import StoreRefused
from mailhub.store.mailbox import REPLACED, SharedMailbox
from tests.rig import run
from tests.store.test_reach import ANNS
from tests.store.test_reach import Hub as Shared
from tests.store.world import Hub


def heard(mailbox: SharedMailbox) -> list[str]:
    """What its sessions are told as they are woken."""
    told: list[str] = []
    mailbox.watch(lambda: told.append(mailbox.ended))
    return told


def test_restored(tmp_path: Path) -> None:
    """Sessions on a maildir that is replaced end; new ones see the new one, and all of it."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n")
    world.stores.close()
    shutil.copytree(world.maildir, tmp_path / "backup")
    old = world.open()
    world.append(b"A: 3\r\n\r\n")
    told = heard(old)
    shutil.move(world.maildir, tmp_path / "aside")
    shutil.move(tmp_path / "backup", world.maildir)
    run(world.stores.look())
    assert told == [REPLACED]
    assert len(old.uids) == 3, "nobody is told that messages were expunged"
    with pytest.raises(StoreRefused, match="deleted"):
        run(old.expunge([1]))
    new = world.open()
    assert new is not old
    assert (list(new.uids), new.ended) == ([1, 2], "")
    world.append(b"A: 4\r\n\r\n")
    assert (tmp_path / "aside/mailhub-index").exists()
    world.restart()
    assert len(world.open().uids) == 3


def test_one_folder(tmp_path: Path) -> None:
    """A folder that another program removed and made again is another mailbox."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n", name="Sent")
    old, inbox = world.open("Sent"), world.open()
    told = heard(old)
    shutil.move(world.maildir / ".Sent", tmp_path / "aside")
    for part in ("tmp", "new", "cur"):
        (world.maildir / ".Sent" / part).mkdir(parents=True)
    with pytest.raises(StoreRefused):
        run(old.refresh())
    assert told == [REPLACED]
    assert inbox.ended == ""
    new = world.open("Sent")
    assert list(new.uids) == []
    assert new.uid_validity > old.uid_validity


def test_visitors(tmp_path: Path) -> None:
    """Visitors are told, too."""
    hub = Shared(tmp_path)
    run(hub.ann.set_acl("Sent", "bob", "lr"))
    his = run(hub.bob.open(f"{ANNS}/Sent"))
    told: list[str] = []
    his.watch(lambda: told.append(his.ended))
    maildir = tmp_path / "mail/hub.example/ann/.Sent"
    shutil.copytree(maildir, tmp_path / "copy")
    shutil.move(maildir, tmp_path / "aside")
    shutil.move(tmp_path / "copy", maildir)
    run(hub.sharing.look())
    assert REPLACED in told


def test_index_removed(tmp_path: Path) -> None:
    """An index that is removed under a running hub is made anew, and no UID is lost."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n")
    mailbox = world.open()
    for path in world.maildir.glob("mailhub-index*"):
        path.unlink()
    world.append(b"A: 3\r\n\r\n")
    uids = list(mailbox.uids)
    assert uids[:2] == [1, 2]
    assert len(uids) == 3
    assert (world.maildir / "mailhub-index").exists()
    world.restart()
    assert list(world.open().uids) == uids
