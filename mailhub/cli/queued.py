"""How a message in the queue is told: as a row, in full, and as JSON."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

from mailhub.cli.show import ago, size
from mailhub.mail.reply import Reply
from mailhub.ports.outgoing import Attempt, QueueId
from mailhub.queue.item import Fate, Held, Item, Pending
from mailhub.queue.journey import Attempted


def row(item: Item, now: float) -> dict[str, Any]:
    """A message as a row of a table."""
    fates = [item.fates[number] for number in item.open]
    pending = [_pending(fate) for fate in fates]
    due = min(
        (it.due for it, fate in zip(pending, fates, strict=True) if not _held(fate)), default=None
    )
    replies = [it.reply for it in pending if it.reply is not None]
    held = sum(map(_held, fates))
    first, *others = [item.envelope.recipients[number].path.shown for number in item.open]
    return {
        "id": item.queue_id,
        "age": ago(now - item.arrived),
        "size": size(item.size),
        "sender": _sender(item),
        "recipients": first + (f" and {len(others)} more" if others else ""),
        "state": "held" if held == len(fates) else "part held" if held else "pending",
        "next": "" if due is None else "now" if due <= now else f"in {ago(due - now)}",
        "reply": replies[0].text if replies else "",
    }


def told(number: QueueId, item: Item, attempts: Sequence[Attempted], now: float) -> Iterator[str]:
    """A message and what was tried for it, for a person."""
    yield f"{number}  from <{_sender(item)}>  {size(item.size)}  {_moment(item.arrived)}"
    origin = item.origin
    if origin.address:
        who = f", logged in as {origin.account}" if origin.account else ""
        yield f"  handed in by {origin.helo or '?'} [{origin.address}] ({origin.protocol}){who}"
    recipients = zip(item.envelope.recipients, item.places, item.fates, strict=True)
    for index, (recipient, place, fate) in enumerate(recipients, start=1):
        words = _AT_ONCE if place is not None and _fresh(fate) else _fate(fate, now)
        yield f"  {index}. <{recipient.path.shown}>  {words}"
    for tried in attempts:
        who = ", ".join(str(it + 1) for it in tried.numbers)
        yield from _attempt(tried.attempt, who)


def _attempt(attempt: Attempt, who: str) -> Iterator[str]:
    where = attempt.host
    if attempt.address:
        where += f" [{attempt.address}]:{attempt.port}"
    yield f"  {_moment(attempt.started)}  {where}  for {who}"
    tls = f"{attempt.tls} {attempt.certificate}".strip() or "in the clear"
    took = f"{attempt.ended - attempt.started:.1f}s"
    doubt = "; connection lost before the reply to the content" if attempt.in_doubt else ""
    yield f"      {attempt.stage}, {tls}, {took}: {attempt.reply.text}{doubt}"


_AT_ONCE = "in its mailbox, or about to be"
"""Of recipients here whose filing has not failed: the spool forgets them in a moment."""


def _fresh(fate: Fate) -> bool:
    return isinstance(fate, Pending) and not fate.attempts


def _fate(fate: Fate, now: float) -> str:
    match fate:
        case Held(pending=pending, why=why):
            return f"held: {why}{_last(pending.reply)}"
        case Pending(due=due, attempts=attempts, reply=reply):
            when = "now" if due <= now else f"in {ago(due - now)}"
            return f"pending, {attempts} failed, next {when}{_last(reply)}"
        case _:
            reply = getattr(fate, "reply", None)
            return type(fate).__name__.lower() + _last(reply)


def _last(reply: Reply | None) -> str:
    return f"  ({reply.text})" if reply is not None else ""


def as_json(item: Item) -> dict[str, Any]:
    """A message for a program."""
    return {
        "id": item.queue_id,
        "arrived": item.arrived,
        "size": item.size,
        "sender": str(item.envelope.reverse_path),
        "origin": {
            "address": item.origin.address,
            "helo": item.origin.helo,
            "protocol": item.origin.protocol,
            "account": item.origin.account,
        },
        "recipients": [
            {"address": str(recipient.path), "local": place is not None, **_json_fate(fate)}
            for recipient, place, fate in zip(
                item.envelope.recipients, item.places, item.fates, strict=True
            )
        ],
    }


def _json_fate(fate: Fate) -> dict[str, Any]:
    state = type(fate).__name__.lower()
    if isinstance(fate, Held | Pending):
        pending = _pending(fate)
        row: dict[str, Any] = {
            "state": state,
            "due": pending.due,
            "attempts": pending.attempts,
            "reply": pending.reply.text if pending.reply is not None else None,
        }
        return {**row, "why": fate.why} if isinstance(fate, Held) else row
    reply = getattr(fate, "reply", None)
    return {"state": state, "at": fate.at, "reply": reply.text if reply is not None else None}


def attempt_as_json(tried: Attempted) -> dict[str, Any]:
    """An attempt for a program."""
    attempt = tried.attempt
    return {
        "recipients": list(tried.numbers),
        "started": attempt.started,
        "ended": attempt.ended,
        "host": attempt.host,
        "address": attempt.address,
        "port": attempt.port,
        "tls": attempt.tls,
        "certificate": attempt.certificate,
        "reused": attempt.reused,
        "stage": attempt.stage,
        "reply": attempt.reply.text,
        "in_doubt": attempt.in_doubt,
    }


def _pending(fate: Fate) -> Pending:
    assert isinstance(fate, Pending | Held)
    return fate.pending if isinstance(fate, Held) else fate


def _held(fate: Fate) -> bool:
    return isinstance(fate, Held)


def _sender(item: Item) -> str:
    return item.envelope.reverse_path.shown


def _moment(at: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
