"""Under which UID a delivered message stands, read off the maildir.

A mailbox that nobody has open gives its messages UIDs when somebody opens it: too late for the
journey. Names in the maildir hold both, the queue id and the UID (`store.name`).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from mailhub.cli.place import Place
from mailhub.mail.value import replace
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Event, Filed
from mailhub.queue.ids import unique_part
from mailhub.store.name import base_of, directory_of, own_unique, parse_base, spelt_unique

if TYPE_CHECKING:
    from collections.abc import Iterator


def numbered(place: Place, queue_id: QueueId, events: Sequence[Event]) -> list[Event]:
    """The events, with the UIDs that deliveries have got since, if the message is still there."""
    if not any(isinstance(event, Filed) and not event.uid for event in events):
        return list(events)
    with closing(place.accounts()) as accounts:
        maildirs = {str(it.path): it.maildir for it in accounts.accounts()}
    state = place.existing().hub.state
    found: list[Event] = []
    for event in events:
        if isinstance(event, Filed) and not event.uid and event.account in maildirs:
            maildir = os.path.join(state, maildirs[event.account])
            uid = _uid(maildir, event.mailbox, unique_part(queue_id, event.number))
            found.append(replace(event, uid=uid))
        else:
            found.append(event)
    return found


def _uid(maildir: str, mailbox: str, unique: str) -> int:
    """The UID of the message with this unique part; 0 if it has none, or has left the mailbox."""
    spelt = spelt_unique(unique)
    for name in _names(os.path.join(os.fsencode(maildir), directory_of(mailbox))):
        base = parse_base(base_of(name))
        if own_unique(base.stem) == spelt:
            return base.uid or 0
    return 0


def _names(directory: bytes) -> Iterator[bytes]:
    for part in (b"cur", b"new"):
        with suppress(OSError):
            yield from os.listdir(os.path.join(directory, part))
