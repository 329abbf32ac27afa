"""How a message stands, by the events of its journey: each recipient's state, and the whole's.

IMAP keywords say it to the sender: what each of them promises is in `Standing.keywords`.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mailhub.queue.event import OPEN, Accepted, Dismissed, Event, Fated, Filed, State

PENDING: Final = "$SubmitPending"
"""Something is still to be sent (RFC 5550 §5.10)."""
SUBMITTED: Final = "$Submitted"
"""Something has been handed over: to the next hop, or into a mailbox (RFC 5550 §5.10)."""
DELAYED: Final = "$Delayed"
"""Something is still to be sent, and an attempt at it has failed, or it is on hold."""
DELIVERED: Final = "$Delivered"
"""Everything has been handed over."""
FAILED: Final = "$Failed"
"""Something has been given up."""
KEYWORDS: Final = (PENDING, SUBMITTED, DELAYED, DELIVERED, FAILED)

_GOOD: Final = frozenset({State.DELIVERED, State.RELAYED, State.EXPANDED})
_BAD: Final = frozenset({State.FAILED, State.EXPIRED})
_DELAYED: Final = frozenset({State.DEFERRED, State.HELD})


@dataclass(slots=True)
class Standing:
    """What is known of a message.

    Attributes:
        accepted: None while that is not known.
        fates: The latest of each recipient that has one.
        changed: When something happened last.
        dismissed: The sender wants to see it no more.
    """

    accepted: Accepted | None = None
    fates: dict[int, Fated] = field(default_factory=dict)
    changed: float = 0.0
    dismissed: bool = False

    def take(self, events: Iterable[Event]) -> None:
        """Note what happened next."""
        for event in events:
            self.changed = max(self.changed, event.at)
            match event:
                case Accepted():
                    self.accepted = event
                case Fated(numbers=numbers):
                    self.fates.update(dict.fromkeys(numbers, event))
                case Filed(number=number, at=at):
                    self.fates[number] = Fated(at, (number,), State.DELIVERED)
                case Dismissed():
                    self.dismissed = True
                case _:
                    pass

    @property
    def numbers(self) -> range:
        """The recipients."""
        return range(0 if self.accepted is None else len(self.accepted.recipients))

    @property
    def open(self) -> list[int]:
        """Those that are still to be attempted."""
        fates = self.fates
        return [n for n in self.numbers if n not in fates or fates[n].state in OPEN]

    @property
    def ended(self) -> bool:
        """Whether nothing is left to do."""
        return self.accepted is not None and not self.open

    @property
    def keywords(self) -> tuple[str, ...]:
        """The state in IMAP's words; none for what was cancelled wholly."""
        states = [self.fates[n].state if n in self.fates else None for n in self.numbers]
        waits = any(state is None or state in OPEN for state in states)
        found = {
            PENDING: waits,
            SUBMITTED: any(state in _GOOD for state in states),
            DELAYED: any(state in _DELAYED for state in states),
            DELIVERED: bool(states) and all(state in _GOOD for state in states),
            FAILED: any(state in _BAD for state in states),
        }
        return tuple(keyword for keyword in KEYWORDS if found[keyword])

    @property
    def word(self) -> str:
        """The state in one or two words, for a person."""
        words = self.keywords
        if not words:
            return "Cancelled" if self.ended else "Unknown"
        if FAILED in words:
            return "Failed" if PENDING not in words and SUBMITTED not in words else "Partly failed"
        if DELAYED in words:
            return "Delayed"
        if PENDING in words:
            return "Partly sent" if SUBMITTED in words else "Waiting"
        return "Delivered" if DELIVERED in words else "Partly cancelled"


def standing(events: Iterable[Event]) -> Standing:
    """How a message stands after these events."""
    found = Standing()
    found.take(events)
    return found
