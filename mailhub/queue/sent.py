"""Who is to hear if a message comes back that was handed on with a return path of ours.

A row is written in the commit that lets the recipient go: until then the item itself
tells, from then on this does. Rows go by the day that their return paths have.
"""

from __future__ import annotations

from typing import Final

from mailhub.mail.address import parse_address
from mailhub.mail.envelope import Notify, Recipient
from mailhub.policy.returnpath import Ticket
from mailhub.queue.change import Outlived, Returned, Sent, Stale
from mailhub.queue.database import Database
from mailhub.queue.ids import to_number

TOGETHER: Final = 2000
"""Rows that are forgotten at a time."""


def write(database: Database, change: Sent | Returned | Outlived) -> None:
    """Carry a change out, within a transaction.

    Raises:
        Stale: What has `Returned` had done so before, or is not known.
    """
    match change:
        case Sent():
            _keep(database, change)
        case Returned():
            _returned(database, change)
        case Outlived():
            _forget(database, change)


def _keep(database: Database, sent: Sent) -> None:
    """Remember it. What was in doubt may be sent twice, and is one."""
    recipient = sent.recipient
    database.execute(
        "INSERT OR IGNORE INTO sent VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0)",
        (
            *_key(sent.ticket),
            str(sent.sender),
            str(recipient.path),
            None if recipient.notify is None else recipient.notify.value,
            recipient.orcpt,
            sent.envid,
        ),
    )


def find(database: Database, ticket: Ticket) -> Sent | None:
    """What a return path is about; None if that is not known."""
    row = database.row(
        "SELECT sender, recipient, notify, orcpt, envid FROM sent"
        " WHERE day=? AND item=? AND number=?",
        *_key(ticket),
    )
    if row is None:
        return None
    sender, recipient, notify, orcpt, envid = row
    wanted = None if notify is None else Notify(notify)
    return Sent(
        ticket,
        parse_address(sender),
        Recipient(parse_address(recipient), wanted, orcpt),
        envid,
    )


def _returned(database: Database, change: Returned) -> None:
    done = database.execute(
        "UPDATE sent SET returned=1 WHERE day=? AND item=? AND number=? AND returned=0",
        _key(change.ticket),
    )
    if done.rowcount != 1:
        raise Stale(change.ticket.queue_id)


def older(database: Database, day: int) -> bool:
    """Whether there are rows from before a day."""
    return database.row("SELECT 1 FROM sent WHERE day<? LIMIT 1", day) is not None


def _forget(database: Database, change: Outlived) -> None:
    database.execute(
        "DELETE FROM sent WHERE (day, item, number) IN"
        " (SELECT day, item, number FROM sent WHERE day<? LIMIT ?)",
        (change.day, TOGETHER),
    )


def _key(ticket: Ticket) -> tuple[int, int, int]:
    return ticket.day, to_number(ticket.queue_id), ticket.number
