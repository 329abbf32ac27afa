"""Items as rows."""

from __future__ import annotations

from hypothesis import given

from mailhub.queue import rows
from mailhub.queue.item import Item, Local, Pending, is_fresh
from mailhub.queue.rows import State
from tests.queue import given as make


@given(make.items())
def test_there_and_back(item: Item) -> None:
    """Rows hold all of an item, whatever its fates."""
    found = rows.item(rows.item_row(item, 5), rows.recipient_rows(item, 5), item.flow)
    assert found == item


@given(make.items())
def test_fresh_local_recipients_have_a_state_of_their_own(item: Item) -> None:
    """They are to be filed at once, so they are not in the index of moments."""
    for row, place, fate in zip(rows.recipient_rows(item, 5), item.places, item.fates, strict=True):
        fresh = isinstance(place, Local) and is_fresh(fate)
        assert (row[9] is State.LOCAL) == fresh
        assert (row[9] is State.PENDING) == (isinstance(fate, Pending) and not fresh)
        wanted = {State.LOCAL, State.FILED} if fresh else {row[9]}
        assert set(rows.expected(fate, place)) == wanted


def test_octets_that_are_no_utf8() -> None:
    """A client's HELO can be any octets; SQLite takes text only."""
    assert rows.printable("caf\udce9") == "caf?"
    assert rows.printable("café") == "café"
