"""A mailbox's recent history, for sessions that ask what happened since they last looked.

Invariants:

1. `cursor` counts all changes there ever were; it never falls.
2. Memory is bounded: the oldest changes are forgotten, and whoever asks for them
   is told so, and compares for itself.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import repeat

from mailhub.ports.message import Change, Uid


class Changes:
    """What happened, oldest first; four octets for each."""

    def __init__(self) -> None:
        self.cursor = 0
        self._first = 0
        self._runs: deque[tuple[Change, array[int]]] = deque()

    @property
    def octets(self) -> int:
        """What is remembered takes so much memory."""
        return 4 * (self.cursor - self._first)

    def add(self, change: Change, uids: Iterable[int]) -> None:
        """The same has happened to each of these messages."""
        run = array("I", uids)
        if run:
            self._runs.append((change, run))
            self.cursor += len(run)

    def trim(self, limit: int) -> None:
        """Forget the oldest, but for the last `limit`, and what happened together with them."""
        while self._runs and self.cursor - self._first - len(self._runs[0][1]) >= limit:
            self._first += len(self._runs.popleft()[1])

    def since(self, cursor: int) -> Sequence[tuple[Change, Uid]] | None:
        """What happened since `cursor`; None if that is too long ago."""
        if cursor < self._first:
            return None
        skip = self.cursor - cursor
        found: list[tuple[Change, Uid]] = []
        for change, run in reversed(self._runs):
            if skip <= 0:
                break
            part = run[-skip:] if skip < len(run) else run
            found[:0] = zip(repeat(change), map(Uid, part), strict=False)
            skip -= len(part)
        return found
