"""What operators did to recipients in the spool, as events of the messages' journeys."""

from __future__ import annotations

from collections.abc import Iterable

from mailhub.ports.outgoing import QueueId
from mailhub.queue.amend import Key
from mailhub.queue.change import Amend, Cancel, Flush, Hold, Release, Reroute
from mailhub.queue.event import Decided, Event, Fated, State
from mailhub.queue.ids import to_queue_id

OPERATOR = "by the operator"


def noted(change: Amend, keys: Iterable[Key], at: float) -> dict[QueueId, list[Event]]:
    """For each message what was done to its recipients; nothing for what tells nobody anything."""
    numbers: dict[int, list[int]] = {}
    for key in keys:
        numbers.setdefault(key.item, []).append(key.number)
    found: dict[QueueId, list[Event]] = {}
    for item, places in numbers.items():
        event = _event(change, tuple(sorted(places)), at)
        if event is not None:
            found[to_queue_id(item)] = [event]
    return found


def _event(change: Amend, numbers: tuple[int, ...], at: float) -> Event | None:
    match change:
        case Hold(why=why):
            return Fated(at, numbers, State.HELD, why)
        case Release():
            return Fated(at, numbers, State.RELEASED, OPERATOR)
        case Cancel():
            return Fated(at, numbers, State.CANCELLED, OPERATOR)
        case Flush():
            return Decided(at, numbers, ((f"attempted now, {OPERATOR}", ""),))
        case Reroute(route=route):
            where = f"to {route}" if route else "as configured"
            return Decided(at, numbers, ((f"route: {where}, {OPERATOR}", ""),))
        case _:
            return None
