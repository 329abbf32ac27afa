"""Above which number no queue id was ever given out: written ahead, and so seldom.

To write the highest id itself would cost each commit a page of the database. So a
number that ids reach some seconds from now is written, and again when they reach it.

Invariants:

1. Whatever id is in a transaction, the row that the same transaction leaves is no lower.
"""

from __future__ import annotations

from typing import Final

from mailhub.queue.database import Database
from mailhub.queue.ids import number_at

AHEAD: Final = number_at(10)
"""Ids of ten seconds: by so much they may be ahead of the clock after a restart."""


class Ceiling:
    """The ceiling as one connection to the spool knows it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._known = 0

    def forget(self) -> None:
        """A transaction was rolled back: what it wrote is not there."""
        self._known = 0

    def cover(self, number: int) -> None:
        """An id is written in the transaction at hand."""
        if number > self._known:
            self._known = number + AHEAD
            self._database.execute(
                "UPDATE ceiling SET number=max(number, ?)", (self._known,)
            ).close()


def ceiling(database: Database) -> int:
    """The number that was written last; 0 in a new spool."""
    return int(database.row("SELECT number FROM ceiling")[0])
