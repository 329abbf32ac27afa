"""Tables whose rows belong to messages, by a key: copied and removed in runs of keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping


def copy_rows(
    database: sqlite3.Connection,
    columns: Mapping[str, str],
    runs: Iterable[tuple[int, int, int]],
) -> None:
    """Give copies the rows of their originals.

    `columns` are those of each table besides the key; `runs` as of `summaries.side_by_side`:
    first new key, first old key, how many.
    """
    values = [(new - old, old, old + count - 1) for new, old, count in runs]
    for table, others in columns.items():
        database.executemany(
            f"INSERT OR REPLACE INTO {table} SELECT key + ?, {others} FROM {table}"  # noqa: S608
            " WHERE key BETWEEN ? AND ?",
            values,
        )


def remove_rows(
    database: sqlite3.Connection, tables: Iterable[str], runs: Iterable[tuple[int, int]]
) -> None:
    """Remove the rows from one key to another, both included."""
    spans = list(runs)
    for table in tables:
        database.executemany(f"DELETE FROM {table} WHERE key BETWEEN ? AND ?", spans)  # noqa: S608
