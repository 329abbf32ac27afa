"""A message on its way in by APPEND: in memory while it is small, then in a file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from mailhub.ports.disk import Disk
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.durable import MODE, write_all
from mailhub.store.ground import Ground
from mailhub.store.placing import Incoming, as_refused
from mailhub.store.work import wholly


class DiskUpload:
    """A `ports.message.Upload`.

    Attributes:
        size: Octets so far.
    """

    def __init__(self, ground: Ground, disk: Disk, account: bytes) -> None:
        self.size = 0
        self._ground = ground
        self._disk = disk
        self._path = account + b"/tmp/" + ground.unique().encode()
        self._pieces: list[bytes] = []
        self._descriptor = -1
        self._in_file = False
        self._failed = False

    async def write(self, octets: bytes) -> None:
        """Take more of it.

        Raises:
            StoreRefused: SERVER_BUG.
        """
        self.size += len(octets)
        self._pieces.append(octets)
        if not self._in_file and self.size <= self._ground.limits.upload_memory:
            return
        pieces, self._pieces = self._pieces, []
        self._in_file = True
        try:
            await wholly(self._disk, partial(self._write, pieces), lambda: None)
        except OSError as error:
            self._failed = True
            raise as_refused(error) from error

    def _write(self, pieces: Sequence[bytes]) -> None:
        files = self._ground.files
        if self._descriptor < 0:
            self._descriptor = files.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, MODE)
        for piece in pieces:
            write_all(files, self._descriptor, piece)

    def incoming(self, flags: tuple[str, ...], date: float) -> Incoming:
        """The message, whole.

        Raises:
            StoreRefused: SERVER_BUG: part of it could not be taken.
        """
        if self._failed:
            raise StoreRefused(StoreFault.SERVER_BUG, "The message did not arrive whole")
        path = self._path if self._in_file else None
        return Incoming(b"".join(self._pieces), path, self.size, flags, date)

    async def abort(self) -> None:
        """Forget it, or what is left of it once it has been appended."""
        self._pieces = []
        self._failed = True
        if self._in_file:
            self._in_file = False
            await wholly(self._disk, self._remove, lambda: None)

    def _remove(self) -> None:
        with suppress(OSError):
            if self._descriptor >= 0:
                self._ground.files.close(self._descriptor)
        self._descriptor = -1
        with suppress(OSError):
            self._ground.files.unlink(self._path)
