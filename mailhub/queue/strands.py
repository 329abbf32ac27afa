"""Which flows there are, and when the first recipient of each strand is due.

A strand is all pending recipients of one flow and one domain. Its row must say
the truth whenever a transaction ends; so whoever writes recipients says here
which strands that touched, and calls `refresh` before the end.

Invariants:

1. After `refresh` the row of each touched strand has the moment of its first
   pending recipient, and there is no row where none is pending.
2. A flow has one number for as long as an item of it is here.
"""

from __future__ import annotations

from typing import Final

from mailhub.queue.database import Database
from mailhub.queue.flow import COMMON, Flow

FLOWS_KEPT: Final = 10_000
"""Flows above which those without mail are forgotten at a start."""

_FIRST: Final = (
    "SELECT due FROM recipient WHERE state=0 AND flow=? AND domain=? ORDER BY due LIMIT 1"
)
_WRITE: Final = (
    "INSERT INTO strand (flow, domain, due) VALUES (?, ?, ?)"
    " ON CONFLICT DO UPDATE SET due=excluded.due WHERE due IS NOT excluded.due"
)


class Strands:
    """Flows and strands of one connection to the spool."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._numbers: dict[Flow, int] = {}
        self._flows: dict[int, Flow] = {}
        self._touched: set[tuple[int, str]] = set()

    def begin(self) -> None:
        """A transaction begins: what an earlier one left half done is forgotten."""
        self._touched.clear()

    def forget(self) -> None:
        """A transaction was rolled back: flows that it brought are not there."""
        self._numbers.clear()
        self._flows.clear()

    def touch(self, flow: int, domain: str) -> None:
        """A recipient of this strand has become pending, is not any more, or has moved."""
        self._touched.add((flow, domain))

    def refresh(self) -> None:
        """Bring the rows of the touched strands up to date."""
        execute = self._database.execute
        for flow, domain in self._touched:
            first = self._database.row(_FIRST, flow, domain)
            if first is None:
                execute("DELETE FROM strand WHERE flow=? AND domain=?", (flow, domain))
            else:
                execute(_WRITE, (flow, domain, first[0]))
        self._touched.clear()

    # ---- Flows -----------------------------------------------------------------------------

    def number(self, flow: Flow) -> int:
        """The number of a flow, which is given one if it has none."""
        known = self._numbers.get(flow)
        if known is None:
            row = self._database.row(
                "SELECT id FROM flow WHERE sender=? AND name=? AND priority=?", *flow
            )
            if row is None:
                insert = "INSERT INTO flow (sender, name, priority) VALUES (?, ?, ?)"
                known = self._database.execute(insert, (*flow,)).lastrowid or 0
            else:
                known = int(row[0])
            self._numbers[flow] = known
        return known

    def flow(self, number: int) -> Flow:
        """The flow of a number."""
        known = self._flows.get(number)
        if known is None:
            row = self._database.row("SELECT sender, name, priority FROM flow WHERE id=?", number)
            known = COMMON if row is None else Flow(*row)
            self._flows[number] = known
        return known

    def every(self) -> list[tuple[int, Flow]]:
        """All flows, with their numbers."""
        found = self._database.rows("SELECT id, sender, name, priority FROM flow")
        return [(row[0], Flow(*row[1:])) for row in found]

    def tidy(self) -> None:
        """Forget flows without mail, if there are many. Within a transaction, before any other."""
        [(count,)] = self._database.rows("SELECT count(*) FROM flow")
        if count > FLOWS_KEPT:
            self._database.execute("DELETE FROM flow WHERE id NOT IN (SELECT flow FROM item)")
