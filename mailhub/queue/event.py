"""What happens to a message on its way: the events of its journey, as values and as text.

Nothing is judged or worded here. Whoever draws a journey reads events; whoever
keeps them takes their text.

Invariants:

1. ``from_text(to_text(events)) == events``.
2. Recipients are known by their numbers, their places in the item's envelope.
3. An event holds no secret and none of the content but what names the message:
   its Message-ID and its subject.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from enum import Enum
from operator import attrgetter
from typing import Any, Final

from mailhub.mail.value import value
from mailhub.ports.outgoing import Attempt


class State(Enum):
    """What has become of recipients."""

    DEFERRED = "deferred"
    HELD = "held"
    RELEASED = "released"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


OPEN: Final = frozenset({State.DEFERRED, State.HELD, State.RELEASED})
"""States from which recipients are attempted again."""


@value(frozen=True, slots=True)
class Accepted:
    """A message was taken in, or a notice written.

    Attributes:
        at: When its content began to come; seconds since the epoch, like all moments.
        spooled: When it was durable.
        address: The client's; ``""`` for a notice of our own.
        tls: As in `ports.outgoing.Attempt`.
        account: The address of the account that had logged in.
        message_id: With its angle brackets, as it was found.
        subject: As it was found, its encoded words too.
        about: The queue id of the message that a notice is about.
        verdicts: What was decided about it, each with the line that decides.
    """

    at: float
    spooled: float
    sender: str
    recipients: tuple[str, ...]
    size: int
    address: str = ""
    helo: str = ""
    protocol: str = ""
    tls: str = ""
    account: str = ""
    message_id: str = ""
    subject: str = ""
    about: str = ""
    verdicts: tuple[tuple[str, str], ...] = ()


@value(frozen=True, slots=True)
class Looked:
    """A name was looked up: `question` is ``MX far.example``, `answer` what came of it."""

    at: float
    until: float
    question: str
    answer: str
    authentic: bool = False


@value(frozen=True, slots=True)
class Decided:
    """Something was decided about recipients.

    Attributes:
        verdicts: What, and for each the line of the configuration that decides and where
            that stands.
    """

    at: float
    numbers: tuple[int, ...]
    verdicts: tuple[tuple[str, str], ...]


@value(frozen=True, slots=True)
class Tried:
    """A connection was made, or tried, to hand the message on.

    Attributes:
        reply: With its codes: ``450 4.2.0 Come back later``.
        dialogue: Its lines, without secrets and content.
        provider: As in `ports.outgoing.Attempt`; `source` likewise.
    """

    at: float
    until: float
    numbers: tuple[int, ...]
    host: str
    address: str
    port: int
    tls: str
    certificate: str
    reused: bool
    stage: str
    reply: str
    in_doubt: bool = False
    dialogue: tuple[str, ...] = ()
    provider: str = ""
    source: str = ""


@value(frozen=True, slots=True)
class Fated:
    """What has become of recipients.

    Attributes:
        reply: The words that decided it, if any were said.
        host: Whose words they are; ``""`` for our own.
        due: When they are attempted next, if they are.
        rule: The line of the configuration that decides, and where it stands.
    """

    at: float
    numbers: tuple[int, ...]
    state: State
    reply: str = ""
    host: str = ""
    due: float = 0.0
    rule: str = ""


@value(frozen=True, slots=True)
class Filed:
    """The message lies in a mailbox of ours; `uid` is 0 while it has none."""

    at: float
    number: int
    account: str
    mailbox: str
    uid: int = 0


@value(frozen=True, slots=True)
class Reported:
    """The sender is told: `notice` is the queue id of what was written."""

    at: float
    numbers: tuple[int, ...]
    action: str
    notice: str


@value(frozen=True, slots=True)
class Complained:
    """A recipient's host says that its user calls it spam (RFC 5965)."""

    at: float
    reporter: str
    kind: str
    recipient: str = ""


@value(frozen=True, slots=True)
class Dismissed:
    """The sender wants to see it no more in the mailbox of what was sent."""

    at: float
    account: str


Event = Accepted | Looked | Decided | Tried | Fated | Filed | Reported | Complained | Dismissed

_KINDS: Final[Mapping[str, type[Event]]] = {
    "accepted": Accepted,
    "looked": Looked,
    "decided": Decided,
    "tried": Tried,
    "fated": Fated,
    "filed": Filed,
    "reported": Reported,
    "complained": Complained,
    "dismissed": Dismissed,
}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}
_VALUES: Final[Mapping[type[Event], Callable[[Any], Any]]] = {
    kind: attrgetter(*(it.name for it in fields(kind))) for kind in _KINDS.values()
}
_SEPARATORS: Final = ",", ":"
_FIELDS: Final = {kind: tuple(it.name for it in fields(kind)) for kind in _KINDS.values()}


def tried(numbers: tuple[int, ...], attempt: Attempt) -> Tried:
    """The event of an attempt's facts."""
    reply = attempt.reply
    return Tried(
        attempt.started,
        attempt.ended,
        numbers,
        attempt.host,
        attempt.address,
        attempt.port,
        attempt.tls,
        attempt.certificate,
        attempt.reused,
        attempt.stage,
        reply.text,
        attempt.in_doubt,
        attempt.dialogue,
        attempt.provider,
        attempt.source,
    )


def name_of(event: Event) -> str:
    """What kind of event it is, in one word."""
    return _NAMES[type(event)]


def to_text(events: Iterable[Event]) -> str:
    """Events as a database takes them: JSON, one array for each, without the outer brackets.

    So the texts of what happens later are put behind it with a comma.
    """
    return "".join(_encode([_to_list(event) for event in events], 0))[1:-1]


def from_text(text: str) -> list[Event]:
    """The events that `to_text` wrote. Of kinds that are unknown here nothing is told."""
    found = []
    for name, *values in json.loads(f"[{text}]"):
        kind = _KINDS.get(name)
        if kind is not None:
            found.append(_made(kind, [_tuples(value) for value in values]))
    return found


def as_json(event: Event) -> dict[str, Any]:
    """An event for a program."""
    values = {name: getattr(event, name) for name in _FIELDS[type(event)]}
    if isinstance(event, Fated):
        values["state"] = event.state.value
    return {"event": name_of(event), **values}


def _encoder() -> Callable[[Any, int], Iterable[str]]:
    """What `json.JSONEncoder` makes for each text: that takes longer than a short event."""
    plain = json.JSONEncoder(separators=_SEPARATORS)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return lambda value, _: plain.iterencode(value)
    key, item = plain.key_separator, plain.item_separator
    spell = json.encoder.encode_basestring_ascii
    encode: Callable[[Any, int], Iterable[str]] = make(
        None, plain.default, spell, plain.indent, key, item, False, False, True
    )
    return encode


_encode: Final = _encoder()


def _to_list(event: Event) -> list[Any]:
    kind = type(event)
    values = [_NAMES[kind], *_VALUES[kind](event)]
    if kind is Fated:
        values[3] = values[3].value
    return values


def _made(kind: type[Event], values: list[Any]) -> Event:
    if kind is Fated:
        values[2] = State(values[2])
    return kind(*values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
