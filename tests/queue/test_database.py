"""The connection: versions, transactions, failures as OSError."""

from __future__ import annotations

import errno
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from mailhub.queue.database import Busy, Database, Unreadable, set_aside, translated
from mailhub.queue.schema import MIGRATIONS
from tests.queue.given import sqlite_error


def path(tmp_path: Path) -> str:
    return str(tmp_path / "spool.db")


@pytest.mark.parametrize(
    ("code", "number"),
    [
        (sqlite3.SQLITE_FULL, errno.ENOSPC),
        (sqlite3.SQLITE_IOERR_FSYNC, errno.EIO),
        (sqlite3.SQLITE_CORRUPT, errno.EIO),
        (sqlite3.SQLITE_READONLY_DBMOVED, errno.EROFS),
        (sqlite3.SQLITE_BUSY_SNAPSHOT, errno.EBUSY),
    ],
)
def test_failures_have_an_errno(code: int, number: int) -> None:
    """What the disk does to SQLite reaches the hub as what it does to any file."""
    with pytest.raises(OSError, match=r"made|busy") as caught, translated():
        raise sqlite_error(code, "made")
    assert caught.value.errno == number


@pytest.mark.parametrize("code", [sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT_INDEX])
def test_only_what_is_broken_is_unreadable(code: int) -> None:
    """A database that is none is told from one that cannot be read just now."""
    with pytest.raises(Unreadable), translated():
        raise sqlite_error(code, "made")
    with pytest.raises(OSError, match="made") as caught, translated():
        raise sqlite_error(sqlite3.SQLITE_CANTOPEN, "made")
    assert not isinstance(caught.value, Unreadable)


def test_set_aside(tmp_path: Path) -> None:
    """Its log goes along: the next database must not find it."""
    for name in ("x.db", "x.db-wal"):
        (tmp_path / name).touch()
    set_aside(str(tmp_path / "x.db"), ".bad")
    assert sorted(it.name for it in tmp_path.iterdir()) == ["x.db.bad", "x.db.bad-wal"]


def test_mistakes_stay_mistakes() -> None:
    """A wrong statement is not taken for a broken disk."""
    with pytest.raises(sqlite3.OperationalError), translated():
        raise sqlite_error(sqlite3.SQLITE_ERROR, "made")
    with pytest.raises(sqlite3.IntegrityError), translated():
        raise sqlite3.IntegrityError("made without a code")


def test_durable_by_construction(tmp_path: Path) -> None:
    """Each connection writes ahead and syncs at each commit."""
    database = Database(path(tmp_path))
    assert database.row("PRAGMA journal_mode") == ("wal",)
    assert database.row("PRAGMA synchronous") == (2,)
    database.close()


def test_versions(tmp_path: Path) -> None:
    """An old database is brought up to date, once; a newer one is not touched."""
    Database(path(tmp_path)).close()
    database = Database(path(tmp_path))
    assert database.row("PRAGMA user_version") == (len(MIGRATIONS),)
    database.execute("PRAGMA user_version=99")
    database.close()
    with pytest.raises(OSError, match="later mailhub"):
        Database(path(tmp_path))


def test_a_quicker_process(tmp_path: Path) -> None:
    """Two processes may find an old database at once: the second leaves it as it is."""
    calls = 0

    class Slow(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            nonlocal calls
            if sql.startswith("BEGIN"):
                calls += 1
                if calls == 1:
                    Database(path(tmp_path)).close()
            return super().execute(sql, *parameters)

    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=Slow, **kwargs)

    database = Database(path(tmp_path), connect)
    assert calls == 1
    assert database.row("PRAGMA user_version") == (len(MIGRATIONS),)


def test_a_transaction_that_raises(tmp_path: Path) -> None:
    """What a block wrote before it raised is undone, and the next one can begin."""
    database = Database(path(tmp_path))
    with pytest.raises(KeyError), database.transaction(patient=True):  # noqa: PT012
        database.execute("INSERT INTO meta VALUES ('a', 'b')")
        raise KeyError
    assert database.rows("SELECT * FROM meta") == []
    with database.transaction(patient=False):
        database.execute("INSERT INTO meta VALUES ('a', 'b')")
    database.commit()
    assert database.rows("SELECT * FROM meta") == [("a", "b")]


def test_busy(tmp_path: Path) -> None:
    """Who is not patient is told at once that another writes."""
    one, two = Database(path(tmp_path)), Database(path(tmp_path))
    with one.transaction(patient=True), pytest.raises(Busy), two.transaction(patient=False):
        pass
    one.commit()
    with two.transaction(patient=False):
        pass
    two.commit()


def test_not_a_database(tmp_path: Path) -> None:
    """A file that is something else is an I/O error at the start, and stays as it is."""
    octets = b"something else, long enough to be looked at" * 100
    Path(path(tmp_path)).write_bytes(octets)
    with pytest.raises(OSError, match="not a database") as caught:
        Database(path(tmp_path))
    assert caught.value.filename == path(tmp_path)
    assert Path(path(tmp_path)).read_bytes() == octets
