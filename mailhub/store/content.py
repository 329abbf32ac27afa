"""A message's octets, as sessions get them: from memory, or in pieces from a file."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from itertools import count

from mailhub.ports.disk import Disk
from mailhub.store.placing import as_refused
from mailhub.store.reading import LargeFile


class WholeContent:
    """A `ports.message.Content` that was read already."""

    def __init__(self, octets: bytes) -> None:
        self.size = len(octets)
        self._octets = octets

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None."""
        if offset == 0 and (length is None or length >= self.size):
            return self._octets
        return self._octets[offset : None if length is None else offset + length]

    def close(self) -> None:
        """Nothing is open."""


class LargeContent:
    """A `ports.message.Content` that is read in pieces, as they are asked for."""

    def __init__(self, disk: Disk, file: LargeFile) -> None:
        self.size = file.size
        self._disk = disk
        self._file = file

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        wanted = self.size if length is None else length
        try:
            return await self._disk.run(self._file.read, offset, wanted)
        except OSError as error:
            raise as_refused(error) from error

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class ReadCache:
    """Messages read ahead for clients that read in order; one for all mailboxes.

    The oldest go first. What is in it never changes: a UID is one message for ever.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._octets = 0
        self._serials = count()
        self._messages: OrderedDict[tuple[int, int], bytes] = OrderedDict()

    def serial(self) -> int:
        """A number for a mailbox, for as long as this process runs."""
        return next(self._serials)

    def get(self, mailbox: int, uid: int) -> bytes | None:
        """A message, if it is here."""
        return self._messages.get((mailbox, uid))

    def put(self, mailbox: int, messages: dict[int, bytes]) -> None:
        """Keep messages for a while."""
        for uid, octets in messages.items():
            before = self._messages.pop((mailbox, uid), b"")
            self._messages[mailbox, uid] = octets
            self._octets += len(octets) - len(before)
        while self._octets > self._limit:
            _, octets = self._messages.popitem(last=False)
            self._octets -= len(octets)


@dataclass(slots=True)
class ReadAhead:
    """How many messages to read in one go: few at first, more for who reads in order."""

    last: int = -1
    messages: int = 1

    def at(self, position: int, limit: int) -> int:
        """How many to read, for a client that wants the message at `position`."""
        self.messages = min(self.messages * 4, limit) if position == self.last + 1 else 1
        self.last = position
        return self.messages
