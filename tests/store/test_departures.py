"""Messages that have left."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailhub.store.departures import TABLES, Departures


@pytest.fixture
def departures() -> Iterator[Departures]:
    database = sqlite3.connect(":memory:")
    database.executescript(TABLES)
    yield Departures(database)
    database.close()


def test_departed(departures: Departures) -> None:
    """Filed messages that left are remembered, for a while."""
    departures.depart([b"a", b"b"], 100.0)
    departures.depart([b"b"], 200.0)
    assert departures.departed(b"a")
    assert not departures.departed(b"c")
    departures.forget_departed(150.0)
    assert not departures.departed(b"a")
    assert departures.departed(b"b")


def test_expunged(departures: Departures) -> None:
    """Runs of UIDs that left after a MODSEQ, of one mailbox; the oldest are forgotten first."""
    for modseq in range(1, 6):
        departures.expunge(1, modseq, [(modseq * 10, modseq * 10 + 3)])
    departures.expunge(2, 9, [(1, 1), (5, 7)])
    assert departures.expunged(1, 3) == [(40, 43), (50, 53)]
    assert departures.expunged(2, 0) == [(1, 1), (5, 7)]
    assert departures.forget_expunged(1, 2) == 3
    assert departures.expunged(1, 0) == [(40, 43), (50, 53)]
    assert departures.forget_expunged(1, 2) == 0
    departures.clear(1)
    assert departures.expunged(1, 0) == []
    assert departures.expunged(2, 0) == [(1, 1), (5, 7)]
