"""Rendered content in the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.ports.message import Rendering, Summary
from mailhub.store.summaries import TABLES, Summaries, side_by_side


@pytest.fixture
def summaries() -> Iterator[Summaries]:
    database = sqlite3.connect(":memory:")
    database.executescript(TABLES)
    yield Summaries(database)
    database.close()


def summary(number: int) -> Summary:
    return Summary(*(b"%s%d" % (name, number) for name in (b"e", b"b", b"s", b"p", b"t")))


def of(summaries: Summaries, first: int, last: int) -> list[list[tuple[int, bytes]]]:
    return [summaries.between(what, first, last) for what in Rendering]


class TestSummaries:
    def test_each_by_itself(self, summaries: Summaries) -> None:
        """Each rendering is found by itself, in order, and put again it is replaced."""
        summaries.put([(3, summary(9)), (1, summary(1))])
        summaries.put([(3, summary(3))])
        found = of(summaries, 1, 2**32)
        assert [[octets for _, octets in it] for it in found] == [
            [b"%s1" % name, b"%s3" % name] for name in (b"e", b"b", b"s", b"p", b"t")
        ]

    def test_every(self, summaries: Summaries) -> None:
        """All between two keys are found together, if not one is lacking."""
        summaries.put((key, summary(key)) for key in (1, 2, 3, 5))
        assert summaries.every(Rendering.BODY, 1, 3) == [b"b1", b"b2", b"b3"]
        assert summaries.every(Rendering.BODYSTRUCTURE, 5, 5) == [b"s5"]
        for first, last in ((1, 5), (4, 4), (3, 4)):
            assert summaries.every(Rendering.BODY, first, last) is None

    def test_copies(self, summaries: Summaries) -> None:
        """Copies have what their originals have, in every table; where there is none, none."""
        summaries.put((key, summary(key)) for key in (1, 2, 4, 9))
        summaries.copy([(11, 1, 3), (3, 9, 1)])
        assert [key for key, _ in summaries.between(Rendering.BODY, 0, 99)] == [
            1,
            2,
            3,
            4,
            9,
            11,
            12,
        ]
        for originals, copies in zip(of(summaries, 1, 2), of(summaries, 11, 12), strict=True):
            assert [it for _, it in originals] == [it for _, it in copies]
        assert [it for [(_, it)] in of(summaries, 3, 3)] == [
            it for [(_, it)] in of(summaries, 9, 9)
        ]

    def test_removal(self, summaries: Summaries) -> None:
        """What is forgotten is forgotten in every table."""
        summaries.put((key, summary(key)) for key in range(1, 8))
        summaries.remove([(2, 3), (6, 6)])
        for found in of(summaries, 0, 9):
            assert [key for key, _ in found] == [1, 4, 5, 7]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9))))
def test_side_by_side(pairs: list[tuple[int, int]]) -> None:
    """Runs hold the same pairs in the same order, and no two that could be one."""
    found = list(side_by_side(pairs))
    assert [(one + n, other + n) for one, other, count in found for n in range(count)] == pairs
    for (one, other, count), following in pairwise(found):
        assert following[:2] != (one + count, other + count)
