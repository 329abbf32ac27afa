"""Maildirs as directories: made, listed, looked at, swept and removed. Blocking.

Invariants:

1. A message is in ``new`` or ``cur`` under its final name or not there at all:
   it is written under ``tmp`` first, and moved by rename(2).
2. A file that is not where it was is looked for under its base name before it
   counts as gone: other programs change flags by renaming.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from mailhub.store.durable import MODE, sync_directory
from mailhub.store.files import Files
from mailhub.store.name import base_of, mailbox_of

DIRECTORY_MODE: Final = 0o700
"""Mail is its owner's alone."""
FOLDER: Final = b"maildirfolder"
"""The empty file that marks a subfolder (Maildir++)."""


def exists(files: Files, path: bytes) -> bool:
    """Whether a maildir is there."""
    try:
        return stat.S_ISDIR(files.stat(path + b"/cur").st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def make(files: Files, path: bytes, *, folder: bool) -> None:
    """Make a maildir, durably; what is there of it already stays.

    Raises:
        OSError: The disk said no.
    """
    make_directories(files, path)
    if folder:
        descriptor = files.open(path + b"/" + FOLDER, os.O_WRONLY | os.O_CREAT, MODE)
        files.close(descriptor)
    # cur last, for it is what `exists` asks for; and when the others are durable: else a power
    # cut could leave it alone, and nothing would ever come into this mailbox again.
    for names in ((b"/tmp", b"/new"), (b"/cur",)):
        for name in names:
            with suppress(FileExistsError):
                files.mkdir(path + name, DIRECTORY_MODE)
        sync_directory(files, path)


def make_directories(files: Files, path: bytes) -> None:
    """Make a directory and those above it, durably, as far as they are not there.

    Raises:
        OSError: The disk said no.
    """
    try:
        files.mkdir(path, DIRECTORY_MODE)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_directories(files, os.path.dirname(path))
        with suppress(FileExistsError):
            files.mkdir(path, DIRECTORY_MODE)
    sync_directory(files, os.path.dirname(path))


def destroy(files: Files, path: bytes, aside: bytes) -> None:
    """Remove a maildir: at once out of sight (to `aside`), then piece by piece.

    What a crash leaves at `aside`, `sweep` takes away.
    """
    files.rename(path, aside)
    sync_directory(files, os.path.dirname(path))
    _remove_tree(files, aside)


def _remove_tree(files: Files, path: bytes) -> None:
    for name in files.listdir(path):
        inner = path + b"/" + name
        try:
            files.unlink(inner)
        except OSError as error:
            if error.errno not in (errno.EISDIR, errno.EPERM):
                raise
            _remove_tree(files, inner)
    files.rmdir(path)


def sweep(files: Files, path: bytes, before: float) -> None:
    """Remove what crashes left in ``tmp`` before a moment, as far as the disk lets us."""
    with suppress(OSError):
        for name in files.listdir(path + b"/tmp"):
            inner = path + b"/tmp/" + name
            with suppress(OSError):
                status = files.stat(inner)
                if status.st_mtime >= before:
                    continue
                if stat.S_ISDIR(status.st_mode):
                    _remove_tree(files, inner)
                else:
                    files.unlink(inner)


def names(files: Files, directory: bytes) -> list[bytes]:
    """The names of messages in a ``new`` or ``cur``; a leading dot hides a file."""
    return [name for name in files.listdir(directory) if not name.startswith(b".")]


def directories(files: Files, account: bytes) -> list[bytes]:
    """The directories of an account's mailboxes, below its maildir; INBOX's is empty."""
    found = [
        name
        for name in files.listdir(account)
        if mailbox_of(name) is not None and exists(files, account + b"/" + name)
    ]
    return [b"", *sorted(found)]


@contextmanager
def held(files: Files, directory: bytes) -> Iterator[int]:
    """Hold a directory open: from there the way to each of many files is shorter."""
    descriptor = files.open(directory, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        files.close(descriptor)


class Changed(NamedTuple):
    """When a maildir changed last, in nanoseconds.

    Attributes:
        identity: Of ``cur``: another number if another maildir stands in its place.
    """

    new: int
    cur: int
    identity: int


def changed(files: Files, path: bytes) -> Changed:
    """When ``new`` and ``cur`` changed last."""
    status = files.stat(path + b"/cur")
    return Changed(files.stat(path + b"/new").st_mtime_ns, status.st_mtime_ns, status.st_ino)


class Finder:
    """Finds files in ``cur`` that another program may just have renamed."""

    def __init__(self, files: Files, path: bytes) -> None:
        self._files = files
        self._directory = path + b"/cur"
        self._names: dict[bytes, bytes] | None = None

    def find(self, name: bytes) -> bytes | None:
        """The name that a file has now whose name was `name`; None if it is gone.

        The directory is listed once, however many are asked for.
        """
        if self._names is None:
            listed = names(self._files, self._directory)
            self._names = {base_of(found): found for found in listed}
        found = self._names.get(base_of(name))
        return None if found == name else found
