"""What an index knows of messages that have left: for clients that come back, and for deliveries.

Invariants:

1. `expunged` knows every message that left a mailbox at a MODSEQ above the mailbox's
   `rows.Kept.floor`, as runs of UIDs.
2. `departed` knows filed messages that were removed while their filing might be repeated.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

TABLES: Final = """
CREATE TABLE expunged(
    mailbox INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    PRIMARY KEY(mailbox, modseq, first)
) WITHOUT ROWID;
CREATE TABLE departed(name BLOB PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID;
"""


class Departures:
    """Statements on these tables, within a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def expunge(self, mailbox: int, modseq: int, runs: Iterable[tuple[int, int]]) -> None:
        """Remember runs of UIDs whose messages left at a MODSEQ."""
        self._database.executemany(
            "INSERT OR REPLACE INTO expunged VALUES (?, ?, ?, ?)",
            [(mailbox, modseq, first, last) for first, last in runs],
        )

    def expunged(self, mailbox: int, modseq: int) -> list[tuple[int, int]]:
        """Runs of UIDs whose messages left after a MODSEQ, above the mailbox's `floor`."""
        cursor = self._database.execute(
            "SELECT first, last FROM expunged WHERE mailbox = ? AND modseq > ?", (mailbox, modseq)
        )
        return cursor.fetchall()

    def forget_expunged(self, mailbox: int, keep: int) -> int:
        """Forget the oldest but for about `keep` runs; the MODSEQ up to which all are forgotten."""
        row = self._database.execute(
            "SELECT modseq FROM expunged WHERE mailbox = ? ORDER BY modseq DESC LIMIT 1 OFFSET ?",
            (mailbox, keep),
        ).fetchone()
        if row is None:
            return 0
        self._database.execute(
            "DELETE FROM expunged WHERE mailbox = ? AND modseq <= ?", (mailbox, row[0])
        )
        return int(row[0])

    def depart(self, names: Iterable[bytes], now: float) -> None:
        """Remember the unique parts of filed messages that were removed or moved away."""
        self._database.executemany(
            "INSERT OR REPLACE INTO departed VALUES (?, ?)", [(name, int(now)) for name in names]
        )

    def departed(self, name: bytes) -> bool:
        """Whether a filed message was here, and has left."""
        row = self._database.execute("SELECT 1 FROM departed WHERE name = ?", (name,)).fetchone()
        return row is not None

    def forget_departed(self, before: float) -> None:
        """Forget those that left long ago."""
        self._database.execute("DELETE FROM departed WHERE at < ?", (int(before),))

    def clear(self, mailbox: int) -> None:
        """Forget who left a mailbox."""
        self._database.execute("DELETE FROM expunged WHERE mailbox = ?", (mailbox,))
