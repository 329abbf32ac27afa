"""Fresh items at hand, and how much of them."""

from __future__ import annotations

from mailhub.net.content import Octets
from mailhub.relay.fresh import Fresh
from tests.queue import given as make


def test_kept_until_dropped() -> None:
    """An item is found until it is dropped, or until all are."""
    fresh = Fresh(100)
    one, two = make.item(number=1), make.item(number=2)
    for item in (one, two):
        fresh.keep(item, Octets(b"x" * 40))
    assert fresh.get(one.queue_id) == (one, fresh.get(one.queue_id)[1])  # type: ignore[index]
    fresh.drop(one.queue_id)
    fresh.drop(one.queue_id)
    assert fresh.get(one.queue_id) is None
    assert fresh.get(two.queue_id) is not None
    fresh.clear()
    assert fresh.get(two.queue_id) is None


def test_no_more_than_that() -> None:
    """Content beyond the limit is left to the spool; room comes back with what is dropped."""
    fresh = Fresh(100)
    items = [make.item(number=number) for number in range(3)]
    for item in items:
        fresh.keep(item, Octets(b"x" * 40))
    assert [fresh.get(item.queue_id) is not None for item in items] == [True, True, False]
    fresh.drop(items[0].queue_id)
    fresh.keep(items[2], Octets(b"x" * 40))
    assert fresh.get(items[2].queue_id) is not None
