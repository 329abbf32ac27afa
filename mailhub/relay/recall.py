"""Gives journeys what a crash has cost them: of mail that is in the spool.

What happened is written a moment behind the mail (`net.scribe`). An item that was
accepted in a crash's last moment may be in the spool and in no journey; or its journey
lacks that it was attempted, and its sender would not see before the next attempt that it
is late. The essential facts are in the spool, and what is lost is how long they took.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mailhub.mail.header import Header
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Select
from mailhub.queue.event import Accepted, Event, Fated, State, Tried, tried
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.item import Item, Pending
from mailhub.queue.journeys import Journeys
from mailhub.queue.spool import Spool
from mailhub.relay import chronicle

MARGIN: Final = 60.0
"""Seconds before the newest known journey from which others may have been lost."""
LIMIT: Final = 10_000
"""Items that are looked at: if all journeys are gone, those of the oldest mail stay so."""


def forgotten(journeys: Journeys, spool: Spool) -> list[tuple[QueueId, list[Event]]]:
    """What the journeys of items in the spool lack; blocking.

    Raises:
        OSError: The disk said no.
    """
    since = max(journeys.newest - number_at(MARGIN), 0)
    found = []
    for item in spool.find(Select(), to_queue_id(since), LIMIT):
        known = [event for part in journeys.load(item.queue_id) for event in part.events]
        lost = [*([] if known else [_beginning(spool, item)]), *_attempted(spool, item, known)]
        if lost:
            found.append((item.queue_id, lost))
    return found


def _attempted(spool: Spool, item: Item, known: Sequence[Event]) -> Iterator[Event]:
    """Attempts that a journey does not know of, and what came of them."""
    if not any(isinstance(fate, Pending) and fate.attempts for fate in item.fates):
        return
    told = {event.at for event in known if isinstance(event, Tried)}
    lost = [it for it in spool.attempts(item.queue_id) if it.attempt.started not in told]
    yield from (tried(it.numbers, it.attempt) for it in lost)
    groups: dict[Pending, list[int]] = {}
    for place, fate in enumerate(item.fates):
        number = item.number(place)
        if isinstance(fate, Pending) and any(number in it.numbers for it in lost):
            groups.setdefault(fate, []).append(number)
    at = max((it.attempt.ended for it in lost), default=item.arrived)
    for fate, numbers in groups.items():
        words = "" if fate.reply is None else fate.reply.text
        yield Fated(at, tuple(numbers), State.DEFERRED, words, fate.host, fate.due)


def _beginning(spool: Spool, item: Item) -> Accepted:
    content = spool.content(item.queue_id)
    header = Header.of(content) if isinstance(content, bytes) else Header(b"")
    message_id, subject = header.first(b"message-id") or b"", header.first(b"subject") or b""
    return chronicle.accepted(
        item,
        item.arrived,
        message_id=message_id.decode("utf-8", "replace"),
        subject=subject.decode("utf-8", "replace"),
        verdicts=(("taken up again after a restart", ""),),
    )
