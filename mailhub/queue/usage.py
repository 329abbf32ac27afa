"""What each account has sent, and to whom, hour by hour: kept with the mail, in the same commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from mailhub.mail.address import Path
from mailhub.policy.allowance import DAY_HOURS, Used
from mailhub.queue.change import Count
from mailhub.queue.database import Database

REMEMBERED: Final = 180 * DAY_HOURS
"""Hours for which a recipient is an acquaintance."""


def number_of(path: Path) -> int:
    """A number for a recipient: there need be no list of everybody's correspondents to steal."""
    digest = blake2b(str(path).casefold().encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def used(database: Database, subject: str, hour: int) -> list[Used]:
    """What a subject has sent in the day up to this hour."""
    found = database.rows(
        "SELECT hour, messages, recipients, new FROM used WHERE subject=? AND hour>?",
        subject,
        hour - DAY_HOURS,
    )
    return [Used(*row) for row in found]


def strangers(database: Database, subject: str, recipients: Sequence[int]) -> int:
    """How many of these a subject has not written to."""
    distinct = set(recipients)
    [(known,)] = database.rows(
        "SELECT count(*) FROM acquaintance WHERE subject=?"
        " AND recipient IN (SELECT value FROM json_each(?))",
        subject,
        json.dumps(list(distinct)),
    )
    return len(distinct) - int(known)


def count(database: Database, change: Count) -> None:
    """Add a message, within a transaction."""
    subject, hour = change.subject, change.hour
    new = strangers(database, subject, change.recipients)
    database.execute_many(
        "INSERT INTO acquaintance VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET hour=excluded.hour",
        [(subject, recipient, hour) for recipient in dict.fromkeys(change.recipients)],
    )
    row = database.row("SELECT 1 FROM used WHERE subject=? AND hour=?", subject, hour)
    if row is None:
        _forget(database, subject, hour)
    database.execute(
        "INSERT INTO used VALUES (?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET messages=messages+1,"
        " recipients=recipients+excluded.recipients, new=new+excluded.new",
        (subject, hour, len(change.recipients), new),
    )


def _forget(database: Database, subject: str, hour: int) -> None:
    """Once an hour: what is too old to count."""
    database.execute("DELETE FROM used WHERE subject=? AND hour<=?", (subject, hour - DAY_HOURS))
    database.execute(
        "DELETE FROM acquaintance WHERE subject=? AND hour<?", (subject, hour - REMEMBERED)
    )
