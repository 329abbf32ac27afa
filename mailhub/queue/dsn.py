"""Delivery status notifications: what a sender is told of his message, as mail.

A notice is a multipart/report (RFC 6522) of three parts: a text for people, the
facts for programs (RFC 3464), and the message or its header, so that it is
recognised. For mail sent with SMTPUTF8 the two latter are of the types that hold
UTF-8 (RFC 6533). Date, ids and boundary are arguments: nothing here asks.

Invariants:

1. A notice goes from the null reverse-path to the reverse-path alone (RFC 3461
   §6.1). Only where there is none, or nothing can be sent to it, another is told
   (`Source.instead`).
2. Nothing a stranger said (a reply, ENVID, ORCPT, the message) can add a
   field, end a part, or break a line limit: what is not clean is encoded, or
   only the header is returned.
3. The content has CR LF line ends, no line over 998 octets, and octets over
   127 only where the envelope says 8BITMIME.
"""

from __future__ import annotations

import re
from binascii import b2a_qp
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import field
from datetime import UTC, datetime
from ipaddress import ip_address
from textwrap import wrap
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.charset import encoded_words
from mailhub.mail.date import format_date
from mailhub.mail.envelope import Body, Envelope, Recipient, Return
from mailhub.mail.header import LINE_LIMIT, end, index, make, unfold
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.cause import Cause
from mailhub.queue.item import Delivered, Expanded, Failed, Fate, Item, Pending, Relayed
from mailhub.queue.telling import Action
from mailhub.queue.words import Words

WIDTH: Final = 76
"""Columns after which what is told to people is folded."""


@value(frozen=True, slots=True)
class Limits:
    """How much of a message is sent back.

    Attributes:
        message: Octets up to which a failed message is returned whole, where
            the sender did not ask for its header only.
        header: Octets of a header that is returned.
    """

    message: int = 50_000
    header: int = 32_768


_LIMITS: Final = Limits()


@value(frozen=True, slots=True)
class Source:
    """Who writes, and when: all that a notice needs besides the facts.

    Attributes:
        host: Our name: the Reporting-MTA.
        date: Seconds since the epoch.
        message_id: With its angle brackets.
        boundary: Unlikely to occur in any message.
        words: The language it is written in.
        causes: What stands behind failures and delays, by recipients' numbers.
        helper: Who helps those who do not understand it; None for nobody.
        instead: Who is told because the sender cannot be: somebody who runs this system.
    """

    host: str
    date: float
    message_id: str
    boundary: str
    words: Words
    causes: Mapping[int, Cause] = field(default_factory=dict)
    helper: Path | None = None
    instead: Path | None = None


@value(frozen=True, slots=True)
class Notice:
    """A DSN, ready to be accepted as an item."""

    envelope: Envelope
    content: bytes


@value(frozen=True, slots=True)
class _Part:
    """One part of a multipart: its Content-Type, its encoding, its octets."""

    type: str
    octets: bytes
    encoding: str = "7bit"
    description: str = ""

    def __bytes__(self) -> bytes:
        fields = [make("Content-Type", self.type)]
        if self.description:
            fields.append(make("Content-Description", self.description))
        if self.encoding != "7bit":
            fields.append(make("Content-Transfer-Encoding", self.encoding))
        return b"".join(fields) + b"\r\n" + self.octets


# ---- Which notices, and what they need -----------------------------------------------------


def notices(actions: Mapping[int, Action]) -> list[dict[int, Action]]:
    """What is to be told, one notice each: failures, delays and successes apart."""
    kinds = (
        (Action.FAILED,),
        (Action.DELAYED,),
        (Action.DELIVERED, Action.RELAYED, Action.EXPANDED),
    )
    groups = ({n: a for n, a in actions.items() if a in kind} for kind in kinds)
    return [group for group in groups if group]


def returns_all(item: Item, actions: Mapping[int, Action], limits: Limits) -> bool:
    """Whether the whole message goes back: failed, asked for or not forbidden, and small.

    RET is for failures only (RFC 3461 §4.3), and REQUIRETLS means the header
    alone (RFC 8689 §5). Binary content cannot be sent on as it is.
    """
    envelope = item.envelope
    return (
        Action.FAILED in actions.values()
        and envelope.ret is not Return.HEADERS
        and not envelope.require_tls
        and envelope.body is not Body.BINARY
        and item.size <= limits.message
    )


def octets_needed(item: Item, actions: Mapping[int, Action], limits: Limits) -> int:
    """How many of the first octets of the content `compose` has a use for."""
    if returns_all(item, actions, limits):
        return item.size
    return min(item.size, limits.header)


def compose(
    item: Item,
    actions: Mapping[int, Action],
    content: bytes,
    source: Source,
    retry_until: float | None = None,
    limits: Limits = _LIMITS,
) -> Notice:
    """One notice: `actions`, by recipients' numbers, of an item.

    `content` is its content, or as much of the beginning as `octets_needed`
    says; `retry_until` is when delayed recipients will be given up.
    """
    to = source.instead or item.envelope.reverse_path
    wide = item.envelope.utf8 or any(_path(item, number).needs_utf8 for number in actions)
    parts = (
        _text_part(_human(item, actions, source, retry_until)),
        _machine_part(item, actions, source, retry_until, wide=wide),
        _returned_part(item, actions, content, limits, wide=wide),
    )
    body, boundary = _multipart(parts, source.boundary)
    fields: tuple[bytes, ...] = (
        make("From", f"Mail Delivery System <MAILER-DAEMON@{source.host}>"),
        make("To", f"<{to}>"),
        make("Subject", encoded_words(_subject(item, actions, source))),
        make("Date", format_date(source.date)),
        make("Message-ID", source.message_id),
        *_thread(content),
        make("Auto-Submitted", "auto-replied"),  # RFC 3834 §5
        make("MIME-Version", "1.0"),
        make(
            "Content-Type",
            f'multipart/report; report-type=delivery-status; boundary="{boundary}"',
        ),
    )
    if not body.isascii():  # a part of 8bit makes the whole 8bit (RFC 2045 §6.4)
        fields += (make("Content-Transfer-Encoding", "8bit"),)
    octets = b"".join(fields) + b"\r\n" + body
    envelope = Envelope(
        recipients=(Recipient(to),),
        body=Body.SEVEN_BIT if octets.isascii() else Body.EIGHT_BIT,
        utf8=to.needs_utf8,
        require_tls=item.envelope.require_tls,
        priority=item.envelope.priority,  # RFC 6710 §4.6
    )
    return Notice(envelope, octets)


def _path(item: Item, number: int) -> Path:
    return item.envelope.recipients[number].path


def _subject(item: Item, actions: Mapping[int, Action], source: Source) -> str:
    words = source.words
    what = {
        Action.FAILED: "subject failed",
        Action.DELAYED: "subject delayed",
    }.get(next(iter(actions.values())), "subject delivered")
    if source.instead is not None:
        what = "subject double"
    [*others, last] = actions
    to = str(_path(item, last))
    if others or not to.isascii():
        count = len(actions)
        to = words.say("recipients", count=count) if count > 1 else words.say("one recipient")
    return words.say(what, to=to)


# msg-id in practice: one word in angle brackets                            (RFC 5322 §3.6.4)
_MESSAGE_ID: Final = re.compile(rb"<[!-;=?-~]{1,250}>")


def _thread(content: bytes) -> list[bytes]:
    """The fields that put the notice beside the message in a client's list (RFC 5322 §3.6.4)."""
    for raw in index(content[: end(content)]).get(b"message-id", []):
        value = unfold(raw)
        if _MESSAGE_ID.fullmatch(value):
            message_id = value.decode("ascii")
            return [make("In-Reply-To", message_id), make("References", message_id)]
    return []


# ---- For people ----------------------------------------------------------------------------


def _human(
    item: Item, actions: Mapping[int, Action], source: Source, retry_until: float | None
) -> str:
    say = source.words.say
    lines = [say("introduction", host=source.host), ""]
    for action in Action:
        numbers = [number for number, what in actions.items() if what is action]
        if not numbers:
            continue
        lines += [*_opening(action, source), ""]
        for same in _alike(item, numbers, source):
            lines += _account(item, same, source)
        lines.append("")
    if Action.DELAYED in actions.values() and retry_until is not None:
        lines += [say("again", date=format_date(retry_until)), ""]
    if Action.FAILED in actions.values():
        lines += [say("no more"), ""]
    lines.append(say("arrived", date=format_date(item.arrived), id=item.queue_id))
    if source.helper is not None:
        lines.append(say("help", address=source.helper.shown))
    return "".join(line + "\r\n" for line in lines)


def _opening(action: Action, source: Source) -> list[str]:
    if source.instead is None:
        return [source.words.say(action.value)]
    return wrap(source.words.say("double"), WIDTH)


def _alike(item: Item, numbers: Sequence[int], source: Source) -> Iterable[list[int]]:
    """Recipients of whom the same is to be said, together: in the order of the first of each."""
    groups: dict[object, list[int]] = {}
    for number in numbers:
        same = source.causes.get(number), _words(item.fates[number])
        groups.setdefault(same, []).append(number)
    return groups.values()


def _account(item: Item, numbers: Sequence[int], source: Source) -> list[str]:
    """Some recipients' lines: who, what that means for a person, whose words, and these whole."""
    say, number = source.words.say, numbers[0]
    lines = [f"  <{_path(item, number).shown}>" for number in numbers]
    cause = source.causes.get(number)
    if cause is not None and source.instead is None:  # it is advice for senders
        advice = source.words.causes[cause]
        told = (say("what"), advice.what, say("retry"), advice.retry, say("advice"), advice.advice)
        for title, text in zip(told[::2], told[1::2], strict=True):
            lines += _folded(f"{title} {text}")
    reply, host, expired = _words(item.fates[number])
    if expired:
        lines.append(f"    {say('expired')}")
    if reply is not None:
        if host:
            lines.append(f"    {say('said', host=host)}")
        status = f" {reply.status}" if reply.detail else ""
        first, *rest = reply.lines
        lines.append(f"    {reply.code}{status} {first}".rstrip())
        lines += [f"    {line}" for line in rest]
    return [_clean(line) for line in lines]


def _folded(text: str) -> list[str]:
    return wrap(text, WIDTH, initial_indent="    ", subsequent_indent="      ")


def _words(fate: Fate) -> tuple[Reply | None, str, bool]:
    """The reply that decided a fate, whose it was, and whether it only came too late."""
    match fate:
        case Failed(reply=reply, host=host, expired=expired):
            return reply, host, expired
        case Relayed(reply=reply, host=host) | Pending(reply=reply, host=host):
            return reply, host, False
        case Delivered(reply=reply) | Expanded(reply=reply):
            return reply, "", False
        case _:
            return None, "", False


_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f]+")


def _clean(text: str) -> str:
    """Without controls, and without octets that are no UTF-8."""
    return _CONTROLS.sub(" ", text).encode("utf-8", "replace").decode()


# ---- For programs --------------------------------------------------------------------------


def _machine_part(
    item: Item,
    actions: Mapping[int, Action],
    source: Source,
    retry_until: float | None,
    *,
    wide: bool,
) -> _Part:
    # delivery-status-content = per-message-fields 1*( CRLF per-recipient-fields ) (RFC 3464 §2.1)
    groups = [_message_fields(item, source)]
    groups += [
        _recipient_fields(item, number, action, source, retry_until)
        for number, action in actions.items()
    ]
    text = ["".join(_field(name, value, wide=wide) for name, value in group) for group in groups]
    octets = "\r\n".join(text).encode()
    kind = "message/global-delivery-status" if wide else "message/delivery-status"
    encoding = "7bit" if octets.isascii() else "8bit"
    return _Part(kind, octets, encoding, "Delivery report")


def _field(name: str, value: str, *, wide: bool) -> str:
    text = _clean(value)
    if not wide:  # message/delivery-status is ASCII (RFC 3464 §2.1)
        text = text.encode("ascii", "replace").decode()
    return make(name, text).decode()


def _message_fields(item: Item, source: Source) -> list[tuple[str, str]]:
    fields = []
    if item.envelope.envid is not None:  # RFC 3464 §2.2.1, RFC 3461 §6.3
        fields.append(("Original-Envelope-Id", from_xtext(item.envelope.envid)))
    fields.append(("Reporting-MTA", f"dns; {source.host}"))  # RFC 3464 §2.2.2
    fields.append(("Arrival-Date", format_date(item.arrived)))  # RFC 3464 §2.2.5
    if item.deadline is not None:
        fields.append(("Deliver-By-Date", format_date(item.deadline)))  # RFC 2852 §5
    wished = item.envelope.hold_until
    if item.envelope.hold_for is not None:
        fields.append(("Future-Release-Request", f"for;{item.envelope.hold_for}"))
    elif wished is not None:
        fields.append(("Future-Release-Request", f"until;{_utc(wished)}"))  # RFC 4865 §5.1.2
    return fields


def _utc(moment: float) -> str:
    """A moment as Internet date and time in UTC (RFC 3339 §5.6)."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _recipient_fields(
    item: Item, number: int, action: Action, source: Source, retry_until: float | None
) -> list[tuple[str, str]]:
    recipient = item.envelope.recipients[number]
    reply, host, expired = _words(item.fates[number])
    fields = []
    if recipient.orcpt is not None:  # RFC 3464 §2.3.1
        kind, _, address = recipient.orcpt.partition(";")
        fields.append(("Original-Recipient", f"{kind}; {_original(kind, address)}"))
    kind = "utf-8" if recipient.path.needs_utf8 else "rfc822"  # RFC 6533 §3
    fields.append(("Final-Recipient", f"{kind}; {recipient.path}"))  # RFC 3464 §2.3.2
    fields.append(("Action", action.value))
    fields.append(("Status", _status(item, action, reply, source.date, expired=expired)))
    if host:
        fields.append(("Remote-MTA", f"dns; {_mta(host)}"))  # RFC 3464 §2.3.5
    if reply is not None and (host or action in (Action.FAILED, Action.DELAYED)):
        kind = "smtp" if host else "x-mailhub"  # only a peer's words are SMTP's (RFC 3464 §2.3.6)
        fields.append(("Diagnostic-Code", f"{kind}; {reply.text}"))
    fields.append(("Last-Attempt-Date", format_date(source.date)))
    fields.append(("Final-Log-Id", item.queue_id))  # RFC 3464 §2.3.8
    if action is Action.DELAYED and retry_until is not None:
        fields.append(("Will-Retry-Until", format_date(retry_until)))  # RFC 3464 §2.3.9
    return fields


def _status(item: Item, action: Action, reply: Reply | None, now: float, *, expired: bool) -> str:
    """The status of a recipient: the reply's, but for what has taken too long (RFC 3463 §3.5)."""
    late = item.deadline is not None and now >= item.deadline
    if late and action is Action.FAILED and expired:
        return "5.4.7"  # RFC 2852 §4.1.3
    if expired or (late and action is Action.DELAYED):
        return "4.4.7"
    return _default_status(action) if reply is None else reply.status


def _mta(host: str) -> str:
    """A host as a name of type dns: a domain, or an address in brackets (RFC 3464 §2.1.2)."""
    try:
        address = ip_address(host)
    except ValueError:
        return host
    return f"[IPv6:{address}]" if address.version == 6 else f"[{address}]"


def _default_status(action: Action) -> str:
    return {Action.FAILED: "5.0.0", Action.DELAYED: "4.0.0"}.get(action, "2.0.0")


# xtext = *( xchar / hexchar );  hexchar = "+" HEXDIG HEXDIG                (RFC 3461 §4)
_HEXCHAR: Final = re.compile(r"\+([0-9A-F]{2})")
# EmbeddedUnicodeChar = "\x{" HEXPOINT "}"                                  (RFC 6533 §3)
_EMBEDDED: Final = re.compile(r"\\x\{([0-9A-F]{2,6})\}")


def from_xtext(text: str) -> str:
    """The text that an xtext stands for; as it is where it would hold controls or 8-bit octets."""
    plain = _HEXCHAR.sub(lambda found: chr(int(found[1], 16)), text)
    return plain if plain.isascii() and plain.isprintable() else text


def _original(kind: str, address: str) -> str:
    """The address of an ORCPT, decoded as its type says (RFC 3461 §4.2, RFC 6533 §3)."""
    plain = from_xtext(address)
    if kind.lower() != "utf-8":
        return plain
    try:
        decoded = _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), plain)
        decoded.encode()
    except ValueError:
        return plain
    return decoded if decoded.isprintable() else plain


# ---- The message, and putting it together --------------------------------------------------


def _returned_part(
    item: Item, actions: Mapping[int, Action], content: bytes, limits: Limits, *, wide: bool
) -> _Part:
    whole = returns_all(item, actions, limits) and len(content) == item.size and _is_clean(content)
    if whole:
        kind = "message/global" if wide else "message/rfc822"
        encoding = "7bit" if content.isascii() else "8bit"
        return _Part(kind, content, encoding, "Undelivered message")
    header = content[: end(content)]
    if len(header) == len(content):  # all that was read is header: end with a whole line
        header = header[: header.rfind(b"\n") + 1]
    kind = "message/global-headers" if wide else "text/rfc822-headers"  # RFC 6522 §4, RFC 6533 §6
    if header.isascii() and _is_clean(header):
        return _Part(kind, header, description="Header of the message")
    return _Part(kind, _quoted_printable(header), "quoted-printable", "Header of the message")


_DIRT: Final = re.compile(rb"\x00|\r(?!\n)|(?<!\r)\n")


def _is_clean(octets: bytes) -> bool:
    """Whether 8BITMIME can carry it: no NUL, no bare CR or LF, no line over 998 octets."""
    return _DIRT.search(octets) is None and all(
        len(line) <= LINE_LIMIT for line in octets.split(b"\r\n")
    )


def _text_part(text: str) -> _Part:
    octets = text.encode()
    if octets.isascii() and _is_clean(octets):
        return _Part("text/plain; charset=us-ascii", octets, description="Notification")
    return _Part(
        "text/plain; charset=utf-8", _quoted_printable(octets), "quoted-printable", "Notification"
    )


def _quoted_printable(octets: bytes) -> bytes:
    """Quoted-printable (RFC 2045 §6.7), the line ends of the text kept as line ends."""
    lines = octets.split(b"\r\n")
    return b"\r\n".join(b2a_qp(line, istext=False).replace(b"=\n", b"=\r\n") for line in lines)


def _multipart(parts: Sequence[_Part], boundary: str) -> tuple[bytes, str]:
    """The parts put together, and the boundary, which occurs in none of them."""
    octets = [bytes(part) for part in parts]
    boundary = _clear(boundary, octets)
    line = f"--{boundary}".encode()
    pieces = [b"%b\r\n%b\r\n" % (line, part) for part in octets]
    return b"".join(pieces) + line + b"--\r\n", boundary


def _clear(boundary: str, parts: Iterable[bytes]) -> str:
    """The boundary, made longer until no part holds it."""
    joined = b"\n".join(parts)
    longer = boundary
    count = 0
    while longer.encode() in joined:
        count += 1
        longer = f"{boundary}-{count}"
    return longer
