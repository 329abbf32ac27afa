"""What the log says of each message: one line for each thing that happens to it.

A line begins with the queue id, so that a search for it tells the message's
story: accepted, filed, relayed, deferred, failed. What was refused has no id,
and begins with that word. Connections and logins are told elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.date import format_date
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.policy.suppression import Entry
from mailhub.ports.conversation import Client
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import Cancelled, Delivered, Expanded, Failed, Fate, Held, Item, Relayed

NAMED: Final = 5
"""Recipients that a line names; of others it tells how many there are."""

_log: Final = Logger(namespace="mail")


def accepted(item: Item) -> None:
    """A message has been taken in, or a notice written."""
    origin, envelope = item.origin, item.envelope
    to = _some(recipient.path for recipient in envelope.recipients)
    by = "a notice of our own"
    if origin.address:
        account = f" as {origin.account}" if origin.account else ""
        by = f"by {_visitor(origin.helo, origin.address)} with {origin.protocol}{account}"
    size = f"{item.size} octets"
    if envelope.priority is not None:
        size += f", priority {envelope.priority}"  # RFC 6710 §4.1
    _say(f"{item.queue_id}: accepted from <{envelope.reverse_path}> for {to}, {size}, {by}")


def filed(item: Item, numbers: Iterable[int]) -> None:
    """A message can be read in the mailboxes of these recipients."""
    recipients = item.envelope.recipients
    _say(f"{item.queue_id}: filed for {_some(recipients[number].path for number in numbers)}")


def attempted(before: Item, after: Item) -> None:
    """An attempt has ended: what it changed is written."""
    fates = zip(before.envelope.recipients, before.fates, after.fates, strict=True)
    for recipient, old, new in fates:
        if old != new:
            _say(f"{after.queue_id}: <{recipient.path}> {_told(new)}")


def refused(
    client: Client, refusal: Refusal, envelope: Envelope | None, path: Path | None = None
) -> None:
    """A client is refused: a recipient, or the whole message."""
    what = "mail" if path is None else f"<{path}>"
    sender = "" if envelope is None else f" from <{envelope.reverse_path}>"
    by = _visitor(client.helo, client.address)
    _say(f"refused {what}{sender} by {by}: {refusal.reply.text}")


def left_out(alias: Path, member: Path, refusal: Refusal) -> None:
    """Mail for an alias goes to the others it stands for, and not to this one."""
    _log.warn(
        "refused <{member}>, whom <{alias}> stands for: {reply}",
        member=member,
        alias=alias,
        reply=refusal.reply.text,
    )


def suppressed(entry: Entry) -> None:
    """An address is on a suppression list now, or still."""
    until = f" until {format_date(entry.expires, 0)}" if entry.expires else ""
    why = f"{entry.reason.value}: {entry.reply}"
    _say(f"{entry.queue_id}: <{entry.address}> suppressed for {entry.domain}{until}, {why}")


def returned(queue_id: QueueId, path: Path, what: str) -> None:
    """Something has come back to a return path of ours."""
    _say(f"{queue_id}: <{path}> {what}")


def _say(line: str) -> None:
    """Put a line into the log; as a whole, for formatting it field by field costs more."""
    _log.info("{line}", line=line)


def _told(fate: Fate) -> str:
    match fate:
        case Delivered():
            return "delivered"
        case Relayed(reply=reply, host=host):
            return f"relayed to {host}: {reply.text}"
        case Failed(reply=reply, host=host, expired=expired):
            return f"{'expired' if expired else 'failed'}{_of(host)}: {reply.text}"
        case Expanded():
            return "replaced by an alias's addresses"
        case Cancelled():
            return "dropped"
        case Held(why=why):
            return f"held: {why}"
        case _:
            words = "" if fate.reply is None else f"{_of(fate.host)}: {fate.reply.text}"
            return f"deferred until {format_date(fate.due, 0)}{words}"


def _of(host: str) -> str:
    return f" at {host}" if host else ""


def _visitor(helo: str, address: str) -> str:
    return f"{helo or '?'} [{address}]"


def _some(paths: Iterable[Path]) -> str:
    """The first few of these, and how many others there are."""
    shown = [f"<{path}>" for path in paths]
    more = f" and {len(shown) - NAMED} more" if len(shown) > NAMED else ""
    return ", ".join(shown[:NAMED]) + more
