"""Recipients corrected and added while their message waits, as SQL."""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

from typing import Final

from mailhub.queue.change import Edit
from mailhub.queue.database import Database
from mailhub.queue.ids import to_number
from mailhub.queue.rows import State
from mailhub.queue.strands import Strands

_OPEN: Final = f"state IN ({State.PENDING:d}, {State.HELD:d})"
_INBOX: Final = "INBOX"


def edited(database: Database, strands: Strands, change: Edit) -> bool:
    """Write an edit, within a transaction; whether there was a recipient, or an item, for it."""
    item = to_number(change.queue_id)
    row = database.row("SELECT flow, total FROM item WHERE id=?", item)
    if row is None:
        return False
    flow, total = row
    if change.number is None:
        _add(database, change, item, flow, total)
    elif not _correct(database, strands, change, item, flow):
        return False
    strands.touch(flow, change.path.domain)
    return True


def _correct(database: Database, strands: Strands, change: Edit, item: int, flow: int) -> bool:
    """Another path for a recipient: what was tried for the old one is forgotten."""
    this = (item, change.number)
    before = database.row(
        f"SELECT domain FROM recipient WHERE item=? AND number=? AND {_OPEN}", *this
    )
    if before is None:
        return False
    strands.touch(flow, before[0])
    mailbox = None if change.account is None else _INBOX
    database.execute(
        "UPDATE recipient SET local=?, domain=?, account=?, mailbox=?, due=min(due, ?),"
        " attempts=0, reply=NULL, host=NULL, cause=NULL, route=NULL WHERE item=? AND number=?",
        (change.path.local, change.path.domain, change.account, mailbox, change.now, *this),
    )
    return True


def _add(database: Database, change: Edit, item: int, flow: int, total: int) -> None:
    mailbox = None if change.account is None else _INBOX
    database.execute(
        "INSERT INTO recipient (item, number, state, due, attempts, warned, local, domain, flow,"
        f" account, mailbox) VALUES (?, ?, {State.PENDING:d}, ?, 0, 0, ?, ?, ?, ?, ?)",
        (
            item,
            total,
            change.now,
            change.path.local,
            change.path.domain,
            flow,
            change.account,
            mailbox,
        ),
    )
    database.execute("UPDATE item SET total=total+1, open=open+1 WHERE id=?", (item,))
