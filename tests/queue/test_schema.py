"""The schema: the queries that must not depend on the queue's length use their indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailhub.queue.change import Accept, Hold, Select
from mailhub.queue.flow import COMMON
from mailhub.queue.spool import Spool
from tests.queue import given as make


class Recorder(sqlite3.Connection):
    statements: list[tuple[str, tuple[Any, ...]]] = []  # noqa: RUF012  # one list, for all

    def execute(self, sql: str, parameters: Any = ()) -> sqlite3.Cursor:
        self.statements.append((sql, parameters))
        return super().execute(sql, parameters)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    def connect(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        return sqlite3.connect(*args, factory=Recorder, **kwargs)

    spool = Spool(str(tmp_path), connect=connect)
    yield spool
    spool.close()


def plan(spool: Spool) -> list[str]:
    """How the last statement was carried out."""
    sql, parameters = Recorder.statements[-1]
    return [row[3] for row in spool._database.rows("EXPLAIN QUERY PLAN " + sql, *parameters)]


def test_what_is_due(spool: Spool) -> None:
    """Strands and their recipients are read off indexes, in order: nothing is sorted or scanned."""
    spool.strands(COMMON, 1.0, make.NEVER, 10)
    assert plan(spool) == [
        "SEARCH strand USING COVERING INDEX first (flow=? AND (due,domain)>(?,?) AND due<?)"
    ]
    spool.due(COMMON, "remote.example", 1.0, 10)
    steps = plan(spool)
    assert "USING INDEX waiting (flow=? AND domain=? AND due<?)" in steps[0]
    assert "USING INTEGER PRIMARY KEY" in steps[1]
    assert len(steps) == 2


def test_the_next_moments(spool: Spool) -> None:
    """The next moment of a flow or a strand is the first entry of an index."""
    spool.next_due(COMMON, 0.0)
    assert plan(spool) == ["SEARCH strand USING COVERING INDEX first (flow=? AND due>?)"]
    spool.next_in(COMMON, "remote.example", 0.0)
    assert plan(spool) == ["SEARCH recipient USING INDEX waiting (flow=? AND domain=? AND due>?)"]


def test_what_a_strand_becomes(spool: Spool) -> None:
    """The first of a strand is found without looking at its others."""
    Recorder.statements.clear()
    spool.apply([Accept(make.item(), b"x")])
    [refresh] = [it for it in Recorder.statements if it[0].startswith("SELECT due FROM recipient")]
    explained = spool._database.rows("EXPLAIN QUERY PLAN " + refresh[0], *refresh[1])
    assert [row[3] for row in explained] == [
        "SEARCH recipient USING INDEX waiting (flow=? AND domain=?)"
    ]


def test_what_is_owed(spool: Spool) -> None:
    """Items whose sender is to be told are in an index of their own."""
    spool.owing(10)
    assert "USING COVERING INDEX owing" in plan(spool)[0]


@pytest.mark.parametrize(
    ("select", "index"),
    [
        (Select(domain="remote.example"), "INDEX waiting (flow=? AND domain=?)"),
        (Select(queue_ids=(make.queue_id(1),)), "PRIMARY KEY"),
    ],
)
def test_what_an_operator_changes(spool: Spool, select: Select, index: str) -> None:
    """What is chosen by domain or queue id is found without looking at the rest."""
    Recorder.statements.clear()
    make.amended(spool, Hold(select, "x"))
    [chosen] = [it for it in Recorder.statements if it[0].startswith("SELECT r.item")]
    explained = spool._database.rows("EXPLAIN QUERY PLAN " + chosen[0], *chosen[1])
    steps = [row[3] for row in explained]
    assert any(index in step for step in steps), steps
    assert not any(step.startswith("SCAN r") for step in steps), steps


def test_an_item(spool: Spool) -> None:
    """An item and its parts are found by its number."""
    spool.load(make.queue_id(1))
    assert "USING INTEGER PRIMARY KEY" in plan(spool)[0]
    spool.content(make.queue_id(1))
    assert "USING INTEGER PRIMARY KEY" in plan(spool)[0]
    spool.attempts(make.queue_id(1))
    assert "USING INDEX attempted" in plan(spool)[0]
