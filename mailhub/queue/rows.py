"""Items as the rows of the spool's tables, and back.

Invariants:

1. `item(item_row(i), recipient rows of i) == i`, whatever the fates.
2. A row's `State` alone says which kind of fate it is; the columns that a
   kind has no use for are NULL or zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

from mailhub.mail.address import Path
from mailhub.mail.envelope import Body, Envelope, Notify, Recipient, Return
from mailhub.mail.reply import Reply
from mailhub.ports import AccountId
from mailhub.queue.item import (
    Cancelled,
    Delivered,
    Expanded,
    Failed,
    Fate,
    Held,
    Item,
    Local,
    Origin,
    Pending,
    Relayed,
    is_fresh,
    to_number,
    to_queue_id,
)
from mailhub.queue.journey import reply_from_text, reply_to_text

ItemRow = tuple[Any, ...]
RecipientRow = tuple[Any, ...]


class State(IntEnum):
    """A recipient's fate, and how far its filing has got. From `SETTLED` on it is final."""

    PENDING = 0
    """Waits for its moment: the only state with an index by `due`."""
    HELD = 1
    LOCAL = 2
    """Ours, and to be filed at once: no moment, no index."""
    FILED = 3
    """In its mailbox, but not yet durably."""
    DELIVERED = 10
    RELAYED = 11
    PASSED_ON = 12
    """Relayed to a host that reports from there on."""
    EXPANDED = 13
    FAILED = 14
    EXPIRED = 15
    CANCELLED = 16


SETTLED = 10
"""States from here up are final."""

ITEM_COLUMNS = (
    "id, arrived, size, reverse_local, reverse_domain, body, ret, envid, utf8, require_tls,"
    " announced, address, helo, protocol, account, head"
)
RECIPIENT_COLUMNS = (
    "item, number, state, due, attempts, warned, local, domain, notify, orcpt, account, mailbox,"
    " reply, host, why"
)


def printable(text: str) -> str:
    """The text as a database takes it: a client may have said octets that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def item_row(item: Item) -> ItemRow:
    """What `ITEM_COLUMNS` name."""
    envelope = item.envelope
    origin = item.origin
    return (
        to_number(item.queue_id),
        item.arrived,
        item.size,
        envelope.reverse_path.local,
        envelope.reverse_path.domain,
        envelope.body.value,
        None if envelope.ret is None else envelope.ret.value,
        envelope.envid,
        envelope.utf8,
        envelope.require_tls,
        envelope.size,
        origin.address,
        printable(origin.helo),
        origin.protocol,
        printable(origin.account),
        item.head,
    )


def recipient_rows(item: Item) -> list[RecipientRow]:
    """What `RECIPIENT_COLUMNS` name, for each recipient."""
    number = to_number(item.queue_id)
    return [
        (
            number,
            n,
            state,
            due,
            attempts,
            warned,
            recipient.path.local,
            recipient.path.domain,
            None if recipient.notify is None else recipient.notify.value,
            recipient.orcpt,
            None if place is None else place.account,
            None if place is None else place.mailbox,
            reply,
            host,
            why,
        )
        for n, (recipient, place, fate) in enumerate(
            zip(item.envelope.recipients, item.places, item.fates, strict=True)
        )
        for state, due, attempts, warned, reply, host, why in (fate_row(fate, place),)
    ]


FateRow = tuple[State, float, int, bool, str | None, str | None, str | None]


def fate_row(fate: Fate, place: Local | None) -> FateRow:
    """The columns state, due, attempts, warned, reply, host, why."""
    match fate:
        case Pending():
            fresh = place is not None and is_fresh(fate)
            return _pending_row(State.LOCAL if fresh else State.PENDING, fate, None)
        case Held():
            return _pending_row(State.HELD, fate.pending, printable(fate.why))
        case Delivered():
            return State.DELIVERED, fate.at, 0, False, reply_to_text(fate.reply), None, None
        case Relayed():
            state = State.PASSED_ON if fate.dsn else State.RELAYED
            return state, fate.at, 0, False, reply_to_text(fate.reply), fate.host, None
        case Expanded():
            return State.EXPANDED, fate.at, 0, False, reply_to_text(fate.reply), None, None
        case Failed():
            state = State.EXPIRED if fate.expired else State.FAILED
            return state, fate.at, 0, False, reply_to_text(fate.reply), fate.host, None
        case Cancelled():
            return State.CANCELLED, fate.at, 0, False, None, None, None


def _pending_row(state: State, fate: Pending, why: str | None) -> FateRow:
    reply = None if fate.reply is None else reply_to_text(fate.reply)
    return state, fate.due, fate.attempts, fate.warned, reply, fate.host or None, why


def expected(fate: Fate, place: Local | None) -> tuple[State, State]:
    """The states (two, or twice the same) that a row with this fate can be in."""
    state = fate_row(fate, place)[0]
    return state, State.FILED if state is State.LOCAL else state


def item(row: ItemRow, recipients: Iterable[RecipientRow]) -> Item:
    """The item of these rows; those of the recipients in order of their numbers."""
    (number, arrived, size, reverse_local, reverse_domain, body, ret, envid, utf8, require_tls,
     announced, address, helo, protocol, account, head) = row  # fmt: skip
    rows = list(recipients)
    envelope = Envelope(
        Path(reverse_local, reverse_domain),
        tuple(_recipient(each) for each in rows),
        Body(body),
        None if ret is None else Return(ret),
        envid,
        bool(utf8),
        bool(require_tls),
        announced,
    )
    return Item(
        to_queue_id(number),
        arrived,
        envelope,
        size,
        tuple(_place(each) for each in rows),
        tuple(_fate(each) for each in rows),
        Origin(address, helo, protocol, account),
        head,
    )


def _recipient(row: Sequence[Any]) -> Recipient:
    notify = None if row[8] is None else Notify(row[8])
    return Recipient(Path(row[6], row[7]), notify, row[9])


def _place(row: Sequence[Any]) -> Local | None:
    return None if row[10] is None else Local(AccountId(row[10]), row[11])


_FINAL = Reply(250, "0.0", ("",))


def _fate(row: Sequence[Any]) -> Fate:
    _, _, code, due, attempts, warned, *_, text, host, why = row
    state = State(code)
    reply = None if text is None else reply_from_text(text)
    pending = Pending(due, attempts, reply, host or "", bool(warned))
    final = reply or _FINAL
    match state:
        case State.PENDING | State.LOCAL | State.FILED:
            return pending
        case State.HELD:
            return Held(pending, why or "")
        case State.DELIVERED:
            return Delivered(final, due)
        case State.RELAYED | State.PASSED_ON:
            return Relayed(final, due, host or "", dsn=state is State.PASSED_ON)
        case State.EXPANDED:
            return Expanded(final, due)
        case State.FAILED | State.EXPIRED:
            return Failed(final, due, host or "", expired=state is State.EXPIRED)
        case State.CANCELLED:
            return Cancelled(due)
