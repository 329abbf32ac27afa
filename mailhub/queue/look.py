"""Looking into the spool: what is due, items and their content, what a person asks for.

None of these queries but `counts` takes longer because more waits that is not asked for.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any, Final, cast

from mailhub.mail.address import Path
from mailhub.policy.allowance import Used
from mailhub.policy.returnpath import Ticket
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue import choosing, rows, sent, usage
from mailhub.queue.ceiling import ceiling
from mailhub.queue.change import Counts, Due, Promised, Select, Sent, Strand, Unfiled
from mailhub.queue.choosing import Part, Way
from mailhub.queue.content import path_of
from mailhub.queue.database import Database
from mailhub.queue.flow import Flow
from mailhub.queue.ids import to_number, to_queue_id
from mailhub.queue.item import Item
from mailhub.queue.journey import Attempted, from_row, numbers_from_text
from mailhub.queue.rows import ITEM_COLUMNS, RECIPIENT_COLUMNS, State
from mailhub.queue.strands import Strands

ATTEMPT_COLUMNS: Final = (
    "started, ended, host, address, port, tls, certificate, reused, stage, reply, in_doubt"
)
NAMED: Final = 1000
"""Recipients that one notice names."""
# CROSS JOIN fixes the order: first the strand's moments, then each one's item.
_DUE: Final = (
    "SELECT r.due, r.item, r.number, r.local, r.domain, i.reverse_local, i.reverse_domain,"
    " r.account, r.route FROM recipient r CROSS JOIN item i ON i.id=r.item"
    " WHERE r.state=0 AND r.flow=? AND r.domain=? AND r.due<=?"
    " ORDER BY r.due, r.item, r.number LIMIT ?"
)


class Reading:
    """The reading half of a `Spool`."""

    directory: str
    _database: Database
    _strands: Strands

    # ---- What is due -----------------------------------------------------------------------

    def awaited(self) -> list[tuple[Flow, float]]:
        """All flows with pending recipients, and the moment of the first of each."""
        found = []
        for number, flow in self._strands.every():
            row = self._database.row(
                "SELECT due FROM strand WHERE flow=? ORDER BY due LIMIT 1", number
            )
            if row is not None:
                found.append((flow, float(row[0])))
        return found

    def latest(self) -> float | None:
        """The latest moment of all strands; None where nothing is pending."""
        last = "SELECT due FROM strand WHERE flow=? ORDER BY due DESC LIMIT 1"
        found = [self._database.row(last, number) for number, _ in self._strands.every()]
        return max((float(row[0]) for row in found if row is not None), default=None)

    def strands(self, flow: Flow, now: float, after: tuple[float, str], limit: int) -> list[Strand]:
        """Strands of a flow whose moment has come, behind `after`: a moment, and a domain."""
        found = self._database.rows(
            "SELECT domain, due FROM strand WHERE flow=? AND due<=? AND (due, domain)>(?, ?)"
            " ORDER BY due, domain LIMIT ?",
            self._strands.number(flow),
            now,
            *after,
            limit,
        )
        return [Strand(flow, domain, due) for domain, due in found]

    def next_due(self, flow: Flow, after: float) -> float | None:
        """The first moment of a flow later than `after`."""
        row = self._database.row(
            "SELECT due FROM strand WHERE flow=? AND due>? ORDER BY due LIMIT 1",
            self._strands.number(flow),
            after,
        )
        return None if row is None else float(row[0])

    def due(self, flow: Flow, domain: str, now: float, limit: int) -> list[Due]:
        """The recipients of one strand whose moment has come, the longest due first."""
        number = self._strands.number(flow)
        found = self._database.rows(_DUE, number, domain, now, limit)
        return [
            Due(
                due,
                to_queue_id(item),
                number,
                Path(local, domain),
                Path(reverse_local, reverse_domain),
                account is not None,
                flow,
                route or "",
            )
            for due, item, number, local, domain, reverse_local, reverse_domain, account, route
            in found
        ]  # fmt: skip

    def next_in(self, flow: Flow, domain: str, after: float) -> float | None:
        """The first moment of a strand later than `after`."""
        row = self._database.row(
            "SELECT due FROM recipient WHERE state=0 AND flow=? AND domain=? AND due>?"
            " ORDER BY due LIMIT 1",
            self._strands.number(flow),
            domain,
            after,
        )
        return None if row is None else float(row[0])

    def sent(self, ticket: Ticket) -> Sent | None:
        """What was sent with a return path that names this; None if nothing is known of it."""
        return sent.find(self._database, ticket)

    def outlived(self, day: int) -> bool:
        """Whether something is known that was sent before a day."""
        return sent.older(self._database, day)

    def owing(self, limit: int) -> list[tuple[float, QueueId]]:
        """Items whose sender is to be told something, the earliest moments first."""
        found = self._database.rows(
            "SELECT owed, id FROM item WHERE owed IS NOT NULL ORDER BY owed LIMIT ?", limit
        )
        return [(owed, to_queue_id(item)) for owed, item in found]

    # ---- Items -----------------------------------------------------------------------------

    def load(self, queue_id: QueueId, numbers: Sequence[int] | None = None) -> Item | None:
        """An item, or None if it has left; only with the recipients of these numbers, if given."""
        of_these = ""
        parameters: list[Any] = [to_number(queue_id)]
        if numbers is not None:
            of_these = "AND number IN (SELECT value FROM json_each(?))"
            parameters.append(json.dumps(list(numbers)))
        return self._load(of_these, parameters)

    def owed(self, queue_id: QueueId) -> Item | None:
        """An item with recipients whose sender is to be told of them; None if there are none.

        With so many of them as one notice is to name.
        """
        return self._load("AND owed=1", [to_number(queue_id)], NAMED)

    def _load(self, of_these: str, parameters: Sequence[Any], limit: int = -1) -> Item | None:
        row = self._database.row(f"SELECT {ITEM_COLUMNS} FROM item WHERE id=?", parameters[0])
        if row is None:
            return None
        recipients = self._database.rows(
            f"SELECT {RECIPIENT_COLUMNS} FROM recipient WHERE item=? {of_these} ORDER BY number"
            " LIMIT ?",
            *parameters,
            limit,
        )
        # Between the two reads it may have left, with all its recipients.
        return rows.item(row, recipients, self._strands.flow(row[-2])) if recipients else None

    def content(self, queue_id: QueueId) -> bytes | str:
        """An item's content: the octets, or the path of the file (head first) that holds them."""
        row = self._database.row("SELECT octets FROM content WHERE item=?", to_number(queue_id))
        return path_of(self.directory, queue_id) if row is None else cast(bytes, row[0])

    def attempts(self, queue_id: QueueId) -> list[Attempted]:
        """What was tried for an item, in order; it may have left since."""
        found = self._database.rows(
            f"SELECT numbers, {ATTEMPT_COLUMNS} FROM attempt WHERE item=? ORDER BY id",
            to_number(queue_id),
        )
        return [Attempted(numbers_from_text(row[0]), from_row(row[1:])) for row in found]

    # ---- After a start ---------------------------------------------------------------------

    def floor(self) -> int:
        """A number that no queue id that was ever here is above."""
        return ceiling(self._database)

    def promises(self, after: QueueId | None = None, limit: int = 200) -> list[Promised]:
        """Promises not yet kept, in order of their ids, from `after` on."""
        found = self._database.rows(
            "SELECT id, account, mailbox, flags, date, octets FROM promise"
            " WHERE id>? ORDER BY id LIMIT ?",
            -1 if after is None else to_number(after),
            limit,
        )
        return [
            Promised(to_queue_id(row[0]), AccountId(row[1]), row[2], (*row[3].split(),), *row[4:])
            for row in found
        ]

    def unfiled(self, after: QueueId | None = None, limit: int = 200) -> list[Unfiled]:
        """Items with local recipients not yet dropped, in order of their ids, from `after` on."""
        place = to_number(after) if after else -1
        while numbers := self._database.rows(
            "SELECT DISTINCT item FROM recipient WHERE state IN (2, 3) AND item>?"
            " ORDER BY item LIMIT ?",
            place,
            limit,
        ):
            if found := [it for (item,) in numbers if (it := self._unfiled(item)) is not None]:
                return found
            [place] = numbers[-1]
        return []

    def _unfiled(self, number: int) -> Unfiled | None:
        """One of these; None if it was accepted a moment ago, and has left since."""
        item = self.load(to_queue_id(number))
        if item is None:
            return None
        states = dict(
            self._database.rows("SELECT number, state FROM recipient WHERE item=?", number)
        )
        return Unfiled(
            item,
            tuple(n for n, state in states.items() if state == State.LOCAL),
            tuple(n for n, state in states.items() if state == State.FILED),
        )

    def present(self, numbers: Sequence[int]) -> set[int]:
        """Those of these numbers of queue ids whose items are here."""
        found = self._database.rows(
            "SELECT id FROM item WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(numbers)),
        )
        return {number for (number,) in found}

    # ---- What was sent ---------------------------------------------------------------------

    def used(self, subject: str, slot: int) -> list[Used]:
        """What a subject has sent, slot by slot, in the day up to this one."""
        return usage.used(self._database, subject, slot)

    def strangers(self, subject: str, recipients: Sequence[int]) -> int:
        """How many of these a subject has not written to before."""
        return usage.strangers(self._database, subject, recipients)

    # ---- What a person asks for --------------------------------------------------------------

    def find(
        self,
        select: Select,
        after: QueueId | None = None,
        limit: int = 100,
        states: Iterable[State] = tuple(State),
    ) -> list[Item]:
        """Items with a recipient that fits, whole, in order of their ids, from `after` on."""
        start = to_number(after) if after else -1
        wanted = frozenset(states)
        way = choosing.way_of(select)
        if way in (Way.DOMAINS, Way.ACCOUNT) and wanted <= choosing.INDEXED:
            each = (self._of_recipients(select, state, start, limit) for state in wanted)
            numbers = sorted({number for found in each for number in found})[:limit]
        else:
            numbers = self._of_items(select, wanted, start, limit)
        items = [self.load(to_queue_id(number)) for number in numbers]
        return [item for item in items if item is not None]

    def _of_recipients(self, select: Select, state: State, start: int, limit: int) -> list[int]:
        """Items with recipients of a state, which has an index."""
        found, where = choosing.found_by(select, state), choosing.conditions(select)
        rows_ = self._database.rows(
            "SELECT DISTINCT r.item FROM recipient r CROSS JOIN item i ON i.id=r.item"
            f" WHERE r.state={state:d} AND {found.sql} {where.sql} AND r.item>?"
            " ORDER BY r.item LIMIT ?",
            *found.parameters,
            *where.parameters,
            start,
            limit,
        )
        return [number for (number,) in rows_]

    def _of_items(
        self, select: Select, states: Iterable[State], start: int, limit: int
    ) -> list[int]:
        """Items that fit, with a recipient that does."""
        where = choosing.conditions(select)
        codes = ", ".join(str(int(state)) for state in states)
        by = "INDEXED BY sender" if choosing.way_of(select) is Way.SENDER else ""
        senders = choosing.conditions(replace(_ANY, **_senders(select))) if by else Part("")
        rows_ = self._database.rows(
            f"SELECT i.id FROM item i {by} WHERE i.id>? {senders.sql} AND EXISTS"
            f" (SELECT 1 FROM recipient r WHERE r.item=i.id AND r.state IN ({codes}) {where.sql})"
            " ORDER BY i.id LIMIT ?",
            start,
            *senders.parameters,
            *where.parameters,
            limit,
        )
        return [number for (number,) in rows_]

    def counts(self) -> Counts:
        """How much there is. Looks at every recipient: not for the hub's own loop."""
        states = self._database.rows("SELECT state, count(*) FROM recipient GROUP BY state")
        [(items, oldest)] = self._database.rows("SELECT count(*), min(arrived) FROM item")
        recipients = {State(state).name.lower(): count for state, count in states}
        return Counts(items, recipients, oldest)


_ANY: Final = Select()


def _senders(select: Select) -> dict[str, Any]:
    return {"sender": select.sender, "sender_domain": select.sender_domain}
