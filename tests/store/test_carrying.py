"""Messages carried from one account's mailbox to another's, at two threads' pace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path as FilePath

import pytest

from mailhub.mail.address import Path
from mailhub.mail.flag import FLAGGED
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.store import StoreRefused
from mailhub.store.carrying import carry, locked
from mailhub.store.mailbox import SharedMailbox
from tests.rig import run
from tests.store.world import Hub

BOB = Account(AccountId(2), Path("bob", "hub.example"), "mail/hub.example/bob")


def bobs(world: Hub, name: str = "INBOX") -> SharedMailbox:
    return run(run(world.stores.of(BOB)).open(name))


async def carried(source: SharedMailbox, target: SharedMailbox, *uids: int, move: bool) -> object:
    async with locked(source, target):
        return await carry(source, target, uids, move=move, flags=lambda row: row.flags & FLAGGED)


def test_abroad(tmp_path: FilePath) -> None:
    """Copies and moves arrive with the flags they may take; both indexes agree with the files."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n", flags=("\\Seen", "\\Flagged", "label"))
    source, target = world.open(), bobs(world)
    run(carried(source, target, 1, move=False))
    run(carried(source, target, 2, move=True))
    assert list(target.flags) == [FLAGGED, FLAGGED]
    assert list(source.uids) == [1]
    assert target.keywords == ()
    world.restart()
    assert list(bobs(world).uids) == [1, 2]
    assert list(world.open().uids) == [1]


def test_quota(tmp_path: FilePath) -> None:
    """A move to another account must fit into its quota, and fails whole."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n", b"A: 2\r\n\r\n")
    source, target = world.open(), bobs(world)
    store = run(world.stores.of(BOB))
    store.account = replace(BOB, quota=replace(BOB.quota, messages=1))
    with pytest.raises(StoreRefused, match="Over quota"):
        run(carried(source, target, 1, 2, move=True))
    assert list(source.uids) == [1, 2]
    assert list(target.uids) == []


def test_same(tmp_path: FilePath) -> None:
    """Within one mailbox too, whose lock is taken once."""
    world = Hub(tmp_path)
    world.append(b"A: 1\r\n\r\n")
    source = world.open()
    run(carried(source, source, 1, move=False))
    assert list(source.uids) == [1, 2]
