"""Lets so many at a time do something, in the order in which they came.

Not Twisted's `DeferredSemaphore`: the number may be changed while it is in use.
"""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred


class Turns:
    """Lets so many in at a time, and the others in the order of their coming."""

    def __init__(self, places: int) -> None:
        self._places = places
        self._free = places  # below 0 while more are in than there are places now
        self._waiting: deque[Deferred[None]] = deque()
        self._passing = False

    @property
    def places(self) -> int:
        """How many may be in. Where there are fewer than are in, nobody is thrown out."""
        return self._places

    @places.setter
    def places(self, places: int) -> None:
        self._free += places - self._places
        self._places = places
        self._let_in()

    async def enter(self) -> None:
        """Wait for a place, and take it."""
        if self._free > 0 and not self._waiting:
            self._free -= 1
            return
        turn: Deferred[None] = Deferred()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            self._waiting.remove(turn)
            raise

    def leave(self) -> None:
        """Give the place back; whoever is next runs at once."""
        self._free += 1
        self._let_in()

    def _let_in(self) -> None:
        """Give free places away: in a loop, for the next one may leave again before it waits."""
        if self._passing:
            return
        self._passing = True
        try:
            while self._waiting and self._free > 0:
                self._free -= 1
                self._waiting.popleft().callback(None)
        finally:
            self._passing = False
