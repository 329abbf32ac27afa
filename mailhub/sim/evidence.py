"""What is to be found in a world without asking anybody: on the disks of hubs, and in reports.

Blocking, and of a hub that runs or has crashed alike.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from email import message_from_bytes, message_from_string
from email.message import Message as Parsed
from pathlib import Path as File
from typing import Final

from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Select
from mailhub.queue.item import Held, Item, Pending
from mailhub.queue.rows import State
from mailhub.queue.spool import Spool
from mailhub.sim.disk import QuickDisk
from mailhub.sim.hub import SimHub

_OF_REPORTS: Final = ("multipart/report", "message/rfc822", "message/delivery-status")
_END_OF_HEAD: Final = re.compile(rb"\r?\n\r?\n")
_WAITING: Final = (State.PENDING, State.HELD, State.LOCAL, State.FILED)

Key = tuple[str, str]
"""A Message-ID, and a recipient."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A report, as far as it matters here (RFC 3464): of whom, by their action."""

    about: str
    failed: tuple[str, ...]
    delivered: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Waiting:
    """A recipient that a spool holds.

    Attributes:
        ours: For a mailbox of the hub's own.
        held: Until somebody lets it go.
    """

    key: Key
    queue_id: QueueId
    ours: bool
    held: bool


def head_of(octets: bytes) -> Parsed:
    """The header of a message, alone: whatever follows it is not read."""
    found = _END_OF_HEAD.search(octets)
    return message_from_bytes(octets if found is None else octets[: found.end()])


def message_id_of(octets: bytes) -> str:
    """A message's name."""
    return str(head_of(octets)["Message-ID"])


def waiting(hub: SimHub) -> Iterator[Waiting]:
    """What a hub's spool holds."""
    spool = Spool(hub.settings.hub.spool, connect=QuickDisk().connect)
    try:
        after: QueueId | None = None
        while found := spool.find(Select(), after, states=_WAITING):
            for item in found:
                yield from _of_item(item, message_id_of(_content(spool, item)))
                after = item.queue_id
    finally:
        spool.close()


def _of_item(item: Item, message_id: str) -> Iterator[Waiting]:
    for place, fate in enumerate(item.fates):
        if isinstance(fate, Pending | Held):
            recipient = str(item.envelope.recipients[place].path)
            ours = item.places[place] is not None
            held = isinstance(fate, Held)
            yield Waiting((message_id, recipient), item.queue_id, ours, held)


def _content(spool: Spool, item: Item) -> bytes:
    stored = spool.content(item.queue_id)
    if isinstance(stored, bytes):
        return stored
    with suppress(FileNotFoundError):
        return File(stored).read_bytes()
    return b""  # it is lost: whoever looks for it will not find its name


def files(hub: SimHub) -> Iterator[tuple[str, File]]:
    """The messages in INBOXes, whoever can see them, with their accounts."""
    for address in hub.addresses:
        user, _, domain = address.partition("@")
        inbox = File(hub.state, "mail", domain, user)
        for path in (*inbox.glob("new/*"), *inbox.glob("cur/*")):
            yield address, path


def notice(octets: bytes) -> Notice | None:
    """What a message reports, if it is a report."""
    parsed: Parsed = message_from_bytes(octets)
    if parsed.get_content_type() != "multipart/report":
        return None
    about = ""
    found: dict[str, list[str]] = {"failed": [], "delivered": []}
    for part in parsed.walk():
        if part.get_content_type() == "text/rfc822-headers":
            about = str(message_from_string(str(part.get_payload()))["Message-ID"])
        elif part["Action"] is not None:
            recipient = str(part["Final-Recipient"]).partition(";")[2].strip()
            found.setdefault(str(part["Action"]), []).append(recipient)
        elif part.get_content_type() not in _OF_REPORTS and part["Message-ID"]:
            about = str(part["Message-ID"]) if part is not parsed else about
    return Notice(about, tuple(found["failed"]), tuple(found["delivered"]))
