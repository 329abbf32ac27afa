"""How much waits in the spool for each domain: looked at as a whole, for a person.

It looks at every recipient that waits, a second for a million: not for the hub's own loop.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any, Final

from mailhub.ports.outgoing import QueueId
from mailhub.queue.database import Database
from mailhub.queue.ids import to_queue_id
from mailhub.queue.journey import numbers_from_text, reply_from_text
from mailhub.queue.rows import State
from mailhub.queue.spool import DATABASE

SAMPLED: Final = 2000
"""Domains of which the last attempt is looked for: those with the most waiting."""

_TOTALS: Final = """
    SELECT r.domain, r.account IS NOT NULL, sum(r.state=?1),
        sum(r.state=?1 AND r.due<=?3), sum(r.state=?2),
        min(CASE WHEN r.state=?1 THEN r.due END),
        max(CASE WHEN r.state=?1 THEN r.due END),
        min(r.item), max(CASE WHEN r.attempts>0 THEN r.item END)
    FROM recipient r WHERE r.state IN (?1, ?2) GROUP BY 1, 2 ORDER BY 3 DESC, 1
"""


@dataclass(frozen=True, slots=True)
class Total:
    """What waits for one domain.

    Attributes:
        local: For mailboxes of ours whose first filing has failed.
        waiting: Recipients to be attempted; `due` those whose moment has come.
        held: Recipients on hold.
        first: When the first is due, and `last` the last; None if all are held.
        oldest: The queue id of the item that has been here longest.
        host: Where the last attempt went; ``""`` if that is not known.
        reply: What it ended with, and `ended` when.
    """

    domain: str
    local: bool
    waiting: int
    due: int
    held: int
    first: float | None
    last: float | None
    oldest: QueueId
    host: str = ""
    reply: str = ""
    ended: float = 0.0


def totals(directory: str, now: float) -> list[Total]:
    """Of each domain, those with the most waiting first.

    Raises:
        OSError: The disk said no.
    """
    if not os.path.exists(f"{directory}/{DATABASE}"):
        return []
    with closing(Database(f"{directory}/{DATABASE}")) as database:
        found = database.rows(_TOTALS, State.PENDING, State.HELD, now)
        return [_total(database, row, sampled=place < SAMPLED) for place, row in enumerate(found)]


def _total(database: Database, row: Any, *, sampled: bool) -> Total:
    domain, local, waiting, due, held, first, last, oldest, tried = row
    host, reply, ended = "", "", 0.0
    if sampled and tried is not None:
        host, reply, ended = next(_last(database, tried, domain), (host, reply, ended))
    came = to_queue_id(oldest)
    return Total(domain, bool(local), waiting, due, held, first, last, came, host, reply, ended)


def _last(database: Database, item: int, domain: str) -> Iterator[tuple[str, str, float]]:
    """The last attempt at an item's recipients in a domain: host, reply, and when."""
    numbers = {
        number
        for (number,) in database.rows(
            "SELECT number FROM recipient WHERE item=? AND domain=?", item, domain
        )
    }
    for text, host, reply, ended in database.rows(
        "SELECT numbers, host, reply, ended FROM attempt WHERE item=? ORDER BY id DESC", item
    ):
        if numbers.intersection(numbers_from_text(text)):
            yield host, reply_from_text(reply).text, ended
