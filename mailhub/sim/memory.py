"""What a receiver remembers of those who send to it, and how it judges them.

Invariants:

1. A verdict is a function of the moment, of what was told here before, and of the
   recipient's address: nothing is drawn by lot, so that two configurations that are tried
   against the same world meet the same unknown users.
2. What is remembered is bounded by the sources, and for greylisting by the triplets.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.sim.manners import Manners, Rate, Why

DAY: Final = 86400.0
_FEW: Final = 50
"""Recipients below which no share of unknown ones says anything."""
_FIRST_TENTH: Final = 0.1
GOOD: Final = 100.0
"""A reputation that leaves nothing to wish for."""
_PENALTIES: Final = {"over": 0.02, "unknown": 0.1, "complaint": 2.0, "blocked": 20.0}
"""What reputation is lost by one recipient too fast, one that does not exist, and so on."""
_RECOVERY: Final = 2.0
"""Points of reputation that an hour brings back."""


def share(seed: str, name: str, text: str) -> float:
    """A number from 0 up to 1 that belongs to a text."""
    digest = blake2b(f"{seed}/{name}/{text}".encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 4_294_967_296


class Counter:
    """Counts what happened in the last so many seconds, in sixty slots."""

    __slots__ = ("_slots", "_total", "rate")

    def __init__(self, rate: Rate) -> None:
        self.rate = rate
        self._slots: deque[list[float]] = deque()
        self._total = 0.0

    def count(self, now: float) -> float:
        """How much that is."""
        slots, start = self._slots, now - self.rate.seconds
        while slots and slots[0][0] <= start:
            self._total -= slots.popleft()[1]
        return self._total

    def add(self, now: float, number: float = 1) -> None:
        """It happened."""
        slots = self._slots
        if slots and now - slots[-1][0] < self.rate.seconds / 60:
            slots[-1][1] += number
        else:
            slots.append([now, number])
        self._total += number


@dataclass(slots=True)
class Source:
    """An address that sends.

    Attributes:
        open: Its connections.
        score: Its reputation, of 100.
        blocked_until: When it is forgiven.
        blocks: How often it was blocked.
    """

    accepted: Counter
    tried: Counter
    opened: Counter
    complained: Counter
    open: int = 0
    total: int = 0
    asked: int = 0
    unknown: int = 0
    score: float = GOOD
    scored: float = 0.0
    blocked_until: float = 0.0
    blocks: int = 0


@dataclass(slots=True)
class Refused:
    """A no, and what is behind it."""

    reply: Reply
    why: Why


@dataclass(slots=True)
class Memory:
    """What one provider remembers.

    Attributes:
        seed: Of the world: it decides who exists.
    """

    manners: Manners
    seed: str
    sources: dict[str, Source] = field(default_factory=dict)
    triplets: dict[tuple[str, str, str], tuple[float, float]] = field(default_factory=dict)
    free_at: float = 0.0

    def source(self, address: str) -> Source:
        """What is known of an address."""
        found = self.sources.get(address)
        if found is None:
            manners = self.manners
            found = self.sources[address] = Source(
                Counter(manners.rate),
                Counter(manners.block_above),
                Counter(manners.connection_rate),
                Counter(Rate(1, DAY)),
            )
        return found

    # ---- Verdicts --------------------------------------------------------------------------

    def connect(self, source: Source, now: float) -> Refused | None:
        """May it connect? Counts the connection if so."""
        manners = self.manners
        if manners.connection_rate:
            source.opened.add(now)
            if source.opened.count(now) > manners.connection_rate.count:
                return Refused(manners.says_connections, Why.CONNECTIONS)
        if manners.connections and source.open >= manners.connections:
            return Refused(manners.says_connections, Why.CONNECTIONS)
        return None

    def mail(self, source: Source, now: float) -> Refused | None:
        """May it send a message now?"""
        manners = self.manners
        if now < source.blocked_until:
            return Refused(manners.says_blocked, Why.BLOCKED)
        return self._too_fast(source, now)

    def _too_fast(self, source: Source, now: float) -> Refused | None:
        manners = self.manners
        if not manners.rate or source.accepted.count(now) < self.allowed(source, now):
            return None
        self._tried(source, now)
        self._lose(source, now, "over")
        return Refused(manners.says_rate, Why.RATE)

    def recipient(
        self, source: Source, address: str, sender: str, path: str, now: float
    ) -> Refused | None:
        """May it send to this recipient? Counts the recipient if so."""
        manners = self.manners
        source.asked += 1
        self._tried(source, now)
        if now < source.blocked_until:
            return Refused(manners.says_blocked, Why.BLOCKED)
        if manners.unknown and share(self.seed, "unknown", path) < manners.unknown:
            source.unknown += 1
            self._lose(source, now, "unknown")
            limit = manners.block_unknown
            if limit and source.asked >= _FEW and source.unknown > limit * source.asked:
                self._block(source, now)
            return Refused(manners.says_unknown, Why.UNKNOWN)
        if manners.full and share(self.seed, "full", path) < manners.full:
            return Refused(manners.says_full, Why.FULL)
        if manners.greylist and self._greylisted((address, sender, path), now):
            return Refused(manners.says_greylisted, Why.GREYLISTED)
        refused = self._too_fast(source, now)
        if refused is None:
            source.accepted.add(now)
        return refused

    def allowed(self, source: Source, now: float) -> float:
        """Recipients that are accepted from it in the time that the rate counts."""
        manners = self.manners
        part = self.reputation(source, now) / GOOD
        if manners.warm_up:
            part *= min(1.0, _FIRST_TENTH + source.total / manners.warm_up)
        return max(1.0, manners.rate.count * max(_FIRST_TENTH, part))

    def accepted(self, source: Source, number: int, now: float) -> float:
        """A message to so many recipients was taken; seconds until it can be said so."""
        source.total += number
        capacity = self.manners.capacity
        if not capacity:
            return 0.0
        self.free_at = max(self.free_at, now) + 1 / capacity.per_second
        return max(0.0, self.free_at - now - 1.0)  # a second's worth is taken at once

    def complained(self, address: str, now: float) -> None:
        """One of its messages was complained of."""
        source = self.source(address)
        source.complained.add(now)
        self._lose(source, now, "complaint")
        limit = self.manners.block_complaints
        if limit and source.complained.count(now) > limit:
            self._block(source, now)

    # ---- Reputation ------------------------------------------------------------------------

    def reputation(self, source: Source, now: float) -> float:
        """Of 100; it comes back with time."""
        if source.score < GOOD:
            gained = (now - source.scored) / 3600 * _RECOVERY
            source.score = min(GOOD, source.score + gained)
        source.scored = now
        return source.score

    def _lose(self, source: Source, now: float, what: str) -> None:
        source.score = max(0.0, self.reputation(source, now) - _PENALTIES[what])

    def _tried(self, source: Source, now: float) -> None:
        limit = self.manners.block_above
        if not limit:
            return
        source.tried.add(now)
        if source.tried.count(now) > limit.count and now >= source.blocked_until:
            self._block(source, now)

    def _block(self, source: Source, now: float) -> None:
        if now >= source.blocked_until:
            source.blocks += 1
            source.asked = source.unknown = 0
            self._lose(source, now, "blocked")
        source.blocked_until = now + self.manners.block_for

    def _greylisted(self, triplet: tuple[str, str, str], now: float) -> bool:
        first, last = self.triplets.get(triplet, (now, now))
        if now - last > self.manners.greylist_memory:
            first = now
        self.triplets[triplet] = (first, now)
        return now - first < self.manners.greylist
