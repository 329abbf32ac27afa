"""Items just accepted, kept at hand until they are attempted: so most mail is never read back.

Invariants:

1. What is kept is a copy: the spool has all of it, and whoever finds nothing here asks there.
2. The content kept is bounded.
"""

from __future__ import annotations

from mailhub.net.content import Octets
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.item import Item


class Fresh:
    """Items with their content.

    Attributes:
        limit: Octets of content kept in memory.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._items: dict[QueueId, tuple[Item, Content]] = {}
        self._octets = 0

    def get(self, queue_id: QueueId) -> tuple[Item, Content] | None:
        """An item, if it is here."""
        return self._items.get(queue_id)

    def keep(self, item: Item, content: Content) -> None:
        """Have an item at hand that is about to be attempted, if there is memory for it."""
        weight = _weight(content)
        if item.queue_id not in self._items and self._octets + weight <= self.limit:
            self._items[item.queue_id] = item, content
            self._octets += weight

    def drop(self, queue_id: QueueId) -> None:
        """It has been attempted."""
        kept = self._items.pop(queue_id, None)
        if kept is not None:
            self._octets -= _weight(kept[1])

    def clear(self) -> None:
        """The spool may say otherwise by now."""
        self._items.clear()
        self._octets = 0


def _weight(content: Content) -> int:
    return content.size if isinstance(content, Octets) else 0
