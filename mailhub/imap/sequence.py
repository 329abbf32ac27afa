"""Sequence sets, parsed and merged once (RFC 3501 §9 sequence-set).

Invariants:

1. `SequenceSet.ranges` is ascending, disjoint and without neighbours: looking a
   number up is a binary search, and 3000 ranges cost less than a millisecond.
2. ``*`` stays open until `SequenceSet.resolved`: what it stands for is known
   only to the mailbox.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from mailhub.ports.message import Ranges

HIGHEST: Final = 2**32 - 1
"""The largest sequence number or UID (RFC 3501 §9 nz-number)."""

# sequence-set = (seq-number / seq-range) *("," sequence-set)               (RFC 3501 §9)
# nz-number    = digit-nz *DIGIT
SEQUENCE_SET: Final = re.compile(
    rb"(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?"
    rb"(?:,(?:[1-9][0-9]{0,9}|\*)(?::(?:[1-9][0-9]{0,9}|\*))?)*"
)


@dataclass(frozen=True, slots=True)
class SequenceSet:
    """Sequence numbers, or UIDs: the command knows which.

    Attributes:
        ranges: What was given in numbers.
        open: What was given with ``*``, as the lowest and the highest of its
            other ends; all such ranges hold ``*`` and so are one. None without.
        saved: It is ``$``: what the last SEARCH with SAVE found (RFC 5182 §2).
    """

    ranges: Ranges
    open: tuple[int, int] | None = None
    saved: bool = False

    @property
    def count(self) -> int:
        """How many numbers were given, ``*`` not counted."""
        return sum(last - first + 1 for first, last in self.ranges)

    def resolved(self, highest: int) -> Ranges:
        """The set with ``*`` standing for `highest`: the order of a range does not matter."""
        if self.open is None:
            return self.ranges
        low, high = self.open
        return merged([*self.ranges, (min(low, highest), max(high, highest))])


SAVED: Final = SequenceSet((), saved=True)
"""``$``: only the client's view of its mailbox knows what it stands for."""


def merged(ranges: Iterable[tuple[int, int]]) -> Ranges:
    """Ranges sorted, overlapping and adjacent ones joined."""
    found: list[tuple[int, int]] = []
    begun, end = 0, -1
    for first, last in sorted(ranges):
        if first > end + 1:
            if end >= 0:
                found.append((begun, end))
            begun, end = first, last
        elif last > end:
            end = last
    if end >= 0:
        found.append((begun, end))
    return tuple(found)


def intersection(one: Ranges, other: Ranges) -> Ranges:
    """The numbers that are in both."""
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return tuple(found)


def contains(ranges: Ranges, number: int) -> bool:
    """Whether a number is in merged ranges."""
    place = bisect_right(ranges, (number, HIGHEST))
    return place > 0 and ranges[place - 1][1] >= number


def parse(octets: bytes, limit: int) -> SequenceSet:
    """Read what `SEQUENCE_SET` has matched.

    Raises:
        ValueError: A number above `HIGHEST`.
        OverflowError: More than `limit` ranges.
    """
    if octets.count(b",") >= limit:
        raise OverflowError("too many ranges in the set")
    items = octets.decode("ascii").split(",")
    starred = [item for item in items if "*" in item] if b"*" in octets else []
    ends = [int(end) for item in starred for end in item.split(":") if end != "*"]
    closed = [
        (int(first), int(last or first))
        for first, _, last in [item.partition(":") for item in items]
        if first != "*" != last
    ]
    ranges = merged([(a, b) if a <= b else (b, a) for a, b in closed])
    if (ranges and ranges[-1][1] > HIGHEST) or max(ends, default=0) > HIGHEST:
        raise ValueError("a number in the set is too large")
    if not starred:
        return SequenceSet(ranges)
    return SequenceSet(ranges, (min(ends, default=HIGHEST), max(ends, default=0)))
