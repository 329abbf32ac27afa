"""The events of a journey, made of what the queue's parts know when something happens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailhub.net.scribe import Recorder
from mailhub.policy.retry import Schedule
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account
from mailhub.ports.outgoing import Attempt, Lookup, QueueId
from mailhub.queue.change import Accept
from mailhub.queue.dsn import notices as grouped
from mailhub.queue.event import Accepted, Decided, Fated, Filed, Looked, Reported, State, tried
from mailhub.queue.item import (
    Cancelled,
    Delivered,
    Expanded,
    Failed,
    Fate,
    Held,
    Item,
    Pending,
    Relayed,
)
from mailhub.queue.telling import to_tell


def accepted(
    item: Item,
    spooled: float,
    *,
    tls: str = "",
    message_id: str = "",
    subject: str = "",
    about: QueueId | None = None,
    verdicts: Sequence[tuple[str, str]] = (),
) -> Accepted:
    """The message was taken in, or a notice `about` another one was written."""
    origin, envelope = item.origin, item.envelope
    return Accepted(
        item.arrived,
        spooled,
        str(envelope.reverse_path),
        tuple([str(recipient.path) for recipient in envelope.recipients]),
        item.size,
        origin.address,
        origin.helo,
        origin.protocol,
        tls,
        origin.account,
        message_id,
        subject,
        about or "",
        tuple(verdicts),
    )


def attempted(
    recorder: Recorder,
    item: Item,
    numbers: tuple[int, ...],
    at: float,
    verdicts: Sequence[Verdict],
    lookups: Iterable[Lookup],
    attempts: Iterable[Attempt],
) -> None:
    """An attempt has ended: why it was made so, and what it took."""
    decided = (Decided(at, numbers, verdict_texts(recorder, verdicts)),) if verdicts else ()
    recorder.note(
        item.queue_id,
        *decided,
        *(Looked(it.started, it.ended, it.question, it.answer, it.authentic) for it in lookups),
        *(tried(numbers, it) for it in attempts),
    )


def fated(recorder: Recorder, before: Item, after: Item, at: float, schedule: Schedule) -> None:
    """Fates have changed, and that is written."""
    changed = [
        place
        for place, (was, fate) in enumerate(zip(before.fates, after.fates, strict=True))
        if was is not fate and was != fate
    ]
    for fate, places in _grouped(after, changed):
        numbers = tuple(map(after.number, places))
        event = _fated(recorder, after, numbers, fate, at, schedule)
        recorder.note(after.queue_id, event)


def _grouped(item: Item, places: list[int]) -> Iterable[tuple[Fate, list[int]]]:
    """Recipients with the same fate together."""
    if len(places) == 1:
        return [(item.fates[places[0]], places)]
    groups: dict[Fate, list[int]] = {}
    for place in places:
        groups.setdefault(item.fates[place], []).append(place)
    return groups.items()


def _fated(
    recorder: Recorder,
    item: Item,
    numbers: tuple[int, ...],
    fate: Fate,
    at: float,
    schedule: Schedule,
) -> Fated:
    rule: Rule | None = None
    reply, host, due = getattr(fate, "reply", None), getattr(fate, "host", ""), 0.0
    why = ""
    match fate:
        case Pending():
            state, due = State.DEFERRED, fate.due
            rule = schedule.rule(item.release, due, fate.attempts, fate.cause)
        case Held():
            state, why = State.HELD, fate.why
        case Delivered():
            state = State.DELIVERED
        case Relayed():
            state = State.RELAYED
        case Expanded():
            state = State.EXPANDED
        case Failed():
            state = State.EXPIRED if fate.expired else State.FAILED
            rule = schedule.line("lifetime") if fate.expired else None
        case Cancelled():
            state = State.CANCELLED
    words = why if reply is None else reply.text
    return Fated(at, numbers, state, words, host, due, recorder.rule(rule))


def filed(
    recorder: Recorder, item: Item, at: float, places: Iterable[tuple[int, Account, str, int]]
) -> None:
    """The message can be read: number of the recipient, account, mailbox, UID or 0."""
    recorder.note(
        item.queue_id,
        *(
            Filed(at, number, str(account.path), mailbox, uid)
            for number, account, mailbox, uid in places
        ),
    )


def reported(
    recorder: Recorder,
    before: Item | None,
    after: Item,
    notices: Sequence[Accept],
    at: float,
) -> None:
    """Notices of what has changed were written: each begins a journey of its own."""
    if not notices:
        return
    groups = grouped(to_tell(before, after))
    for group, notice in zip(groups, notices, strict=False):
        actions = {action.value: None for action in group.values()}
        queue_id = notice.item.queue_id
        numbers = tuple(map(after.number, group))
        recorder.note(after.queue_id, Reported(at, numbers, " and ".join(actions), queue_id))
        recorder.note(queue_id, accepted(notice.item, at, about=after.queue_id))


def verdict_texts(recorder: Recorder, verdicts: Iterable[Verdict]) -> tuple[tuple[str, str], ...]:
    """Verdicts as `Accepted` has them."""
    return tuple([(it.what, recorder.rule(it.rule)) for it in verdicts])
