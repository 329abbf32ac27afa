"""The tables for searching: shards, copies, waste. What they find is in test_indexed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailhub.mail.digest import digest
from mailhub.ports.finding import Place, Sought
from mailhub.store import rows, texts
from mailhub.store.texts import Texts, found, key_of


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[Texts]:
    """Tables with shards of two documents."""
    monkeypatch.setattr(texts, "SHARD_SIZE", 2)
    monkeypatch.setattr(texts, "SHARD_BITS", 1)
    database = sqlite3.connect(":memory:")
    database.executescript(rows.TABLES)
    yield Texts(database)
    database.close()


def put(made: Texts, *uids: int, mailbox: int = 1) -> None:
    made.put([(key_of(mailbox, uid), digest(b"\r\nwords of %d" % uid)) for uid in uids])


def search(made: Texts, text: str, mailbox: int = 1) -> list[int]:
    span = key_of(mailbox, 0), key_of(mailbox, 2**32 - 1)
    sought = Sought(Place.BODY, text)
    return sorted(uid for shard in made.shards() for uid in made.in_shard(sought, shard, *span))


def test_shards(made: Texts) -> None:
    """Documents fill one shard after the other, whatever their mailbox."""
    put(made, 1, 2, 3)
    put(made, 1, 2, mailbox=2)
    assert made.shards() == [1, 2, 3]
    assert search(made, "WORDS") == [1, 2, 3]
    assert search(made, "WORDS OF 2", mailbox=2) == [2]


def test_copies(made: Texts) -> None:
    """A copy shares its original's document, and keeps it when that is gone."""
    put(made, 1, 2, 3)
    made.copy([(key_of(2, 7), key_of(1, 1), 1)])
    made._database.execute("DELETE FROM digest WHERE key = ?", (key_of(1, 1),))
    made._database.execute("DELETE FROM digest WHERE key = ?", (key_of(1, 2),))
    assert search(made, "WORDS", mailbox=2) == [7]
    assert not made.compact()  # one of two is still a half
    made._database.execute("DELETE FROM digest WHERE key = ?", (key_of(2, 7),))
    assert made.compact()
    assert made.shards() == [2]
    assert search(made, "WORDS") == [3]


def test_forget(made: Texts) -> None:
    """All of it goes, and can begin anew."""
    put(made, 1, 2, 3)
    made.forget()
    assert made.shards() == []
    put(made, 4)
    assert search(made, "WORDS") == [4]


def test_found() -> None:
    """UIDs in order."""
    assert list(found([3, 1], [2]).sure) == [1, 3]
