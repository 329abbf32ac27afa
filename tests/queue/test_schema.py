"""The schema: the queries that must not depend on the queue's length use their indexes."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mailhub.queue.change import Due
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
    """What is due is read off the index of moments, in its order: nothing is sorted or scanned."""
    spool.due(1.0, 0.0, 10)
    first = plan(spool)
    spool.due(1.0, Due(0.0, make.queue_id(1), 0, make.BOB, make.SENDER, local=False), 10)
    for steps in (first, plan(spool)):
        assert "USING INDEX due" in steps[0]
        assert "USING INTEGER PRIMARY KEY" in steps[1]
        assert len(steps) == 2


def test_the_next_moment(spool: Spool) -> None:
    """The next moment is the first entry of the index."""
    spool.next_due(0.0)
    assert plan(spool) == ["SEARCH recipient USING INDEX due (due>?)"]


def test_what_is_due_for_a_domain(spool: Spool) -> None:
    """A domain's recipients are found without looking at others'."""
    spool.destined("remote.example", 1.0, 10)
    steps = plan(spool)
    assert "USING INDEX destined (domain=? AND due<?)" in steps[0]
    assert len(steps) == 2


def test_an_item(spool: Spool) -> None:
    """An item and its parts are found by its number."""
    spool.load(make.queue_id(1))
    assert "USING INTEGER PRIMARY KEY" in plan(spool)[0]
    spool.content(make.queue_id(1))
    assert "USING INTEGER PRIMARY KEY" in plan(spool)[0]
    spool.attempts(make.queue_id(1))
    assert "USING INDEX attempted" in plan(spool)[0]
