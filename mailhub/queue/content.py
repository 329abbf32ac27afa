"""Large content of the spool: one file for each item, beside the database.

A file is written, synced, and only then may its item's row be committed; it is
removed after the row is gone. So a crash leaves at worst a file without a row,
which `orphans` finds at the next start, and never a row without a file.

A file may begin with a head, the trace fields of the only local recipient: then
local delivery gives the very same file a second name, in the maildir, and the
content is written once. Whoever wants the content alone skips the head.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from mailhub.ports.outgoing import QueueId
from mailhub.queue.ids import to_number

DIRECTORY: Final = "content"


def path_of(spool: str, queue_id: QueueId) -> str:
    """Where an item's content lies, if it is in a file.

    The last letters of a queue id are random: they spread the files evenly.
    """
    return f"{spool}/{DIRECTORY}/{queue_id[-2:]}/{queue_id}"


class System(Protocol):
    """The operating system's calls that change the spool's files: `os` has them."""

    def open(self, path: str, flags: int, mode: int = ..., /) -> int: ...
    def write(self, descriptor: int, octets: Any, /) -> int: ...
    def fsync(self, descriptor: int, /) -> None: ...
    def close(self, descriptor: int, /) -> None: ...
    def unlink(self, path: str, /) -> None: ...
    def rename(self, source: str, target: str, /) -> None: ...
    def makedirs(self, path: str, mode: int = ..., exist_ok: bool = ...) -> None: ...


def sync_directory(path: str, system: System = os) -> None:
    """Make the names in a directory durable."""
    descriptor = system.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        system.fsync(descriptor)
    finally:
        system.close(descriptor)


class ContentFile:
    """Content on its way into the spool. Ended by `finish`, then perhaps `abort`, or `abort` alone.

    Blocking, and for one thread at a time. Every method raises `OSError` when
    the disk says no; nothing may be promised then, and `abort` cleans up.
    """

    def __init__(
        self,
        spool: str,
        queue_id: QueueId,
        head: bytes = b"",
        system: System = os,
    ) -> None:
        self.path = path_of(spool, queue_id)
        self.head = head
        self.size = 0
        self._system = system
        self._descriptor = self._open()
        try:
            self._write(head)
        except OSError:
            self.abort()
            raise

    def _open(self) -> int:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        try:
            return self._system.open(self.path, flags, 0o600)
        except FileNotFoundError:
            directory = os.path.dirname(self.path)
            self._system.makedirs(directory, 0o700, exist_ok=True)
            sync_directory(os.path.dirname(directory), self._system)
            return self._system.open(self.path, flags, 0o600)

    def write(self, octets: bytes) -> None:
        """Take more content."""
        self._write(octets)
        self.size += len(octets)

    def _write(self, octets: bytes) -> None:
        rest = memoryview(octets)
        while rest:
            rest = rest[self._system.write(self._descriptor, rest) :]

    def finish(self) -> None:
        """Make octets and name durable. Harmless when done before."""
        if self._descriptor < 0:
            return
        self._system.fsync(self._descriptor)
        self._close()
        sync_directory(os.path.dirname(self.path), self._system)

    def abort(self) -> None:
        """Forget it, as far as the disk lets us. Harmless at any time before the commit."""
        with suppress(OSError):
            self._close()
        with suppress(OSError):
            self._system.unlink(self.path)

    def _close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            self._system.close(descriptor)


def read(path: str, offset: int, length: int) -> bytes:
    """Octets of a file; fewer than `length` only where it ends.

    Raises:
        OSError: As the disk says; also EIO where the file is shorter than `offset`.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return read_from(descriptor, offset, length)
    finally:
        os.close(descriptor)


def read_from(descriptor: int, offset: int, length: int) -> bytes:
    """Likewise, of an open file."""
    pieces = []
    while length > 0:
        piece = os.pread(descriptor, length, offset)
        if not piece:
            break
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def files(spool: str) -> Iterator[tuple[QueueId, str]]:
    """Every content file, with its item's id; names that are no queue ids are left alone."""
    try:
        directories = sorted(os.listdir(f"{spool}/{DIRECTORY}"))
    except OSError as error:
        if error.errno == errno.ENOENT:
            return
        raise
    for directory in directories:
        with suppress(NotADirectoryError):
            for name in os.listdir(f"{spool}/{DIRECTORY}/{directory}"):
                with suppress(ValueError):
                    to_number(name)
                    yield QueueId(name), f"{spool}/{DIRECTORY}/{directory}/{name}"
