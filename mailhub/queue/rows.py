"""Items as the rows of the spool's tables, and back.

Invariants:

1. `item(item_row(i, flow), recipient rows of i, i.flow) == i`, whatever the fates,
   but that a moment of release that is past is none.
2. A row's `State` alone says which kind of fate it is; the columns that a
   kind has no use for are NULL or zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Any

from mailhub.mail.address import Path
from mailhub.mail.envelope import Body, DeliverBy, Envelope, Notify, Recipient, Return
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.ports.accounts import AccountId
from mailhub.queue.flow import Flow
from mailhub.queue.ids import to_number, to_queue_id
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
    " tls_optional, announced, release, hold_for, by_seconds, by_mode, priority, address, helo,"
    " protocol, account, head, flow, total"
)
RECIPIENT_COLUMNS = (
    "item, number, local, domain, flow, notify, orcpt, account, mailbox,"
    " state, due, attempts, warned, reply, host, why, cause, route"
)
FATE_COLUMNS = "state, due, attempts, warned, reply, host, why, cause, route"
"""Those of them that an attempt changes."""


def printable(text: str) -> str:
    """The text as a database takes it: a client may have said octets that are no UTF-8."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def item_row(item: Item, flow: int) -> ItemRow:
    """What `ITEM_COLUMNS` name; `flow` is the number of the item's flow."""
    envelope = item.envelope
    by = envelope.by
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
        envelope.tls_optional,
        envelope.size,
        item.release if item.release > item.arrived else None,
        envelope.hold_for,
        None if by is None else by.seconds,
        None if by is None else ("R" if by.returned else "N") + ("T" if by.trace else ""),
        envelope.priority,
        origin.address,
        printable(origin.helo),
        origin.protocol,
        printable(origin.account),
        item.head,
        flow,
        item.total or len(item.fates),
    )


def recipient_rows(item: Item, flow: int) -> list[RecipientRow]:
    """What `RECIPIENT_COLUMNS` name, for each recipient."""
    number = to_number(item.queue_id)
    return [
        (
            number,
            item.number(place_in),
            recipient.path.local,
            recipient.path.domain,
            flow,
            None if recipient.notify is None else recipient.notify.value,
            recipient.orcpt,
            None if place is None else place.account,
            None if place is None else place.mailbox,
            *fate_row(fate, place),
        )
        for place_in, (recipient, place, fate) in enumerate(
            zip(item.envelope.recipients, item.places, item.fates, strict=True)
        )
    ]


_Text = str | None
FateRow = tuple[State, float, int, bool, _Text, _Text, _Text, _Text, _Text]


def fate_row(fate: Fate, place: Local | None) -> FateRow:
    """What `FATE_COLUMNS` name."""
    match fate:
        case Pending():
            fresh = place is not None and is_fresh(fate)
            return _pending_row(State.LOCAL if fresh else State.PENDING, fate, None)
        case Held():
            return _pending_row(State.HELD, fate.pending, printable(fate.why))
        case Delivered():
            return _settled_row(State.DELIVERED, fate.at, fate.reply)
        case Relayed():
            state = State.PASSED_ON if fate.dsn else State.RELAYED
            return _settled_row(state, fate.at, fate.reply, fate.host)
        case Expanded():
            return _settled_row(State.EXPANDED, fate.at, fate.reply)
        case Failed():
            state = State.EXPIRED if fate.expired else State.FAILED
            return _settled_row(state, fate.at, fate.reply, fate.host, fate.cause)
        case Cancelled():
            return _settled_row(State.CANCELLED, fate.at)


def _settled_row(
    state: State,
    at: float,
    reply: Reply | None = None,
    host: str | None = None,
    cause: Cause | None = None,
) -> FateRow:
    text = None if reply is None else reply_to_text(reply)
    return state, at, 0, False, text, host, None, None if cause is None else cause.value, None


def _pending_row(state: State, fate: Pending, why: str | None) -> FateRow:
    return (
        state,
        fate.due,
        fate.attempts,
        fate.warned,
        None if fate.reply is None else reply_to_text(fate.reply),
        fate.host or None,
        why,
        None if fate.cause is None else fate.cause.value,
        fate.route or None,
    )


def expected(fate: Fate, place: Local | None) -> tuple[State, State]:
    """The states (two, or twice the same) that a row with this fate can be in."""
    state = fate_row(fate, place)[0]
    return state, State.FILED if state is State.LOCAL else state


def item(row: ItemRow, recipients: Iterable[RecipientRow], flow: Flow) -> Item:
    """The item of these rows; those of the recipients, all or some, in order of their numbers."""
    (number, arrived, size, reverse_local, reverse_domain, body, ret, envid, utf8, require_tls,
     tls_optional, announced, release, hold_for, seconds, mode, priority, address, helo, protocol,
     account, head, _, total) = row  # fmt: skip
    rows = list(recipients)
    envelope = Envelope(
        Path(reverse_local, reverse_domain),
        tuple(Recipient(Path(r[2], r[3]), _notify(r[5]), r[6]) for r in rows),
        Body(body),
        None if ret is None else Return(ret),
        envid,
        bool(utf8),
        bool(require_tls),
        bool(tls_optional),
        announced,
        hold_for,
        release if hold_for is None else None,
        None if mode is None else DeliverBy(seconds, "R" in mode, "T" in mode),
        priority,
    )
    part = len(rows) < total
    return Item(
        to_queue_id(number),
        arrived,
        envelope,
        size,
        tuple(None if r[7] is None else Local(AccountId(r[7]), r[8]) for r in rows),
        tuple(_fate(r) for r in rows),
        Origin(address, helo, protocol, account),
        head,
        flow,
        tuple(r[1] for r in rows) if part else (),
        total if part else 0,
    )


def _notify(value: int | None) -> Notify | None:
    return None if value is None else Notify(value)


_FINAL = Reply(250, "0.0", ("",))


def _fate(row: Sequence[Any]) -> Fate:
    code, due, attempts, warned, text, host, why, cause, route = row[9:18]
    state = State(code)
    final = reply = None if text is None else reply_from_text(text)
    if final is None:
        final = _FINAL
    match state:
        case State.PENDING | State.LOCAL | State.FILED | State.HELD:
            pending = Pending(
                due,
                attempts,
                reply,
                host or "",
                bool(warned),
                None if cause is None else Cause(cause),
                # One of ours that is not filed at once, and was not tried yet, was put off.
                attempts == 0 and row[7] is not None and state in (State.PENDING, State.HELD),
                route or "",
            )
            return Held(pending, why or "") if state is State.HELD else pending
        case State.DELIVERED:
            return Delivered(final, due)
        case State.RELAYED | State.PASSED_ON:
            return Relayed(final, due, host or "", dsn=state is State.PASSED_ON)
        case State.EXPANDED:
            return Expanded(final, due)
        case State.FAILED | State.EXPIRED:
            known = None if cause is None else Cause(cause)
            return Failed(final, due, host or "", expired=state is State.EXPIRED, cause=known)
        case State.CANCELLED:
            return Cancelled(due)
