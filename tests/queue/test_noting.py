"""What operators did, as events."""

from __future__ import annotations

import pytest

from mailhub.queue.amend import Key
from mailhub.queue.change import Amend, Cancel, Flush, Hold, Release, Reroute, Select
from mailhub.queue.event import Decided, Event, Fated, State
from mailhub.queue.ids import to_queue_id
from mailhub.queue.noting import noted

KEYS = [Key(1, 2, 1, "far.example"), Key(2, 0, 1, "far.example"), Key(1, 0, 1, "far.example")]
ALL = Select()


@pytest.mark.parametrize(
    ("change", "event"),
    [
        (Hold(ALL, "why"), Fated(5.0, (0, 2), State.HELD, "why")),
        (Release(ALL, 1.0), Fated(5.0, (0, 2), State.RELEASED, "by the operator")),
        (Cancel(ALL, 1.0), Fated(5.0, (0, 2), State.CANCELLED, "by the operator")),
        (Flush(ALL, 1.0), Decided(5.0, (0, 2), (("attempted now, by the operator", ""),))),
        (
            Reroute(ALL, "spare", 1.0),
            Decided(5.0, (0, 2), (("route: to spare, by the operator", ""),)),
        ),
        (
            Reroute(ALL, "", 1.0),
            Decided(5.0, (0, 2), (("route: as configured, by the operator", ""),)),
        ),
    ],
)
def test_each(change: Amend, event: Event) -> None:
    """Each message is told once what was done to its recipients, in their order."""
    found = noted(change, KEYS, 5.0)
    assert list(found) == [to_queue_id(1), to_queue_id(2)]
    assert found[to_queue_id(1)] == [event]


def test_nothing() -> None:
    """Where nobody was changed nothing is told."""
    assert noted(Cancel(ALL, 1.0), [], 5.0) == {}
