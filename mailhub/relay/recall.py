"""Begins journeys again that a crash has cost their beginning: of mail that is in the spool.

What happened is written a moment behind the mail (`net.scribe`). An item that was
accepted in a crash's last moment may be in the spool and in no journey; its essential
facts are its own, and what is lost is how long it took.
"""

from __future__ import annotations

from typing import Final

from mailhub.mail.header import Header
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Select
from mailhub.queue.event import Accepted
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.item import Item
from mailhub.queue.journeys import Journeys
from mailhub.queue.spool import Spool
from mailhub.relay import chronicle

MARGIN: Final = 60.0
"""Seconds before the newest known journey from which others may have been lost."""
LIMIT: Final = 10_000
"""Items that are looked at: if all journeys are gone, those of the oldest mail stay so."""


def forgotten(journeys: Journeys, spool: Spool) -> list[tuple[QueueId, Accepted]]:
    """The beginnings of journeys that have none, of items in the spool; blocking.

    Raises:
        OSError: The disk said no.
    """
    since = max(journeys.newest - number_at(MARGIN), 0)
    items = spool.find(Select(), to_queue_id(since), LIMIT)
    return [
        (item.queue_id, _beginning(spool, item))
        for item in items
        if not journeys.load(item.queue_id)
    ]


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
