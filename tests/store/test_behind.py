"""Messages whose names do not say their flags yet."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailhub.store.behind import TABLES, Behind


@pytest.fixture
def behind() -> Iterator[Behind]:
    database = sqlite3.connect(":memory:")
    database.executescript(TABLES)
    yield Behind(database)
    database.close()


def test_runs(behind: Behind) -> None:
    """Runs that overlap or touch are one; each mailbox has its own."""
    behind.note(1, 10, [(1, 3), (9, 9)])
    behind.note(1, 11, [(2, 5), (6, 7)])
    behind.note(2, 12, [(8, 8)])
    assert behind.runs(1) == ((1, 7), (9, 9))
    assert behind.runs(2) == ((8, 8),)
    assert behind.any(2)
    behind.clear(2)
    assert not behind.any(2)
    assert behind.any(1)


def test_what_changes_again_stays(behind: Behind) -> None:
    """What has changed since is not forgotten with what was there, and no run shrinks."""
    behind.note(1, 10, [(1, 9), (20, 20)])
    behind.note(1, 12, [(1, 3)])
    behind.forget(1, 11)
    assert behind.runs(1) == ((1, 9),)
    behind.note(1, 11, [(1, 4)])
    behind.forget(1, 11)
    assert behind.runs(1) == ((1, 9),)
    behind.forget(1, 12)
    assert behind.runs(1) == ()


def test_begun(behind: Behind) -> None:
    """Files of a run that is begun may have been renamed; of one that came later, none."""
    behind.note(1, 10, [(1, 3)])
    assert behind.runs(1, begun=True) == ()
    behind.begin(1)
    behind.note(1, 11, [(2, 5), (1, 2)])
    assert behind.runs(1, begun=True) == ((1, 3),)
    assert behind.runs(1) == ((1, 5),)
