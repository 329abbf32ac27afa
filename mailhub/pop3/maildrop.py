"""The maildrop: INBOX as it was at login, and what has been marked as deleted since.

Invariants:

1. Numbers and sizes stay what they were at login, whatever IMAP sessions and
   deliveries do to the mailbox meanwhile (RFC 1939 §8).
2. A unique id is made of UID and UIDVALIDITY alone, so that it outlives flag
   changes, restarts and the index; its form is Dovecot's default, so that
   clients of an adopted maildir know their messages again (RFC 1939 §7).
3. The mailbox is changed by `remove` alone.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import chain
from typing import Final

from mailhub.pop3.command import Err
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Content, Uid

ROWS: Final = 2000
"""Lines of a listing made in one step: less than 64 KiB."""


class Maildrop:
    """One session's messages.

    Attributes:
        count: Of messages that are not marked.
        octets: Their sizes, summed up.
    """

    __slots__ = ("_mailbox", "_marked", "_sizes", "_uids", "count", "octets")

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._uids = array("I", mailbox.uids)
        self._sizes = array("Q", mailbox.sizes)
        self._marked: set[int] = set()
        self.count = len(self._uids)
        self.octets = sum(self._sizes)

    def place(self, number: int) -> int:
        """The place in the arrays of a message.

        Raises:
            Err: There is none of that number, or it is marked (RFC 1939 §5).
        """
        place = number - 1
        if not 0 <= place < len(self._uids):
            raise Err("No such message")
        if place in self._marked:
            raise Err("Message is deleted")
        return place

    def size(self, place: int) -> int:
        """A message's size."""
        return self._sizes[place]

    def unique_id(self, place: int) -> bytes:
        """A message's unique id."""
        return b"%08x%08x" % (self._uids[place], self._mailbox.uid_validity)

    def sizes(self) -> Iterator[bytes]:
        """The scan listings of all messages, in pieces (RFC 1939 §5)."""
        for places in self._places():
            cells = chain.from_iterable((place + 1, self._sizes[place]) for place in places)
            yield b"%d %d\r\n" * len(places) % tuple(cells)

    def unique_ids(self) -> Iterator[bytes]:
        """The unique-id listings of all messages, in pieces (RFC 1939 §7)."""
        row = b"%%d %%08x%08x\r\n" % self._mailbox.uid_validity
        for places in self._places():
            cells = chain.from_iterable((place + 1, self._uids[place]) for place in places)
            yield row * len(places) % tuple(cells)

    def mark(self, place: int) -> None:
        """Mark a message as deleted."""
        self._marked.add(place)
        self.count -= 1
        self.octets -= self._sizes[place]

    def unmark(self) -> None:
        """Take all marks off."""
        self._marked.clear()
        self.count = len(self._uids)
        self.octets = sum(self._sizes)

    async def content(self, place: int) -> Content:
        """A message's octets, to be closed.

        Raises:
            Err: An IMAP session has expunged it, or it cannot be read.
        """
        try:
            content = await self._mailbox.content(Uid(self._uids[place]))
        except OSError:
            raise Err("The message cannot be read now", "SYS/TEMP") from None
        if content is None:
            raise Err("The message was removed by another session")
        return content

    async def remove(self) -> bool:
        """Remove what is marked; whether all of it is gone (RFC 1939 §6)."""
        if not self._marked:
            return True
        uids = [Uid(self._uids[place]) for place in sorted(self._marked)]
        await self._mailbox.expunge(uids)
        return all(self._mailbox.position(uid) is None for uid in uids)

    def _places(self) -> Iterator[list[int] | range]:
        """The places of all messages that are not marked, in batches."""
        for start in range(0, len(self._uids), ROWS):
            batch = range(start, min(start + ROWS, len(self._uids)))
            if self._marked.isdisjoint(batch):
                yield batch
            elif kept := [place for place in batch if place not in self._marked]:
                yield kept
