"""Threads as they were last arranged, kept in the index (`imap.conversations`).

They are a cache of a cache: who reads them finds out whether they are complete.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from functools import partial
from typing import Final

from mailhub.ports.finding import Conversation

TABLES: Final = """
CREATE TABLE conversation(
    mailbox INTEGER NOT NULL,
    algorithm TEXT NOT NULL,
    sent INTEGER NOT NULL,
    uid INTEGER NOT NULL,
    cluster INTEGER NOT NULL,
    shape BLOB NOT NULL,
    uids BLOB NOT NULL,
    PRIMARY KEY(mailbox, algorithm, sent, uid)
) WITHOUT ROWID;
"""


class Conversations:
    """Statements on this table, within a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def load(self, mailbox: int, algorithm: str) -> list[Conversation]:
        """All that is kept, in the order in which it is said."""
        cursor = self._database.execute(
            "SELECT sent, uid, cluster, shape, uids FROM conversation"
            " WHERE mailbox = ? AND algorithm = ? ORDER BY sent, uid",
            (mailbox, algorithm),
        )
        return list(map(partial(tuple.__new__, Conversation), cursor.fetchall()))

    def keep(
        self,
        mailbox: int,
        algorithm: str,
        instead_of: Iterable[Conversation],
        conversations: Iterable[Conversation],
    ) -> None:
        """Put some in the place of others."""
        self._database.executemany(
            "DELETE FROM conversation WHERE mailbox = ? AND algorithm = ? AND sent = ? AND uid = ?",
            [(mailbox, algorithm, it.sent, it.uid) for it in instead_of],
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO conversation VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(mailbox, algorithm, *it) for it in conversations],
        )

    def clear(self, mailbox: int) -> None:
        """Forget all of a mailbox."""
        self._database.execute("DELETE FROM conversation WHERE mailbox = ?", (mailbox,))
