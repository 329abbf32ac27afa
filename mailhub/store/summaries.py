"""What an index keeps of messages' content, rendered for IMAP.

Keys are those of `store.rows`.

Invariants:

1. A message has a row in each table, or in none.
2. What is asked for of all messages at a time lies in a table of its own: a FETCH of
   BODYSTRUCTURE reads nothing else.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from typing import Final

from mailhub.ports.message import Rendering, Summary
from mailhub.store.keyed import copy_rows, remove_rows

TABLES: Final = """
CREATE TABLE summary(
    key INTEGER PRIMARY KEY,
    envelope BLOB NOT NULL,
    body BLOB NOT NULL,
    preview BLOB NOT NULL,
    thread BLOB NOT NULL
);
CREATE TABLE structure(key INTEGER PRIMARY KEY, bodystructure BLOB NOT NULL);
"""
_COLUMNS: Final = {"summary": "envelope, body, preview, thread", "structure": "bodystructure"}
_PLACES: Final = {
    what: f"{what.value} FROM {table} WHERE key BETWEEN ? AND ? ORDER BY key"
    for table, columns in _COLUMNS.items()
    for what in Rendering
    if what.value in columns.split(", ")
}


class Summaries:
    """Statements on these tables, within a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def between(self, what: Rendering, first: int, last: int) -> list[tuple[int, bytes]]:
        """UIDs and what is kept of the messages from one key to another, in order."""
        return self._database.execute(
            f"SELECT key & 4294967295, {_PLACES[what]}",
            (first, last),
        ).fetchall()

    def every(self, what: Rendering, first: int, last: int) -> Sequence[bytes] | None:
        """What is kept of all messages from one key to another; None where one is lacking.

        Columns cost as much as rows: this is half the price of `between`.
        """
        values = self._database.execute(
            f"SELECT {_PLACES[what]}",
            (first, last),
        ).fetchall()
        if len(values) <= last - first:
            return None
        return list(chain.from_iterable(values))

    def put(self, summaries: Iterable[tuple[int, Summary]]) -> None:
        """Keep what was made of messages."""
        kept = list(summaries)
        self._database.executemany(
            "INSERT OR REPLACE INTO summary VALUES (?, ?, ?, ?, ?)",
            [(key, it.envelope, it.body, it.preview, it.thread) for key, it in kept],
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO structure VALUES (?, ?)",
            [(key, it.bodystructure) for key, it in kept],
        )

    def copy(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Keep for copies what is kept of their originals: runs as of `side_by_side`."""
        copy_rows(self._database, _COLUMNS, runs)

    def remove(self, runs: Iterable[tuple[int, int]]) -> None:
        """Forget all from one key to another."""
        remove_rows(self._database, _COLUMNS, runs)


def side_by_side(pairs: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, int]]:
    """Pairs of numbers as runs in which both ascend by one: where they begin, how many."""
    first = second = count = 0
    for one, other in pairs:
        if count and one == first + count and other == second + count:
            count += 1
            continue
        if count:
            yield first, second, count
        first, second, count = one, other, 1
    if count:
        yield first, second, count
