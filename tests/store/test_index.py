"""The index as a database that may fail, be corrupt, or be rebuilt by another process."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from mailhub.store.files import Files
from mailhub.store.index import Index, IndexLost, IndexPool


class Noting(Files):
    """Files that note what is synced."""

    def __init__(self) -> None:
        self.synced: list[str] = []

    def fsync(self, descriptor: Any) -> None:
        self.synced.append(os.path.basename(os.readlink(f"/proc/self/fd/{descriptor}")))

    def fdatasync(self, descriptor: Any) -> None:
        self.synced.append("data")


class World:
    def __init__(self, path: Path) -> None:
        self.path = path / "index"
        self.pool = IndexPool(2)
        self.log: list[str] = []

    def index(self, boot: str = "boot", name: str = "index") -> Index:
        path = os.fsencode(self.path.with_name(name))
        return Index(path, self.pool, Files(), boot, self.log.append)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


def add(index: Index, directory: bytes = b"") -> None:
    with index.transaction() as transaction:
        transaction.add_mailbox(directory, 5)


def stale(index: Index) -> bool:
    with index.transaction(write=False) as transaction:
        kept = transaction.mailbox(b"")
    assert kept is not None
    return bool(kept.stale)


class TestTransactions:
    def test_kept(self, world: World) -> None:
        """What is committed is there after closing and opening."""
        index = world.index()
        add(index)
        index.close()
        index.close()
        assert not stale(index)
        assert (world.path.stat().st_mode & 0o777) == 0o600

    def test_synced(self, world: World, tmp_path: Path) -> None:
        """The log is synced, a new one with its name; where there is none all is durable."""
        files = Noting()
        index = Index(os.fsencode(world.path), world.pool, files, "boot", world.log.append)
        index.sync()
        assert files.synced == []
        add(index)
        index.sync()
        add(index, b".A")
        index.sync()
        assert files.synced == ["index-wal", tmp_path.name, "data"]
        index.close()
        index.sync()
        assert len(files.synced) == 3

    def test_not_synced(self, world: World) -> None:
        """A log whose sync has failed is used no more: the next sync of it would mean nothing."""
        files = Noting()
        index = Index(os.fsencode(world.path), world.pool, files, "boot", world.log.append)
        add(index)
        index.sync()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(files, "fdatasync", _broken)
            with pytest.raises(OSError, match="broken"):
                index.sync()
        assert not world.path.with_name("index-wal").exists()
        add(index, b".A")
        assert not stale(index)

    def test_rolled_back(self, world: World) -> None:
        """An exception undoes the whole transaction."""
        index = world.index()
        with pytest.raises(ZeroDivisionError):
            self._fail(index)
        with index.transaction(write=False) as transaction:
            assert transaction.mailbox(b"") is None

    @staticmethod
    def _fail(index: Index) -> None:
        with index.transaction() as transaction:
            transaction.add_mailbox(b"", 5)
            raise ZeroDivisionError

    def test_busy(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another process that holds on too long is an OSError, not a lost index."""
        monkeypatch.setattr("mailhub.store.index.BUSY", 0.01)
        index, other = world.index(), world.index()
        add(index)
        with (
            index.transaction(),
            pytest.raises(OSError, match="locked"),
            other.transaction(),
        ):
            pass

    def test_full(self, world: World) -> None:
        """A full disk is ENOSPC."""
        index = world.index()
        add(index)
        with index.transaction(write=False) as transaction:
            transaction._database.execute("PRAGMA max_page_count = 1")
        with pytest.raises(OSError, match="full") as full, index.transaction() as transaction:
            transaction.departures.depart([b"%d" % n * 100 for n in range(1000)], 1.0)
        assert full.value.errno == 28

    def test_our_mistake(self, world: World) -> None:
        """A wrong statement sets no index aside."""
        with pytest.raises(sqlite3.ProgrammingError), world.index().transaction() as transaction:
            transaction._database.execute("SELECT ?", ())
        assert world.log == []


class TestLost:
    def test_not_a_database(self, world: World) -> None:
        """A file that is no database is set aside, and a new one begun."""
        world.path.write_bytes(b"not a database at all, but long enough to be one" * 10)
        index = world.index()
        with pytest.raises(IndexLost):
            add(index)
        add(index)
        assert world.path.with_name("index.corrupt").exists()
        assert "set aside" in world.log[0]
        assert index.generation == 1

    def test_corrupt_pages(self, world: World) -> None:
        """Damage that shows only when it is read does the same."""
        index = world.index()
        add(index)
        with index.transaction() as transaction:
            transaction.departures.depart([b"%d" % n * 40 for n in range(2000)], 1.0)
        index.close()
        octets = bytearray(world.path.read_bytes())
        octets[4096:-4096] = b"\xff" * (len(octets) - 8192)
        world.path.write_bytes(octets)
        with pytest.raises(IndexLost), index.transaction() as transaction:
            transaction.departures.forget_departed(5.0)
        add(index)
        assert index.generation == 2

    def test_other_version(self, world: World) -> None:
        """Tables of another version are no tables."""
        add(world.index())
        world.pool.close()
        database = sqlite3.connect(world.path)
        database.execute("PRAGMA user_version = 99")
        database.close()
        with pytest.raises(IndexLost):
            add(world.index())

    def test_rebuilt_elsewhere(self, world: World) -> None:
        """What another process rebuilt is noticed at the next transaction."""
        index, other = world.index(), world.index()
        add(index)
        before = index.generation
        with other.transaction() as transaction:
            transaction.departures.depart([b"x"], 1.0)
        with index.transaction():
            assert index.generation == before
        with other.transaction() as transaction:
            transaction.rebuilt()
        with index.transaction():
            assert index.generation == before + 1


class TestBoot:
    def test_killed_while_it_was_made(self, world: World) -> None:
        """A crash between any two statements leaves an index that can be opened."""
        statements: list[str] = []
        index = world.index()
        add(index)
        index.close()
        for path in world.path.parent.glob("index*"):
            path.unlink()

        class Killed(sqlite3.Connection):
            """Each statement that is run by itself may be the last."""

            last = 0

            def execute(self, sql: str, *values: object) -> sqlite3.Cursor:
                statements.append(sql)
                if len(statements) > Killed.last:
                    raise KeyboardInterrupt
                return super().execute(sql, *values)  # type: ignore[arg-type]

        class Dying(Files):
            connect = staticmethod(partial(sqlite3.connect, factory=Killed))

        for last in range(12):
            Killed.last = last
            statements.clear()
            dying = Index(os.fsencode(world.path), world.pool, Dying(), "boot", world.log.append)
            with suppress(KeyboardInterrupt):
                add(dying)
            again = world.index()
            add(again)
            assert not stale(again)
            again.close()
            for path in world.path.parent.glob("index*"):
                path.unlink()
        assert world.log == []

    def test_machine_started_anew(self, world: World) -> None:
        """Under another boot all mailboxes are stale: the last transactions may be lost."""
        add(world.index("one"))
        world.pool.close()
        assert not stale(world.index("one"))
        world.pool.close()
        assert stale(world.index("two"))
        world.pool.close()
        assert stale(world.index("two"))


class TestPool:
    def test_limit(self, world: World) -> None:
        """No more than the limit are open; one that is in use stays."""
        indexes = [world.index(name=f"i{n}") for n in range(4)]
        for index in indexes:
            add(index)
        assert [index._database is not None for index in indexes] == [False, False, True, True]
        with indexes[0].transaction():
            add(indexes[1])
            add(indexes[2])
        assert indexes[0]._database is not None
        world.pool.close()
        assert all(index._database is None for index in indexes)

    def test_busy_one_stays(self, world: World) -> None:
        """One that somebody has is not closed under them."""
        indexes = [world.index(name=f"i{n}") for n in range(3)]
        add(indexes[0])
        with indexes[0].transaction() as transaction:
            add(indexes[1])
            add(indexes[2])
            transaction.add_mailbox(b".x", 1)
        assert indexes[0]._database is not None


def _broken(_: object) -> None:
    raise OSError("broken")
