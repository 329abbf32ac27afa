"""Header fields that clients ask for again and again, kept in the index: learnt, not guessed.

A client that lists a mailbox asks for the same few fields of each message
(``BODY.PEEK[HEADER.FIELDS (FROM TO SUBJECT DATE)]``), and reading them from the
files costs twenty times what reading them from the index does.  Each such set
of names is given a number; what a message has of it is an excerpt.

Invariants:

1. An excerpt is what `header.wanted` gives; it never changes, as its message does not.
2. An account has at most `SETS` sets. A new one takes the place of one that nobody has
   asked for in `UNUSED` seconds, else it is not kept: whoever asks for ever
   other fields makes nothing grow.
3. What is larger than `EXCERPT` octets is not kept, and read each time.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Final

SETS: Final = 8
"""Sets of fields kept for an account: about one for each program that reads its mail."""
UNUSED: Final = 7 * 86_400
"""Seconds after which a set that nobody asks for may go."""
EXCERPT: Final = 4_096
"""Octets of an excerpt: some ten times the usual."""
NAMES: Final = 1_024
"""Octets of the names of a set."""
_STAMP: Final = 86_400
"""Seconds for which it is not noted again that a set was asked for."""

TABLES: Final = """
CREATE TABLE fields(id INTEGER PRIMARY KEY, names BLOB NOT NULL UNIQUE, used INTEGER NOT NULL);
CREATE TABLE excerpt(
    fields INTEGER NOT NULL,
    key INTEGER NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (fields, key)
) WITHOUT ROWID;
"""


def spelt(names: Iterable[bytes]) -> bytes:
    """A set of field names, the same for each order and case."""
    return b" ".join(sorted({name.lower() for name in names}))


class Excerpts:
    """Statements on these tables, within a transaction; keys are those of `store.rows`."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def find(self, names: bytes, now: float) -> tuple[int, bool] | None:
        """The number of a set, and whether `admit` is to note that it is still asked for."""
        row = self._database.execute(
            "SELECT id, used FROM fields WHERE names = ?", (names,)
        ).fetchone()
        return None if row is None else (row[0], row[1] + _STAMP <= now)

    def admit(self, names: bytes, now: float) -> int | None:
        """The number of a set, which gets one if there is room; None if not."""
        if len(names) > NAMES:
            return None
        execute = self._database.execute
        found = execute(
            "UPDATE fields SET used = ? WHERE names = ? RETURNING id", (int(now), names)
        ).fetchone()
        if found is not None:
            return int(found[0])
        count, oldest, used = execute("SELECT count(*), id, min(used) FROM fields").fetchone()
        if count >= SETS:
            if used > now - UNUSED:
                return None
            execute("DELETE FROM excerpt WHERE fields = ?", (oldest,))
            execute("DELETE FROM fields WHERE id = ?", (oldest,))
        made = execute(
            "INSERT INTO fields(names, used) VALUES (?, ?) RETURNING id", (names, int(now))
        ).fetchone()
        return int(made[0])

    def between(self, fields: int, first: int, last: int) -> list[tuple[int, bytes]]:
        """UIDs and excerpts of the messages from one key to another, in order."""
        return self._database.execute(
            "SELECT key & 4294967295, octets FROM excerpt"
            " WHERE fields = ? AND key BETWEEN ? AND ? ORDER BY key",
            (fields, first, last),
        ).fetchall()

    def put(self, fields: int, excerpts: Iterable[tuple[int, bytes]]) -> None:
        """Keep excerpts, those that are not too large."""
        self._database.executemany(
            "INSERT OR REPLACE INTO excerpt VALUES (?, ?, ?)",
            [(fields, key, octets) for key, octets in excerpts if len(octets) <= EXCERPT],
        )

    def remove(self, spans: Sequence[tuple[int, int]]) -> None:
        """Forget what was kept of all from one key to another."""
        for (fields,) in self._database.execute("SELECT id FROM fields").fetchall():
            self._database.executemany(
                "DELETE FROM excerpt WHERE fields = ? AND key BETWEEN ? AND ?",
                [(fields, first, last) for first, last in spans],
            )
