"""Queue ids: sortable by the moment they were given out, spelled so that people can say them."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from mailhub.ports.outgoing import QueueId

_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"
"""Sorted, one case, none of i, l, o, u: ids are read out on the telephone, and name files."""
_TO_DIGITS: Final = str.maketrans(_ALPHABET, "0123456789abcdefghijklmnopqrstuv")
_LENGTH: Final = 12
_SPELLED: Final = re.compile(f"[{_ALPHABET}]{{{_LENGTH}}}")
_RANDOM_BITS: Final = 18
"""Below 42 bits of milliseconds, which last until the year 2109."""


class QueueIds:
    """Gives out queue ids: sortable by time, never twice.

    `random` makes a number of as many random bits. `floor` is the number of the
    last id that this spool ever held (`Spool.floor`): what comes is above it,
    even if the clock was set back.
    """

    def __init__(
        self, now: Callable[[], float], random: Callable[[int], int], floor: int = 0
    ) -> None:
        self._now = now
        self._random = random
        self._last = floor

    def __call__(self) -> QueueId:
        """One more."""
        number = number_at(self._now()) | self._random(_RANDOM_BITS)
        self._last = max(self._last + 1, number)
        return to_queue_id(self._last)


def number_at(moment: float) -> int:
    """The lowest number of a queue id that is given out at a moment."""
    return int(moment * 1000) << _RANDOM_BITS


def moment_of(queue_id: QueueId) -> float:
    """When a queue id was given out."""
    return (to_number(queue_id) >> _RANDOM_BITS) / 1000


def to_queue_id(number: int) -> QueueId:
    """The queue id that is spelled from this number."""
    return QueueId(
        "".join([_ALPHABET[number >> shift & 31] for shift in range(_LENGTH * 5 - 5, -1, -5)])
    )


@lru_cache(maxsize=4096)
def to_number(queue_id: str) -> int:
    """The number that a queue id spells.

    Raises:
        ValueError: It is no queue id.
    """
    if _SPELLED.fullmatch(queue_id) is None:
        raise ValueError(f"not a queue id: {queue_id!r}")
    return int(queue_id.translate(_TO_DIGITS), 32)


def unique_part(queue_id: QueueId, number: int) -> str:
    """The unique part of the maildir name of what one recipient of a message gets."""
    return queue_id if number == 0 else f"{queue_id}-{number}"
