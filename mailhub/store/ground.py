"""What the store stands on: everything that is handed in, in one value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailhub.ports import Summary
from mailhub.store.files import Files
from mailhub.store.limits import Limits


@dataclass(frozen=True, slots=True)
class Ground:
    """Handed to every part of the store; safe from any thread.

    Attributes:
        clock: Seconds since the epoch.
        host: Our name, as it ends the names of messages.
        unique: A new text each time, never to be repeated on this host.
        summarise: Renders a message's content for IMAP.
        log: Takes a line that an operator should see.
    """

    files: Files
    clock: Callable[[], float]
    host: str
    unique: Callable[[], str]
    summarise: Callable[[bytes], Summary]
    log: Callable[[str], None]
    limits: Limits
