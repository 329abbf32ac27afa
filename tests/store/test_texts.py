"""The tables for searching: shards, copies, waste. What they find is in test_indexed."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from mailhub.mail.digest import dated, digest
from mailhub.ports.finding import Place, Sorting, SortKey, Sought
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
    made.put([(key_of(mailbox, uid), dated(digest(b"\r\nwords of %d" % uid), 0)) for uid in uids])


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


def test_fields_go_along(made: Texts, monkeypatch: pytest.MonkeyPatch) -> None:
    """The texts of a message's fields come with its digest, are copied with it, and go with it."""
    monkeypatch.setattr(texts, "SHARD_SIZE", 4)
    monkeypatch.setattr(texts, "SHARD_BITS", 2)

    def having(uid: int, mailbox: int) -> list[int]:
        key = key_of(mailbox, uid)
        return list(made.in_fields(Sought(Place.SUBJECT, "LETTER"), key, key))

    letter = dated(digest(b"Subject: A letter\r\n\r\n"), 0)
    made.put([(key_of(1, uid), letter) for uid in range(1, 6)])
    made.copy([(key_of(2, 7), key_of(1, 1), 2)])
    made.remove([(key_of(1, 2), key_of(1, 4))])
    assert [having(uid, 1) for uid in range(1, 6)] == [[1], [], [], [], [5]]
    assert [having(uid, 2) for uid in (7, 8, 9)] == [[7], [8], []]
    made.remove([(key_of(1, 1), key_of(1, 1)), (key_of(2, 7), key_of(2, 7))])
    assert made.compact()  # but one of the shard's four documents is in use
    assert having(8, 2) == []
    assert having(5, 1) == [5]
    made.forget()
    assert made._database.execute("SELECT count(*) FROM field").fetchone() == (0,)


def test_subjects_are_in_order(made: Texts) -> None:
    """SORT by subject reads an index that has them in order, and of one mailbox only."""
    for mailbox in (1, 2, 3):
        for uid, subject in ((1, b"c"), (2, b"a"), (3, b"b"), (4, b"a")):
            letter = dated(digest(b"Subject: Re: %b\r\n\r\n" % subject), 0)
            made.put([(key_of(mailbox, uid), letter)])
    seen: list[str] = []
    made._database.set_trace_callback(seen.append)
    by_subject = [Sorting(SortKey.SUBJECT)]
    found = made.order(by_subject, key_of(2, 0), key_of(2, 2**32 - 1))
    assert list(found) == [2, 4, 3, 1]
    assert list(made.order(by_subject, key_of(2, 2), key_of(2, 3))) == [2, 3]
    backwards = [Sorting(SortKey.SUBJECT, reverse=True)]
    assert list(made.order(backwards, key_of(2, 0), key_of(2, 9))) == [1, 3, 2, 4]
    made._database.set_trace_callback(None)
    plan = str(made._database.execute(f"EXPLAIN QUERY PLAN {seen[0]}").fetchall())
    assert "COVERING INDEX digest_base" in plan
    assert "TEMP B-TREE" not in plan


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
