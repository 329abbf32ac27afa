"""Sequence sets against a brute model: plain sets of numbers."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.sequence import SEQUENCE_SET, contains, intersection, merged, parse
from mailhub.ports.message import Ranges

NUMBER = st.integers(1, 40)
END = st.one_of(NUMBER, st.just("*"))
RANGES = st.lists(st.tuples(NUMBER, NUMBER).map(lambda pair: (min(pair), max(pair)))).map(merged)


def numbers(ranges: Ranges) -> set[int]:
    return {number for first, last in ranges for number in range(first, last + 1)}


def is_merged(ranges: Ranges) -> bool:
    return all(a[1] + 1 < b[0] for a, b in pairwise(ranges))


@given(st.lists(st.one_of(st.tuples(END), st.tuples(END, END)), min_size=1), NUMBER)
def test_model(items: list[tuple[int | str, ...]], highest: int) -> None:
    """Any set means what each of its items means, ``*`` being the highest number."""
    text = ",".join(":".join(map(str, item)) for item in items).encode()
    assert SEQUENCE_SET.fullmatch(text)
    expected: set[int] = set()
    for item in items:
        ends = [highest if end == "*" else int(end) for end in item]
        expected |= set(range(min(ends), max(ends) + 1))
    resolved = parse(text, 1000).resolved(highest)
    assert numbers(resolved) == expected
    assert is_merged(resolved)


@given(RANGES, RANGES, NUMBER)
def test_intersection(one: Ranges, other: Ranges, number: int) -> None:
    """Intersection and membership are those of sets."""
    both = intersection(one, other)
    assert numbers(both) == numbers(one) & numbers(other)
    assert contains(both, number) == (number in numbers(both))


@pytest.mark.parametrize("text", [b"0", b"", b",", b"1,", b"1:", b":1", b"1:2:3", b"a", b"1,,2"])
def test_grammar(text: bytes) -> None:
    """What is no sequence set does not match as a whole."""
    assert not SEQUENCE_SET.fullmatch(text)


@pytest.mark.parametrize("text", [b"4294967296", b"*:9999999999"])
def test_refused(text: bytes) -> None:
    """Numbers above 32 bits."""
    with pytest.raises(ValueError, match="too large"):
        parse(text, 2)


def test_too_many() -> None:
    """A set has so many ranges at most, and is not read to find that out."""
    with pytest.raises(OverflowError):
        parse(b"1:2,3:4,5", 2)


def test_many() -> None:
    """Thousands of ranges in reverse are merged all the same."""
    text = b",".join(b"%d:%d" % (place, place + 1) for place in range(9000, 0, -3))
    assert len(parse(text, 10000).ranges) == 3000
    assert parse(b",".join(b"%d" % n for n in range(1, 5000)), 10000).ranges == ((1, 4999),)
