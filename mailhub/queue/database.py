"""One connection to a database: opened, brought up to date, its failures made `OSError`.

A connection is used by one thread at a time. Transactions are begun with
``BEGIN IMMEDIATE``, so that the only wait for another writer is there.

Invariants:

1. Outside `begin` … `commit` no transaction is open: whatever fails between
   them rolls back.
2. What `commit` has returned from survives a crash of the machine (WAL and
   synchronous=FULL).
"""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

from mailhub.queue.schema import MIGRATIONS

PATIENCE: Final = 30.0
"""Seconds to wait for another process's transaction, where waiting is allowed."""
CHECKPOINT_PAGES: Final = 2000
"""Pages of the log after which a commit moves them into the database."""
LOG_LIMIT: Final = 64 << 20
"""Octets to which the log is cut once it is moved into the database: a long look at all of it
by another process lets it grow."""
CACHE_KIB: Final = 16_384
"""Memory for the pages of one transaction, before they go to the log early."""

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=FULL",
    f"journal_size_limit={LOG_LIMIT}",
    f"wal_autocheckpoint={CHECKPOINT_PAGES}",
    f"cache_size=-{CACHE_KIB}",
    "temp_store=MEMORY",
    "secure_delete=OFF",  # mail that has left is not worth a page written
)

_UNREADABLE: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_ERRNOS: Final = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_IOERR: errno.EIO,
    sqlite3.SQLITE_CANTOPEN: errno.EIO,
    sqlite3.SQLITE_PROTOCOL: errno.EIO,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_NOMEM: errno.ENOMEM,
}

Connect = Callable[..., sqlite3.Connection]


class Busy(OSError):
    """Another process writes just now; try again where waiting is allowed."""


class Unreadable(OSError):
    """It is broken, or no database at all: to ask again does not help."""


def set_aside(path: str, ending: str) -> None:
    """Give a database another name, with what belongs to it: a new one may be begun.

    Only what is `Unreadable` deserves that: a disk that is full for a moment does not make
    anything less true.

    Raises:
        OSError: The disk said no.
    """
    for part in ("", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            os.replace(path + part, path + ending + part)


@contextmanager
def translated(path: str | None = None) -> Generator[None, None, None]:
    """Turn SQLite's failures into the `OSError` that the rest of the hub can answer.

    It names `path`, if there is one. What is a mistake of ours, not of the disk,
    stays as it is.
    """
    try:
        yield
    except sqlite3.DatabaseError as error:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise Busy(errno.EBUSY, f"{_name(path)} is busy") from error
        if code in _UNREADABLE:
            raise Unreadable(errno.EIO, f"{_name(path)}: {error}", path) from error
        if code in _ERRNOS:
            raise OSError(_ERRNOS[code], f"{_name(path)}: {error}", path) from error
        raise


def _name(path: str | None) -> str:
    return "the spool" if path is None else os.path.basename(path)


class Database:
    """A connection to the database at `path`, which is made if need be.

    `migrations` each bring it one version up; by default it is the spool's.

    Raises:
        OSError: From every method: the disk said no, and nothing has changed.
    """

    def __init__(
        self,
        path: str,
        connect: Connect = sqlite3.connect,
        migrations: Sequence[str] = MIGRATIONS,
    ) -> None:
        self._path = path
        self._migrations = migrations
        self._patient = True
        with translated(path):
            self._connection = connect(
                path,
                timeout=PATIENCE,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
            )
            try:
                for pragma in _PRAGMAS:
                    self._connection.execute(f"PRAGMA {pragma}").close()
                self._migrate()
            except BaseException:
                self._connection.close()
                raise

    def _migrate(self) -> None:
        while True:
            version = self.row("PRAGMA user_version")[0]
            if version == len(self._migrations):
                return
            if version > len(self._migrations):
                text = f"{_name(self._path)}: made by a later mailhub (version {version})"
                raise OSError(errno.EINVAL, text)
            with self.transaction(patient=True):
                # Another process may have been quicker.
                if self.row("PRAGMA user_version")[0] == version:
                    for statement in filter(str.strip, self._migrations[version].split(";")):
                        self.execute(statement)
                    self.execute(f"PRAGMA user_version={version + 1}")
            self.commit()

    @contextmanager
    def transaction(self, *, patient: bool) -> Generator[None, None, None]:
        """Begin a transaction; it is rolled back if the block raises, and stays open if not.

        Raises:
            Busy: Another process writes, and `patient` was false or in vain.
        """
        with translated(self._path):
            if self._patient is not patient:
                milliseconds = int(PATIENCE * 1000) if patient else 0
                self.execute(f"PRAGMA busy_timeout={milliseconds}").close()
                self._patient = patient
            self.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._roll_back()
                raise

    def commit(self) -> None:
        """Make the open transaction durable."""
        with translated(self._path):
            try:
                self.execute("COMMIT")
            except BaseException:
                self._roll_back()
                raise

    def _roll_back(self) -> None:
        with suppress(sqlite3.Error):
            if self._connection.in_transaction:
                self.execute("ROLLBACK")

    def execute(self, sql: str, parameters: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        """Run one statement."""
        return self._connection.execute(sql, parameters)

    def execute_many(self, sql: str, parameters: list[tuple[Any, ...]]) -> int:
        """Run one statement for each; how many rows were changed in all."""
        return self._connection.executemany(sql, parameters).rowcount

    def rows(self, sql: str, *parameters: Any) -> list[Any]:
        """All rows of a query."""
        with translated(self._path):
            return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, *parameters: Any) -> Any:
        """The first row of a query, or None."""
        with translated(self._path):
            return self._connection.execute(sql, parameters).fetchone()

    def close(self) -> None:
        """Let go of it; an open transaction is rolled back."""
        self._connection.close()
