"""A log file that gets the lines of one turn of the loop together: one write for all of them.

A message on its way through is several lines; to write each of them for itself takes
longer than to form it.

Invariants:

1. Lines are written in their order, at the end of the turn at the latest.
2. Where no loop runs, before a start and after the end, a line is written at once.
"""

from __future__ import annotations

from typing import Any


class TurnFile:
    """What `twisted.logger.FileLogObserver` writes to, in front of a file.

    Args:
        file: Takes text or octets, but not both.
        reactor: Whose turns.
    """

    def __init__(self, file: Any, reactor: Any) -> None:
        self._file = file
        self._reactor = reactor
        self._texts: list[Any] = []
        self._waiting = False  # they are written when the turn has ended

    def write(self, text: Any) -> None:
        """Take a line."""
        self._texts.append(text)

    def flush(self) -> None:
        """Have it written, when the turn has ended."""
        if not self._reactor.running:
            self._write()
        elif not self._waiting:
            self._waiting = True
            self._reactor.callLater(0, self._write)

    def _write(self) -> None:
        self._waiting = False
        texts, self._texts = self._texts, []
        if texts:
            self._file.write(type(texts[0])().join(texts))
            self._file.flush()
