"""What each account has sent, and to whom, and when: kept with the mail, in the same commit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final

from mailhub.mail.address import Path
from mailhub.policy.allowance import SLOTS, Used
from mailhub.queue.change import Count
from mailhub.queue.database import Database

_DAY: Final = SLOTS["day"]
REMEMBERED: Final = 180 * _DAY
"""Slots for which a recipient is an acquaintance."""


def number_of(path: Path) -> int:
    """A number for a recipient: there need be no list of everybody's correspondents to steal."""
    digest = blake2b(str(path).casefold().encode("utf-8", "replace"), digest_size=8).digest()
    return int.from_bytes(digest, signed=True)


def used(database: Database, subject: str, slot: int) -> list[Used]:
    """What a subject has sent in the day up to this slot."""
    found = database.rows(
        "SELECT slot, messages, recipients, new FROM used WHERE subject=? AND slot>=?",
        subject,
        slot - _DAY,
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
    subject, slot = change.subject, change.slot
    new = strangers(database, subject, change.recipients)
    database.execute_many(
        "INSERT INTO acquaintance VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET slot=excluded.slot",
        [(subject, recipient, slot) for recipient in dict.fromkeys(change.recipients)],
    )
    [(last,)] = database.rows("SELECT max(slot) FROM used WHERE subject=?", subject)
    if last != slot:
        database.execute("DELETE FROM used WHERE subject=? AND slot<?", (subject, slot - _DAY))
    if last is None or last // _DAY != slot // _DAY:
        _forget(database, subject, slot)
    database.execute(
        "INSERT INTO used VALUES (?, ?, 1, ?, ?) ON CONFLICT DO UPDATE SET messages=messages+1,"
        " recipients=recipients+excluded.recipients, new=new+excluded.new",
        (subject, slot, len(change.recipients), new),
    )


def _forget(database: Database, subject: str, slot: int) -> None:
    """Forget old acquaintances: all have to be looked at, so once a day."""
    database.execute(
        "DELETE FROM acquaintance WHERE subject=? AND slot<?", (subject, slot - REMEMBERED)
    )
