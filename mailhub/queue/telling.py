"""What a sender must be told of a change in a message's fates, and what it is called then."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Final

from mailhub.mail.address import NULL
from mailhub.mail.envelope import Notify, Recipient
from mailhub.queue.item import (
    Delivered,
    Expanded,
    Failed,
    Fate,
    Held,
    Item,
    Pending,
    Relayed,
    Settled,
)


class Action(Enum):
    """What a DSN says has happened to a recipient (RFC 3464 §2.3.3)."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


_WANTED: Final[Mapping[Action, Notify]] = {
    Action.FAILED: Notify.FAILURE,
    Action.DELAYED: Notify.DELAY,
    Action.DELIVERED: Notify.SUCCESS,
    Action.RELAYED: Notify.SUCCESS,
    Action.EXPANDED: Notify.SUCCESS,
}

_UNASKED: Final = Notify.FAILURE | Notify.DELAY
"""What is reported where RCPT had no NOTIFY (RFC 3461 §4.1)."""


def to_report(before: Item | None, after: Item) -> dict[int, Action]:
    """The recipients the sender must now be told of, and what.

    `before` is None where `after` has just been accepted.
    """
    if after.envelope.reverse_path == NULL:
        return {}
    found = {}
    for number, fate in enumerate(after.fates):
        was = before.fates[number] if before is not None else None
        action = _news(was, fate)
        recipient = after.envelope.recipients[number]
        if action is not None and (_wants(recipient, action) or _traced(after, recipient, action)):
            found[number] = action
    return found


def lost(before: Item | None, after: Item) -> dict[int, Action]:
    """The recipients of an item from nobody that have failed now: there is no sender to tell.

    Their failure is a double bounce, most often of a notice. `before` is as in `to_report`.
    """
    if after.envelope.reverse_path != NULL:
        return {}
    return {
        number: Action.FAILED
        for number, fate in enumerate(after.fates)
        if isinstance(fate, Failed)
        and (before is None or not isinstance(before.fates[number], Settled))
        and after.envelope.recipients[number].notify is not Notify.NEVER
    }


def to_tell(before: Item | None, after: Item) -> dict[int, Action]:
    """The recipients of whom somebody must now be told: the sender, or who is told instead."""
    return to_report(before, after) or lost(before, after)


def _news(was: Fate | None, fate: Fate) -> Action | None:
    """What has happened between two fates that could be worth telling."""
    if isinstance(was, Settled):
        return None
    match fate:
        case Failed():
            return Action.FAILED
        case Delivered():
            return Action.DELIVERED
        case Relayed(dsn=False):
            return Action.RELAYED
        case Expanded():
            return Action.EXPANDED
        case Pending(warned=True) if not _was_warned(was):
            return Action.DELAYED
        case _:
            return None


def _was_warned(fate: Fate | None) -> bool:
    match fate:
        case Pending(warned=warned) | Held(pending=Pending(warned=warned)):
            return warned
        case _:
            return False


def _wants(recipient: Recipient, action: Action) -> bool:
    asked = _UNASKED if recipient.notify is None else recipient.notify
    return bool(asked & _WANTED[action])


def _traced(item: Item, recipient: Recipient, action: Action) -> bool:
    """Whether a sender who set a time is told that nobody watches it from here (RFC 2852 §4.2)."""
    by = item.envelope.by
    wanted = by is not None and (by.trace or not by.returned) and action is Action.RELAYED
    return wanted and recipient.notify is not Notify.NEVER
