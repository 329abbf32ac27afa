"""What an operator orders about a provider, and how one is shown to him.

The same in the running hub and without one: then the orders change what is remembered.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

from mailhub.policy import pace as pacing
from mailhub.policy import repute as standing
from mailhub.policy.pace import DAY, HOUR, MINUTE, Limits
from mailhub.policy.provider import Provider
from mailhub.policy.repute import Repute, Way


class What(Enum):
    """What is to be done."""

    SUSPEND = "suspend"
    RESUME = "resume"
    PACE = "pace"


@dataclass(frozen=True, slots=True)
class Order:
    """One order.

    Attributes:
        provider: Its name.
        source: The name of a source; None for all of them.
        seconds: How long a suspension lasts; 0 until it is resumed.
        why: Kept with it.
        rate: Messages a minute; 0 forgets what was learnt.
    """

    what: What
    provider: str
    source: str | None = None
    seconds: float = 0.0
    why: str = ""
    rate: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """For a line of JSON."""
        return {**asdict(self), "what": self.what.value}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Order:
        """What `as_json` gave.

        Raises:
            ValueError: Something else was given.
        """
        try:
            return cls(
                What(values["what"]),
                str(values["provider"]),
                None if values["source"] is None else str(values["source"]),
                float(values["seconds"]),
                str(values["why"]),
                float(values["rate"]),
            )
        except (KeyError, TypeError) as error:
            raise ValueError(str(error)) from None


def carried_out(repute: Repute, order: Order, now: float) -> Repute:
    """How we stand after an order."""
    match order.what:
        case What.SUSPEND:
            until = now + order.seconds if order.seconds else math.inf
            return standing.suspend(repute, until, order.why)
        case What.RESUME:
            return standing.resume(repute)
        case What.PACE:
            return standing.set_pace(repute, order.rate, now)


@dataclass(frozen=True, slots=True)
class Row:
    """How we stand with a provider from one source, for a person or a program.

    Moments are seconds since the epoch, or None.

    Attributes:
        busy: Messages on their way now; None if no hub runs.
        places: How many may be.
        rate: Messages a minute now; None for no limit.
        next: When the next message may begin.
        state: ``open``, ``slow``, ``trial``, ``detour``, ``dead`` or ``suspended``.
        until: When that ends by itself.
        why: In words.
        sent_minute: Messages begun in the last minute; likewise the others.
    """

    provider: str
    source: str
    busy: int | None
    places: int
    rate: float | None
    next: float
    state: str
    until: float | None
    why: str
    reply: str
    cause: str
    heard: float | None
    taken: int
    put_off: int
    refused: int
    sent_minute: int
    sent_hour: int
    sent_day: int


def row(
    provider: Provider,
    source: str,
    repute: Repute,
    limits: Limits,
    now: float,
    busy: int | None = None,
) -> Row:
    """How we stand now."""
    state, until, why = _state(provider, repute, now)
    pace = repute.pace
    held = max(repute.suspended, repute.rest, now)
    begins = max(held, pacing.slot(pace, limits, now))
    return Row(
        provider.name,
        source,
        busy,
        standing.places(repute, limits),
        pace.rate or limits.per_minute or None,
        begins if begins < math.inf else 0.0,
        state,
        until if until is None or until < math.inf else None,
        why,
        repute.reply,
        repute.cause,
        repute.heard or None,
        repute.taken,
        repute.put_off,
        repute.refused,
        pace.minute.used(now, MINUTE),
        pace.hour.used(now, HOUR),
        pace.day.used(now, DAY),
    )


def _state(provider: Provider, repute: Repute, now: float) -> tuple[str, float | None, str]:
    match standing.way(repute, provider, now):
        case Way.WAIT:
            return "suspended", repute.suspended, f"{repute.why} ({repute.by})"
        case Way.DETOUR:
            return "detour", repute.detour, f"through {provider.detour}: {repute.blocked}"
        case Way.DEAD:
            return "dead", repute.rest, repute.reply
        case Way.DIRECT:
            if repute.trial:
                return "trial", None, "one message at a time, until one is taken"
            if repute.pace.slowed:
                return "slow", None, standing.told_pace(repute.pace)
            return "open", None, ""


def whole(row: Row, now: float) -> tuple[str, ...]:
    """All that matters to a message that is to go there: as `told`, and room, pace and counts."""
    whence = f" from {row.source}" if row.source else ""
    found = list(told(row, now)) or [f"open{whence}: the next slot is now"]
    busy = "" if row.busy is None else f", {row.busy} taken"
    found.append(f"places{whence}: {row.places}{busy}")
    pace = "as fast as they take it" if row.rate is None else f"{row.rate:g} a minute"
    sent = f"{row.sent_minute} in the last minute, {row.sent_hour} in the hour"
    found.append(f"pace{whence}: {pace}; sent {sent}, {row.sent_day} in the day")
    return tuple(found)


def told(row: Row, now: float) -> tuple[str, ...]:
    """How we stand, in sentences: what matters to a message that is to go there."""
    whence = f" from {row.source}" if row.source else ""
    found = []
    if row.state != "open":
        ends = f" for {round(row.until - now)} s" if row.until is not None else ""
        found.append(f"{row.state}{whence}{ends}: {row.why}")
    if row.state in ("open", "slow", "trial") and row.next > now:
        found.append(f"next slot{whence} in {round(row.next - now)} s")
    return tuple(found)
