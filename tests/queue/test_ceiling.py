"""The ceiling of queue ids: never below one that was given out, and seldom written."""

from __future__ import annotations

import sqlite3
from contextlib import suppress
from pathlib import Path

import pytest

from mailhub.queue.ceiling import AHEAD, Ceiling, ceiling
from mailhub.queue.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Database:
    """A spool's database."""
    return Database(str(tmp_path / "spool.db"), sqlite3.connect)


def written(database: Database, known: Ceiling, number: int) -> bool:
    """Whether to cover a number takes a write."""
    before = database.row("SELECT total_changes()")
    known.cover(number)
    return bool(database.row("SELECT total_changes()") != before)


def test_never_below(database: Database) -> None:
    """It is above each number that was covered, whatever their order."""
    known = Ceiling(database)
    assert ceiling(database) == 0
    for number in (5, 4, AHEAD, 3 * AHEAD, 2 * AHEAD):
        known.cover(number)
        assert ceiling(database) >= number


def test_seldom(database: Database) -> None:
    """Ids of ten seconds are covered by one write."""
    known = Ceiling(database)
    assert written(database, known, 1000)
    assert not written(database, known, 1000 + AHEAD)
    assert written(database, known, 1001 + AHEAD)


def test_rolled_back(database: Database) -> None:
    """What a transaction wrote that came to nothing is written again."""
    known = Ceiling(database)
    with suppress(OSError), database.transaction(patient=True):
        known.cover(7)
        raise OSError
    known.forget()
    assert ceiling(database) == 0
    known.cover(7)
    assert ceiling(database) == 7 + AHEAD


def test_several_connections(database: Database) -> None:
    """One that knows less does not lower it."""
    Ceiling(database).cover(9 * AHEAD)
    Ceiling(database).cover(1)
    assert ceiling(database) == 10 * AHEAD
