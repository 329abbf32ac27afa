"""The register of refusals on disk."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.queue import refusals as module
from mailhub.queue.refusals import NAME, Refusals, Sought
from tests.policy.test_refused import NO


@pytest.fixture
def book(tmp_path: Path) -> Refusals:
    return Refusals(str(tmp_path))


def test_there_and_back(book: Refusals) -> None:
    """What was written is found, the latest first."""
    other = replace(NO, sender=None, alike=True, count=7, recipient="")
    book.write([NO, other], 0.0)
    assert book.find(Sought()) == [other, NO]
    assert book.find(Sought(), 1) == [other]


def test_nothing(book: Refusals, tmp_path: Path) -> None:
    """Who looks makes no database."""
    assert book.find(Sought()) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "sought",
    [
        Sought(sender="A@FAR.example"),
        Sought(recipient="x@hub.example"),
        Sought(client="192.0.2.1"),
        Sought(account="Ann@hub.example"),
        Sought("a@far.example", "x@hub.example", "ann@hub.example", "192.0.2.1", 900.0),
        Sought(since=1000.0),
    ],
)
def test_names(book: Refusals, sought: Sought) -> None:
    """They are found by each of the names in them, in any case, and by all together."""
    mine = replace(NO, account="ann@hub.example")
    book.write([mine], 0.0)
    book.write(
        [replace(NO, at=500.0, until=500.0, sender="", recipient="y@hub.example", address="::1")], 0
    )
    assert book.find(sought) == [mine]
    assert book.find(replace(sought, since=2000.0)) == []


def test_the_null_sender(book: Refusals) -> None:
    """The null reverse-path is one, and not none."""
    null = replace(NO, sender="")
    book.write([NO, null, replace(NO, sender=None)], 0.0)
    assert book.find(Sought(sender="")) == [null]


def test_bounded(book: Refusals, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go, by number and by age."""
    monkeypatch.setattr(module, "ROWS", 5)
    book.write([replace(NO, at=float(at), until=float(at)) for at in range(20)], 0.0)
    assert [it.at for it in book.find(Sought())] == [19.0, 18.0, 17.0, 16.0, 15.0]
    book.write([], 17.5)
    assert [it.at for it in book.find(Sought())] == [19.0, 18.0]


def test_odd_octets(book: Refusals) -> None:
    """What a client says may be no UTF-8."""
    book.write([replace(NO, helo="\udcff", recipient="\udcfe@hub.example")], 0.0)
    assert book.find(Sought())[0].helo == "?"


def test_a_spoilt_file(book: Refusals, tmp_path: Path) -> None:
    """It is set aside, and a new one begun."""
    (tmp_path / NAME).write_bytes(b"no database" * 100)
    book.write([NO], 0.0)
    assert book.find(Sought()) == [NO]
    assert (tmp_path / f"{NAME}.bad").exists()


def test_found_by_an_index(book: Refusals, tmp_path: Path) -> None:
    """Looking for a name does not look at all rows."""
    import sqlite3  # noqa: PLC0415

    book.write([NO], 0.0)
    database = sqlite3.connect(tmp_path / NAME)
    for column in ("sender", "recipient", "account", "address"):
        rows = database.execute(
            f"EXPLAIN QUERY PLAN SELECT at FROM refusal WHERE {column}=? ORDER BY id DESC LIMIT 9",
            ("x",),
        )
        assert "USING INDEX refused_" in rows.fetchone()[3]
    database.close()
