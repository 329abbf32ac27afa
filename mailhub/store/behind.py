"""Messages whose files' names may not say their flags yet, or not durably.

Invariants:

1. Where a message's flags are others than its name says, its UID is in one of these runs: it
   was put there by the transaction that changed its flags.
2. A run is taken away only once the names of all in it say their flags, and the directory
   has been synced since.
3. A run is `begun` before the first of its files is renamed.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from typing import Final

from mailhub.imap.sequence import merged
from mailhub.ports.message import Ranges

TABLES: Final = """
CREATE TABLE behind(
    mailbox INTEGER NOT NULL,
    first INTEGER NOT NULL,
    last INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    begun INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY(mailbox, first)
) WITHOUT ROWID;
"""


class Behind:
    """Statements on this table, within a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def note(self, mailbox: int, modseq: int, runs: Iterable[tuple[int, int]]) -> None:
        """The flags of these have changed, at the latest at a MODSEQ."""
        self._database.executemany(
            "INSERT INTO behind(mailbox, first, last, modseq) VALUES (?, ?, ?, ?)"
            " ON CONFLICT(mailbox, first) DO UPDATE SET"
            " last = max(last, excluded.last), modseq = max(modseq, excluded.modseq)",
            [(mailbox, first, last, modseq) for first, last in runs],
        )

    def runs(self, mailbox: int, *, begun: bool = False) -> Ranges:
        """Runs of UIDs, or those alone that are begun; they may name what is gone."""
        cursor = self._database.execute(
            "SELECT first, last FROM behind WHERE mailbox = ? AND begun >= ?", (mailbox, begun)
        )
        return merged(cursor)

    def begin(self, mailbox: int) -> None:
        """Files of all runs may be renamed from here on."""
        self._database.execute("UPDATE behind SET begun = 1 WHERE mailbox = ?", (mailbox,))

    def any(self, mailbox: int) -> bool:
        """Whether there are any."""
        found = self._database.execute("SELECT 1 FROM behind WHERE mailbox = ? LIMIT 1", (mailbox,))
        return found.fetchone() is not None

    def forget(self, mailbox: int, modseq: int) -> None:
        """Names say, durably, what flags were at a MODSEQ."""
        self._database.execute(
            "DELETE FROM behind WHERE mailbox = ? AND modseq <= ?", (mailbox, modseq)
        )

    def clear(self, mailbox: int) -> None:
        """Forget a mailbox."""
        self._database.execute("DELETE FROM behind WHERE mailbox = ?", (mailbox,))
