"""One accepted message and the fate of each of its recipients: values, and what changes them.

The whole life of the queue is functions from item to item. Whoever makes one
happen writes the result, then compares before and after (`to_report`) to know
whom to tell.

Invariants:

1. A recipient is known by its number, its place in the message's envelope, which never
   changes. A part of an item has some of the recipients, in order, and knows their
   numbers; what is done to a part is said by the place in the part.
2. A settled fate never changes: each transition refuses, or leaves, what is settled.
3. A failure is reported once: by the one transition that made it, and never again.
4. Nothing is reported to the null reverse-path (RFC 5321 §4.5.5), and nobody
   whom NOTIFY=NEVER protects is reported on (RFC 3461 §4.1).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import replace, value
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.policy.returnpath import Ticket
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue.flow import COMMON, Flow

# ---- Fates ---------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Pending:
    """To be attempted.

    Attributes:
        due: Not before this moment.
        attempts: How many have failed.
        reply: What the last one ended with.
        host: Whose words `reply` is; ``""`` for our own.
        warned: The sender has been told of the delay.
        cause: What stands behind `reply`.
        put_off: It was not to be attempted when it was accepted, but later: one of
            ours is then not filed at once, but when it is due like any other.
        route: The way an operator has sent it, instead of the configured one; ``""`` for none.
    """

    due: float
    attempts: int = 0
    reply: Reply | None = None
    host: str = ""
    warned: bool = False
    cause: Cause | None = None
    put_off: bool = False
    route: str = ""


@value(frozen=True, slots=True)
class Held:
    """Not attempted until it is released; neither warned of nor expired meanwhile."""

    pending: Pending
    why: str


@value(frozen=True, slots=True)
class Delivered:
    """In a mailbox of ours, durably."""

    reply: Reply
    at: float


@value(frozen=True, slots=True)
class Relayed:
    """Accepted by the next hop.

    Attributes:
        dsn: That host takes over reporting (RFC 3461 §5.2.1); otherwise a
            wanted success is reported by us as ``relayed`` (§5.2.2).
    """

    reply: Reply
    at: float
    host: str
    dsn: bool = False


@value(frozen=True, slots=True)
class Expanded:
    """Replaced by the recipients of an alias, which report for themselves (RFC 3461 §5.2.7)."""

    reply: Reply
    at: float


@value(frozen=True, slots=True)
class Failed:
    """Given up.

    Attributes:
        reply: The last words: permanent, or temporary where `expired`.
        host: Whose words they are; ``""`` for our own.
        expired: The item had outlived its schedule.
        cause: What stands behind `reply`.
    """

    reply: Reply
    at: float
    host: str = ""
    expired: bool = False
    cause: Cause | None = None


@value(frozen=True, slots=True)
class Cancelled:
    """Dropped by the operator or the sender: reported to nobody."""

    at: float


Open = Pending | Held
_OPEN: Final = (Pending, Held)  # which is quicker to ask for than their union
Settled = Delivered | Relayed | Expanded | Failed | Cancelled
Fate = Open | Settled


# ---- Items ---------------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Local:
    """A recipient whose mail ends here: in a mailbox of this account."""

    account: AccountId
    mailbox: str = "INBOX"


@value(frozen=True, slots=True)
class Origin:
    """Who handed a message in; all empty for notices of our own.

    Attributes:
        address: The client's IP address.
        helo: What it called itself.
        protocol: The ``with`` keyword of Received.
        account: The address of the account that had logged in.
    """

    address: str = ""
    helo: str = ""
    protocol: str = ""
    account: str = ""


_OURS: Final = Origin()
"""Of notices of our own."""


@value(frozen=True, slots=True)
class Item:
    """A message in the queue, but for its content; or a part of one, with some of its recipients.

    Attributes:
        arrived: Seconds since the epoch.
        size: Octets of the content, without `head`.
        places: For each recipient of the envelope: where its mailbox is, or
            None if it is remote. Routes are found at each attempt, not here.
        fates: For each recipient.
        head: Octets that stand before the content in its file: the trace
            fields of the only, local, recipient. Empty where the content is
            not in a file of its own.
        numbers: Of a part: the numbers of its recipients. Empty where all are here.
        total: Of a part: how many recipients the whole item has.
    """

    queue_id: QueueId
    arrived: float
    envelope: Envelope
    size: int
    places: tuple[Local | None, ...]
    fates: tuple[Fate, ...]
    origin: Origin = _OURS
    head: bytes = b""
    flow: Flow = COMMON
    numbers: tuple[int, ...] = ()
    total: int = 0

    def __post_init__(self) -> None:
        if not len(self.envelope.recipients) == len(self.places) == len(self.fates):
            raise ValueError(f"{self.queue_id}: a place and a fate for each recipient")

    @property
    def whole(self) -> bool:
        """Whether all recipients are here."""
        return not self.numbers or len(self.numbers) == self.total

    def number(self, place: int) -> int:
        """The number of the recipient at a place."""
        return self.numbers[place] if self.numbers else place

    @property
    def release(self) -> float:
        """The moment it is first to be attempted: when it arrived, or later as its sender wished.

        The schedule's times count from here (RFC 4865 §5).
        """
        envelope = self.envelope
        wished = envelope.hold_until
        if envelope.hold_for is not None:
            wished = self.arrived + envelope.hold_for
        return self.arrived if wished is None else max(self.arrived, wished)

    @property
    def deadline(self) -> float | None:
        """The moment by which it is to be delivered, if there is one (RFC 2852 §4)."""
        by = self.envelope.by
        return None if by is None else self.arrived + by.seconds

    @property
    def open(self) -> tuple[int, ...]:
        """The numbers of the recipients that are not settled."""
        return tuple([n for n, fate in enumerate(self.fates) if isinstance(fate, _OPEN)])

    @property
    def settled(self) -> bool:
        """Whether nothing is left to do."""
        return not self.open

    @property
    def local(self) -> tuple[int, ...]:
        """The numbers of the recipients that are still to be filed for the first time."""
        return tuple(
            n
            for n, place in enumerate(self.places)
            if place is not None and is_fresh(self.fates[n])
        )

    @property
    def remote(self) -> tuple[int, ...]:
        """The numbers of the pending recipients that are not ours."""
        return tuple(
            n
            for n, place in enumerate(self.places)
            if place is None and isinstance(self.fates[n], Pending)
        )


def is_fresh(fate: Fate) -> bool:
    """Whether it is to be attempted the moment it was accepted, and was not yet."""
    return isinstance(fate, Pending) and fate.attempts == 0 and not fate.put_off


def new_item(
    queue_id: QueueId,
    arrived: float,
    envelope: Envelope,
    places: Iterable[Local | None],
    size: int,
    origin: Origin = _OURS,
    head: bytes = b"",
    flow: Flow = COMMON,
) -> Item:
    """An item as it is accepted: each recipient due at once, or when it is to be released."""
    fates: tuple[Fate, ...] = (Pending(arrived),) * len(envelope.recipients)
    item = Item(queue_id, arrived, envelope, size, tuple(places), fates, origin, head, flow)
    if item.release > arrived:
        fates = tuple(Pending(item.release, put_off=it is not None) for it in item.places)
        item = replace(item, fates=fates)
    return item


# ---- Transitions ---------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Answer:
    """What came of attempting one recipient: see `ports.outgoing.Outcome`.

    Attributes:
        again: When to come again, if nothing was attempted (`Outcome.put_off`).
        held: Why it is to be held instead; ``""`` if it is not.
        ticket: What the return path names that was used, if that is one of ours.
    """

    reply: Reply
    host: str = ""
    dsn: bool = False
    again: float | None = None
    cause: Cause | None = None
    held: str = ""
    ticket: Ticket | None = None


def local_answer(reply: Reply) -> Answer:
    """What came of filing for a recipient of ours."""
    full = not reply.positive and reply.detail == "2.2"
    return Answer(reply, cause=Cause.MAILBOX_FULL if full else None)


LATE: Final = Reply(550, "4.7", ("Not delivered by the time its sender set",))
"""What those are told who said that late mail is to come back (RFC 2852 §4.1.4)."""


def attempted(
    item: Item,
    answers: Mapping[int, Answer],
    now: float,
    schedule: Schedule,
    chance: float = 0.5,
) -> Item:
    """The item after an attempt that ended with `answers`.

    Recipients without an answer stay as they were. Once the item has outlived
    `schedule`, or its sender's deadline, a temporary reply is a failure like any
    other. A recipient that was put on hold meanwhile stays so, unless the attempt
    has settled it. `chance` is for the jitter of the next moment (`Schedule.delay`).

    Raises:
        ValueError: An answer for a recipient that was settled before.
    """
    fates = list(item.fates)
    for number, answer in answers.items():
        before = fates[number]
        if not isinstance(before, Pending | Held):
            problem = f"{item.queue_id}: recipient {number} was settled already"
            raise ValueError(problem)  # noqa: TRY004  # it says what happened, not what is passed
        if answer.held:
            fates[number] = before if isinstance(before, Held) else Held(before, answer.held)
        elif answer.reply.positive:
            fates[number] = _success(item.places[number], answer, now)
        elif answer.reply.permanent:
            fates[number] = Failed(answer.reply, now, answer.host, cause=answer.cause)
        elif isinstance(before, Held):
            warned = before.pending.warned
            later = _later(item, before.pending, answer, now, schedule, chance, warned=warned)
            fates[number] = Held(later, before.why)
        elif is_late(item, now) or _expired(item, before, answer, now, schedule):
            cause = answer.cause
            fates[number] = Failed(answer.reply, now, answer.host, expired=True, cause=cause)
        else:
            warned = before.warned or _warns(item, schedule, now)
            fates[number] = _later(item, before, answer, now, schedule, chance, warned=warned)
    return replace(item, fates=tuple(fates))


def is_late(item: Item, now: float) -> bool:
    """Whether the sender wants it back rather than delivered now (RFC 2852 §4.1.4)."""
    by = item.envelope.by
    return by is not None and by.returned and now >= item.arrived + by.seconds


def _expired(item: Item, before: Pending, answer: Answer, now: float, schedule: Schedule) -> bool:
    """Whether a temporary reply is final; what was put off counts as tried enough."""
    attempts = before.attempts + 1 if answer.again is None else schedule.least
    return schedule.expired(item.release, now, attempts)


def _warns(item: Item, schedule: Schedule, now: float) -> bool:
    """Whether a failure now is to be told as a delay."""
    deadline = item.deadline
    return schedule.warns(item.release, now) or (deadline is not None and now >= deadline)


def _success(place: Local | None, answer: Answer, now: float) -> Fate:
    if place is None:
        return Relayed(answer.reply, now, answer.host, answer.dsn)
    return Delivered(answer.reply, now)


def _later(
    item: Item,
    before: Pending,
    answer: Answer,
    now: float,
    schedule: Schedule,
    chance: float,
    *,
    warned: bool,
) -> Pending:
    if answer.again is not None:
        return _put_off(item, before, answer, now, schedule, warned=warned)
    attempts = before.attempts + 1
    due = schedule.due(
        item.release, now, attempts, warned=warned, chance=chance, cause=answer.cause
    )
    deadline = item.deadline
    if deadline is not None and now < deadline:
        due = min(due, deadline)  # what happens then, an attempt decides
    return replace(
        before,
        due=due,
        attempts=attempts,
        reply=answer.reply,
        host=answer.host,
        warned=warned,
        cause=answer.cause,
    )


def _put_off(
    item: Item, before: Pending, answer: Answer, now: float, schedule: Schedule, *, warned: bool
) -> Pending:
    """It was no attempt, but its sender is told of the delay, and of the end, in time."""
    assert answer.again is not None
    ends = [item.release + schedule.lifetime]
    if schedule.warning and not warned:
        ends.append(item.release + schedule.warning)
    if item.deadline is not None:
        ends.append(item.deadline)
    due = min([answer.again, *(end for end in ends if end > now)])
    return replace(
        before,
        due=due,
        reply=answer.reply,
        host=answer.host,
        warned=warned,
        cause=answer.cause,
    )


def hold(item: Item, numbers: Iterable[int], why: str) -> Item:
    """The item with those of these recipients held that were pending."""
    return _each(item, numbers, lambda fate: Held(fate, why) if isinstance(fate, Pending) else fate)


def release(item: Item, numbers: Iterable[int], now: float) -> Item:
    """The item with those of these recipients due at once that were held."""
    return _each(
        item,
        numbers,
        lambda fate: replace(fate.pending, due=now) if isinstance(fate, Held) else fate,
    )


def flush(item: Item, numbers: Iterable[int], now: float) -> Item:
    """The item with those of these recipients due now that were to wait longer."""
    return _each(
        item,
        numbers,
        lambda fate: (
            replace(fate, due=now) if isinstance(fate, Pending) and fate.due > now else fate
        ),
    )


def cancel(item: Item, numbers: Iterable[int], now: float) -> Item:
    """The item with those of these recipients dropped that were not settled."""
    return _each(item, numbers, lambda fate: Cancelled(now) if isinstance(fate, Open) else fate)


def _each(item: Item, numbers: Iterable[int], change: Callable[[Fate], Fate]) -> Item:
    fates = list(item.fates)
    for number in numbers:
        fates[number] = change(fates[number])
    return replace(item, fates=tuple(fates))


def addressed(item: Item, numbers: Iterable[int], now: float) -> Envelope:
    """The envelope with these recipients only, as a next hop is offered it.

    The time that is left for delivery is what is passed on (RFC 2852 §4.2).
    """
    recipients = tuple(item.envelope.recipients[number] for number in numbers)
    envelope = item.envelope
    if envelope.by is None:
        return replace(envelope, recipients=recipients)
    left = int(item.arrived + envelope.by.seconds - now)
    return replace(envelope, recipients=recipients, by=replace(envelope.by, seconds=left))
