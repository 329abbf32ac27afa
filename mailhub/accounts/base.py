"""The file that holds the accounts: opened, read through a cache, changed in transactions."""

from __future__ import annotations

import errno
import math
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final, Self, TypeVar

from mailhub.accounts import schema
from mailhub.accounts.record import AccountsError

T = TypeVar("T")

BUSY_SECONDS: Final = 10.0
"""How long a change waits for another process's."""
FRESH_SECONDS: Final = 0.002
"""For so long the file is not asked again whether it has changed: one message asks for five
answers, and each question is three system calls."""
CACHE_ENTRIES: Final = 50_000
"""Answers kept; all are forgotten when there are more."""


class Database:
    """The file, and answers that are kept until ``PRAGMA data_version`` says that it has changed.

    Belongs to the thread that made it: another one opens its own.

    Args:
        path: The file; it is made, with its tables, if it is not there.
        entropy: Gives so many unpredictable octets.
        clock: For `FRESH_SECONDS`.

    Raises:
        AccountsError: The file cannot be opened, or is of a newer version.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        entropy: Callable[[int], bytes] = os.urandom,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = os.fspath(path)
        self._cache: dict[tuple[str, str], Any] = {}
        self._seen_version = -1
        self._clock = clock
        self._asked = -math.inf  # when `data_version` was asked for
        try:
            # SQLite gives its side files the mode of this one.
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
            self._db = sqlite3.connect(self.path, timeout=BUSY_SECONDS, isolation_level=None)
            if schema.make(self._db, entropy) > schema.VERSION:
                raise AccountsError(f"{self.path} was made by a newer mailhub")
        except OSError as error:
            raise AccountsError(f"{self.path}: {error.strerror}") from None
        except sqlite3.Error as error:
            raise AccountsError(f"{self.path}: {error}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _change(self) -> Iterator[None]:
        """One transaction; nothing of it stays if it fails."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            self._cache.clear()
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            finally:
                self._cache.clear()
        except sqlite3.Error as error:
            raise AccountsError(f"{self.path}: {error}") from None
        except OverflowError:
            raise AccountsError("a number is too large") from None

    def _read(self, kind: str, key: str, read: Callable[[str], T]) -> T:
        """What `read` says of `key`, from the cache while nothing has changed."""
        try:
            now = self._clock()
            if abs(now - self._asked) > FRESH_SECONDS:  # clocks are set back, too
                [version] = self._db.execute("PRAGMA data_version").fetchone()
                self._asked = now
                if version != self._seen_version:
                    self._cache.clear()
                    self._seen_version = version
            if len(self._cache) > CACHE_ENTRIES:
                self._cache.clear()
            where = (kind, key)
            if where not in self._cache:
                self._cache[where] = read(key)
        except sqlite3.Error as error:
            raise OSError(errno.EIO, f"{self.path}: {error}") from error
        found: T = self._cache[where]
        return found

    def _one(self, sql: str, *arguments: object) -> Any:
        row = self._db.execute(sql, arguments).fetchone()
        return None if row is None else row[0]
