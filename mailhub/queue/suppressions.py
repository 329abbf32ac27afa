"""The suppression lists on disk, and the keys that return paths are signed with.

One SQLite database in the state directory. The hub reads it in the loop's thread, where
a look takes microseconds however long the lists are, and writes it in another; the
command line changes it in its own process, and the next look sees that.

Invariants:

1. An address is on a domain's list once at most.
2. When a writing method has returned, what it wrote survives a crash of the machine.
3. A person's word stands: what happens to mail changes no reason that somebody has set.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mailhub.mail.address import Path
from mailhub.policy.returnpath import Key
from mailhub.policy.suppression import EVERYBODY, Entry, Reason, merged
from mailhub.queue.database import Connect, Database

DATABASE: Final = "suppressions.db"
"""The file in the state directory."""
PAGE: Final = 1000
"""Entries read or written at a time: others want to write, too."""
_MIGRATIONS: Final = (
    """
    CREATE TABLE entry (
        address TEXT NOT NULL,
        domain TEXT NOT NULL,  -- of the senders
        reason TEXT NOT NULL,
        at REAL NOT NULL,
        expires REAL NOT NULL,  -- 0 for never
        count INTEGER NOT NULL,
        reply TEXT NOT NULL,
        queue_id TEXT NOT NULL,
        PRIMARY KEY (address, domain)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE strike (  -- what does not put an address on a list by itself
        address TEXT NOT NULL,
        domain TEXT NOT NULL,
        reason TEXT NOT NULL,
        at REAL NOT NULL,
        PRIMARY KEY (address, domain, reason, at)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE key (since INTEGER PRIMARY KEY, secret BLOB NOT NULL) STRICT;
    """,
)
_COLUMNS: Final = "address, domain, reason, at, expires, count, reply, queue_id"
_FIND: Final = f"SELECT {_COLUMNS} FROM entry WHERE address=? AND domain IN (?, '{EVERYBODY}')"
_PUT: Final = f"INSERT OR REPLACE INTO entry ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"


@dataclass(frozen=True, slots=True)
class Selection:
    """Which entries; an empty one is all.

    Attributes:
        domain: Of this list.
        reason: With this reason.
        to: Of addresses in this domain.
        since: Put there, or counted last, not before this moment.
    """

    domain: str | None = None
    reason: Reason | None = None
    to: str | None = None
    since: float = 0.0

    def where(self) -> tuple[str, tuple[Any, ...]]:
        """As a condition of SQL, and what is bound in it."""
        conditions = ["at>=?"]
        values: list[Any] = [self.since]
        if self.domain is not None:
            conditions.append("domain=?")
            values.append(self.domain)
        if self.reason is not None:
            conditions.append("reason=?")
            values.append(self.reason.value)
        if self.to is not None:
            conditions.append("substr(address, ?)=?")
            values += [-len(self.to) - 1, f"@{self.to}"]
        return " AND ".join(conditions), tuple(values)


_ALL: Final = Selection()


class Suppressions:
    """One connection to the lists of a hub, for one thread at a time.

    Raises:
        OSError: From every method: the disk said no, and nothing has changed.
    """

    def __init__(self, state: str, connect: Connect = sqlite3.connect) -> None:
        self._state = state
        self._connect = connect
        path = os.path.join(state, DATABASE)
        self._database = Database(path, connect, _MIGRATIONS)
        os.chmod(path, 0o600)

    def another(self) -> Suppressions:
        """A further connection to the same lists, for another thread."""
        return Suppressions(self._state, self._connect)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    # ---- Looking ---------------------------------------------------------------------------

    def find(self, domain: str, path: Path, now: float) -> Entry | None:
        """Why mail of a domain to an address is not sent; None if nothing is in its way."""
        rows = self._database.rows(_FIND, path.key, domain)
        found = [entry for entry in map(_entry, rows) if entry.holds(now)]
        return max(found, key=lambda it: it.domain, default=None)  # its own before everybody's

    def exact(self, domain: str, address: str) -> Entry | None:
        """The entry of an address on one list, in force or not."""
        sql = f"SELECT {_COLUMNS} FROM entry WHERE address=? AND domain=?"
        row = self._database.row(sql, address, domain)
        return None if row is None else _entry(row)

    def of(self, address: str) -> list[Entry]:
        """All entries of an address, on whatever list."""
        sql = f"SELECT {_COLUMNS} FROM entry WHERE address=? ORDER BY domain"
        return [_entry(row) for row in self._database.rows(sql, address)]

    def page(
        self,
        selection: Selection = _ALL,
        after: tuple[str, str] = ("", ""),
        limit: int = PAGE,
    ) -> list[Entry]:
        """Entries in order of address and domain, behind `after`."""
        condition, bound = selection.where()
        sql = (
            f"SELECT {_COLUMNS} FROM entry WHERE (address, domain)>(?, ?) AND {condition}"
            " ORDER BY address, domain LIMIT ?"
        )
        return [_entry(row) for row in self._database.rows(sql, *after, *bound, limit)]

    def count(self, selection: Selection = _ALL) -> int:
        """How many there are."""
        condition, bound = selection.where()
        [(count,)] = self._database.rows(f"SELECT count(*) FROM entry WHERE {condition}", *bound)
        return int(count)

    def totals(self, now: float) -> dict[tuple[str, Reason], int]:
        """How many are in force, by domain and reason."""
        rows = self._database.rows(
            "SELECT domain, reason, count(*) FROM entry WHERE expires=0 OR expires>?"
            " GROUP BY domain, reason ORDER BY domain, reason",
            now,
        )
        return {(domain, Reason(reason)): count for domain, reason, count in rows}

    # ---- Changing --------------------------------------------------------------------------

    def put(self, entries: Iterable[Entry]) -> None:
        """Put these on their lists, in place of what was there: a person's word."""
        with self._database.transaction(patient=True):
            self._database.execute_many(_PUT, [_row(entry) for entry in entries])
        self._database.commit()

    def strike(
        self, entries: Iterable[Entry], least: int, window: float, now: float
    ) -> list[Entry]:
        """It has happened to these; those that are on a list now.

        Where `least` is more than 1 it takes so many within `window` seconds, unless the
        address is on the list already.
        """
        put = []
        with self._database.transaction(patient=True):
            for new in entries:
                before = self.exact(new.domain, new.address)
                if before is not None and before.holds(now):
                    put.append(merged(before, new))
                elif least <= 1 or self._strikes(new, now - window) >= least:
                    put.append(new)
            self._database.execute_many(_PUT, [_row(entry) for entry in put])
        self._database.commit()
        return put

    def _strikes(self, new: Entry, since: float) -> int:
        """How often it has happened since then, this time included."""
        key = new.address, new.domain, new.reason.value
        self._database.execute("INSERT OR IGNORE INTO strike VALUES (?, ?, ?, ?)", (*key, new.at))
        [(count,)] = self._database.rows(
            "SELECT count(*) FROM strike WHERE address=? AND domain=? AND reason=? AND at>?",
            *key,
            since,
        )
        return int(count)

    def remove(self, address: str, domain: str | None = None, reason: Reason | None = None) -> int:
        """Take an address off a list, or off all; only for one reason, if that is given.

        How many entries there were. What has struck it so far is forgotten.
        """
        condition, bound = "address=?", [address]
        if domain is not None:
            condition += " AND domain=?"
            bound.append(domain)
        with self._database.transaction(patient=True):
            self._database.execute(f"DELETE FROM strike WHERE {condition}", tuple(bound))
            if reason is not None:
                condition += " AND reason=?"
                bound.append(reason.value)
            gone = self._database.execute(f"DELETE FROM entry WHERE {condition}", tuple(bound))
        self._database.commit()
        return gone.rowcount

    def clear(self, selection: Selection, limit: int = PAGE) -> int:
        """Take up to `limit` of these off their lists; how many: 0 when none is left."""
        condition, bound = selection.where()
        with self._database.transaction(patient=True):
            gone = self._database.execute(
                "DELETE FROM entry WHERE (address, domain) IN"
                f" (SELECT address, domain FROM entry WHERE {condition} LIMIT ?)",
                (*bound, limit),
            )
        self._database.commit()
        return gone.rowcount

    def purge(self, now: float, window: float, limit: int = PAGE) -> int:
        """Forget up to `limit` entries that have ended, and strikes that are too old; how many."""
        with self._database.transaction(patient=True):
            ended = self._database.execute(
                "DELETE FROM entry WHERE (address, domain) IN (SELECT address, domain FROM entry"
                " WHERE expires>0 AND expires<=? LIMIT ?)",
                (now, limit),
            ).rowcount
            ended += self._database.execute(
                "DELETE FROM strike WHERE (address, domain, reason, at) IN"
                " (SELECT address, domain, reason, at FROM strike WHERE at<=? LIMIT ?)",
                (now - window, limit),
            ).rowcount
        self._database.commit()
        return ended

    # ---- Keys ------------------------------------------------------------------------------

    def keys(self) -> tuple[Key, ...]:
        """The keys of return paths, the oldest first."""
        return tuple(Key(*row) for row in self._database.rows("SELECT * FROM key ORDER BY since"))

    def keep_keys(self, keys: Sequence[Key]) -> None:
        """These are the keys from now on."""
        with self._database.transaction(patient=True):
            self._database.execute("DELETE FROM key")
            self._database.execute_many("INSERT INTO key VALUES (?, ?)", [tuple(k) for k in keys])
        self._database.commit()


def _row(entry: Entry) -> tuple[Any, ...]:
    return (
        entry.address,
        entry.domain,
        entry.reason.value,
        entry.at,
        entry.expires,
        entry.count,
        _clean(entry.reply),
        entry.queue_id,
    )


def _clean(text: str) -> str:
    """Without octets that are no UTF-8: no database takes those as text."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def _entry(row: Sequence[Any]) -> Entry:
    address, domain, reason, at, expires, count, reply, queue_id = row
    return Entry(domain, address, Reason(reason), at, expires, count, reply, queue_id)
