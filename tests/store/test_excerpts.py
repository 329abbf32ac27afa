"""Which sets of header fields are learnt, and what is kept of them."""

from __future__ import annotations

import sqlite3

import pytest

from mailhub.store.excerpts import EXCERPT, NAMES, SETS, TABLES, UNUSED, Excerpts, spelt


@pytest.fixture
def excerpts() -> Excerpts:
    database = sqlite3.connect(":memory:", isolation_level=None)
    database.executescript(TABLES)
    return Excerpts(database)


def test_spelt() -> None:
    """Order, case and repetition make no other set."""
    assert spelt([b"To", b"FROM", b"to"]) == spelt([b"from", b"to"]) == b"from to"


class TestAdmission:
    def test_once(self, excerpts: Excerpts) -> None:
        """A set keeps its number; that it is asked for is noted once a day."""
        assert excerpts.find(b"from", 0) is None
        number = excerpts.admit(b"from", 0)
        assert excerpts.find(b"from", 100) == (number, False)
        assert excerpts.find(b"from", 86_400) == (number, True)
        assert excerpts.admit(b"from", 86_400) == number
        assert excerpts.find(b"from", 86_500) == (number, False)

    def test_room(self, excerpts: Excerpts) -> None:
        """There is room for so many; a new one waits until another is out of use."""
        numbers = [excerpts.admit(b"x%d" % n, n) for n in range(SETS)]
        assert None not in numbers
        assert numbers[0] is not None
        excerpts.put(numbers[0], [(1, b"old")])
        assert excerpts.admit(b"new", UNUSED - 1) is None
        excerpts.admit(b"x1", UNUSED)
        number = excerpts.admit(b"new", UNUSED)
        assert number is not None
        assert excerpts.between(number, 0, 9) == []
        assert excerpts.find(b"x0", 0) is None
        assert excerpts.find(b"x1", 0) is not None

    def test_long_names(self, excerpts: Excerpts) -> None:
        """A set whose names alone are a burden is not learnt."""
        assert excerpts.admit(b"x" * (NAMES + 1), 0) is None


class TestExcerpts:
    def test_kept(self, excerpts: Excerpts) -> None:
        """They come back in order, each of its own set."""
        one, two = excerpts.admit(b"a", 0), excerpts.admit(b"b", 0)
        assert one is not None
        assert two is not None
        excerpts.put(one, [(3, b"3"), (1, b"1"), (9, b"9"), (4, b"x" * (EXCERPT + 1))])
        excerpts.put(two, [(1, b"other")])
        assert excerpts.between(one, 1, 5) == [(1, b"1"), (3, b"3")]
        excerpts.remove([(1, 2)])
        assert excerpts.between(one, 1, 5) == [(3, b"3")]
        assert excerpts.between(two, 1, 5) == []
        excerpts.remove([(3, 3), (5, 8)])
        assert excerpts.between(one, 1, 9) == [(9, b"9")]
