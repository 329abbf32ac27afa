"""When a backlog will be gone, as far as can be told: from what waits, and how fast it goes.

Pure: the caller tells the time. An estimate is no promise; where nothing is known of the
pace none is made.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

MINUTE: Final = 60.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """Recipients that wait.

    Attributes:
        waiting: How many.
        first: When the first of them is due, and `last` the last.
    """

    waiting: int = 0
    first: float = 0.0
    last: float = 0.0


@dataclass(frozen=True, slots=True)
class Going:
    """How it goes; messages a minute.

    Attributes:
        measured: What was sent lately.
        allowed: What may be sent at most, by limit or by pace; None for no limit.
        until: Nothing is sent before; 0 if something is now.
    """

    measured: float = 0.0
    allowed: float | None = None
    until: float = 0.0


def finished(backlog: Backlog, going: Going, now: float) -> float | None:
    """When the last of a backlog will have been sent, if nothing gets worse; None if unknown.

    Not before the last of it is due: whoever was put off until tomorrow is sent tomorrow.
    What is not due yet has the measured pace to itself only as far as it is free.
    """
    if not backlog.waiting:
        return now
    rate = _rate(going)
    if rate is None:
        return None
    begins = max(now, going.until, backlog.first)
    return max(begins + backlog.waiting / rate * MINUTE, backlog.last)


def _rate(going: Going) -> float | None:
    """Messages a minute to reckon with; None where nothing says."""
    if going.measured > 0:
        # What was measured may have been before the pace fell.
        return going.measured if going.allowed is None else min(going.measured, going.allowed)
    return going.allowed or None
