"""Rows of messages, in runs of keys."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing

import pytest

from mailhub.store.keyed import copy_rows, remove_rows

TABLES = {"said": "text, size", "seen": "at"}


@pytest.fixture
def database() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as made:
        made.execute("CREATE TABLE said (key INTEGER PRIMARY KEY, text TEXT, size INTEGER)")
        made.execute("CREATE TABLE seen (key INTEGER PRIMARY KEY, at REAL)")
        made.executemany("INSERT INTO said VALUES (?, ?, ?)", [(n, f"{n}", n) for n in range(5)])
        made.execute("INSERT INTO seen VALUES (2, 0.5)")
        yield made


def keys(database: sqlite3.Connection, table: str) -> list[int]:
    return [key for (key,) in database.execute(f"SELECT key FROM {table} ORDER BY key")]


def test_copies(database: sqlite3.Connection) -> None:
    """Copies have what their originals have, in each table; what was there is replaced."""
    database.execute("INSERT INTO said VALUES (12, 'old', 0)")
    copy_rows(database, TABLES, [(11, 1, 2), (20, 4, 3)])
    assert keys(database, "said") == [0, 1, 2, 3, 4, 11, 12, 20]
    assert keys(database, "seen") == [2, 12]
    [row] = database.execute("SELECT text, size FROM said WHERE key=12")
    assert row == ("2", 2)


def test_removed(database: sqlite3.Connection) -> None:
    """All from one key to another goes, and nothing else."""
    remove_rows(database, TABLES, iter([(1, 2), (4, 9)]))
    assert keys(database, "said") == [0, 3]
    assert keys(database, "seen") == []
