"""An account's index: one SQLite database that caches what its maildirs say.

Its tables, and the statements on them, are in `store.rows`.

Invariants:

1. It is a cache: whatever it says can be made again from the maildirs and
   their `uidlist` files, but MODSEQs, which begin anew above all earlier ones.
2. The rows of a mailbox change in one transaction for each change of the mailbox, after
   the files, before anybody is told.
3. A database that is corrupt, or of another version, is set aside under another
   name and begun anew (`IndexLost`): it is never guessed at.
4. At most `Limits.open_indexes` are open at once, so that an idle session costs no
   database.

When the disk fails or is full the transaction is rolled back, and the caller sees OSError.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

from mailhub.store.durable import MODE, sync_directory
from mailhub.store.files import Files
from mailhub.store.rows import TABLES, VERSION, Transaction

FILE: Final = b"mailhub-index"
"""Its name, in the account's maildir."""
BUSY: Final = 10.0
"""Seconds to wait for another process (``mailhub index rebuild``)."""

LOG_LIMIT: Final = 16 << 20
"""Octets to which its log is cut: a rebuild, or a very large mailbox, lets it grow."""
_CORRUPT: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})


class IndexLost(Exception):
    """The index was corrupt, and has been begun anew: load what you need of it again."""


class Index:
    """One account's index. Safe from any thread: one at a time has it.

    Attributes:
        generation: Grows whenever the database turns out to be another one, or rebuilt.
        departures: Messages that have left since a shard was last looked at.
    """

    def __init__(
        self, path: bytes, pool: IndexPool, files: Files, boot: str, log: Callable[[str], None]
    ) -> None:
        self._path = path
        self._pool = pool
        self._files = files
        self._boot = boot
        self._log = log
        self._lock = threading.Lock()
        self._database: sqlite3.Connection | None = None
        self._identity = 0
        self._inode = 0
        self._version = 0
        self._log_synced = 0  # the inode of the log whose name is durable
        self.generation = 0
        self.departures = 0
        self._compacted = 0

    @property
    def stamp(self) -> tuple[int, int]:
        """Differs once messages may have lost their digests."""
        return self.generation, self._compacted

    def compact(self) -> bool:
        """Blocking: drop a part of the full-text index that is of no use any more.

        Raises:
            IndexLost: It had to be begun anew.
            OSError: The disk said no.
        """
        self.departures = 0
        with self.transaction() as transaction:
            dropped = transaction.texts.compact()
            self._compacted += dropped  # before anybody else has the database
        return dropped

    def sync(self) -> None:
        """Blocking: make durable what has been committed.

        It lies in the log, or it was moved from there into the database, which syncs both.

        Raises:
            OSError: It may not be durable.
        """
        try:
            log = self._files.open(self._path + b"-wal", os.O_RDWR)
        except FileNotFoundError:
            return
        try:
            self._sync(log)
        except OSError:
            # A later sync would tell nothing of what this one has lost. Closing moves all that
            # the log holds into the database, and begins another log.
            self.close()
            raise
        finally:
            self._files.close(log)

    def _sync(self, log: int) -> None:
        inode = self._files.fstat(log).st_ino
        if inode == self._log_synced:
            self._files.fdatasync(log)
            return
        self._files.fsync(log)
        sync_directory(self._files, os.path.dirname(self._path))
        self._log_synced = inode

    # ---- Opening and closing --------------------------------------------------------------

    @contextmanager
    def transaction(self, *, write: bool = True) -> Iterator[Transaction]:
        """Have the database for a while.

        Raises:
            IndexLost: It had to be begun anew; nothing was changed.
            OSError: The disk failed, is full, or another process is at it; nothing was changed.
        """
        with self._lock:
            try:
                database = self._opened()
                if write:
                    database.execute("BEGIN IMMEDIATE")
                try:
                    self._check(database)
                    yield Transaction(database)
                    if write:
                        database.execute("COMMIT")
                except BaseException:
                    if database.in_transaction:
                        with suppress(sqlite3.Error):
                            database.execute("ROLLBACK")
                    raise
            except sqlite3.DatabaseError as error:
                fault = self._fault(error)
                if fault is error:
                    raise
                raise fault from error
        self._pool.used(self)

    def _opened(self) -> sqlite3.Connection:
        if self._database is not None and self._inode != self._found():
            self._close()  # it was removed, or another one put in its place
        if self._database is None:
            self._database = self._connect()
        return self._database

    def _connect(self) -> sqlite3.Connection:
        if not os.path.exists(self._path):
            os.close(self._files.open(self._path, os.O_RDWR | os.O_CREAT, MODE))
        database = self._files.connect(
            os.fsdecode(self._path), timeout=BUSY, isolation_level=None, check_same_thread=False
        )
        try:
            identity = self._prepare(database)
        except BaseException:
            database.close()
            raise
        self._version = database.execute("PRAGMA data_version").fetchone()[0]
        self._inode = self._found()
        self._identify(identity)
        return database

    def _found(self) -> int:
        """Which file lies at our path; 0 for none."""
        try:
            return self._files.stat(self._path).st_ino
        except FileNotFoundError:
            return 0

    def _check(self, database: sqlite3.Connection) -> None:
        """Notice that another process has rebuilt the index."""
        version = database.execute("PRAGMA data_version").fetchone()[0]
        if version != self._version:
            self._version = version
            self._identify(database.execute("SELECT identity FROM state").fetchone()[0])

    def _identify(self, identity: int) -> None:
        if identity != self._identity:
            self._identity = identity
            self.generation += 1

    def _prepare(self, database: sqlite3.Connection) -> int:
        """Make the tables; mark mailboxes stale if the machine was started since."""
        database.execute("PRAGMA journal_mode = WAL")
        # What a crash of the machine takes from us, the names and the ceiling make good.
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("PRAGMA cache_size = -1024")
        database.execute(f"PRAGMA journal_size_limit = {LOG_LIMIT}")
        version = database.execute("PRAGMA user_version").fetchone()[0]
        if version not in (0, VERSION):
            raise sqlite3.DatabaseError(f"tables of version {version}")
        if version == 0:
            # In one transaction: a crash between two would leave tables of which nothing is known.
            begun = "INSERT INTO state VALUES ('', abs(random()));"
            database.executescript(
                f"BEGIN IMMEDIATE; {TABLES} {begun} PRAGMA user_version = {VERSION}; COMMIT"
            )
        boot, identity = database.execute("SELECT boot, identity FROM state").fetchone()
        if boot != self._boot:
            database.execute("BEGIN IMMEDIATE")
            database.execute("UPDATE mailbox SET stale = 1")
            database.execute("UPDATE state SET boot = ?", (self._boot,))
            database.execute("COMMIT")
        return int(identity)

    def _fault(self, error: sqlite3.DatabaseError) -> Exception:
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _CORRUPT or type(error) is sqlite3.DatabaseError:
            self._close()
            self._set_aside(str(error))
            return IndexLost(str(error))
        if isinstance(error, sqlite3.OperationalError):
            number = errno.ENOSPC if code == sqlite3.SQLITE_FULL else errno.EIO
            return OSError(number, f"index: {error}")
        return error  # a mistake of ours, for whoever mends it

    def _set_aside(self, why: str) -> None:
        aside = self._path + b".corrupt"
        self._log(f"index set aside as {os.fsdecode(aside)}: {why}")
        for suffix in (b"", b"-wal", b"-shm"):
            with suppress(FileNotFoundError):
                self._files.rename(self._path + suffix, aside + suffix)

    def _close(self) -> None:
        if self._database is not None:
            with suppress(sqlite3.Error):
                self._database.close()
            self._database = None

    def close(self) -> None:
        """Close the database; it opens again when it is needed."""
        with self._lock:
            self._close()

    def close_if_idle(self) -> bool:
        """Close it unless somebody has it."""
        if not self._lock.acquire(blocking=False):
            return False
        try:
            self._close()
        finally:
            self._lock.release()
        return True


class IndexPool:
    """Keeps the number of open databases within a limit, closing the one used least recently."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: OrderedDict[Index, None] = OrderedDict()
        self._lock = threading.Lock()

    def used(self, index: Index) -> None:
        """`index` is open, and was used just now."""
        with self._lock:
            self._open[index] = None
            self._open.move_to_end(index)
            excess = list(self._open)[: max(len(self._open) - self._limit, 0)]
            for old in excess:
                if old.close_if_idle():
                    del self._open[old]

    def close(self) -> None:
        """Close all of them."""
        with self._lock:
            for index in self._open:
                index.close()
            self._open.clear()
