"""Queue ids: what they promise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.queue.ids import QueueIds, to_number, to_queue_id


def test_spelling() -> None:
    """Twelve letters of one case, none of i, l, o, u; read back to the same number."""
    assert to_queue_id(0) == "000000000000"
    assert to_queue_id((1 << 60) - 1) == "zzzzzzzzzzzz"


@given(st.integers(0, (1 << 60) - 1), st.integers(0, (1 << 60) - 1))
def test_order(a: int, b: int) -> None:
    """Ids sort as their numbers do."""
    assert to_number(to_queue_id(a)) == a
    assert (to_queue_id(a) < to_queue_id(b)) == (a < b)


@pytest.mark.parametrize(
    "text", ["", "0", "00000000000I", "0000000000000", "../../../etc", "ü" * 12]
)
def test_others_are_none(text: str) -> None:
    """What is no queue id is refused: it could name any file."""
    with pytest.raises(ValueError, match="not a queue id"):
        to_number(text)


@given(st.lists(st.floats(0, 4e9), min_size=1), st.integers(0, 1 << 52))
def test_never_twice(dates: list[float], floor: int) -> None:
    """Ids ascend whatever the clock does, and stay above all of earlier runs."""
    times = iter(dates)
    ids = QueueIds(lambda: next(times), lambda bits: (1 << bits) - 1, floor)
    numbers = [to_number(ids()) for _ in dates]
    assert [floor, *numbers] == sorted({floor, *numbers})


def test_by_time() -> None:
    """An id begins with the millisecond of its making."""
    a = QueueIds(lambda: 1e9, lambda _: 0)()
    b = QueueIds(lambda: 1e9 + 0.001, lambda _: 0)()
    assert to_number(b) - to_number(a) == 1 << 18
