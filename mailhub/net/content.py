"""Content as the event loop reads and writes it: in memory, or in a file behind the disk."""

from __future__ import annotations

import os
from dataclasses import dataclass

from mailhub.net.disk import Lock
from mailhub.net.shield import shielded
from mailhub.ports.disk import Disk
from mailhub.ports.outgoing import QueueId
from mailhub.queue.content import ContentFile, System, path_of, read


class Octets:
    """A `ports.message.Content` that is in memory."""

    __slots__ = ("octets", "size")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.size = len(octets)

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None."""
        if offset == 0 and (length is None or length >= len(self.octets)):
            return self.octets
        return self.octets[offset:] if length is None else self.octets[offset : offset + length]

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass(slots=True)
class FileContent:
    """A `ports.message.Content` in a file, behind `skip` octets that do not belong to it.

    The file is opened for each read: no descriptor is held while a slow peer
    takes its time, and a file that is removed meanwhile is an `OSError`.
    """

    path: str
    skip: int
    size: int
    disk: Disk

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None.

        Raises:
            OSError: As the disk says.
        """
        rest = max(0, self.size - offset)
        wanted = rest if length is None else min(length, rest)
        return await self.disk.run(read, self.path, self.skip + offset, wanted)

    def close(self) -> None:
        """Nothing to let go of between reads."""


class LargeContent:
    """Large content on its way into a file of the spool, made by `Journal.large`.

    One coroutine writes; `abort` may come at any time and waits its turn behind
    a write that is under way in a thread, even if whoever waited for that was
    cancelled. Every method but `abort` and `accepted` raises `OSError` when the
    disk says no.
    """

    def __init__(
        self, spool: str, queue_id: QueueId, head: bytes, disk: Disk, system: System = os
    ) -> None:
        self._system = system
        self.head = head
        self.size = 0
        self._spool = spool
        self._queue_id = queue_id
        self._disk = disk
        self._turn = Lock()
        self._file: ContentFile | None = None
        self._over = False

    async def write(self, octets: bytes) -> None:
        """Take more content."""
        await shielded(self._write(octets))

    async def finish(self) -> None:
        """Make it durable."""
        await shielded(self._finish())

    def accepted(self) -> None:
        """It belongs to an item now: `abort` no longer removes it."""
        self._over = True

    def stored(self) -> FileContent:
        """What was finished, for reading."""
        path = path_of(self._spool, self._queue_id)
        return FileContent(path, len(self.head), self.size, self._disk)

    async def abort(self) -> None:
        """Forget it, if it was not accepted. Harmless at any time."""
        await shielded(self._abort())

    async def _write(self, octets: bytes) -> None:
        async with self._turn:
            file = await self._opened()
            await self._disk.run(file.write, octets)
            self.size += len(octets)

    async def _finish(self) -> None:
        async with self._turn:
            file = await self._opened()
            await self._disk.run(file.finish)

    async def _abort(self) -> None:
        async with self._turn:
            if self._file is not None and not self._over:
                await self._disk.run(self._file.abort)
            self._over = True

    async def _opened(self) -> ContentFile:
        if self._file is None:
            self._file = await self._disk.run(
                ContentFile, self._spool, self._queue_id, self.head, self._system
            )
        return self._file
