"""Threads kept in the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailhub.ports.finding import Conversation
from mailhub.store.conversing import TABLES, Conversations


@pytest.fixture
def kept() -> Iterator[Conversations]:
    database = sqlite3.connect(":memory:")
    database.executescript(TABLES)
    yield Conversations(database)
    database.close()


def test_order(kept: Conversations) -> None:
    """They come back by when they were sent; each algorithm and mailbox has its own."""
    one, two, three = (Conversation(sent, 9 - sent, 1, b"(%d)", b"uids") for sent in (1, 2, 2 + 1))
    kept.keep(1, "REFS", (), [three, one, two])
    kept.keep(1, "REFERENCES", (), [one])
    kept.keep(2, "REFS", (), [two])
    assert kept.load(1, "REFS") == [one, two, three]
    assert kept.load(1, "REFERENCES") == [one]
    assert kept.load(2, "REFERENCES") == []
    assert kept.load(1, "REFS")[0].shape == b"(%d)"


def test_instead(kept: Conversations) -> None:
    """Some take the place of others, also with the same key; the rest stays."""
    old = [Conversation(sent, 1, 1, b"(%d)", b"") for sent in range(4)]
    kept.keep(1, "REFS", (), old)
    new = old[1]._replace(shape=b"(%d %d)")
    kept.keep(1, "REFS", old[1:3], [new])
    assert kept.load(1, "REFS") == [old[0], new, old[3]]
    kept.clear(1)
    assert kept.load(1, "REFS") == []
