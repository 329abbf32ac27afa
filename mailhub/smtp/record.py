"""What was said on a connection, as far as a person will want to read it: bounded, and fit to keep.

The lines come from `smtp.dialogue`, which leaves out content and secrets.

Invariant: whatever a server says, and however many recipients there are, one
message's dialogue is no more than `RecordLimits.head` and `RecordLimits.tail`
lines of `RecordLimits.width` characters, and one that tells how many are missing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class RecordLimits:
    """How much of a dialogue is kept.

    Attributes:
        head: Lines of the beginning: the greeting, EHLO, the first recipients.
        tail: Lines of the end, where it was decided.
        width: Characters of a line; a reply of several lines is one.
    """

    head: int = 40
    tail: int = 20
    width: int = 600


RECORD_LIMITS: Final = RecordLimits()


class Record:
    """Takes lines down, until somebody takes them away."""

    def __init__(self, limits: RecordLimits = RECORD_LIMITS) -> None:
        self._width = limits.width
        self._most = limits.head
        self._head: list[str] = []
        self._tail: deque[str] = deque(maxlen=limits.tail)
        self._missing = 0

    def __call__(self, line: str) -> None:
        """Take a line down."""
        if len(line) > self._width:
            line = line[: self._width - 1] + "…"
        if len(self._head) < self._most:
            self._head.append(line)
            return
        self._missing += len(self._tail) == self._tail.maxlen
        self._tail.append(line)

    def take(self) -> tuple[str, ...]:
        """What was said since this was last asked."""
        gap = (f"… {self._missing} lines …",) if self._missing else ()
        lines = (*self._head, *gap, *self._tail)
        self._head, self._missing = [], 0
        self._tail.clear()
        text = "".join(lines)
        return lines if text.isascii() and text.isprintable() else tuple(map(_fit, lines))


def _fit(line: str) -> str:
    # Servers say what they like: octets that are no UTF-8, and orders to terminals.
    line = line.encode("utf-8", "replace").decode()
    return "".join(character if character.isprintable() else "�" for character in line)
