"""INPROGRESS: a client that has to wait is told that we are still at it (RFC 9585)."""

from __future__ import annotations

from typing import Final

from mailhub.imap.response import quoted, status
from mailhub.imap.state import State

EVERY: Final = 10.0
"""Seconds between two such responses, and before the first (RFC 9585 §4.1)."""


class Progress:
    """Of one command."""

    def __init__(self, state: State) -> None:
        self._tag = state.tag
        self._now = state.settings.now
        self._due = self._now() + EVERY

    def told(self, done: int, goal: int) -> bytes:
        """What to say at a breathing point: nothing, unless it is time for it.

        Args:
            done: How much has been done.
            goal: Of how much: more than `done`, or 0 for nobody knows.
        """
        now = self._now()
        if now < self._due:
            return b""
        self._due = now + EVERY
        # "INPROGRESS" [SP "(" (quoted / nil) SP (number / nil) SP (nz-number / nil) ")"]
        #                                                                   (RFC 9585 §7)
        far = f"{done} {goal}" if done < goal else "NIL NIL"
        code = f"INPROGRESS ({quoted(self._tag).decode()} {far})"
        return status(b"*", "OK", "Still at it", code)
