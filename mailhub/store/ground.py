"""What the store stands on: everything that is handed in, in one value."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mailhub.ports.message import Summary
from mailhub.store.files import Files
from mailhub.store.limits import Limits

PROMISED: Final = 16_384
"""Promised messages remembered: more than can wait for a sync."""


class Latest:
    """The latest so many names; safe from any thread."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._names: OrderedDict[bytes, None] = OrderedDict()

    def add(self, name: bytes) -> None:
        """Remember one, and forget the oldest beyond the limit."""
        self._names[name] = None
        if len(self._names) > self._limit:
            self._names.popitem(last=False)

    def __contains__(self, name: object) -> bool:
        return name in self._names


@dataclass(frozen=True, slots=True)
class Ground:
    """Handed to every part of the store; safe from any thread.

    Attributes:
        clock: Seconds since the epoch.
        host: Our name, as it ends the names of messages.
        unique: A new text each time, never to be repeated on this host.
        summarise: Renders a message's content for IMAP.
        log: Takes a line that an operator should see.
        promised: How the unique parts of promised messages are spelt: such a message must
            be remembered when it leaves, however old it says it is.
    """

    files: Files
    clock: Callable[[], float]
    host: str
    unique: Callable[[], str]
    summarise: Callable[[bytes], Summary]
    log: Callable[[str], None]
    limits: Limits
    promised: Latest = field(default_factory=lambda: Latest(PROMISED))
