"""How fast we may send to a provider: limits that are kept, and a pace that follows replies.

When a provider says that we are too fast the pace is halved, and it grows by
small steps while nothing of the kind is heard (additive increase, multiplicative
decrease: what makes many senders share a line fairly). Where no rate is configured
there is none to halve at first: then what was sent in the last minute is.

Pure: values go in and out, and the caller tells the time, seconds since the epoch.
A clock that is set back costs at most one window's wait.

Invariants:

1. Within any span of a limit's length no more messages begin than it allows.
2. The pace never falls below `FLOOR` and never ends above what is configured.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from mailhub.mail.value import replace, value

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0

DECREASE: Final = 0.5
"""What is left of the pace after a complaint, as in RFC 5681 §3.1."""
HOLD: Final = 60.0
"""Seconds after a complaint in which others are about the same excess: it takes a while until
what is on its way has been answered."""
STEP: Final = 60.0
"""Seconds without complaint after which the pace grows."""
SHARE: Final = 0.1
"""By how much: this share of what it was before it fell, or one message a minute."""
FLOOR: Final = 1.0
"""Messages a minute that are always tried: else nobody would learn that it is better again."""
SLOTS: Final = 10
"""Parts of a span that are counted apart: a limit is free again by so much later at most."""
RELEASE: Final = 4.0
"""Without a configured rate the pace is unlimited again at so many times what it fell from."""


@value(frozen=True, slots=True)
class Limits:
    """What is configured for a provider, from one source; 0 is none but for connections."""

    connections: int = 20
    per_minute: int = 0
    per_hour: int = 0
    per_day: int = 0

    @property
    def rated(self) -> bool:
        """Whether messages are counted against something."""
        return bool(self.per_minute or self.per_hour or self.per_day)


@value(frozen=True, slots=True)
class Window:
    """Messages counted in the last so many seconds, which are cut into `SLOTS` slots.

    Attributes:
        last: The number of the newest slot, counted since the epoch.
        counts: Of the slots up to that one, the newest last; at most `SLOTS` + 1, for
            the oldest is still partly within.
    """

    last: int = 0
    counts: tuple[int, ...] = ()

    def at(self, now: float, length: float) -> Window:
        """The window as it is now."""
        slot = int(now * SLOTS // length)
        gap = slot - self.last
        if -SLOTS <= gap <= 0:
            return self  # or a little before: a slot that is still to come was taken
        if abs(gap) > SLOTS:
            return Window(slot, (0,))  # all is forgotten, or the clock was set back
        return Window(slot, (*self.counts, *(0,) * gap)[-SLOTS - 1 :])

    def free(self, now: float, length: float, limit: int) -> float:
        """The first moment, not before `now`, when one more keeps the limit, which is above 0."""
        window = self.at(now, length)
        over = sum(window.counts) + 1 - limit
        if over <= 0:
            return now
        slot = window.last - len(window.counts)
        for count in window.counts:
            slot += 1
            over -= count
            if over <= 0:
                break
        # The slot that matters has wholly left the span of SLOTS slots that is looked at then.
        return max(now, (slot + 1 + SLOTS) * length / SLOTS)

    def used(self, now: float, length: float) -> int:
        """How many there were."""
        return sum(self.at(now, length).counts[-SLOTS:])

    def counted(self, now: float, length: float) -> Window:
        """The window with one message more."""
        window = self.at(now, length)
        counts = window.counts or (0,)
        return Window(window.last, (*counts[:-1], counts[-1] + 1))

    def moved(self, then: float, now: float, length: float) -> Window | None:
        """The window with a message of `then` counted at `now` instead; None if it has left."""
        window = self.at(now, length)
        place = len(window.counts) - 1 - window.last + int(then * SLOTS // length)
        if not 0 <= place < len(window.counts) or not window.counts[place]:
            return None
        counts = list(window.counts)
        counts[place] -= 1
        counts[-1] += 1
        return Window(window.last, tuple(counts))


@value(frozen=True, slots=True)
class Pace:
    """How fast we go now, and what was sent.

    Attributes:
        rate: Messages a minute; 0 for no more than what is configured.
        top: What it was before it fell.
        moved: When it fell or grew last.
        fell: When a complaint was obeyed last.
        connections: How many there may be; 0 for as many as are configured.
        next: Not before this moment, for the rate's sake.
    """

    rate: float = 0.0
    top: float = 0.0
    moved: float = 0.0
    fell: float = 0.0
    connections: int = 0
    next: float = 0.0
    minute: Window = Window()
    hour: Window = Window()
    day: Window = Window()

    @property
    def slowed(self) -> bool:
        """Whether it is below what is configured."""
        return bool(self.rate or self.connections)

    def places(self, limits: Limits) -> int:
        """Connections that there may be now."""
        return min(self.connections or limits.connections, limits.connections)


def slot(pace: Pace, limits: Limits, now: float) -> float:
    """The first moment when a message may begin; `now` if that is now."""
    if not (pace.rate or limits.rated):
        return now
    windows = [window.free(now, length, limit) for window, length, limit in _windows(pace, limits)]
    return max(now, _spaced(pace, now), *windows)


def _spaced(pace: Pace, now: float) -> float:
    """When the rate allows one more."""
    if not pace.rate:
        return now
    # Further off it was written before the clock was set back: the old time must not be waited for.
    return max(now, min(pace.next, now + MINUTE / pace.rate + MINUTE))


def _windows(pace: Pace, limits: Limits) -> Iterator[tuple[Window, float, int]]:
    if limits.per_minute:
        yield pace.minute, MINUTE, limits.per_minute
    if limits.per_hour:
        yield pace.hour, HOUR, limits.per_hour
    if limits.per_day:
        yield pace.day, DAY, limits.per_day


def sent(pace: Pace, now: float) -> Pace:
    """The pace after a message was begun."""
    return replace(
        pace,
        next=_spaced(pace, now) + MINUTE / pace.rate if pace.rate else 0.0,
        minute=pace.minute.counted(now, MINUTE),
        hour=pace.hour.counted(now, HOUR),
        day=pace.day.counted(now, DAY),
    )


def moved(pace: Pace, then: float, now: float) -> Pace | None:
    """The pace where a message that had its slot at `then` begins only `now`.

    None if that slot is too long ago: it needs another one.
    """
    minute = pace.minute.moved(then, now, MINUTE)
    if minute is None:
        return None
    hour, day = pace.hour.moved(then, now, HOUR), pace.day.moved(then, now, DAY)
    return replace(pace, minute=minute, hour=hour or pace.hour, day=day or pace.day)


def fell(pace: Pace, limits: Limits, now: float, *, of_connections: bool) -> Pace:
    """The pace after a complaint; `of_connections` says that it was about their number.

    With a single connection that is too many already, the rate falls.
    """
    if 0 <= now - pace.fell < HOLD:
        return pace
    places = pace.places(limits)
    if of_connections and places > 1:
        fewer = max(1, int(places * DECREASE))
        return replace(pace, connections=fewer, fell=now, moved=now)
    rate = pace.rate or limits.per_minute or max(pace.minute.used(now, MINUTE), 2 * FLOOR)
    slower = max(FLOOR, rate * DECREASE)
    return replace(pace, rate=slower, top=rate, fell=now, moved=now, next=now + MINUTE / slower)


def grew(pace: Pace, limits: Limits, now: float) -> Pace:
    """The pace after a message was taken, which may let it grow."""
    if not pace.slowed or 0 <= now - pace.moved < STEP:
        return pace
    rate, connections = pace.rate, pace.connections
    if rate:
        rate += max(pace.top * SHARE, 1.0)
        if rate >= (limits.per_minute or pace.top * RELEASE):
            rate = 0.0
    if connections:
        connections = 0 if connections + 1 >= limits.connections else connections + 1
    return replace(pace, rate=rate, connections=connections, moved=now)
