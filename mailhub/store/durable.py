"""Writes that survive a crash of the machine, and what to call a file that did not.

Invariants:

1. The octets reach the disk before the name does, and the name before we return:
   a crash leaves the old file or the new one, whole.
2. After an error neither half of a file stays under a temporary name, as far
   as the disk still lets us.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

from mailhub.store.files import Files

MODE: Final = 0o600
"""Mail is its owner's alone."""


class Corrupt(Exception):
    """A file of ours does not parse: it is set aside under another name, never guessed at."""

    def __init__(self, path: bytes, why: str) -> None:
        self.path = path
        self.why = why
        super().__init__(f"{os.fsdecode(path)}: {why}")


def write_file(files: Files, path: bytes, pieces: Iterable[bytes], *, sync: bool) -> None:
    """Make a file of these pieces; what a crash left under that name is overwritten.

    Raises:
        OSError: The disk said no; the file is gone again.
    """
    descriptor = files.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, MODE)
    try:
        try:
            for piece in pieces:
                write_all(files, descriptor, piece)
            if sync:
                files.fsync(descriptor)
        finally:
            files.close(descriptor)
    except OSError:
        with suppress(OSError):
            files.unlink(path)
        raise


def write_all(files: Files, descriptor: int, octets: bytes) -> None:
    """Write all of it: write(2) may take less."""
    done = files.write(descriptor, octets)
    while done < len(octets):
        done += files.write(descriptor, octets[done:])


def replace(files: Files, path: bytes, octets: bytes) -> None:
    """Give the file at `path` new content, durably and all at once.

    Raises:
        OSError: The disk said no; the file is as it was, or (if only the last
            step failed) as it shall be.
    """
    temporary = path + b".new"
    write_file(files, temporary, (octets,), sync=True)
    try:
        files.rename(temporary, path)
    except OSError:
        with suppress(OSError):
            files.unlink(temporary)
        raise
    sync_directory(files, os.path.dirname(path))


def remove(files: Files, path: bytes) -> None:
    """Remove a file durably, if it is there.

    Raises:
        OSError: The disk said no; it may be there again after a crash.
    """
    with suppress(FileNotFoundError):
        files.unlink(path)
        sync_directory(files, os.path.dirname(path))


def sync_directory(files: Files, path: bytes) -> None:
    """Make the names in a directory durable.

    Raises:
        OSError: They may not be.
    """
    descriptor = files.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        files.fsync(descriptor)
    finally:
        files.close(descriptor)


def read_file(files: Files, path: bytes) -> bytes | None:
    """A small file's octets; None if there is none."""
    try:
        descriptor = files.open(path, os.O_RDONLY)
    except FileNotFoundError:
        return None
    try:
        return read_all(files, descriptor)
    finally:
        files.close(descriptor)


def read_all(files: Files, descriptor: int, expected: int = 65_535) -> bytes:
    """All that is left to read, in one call if it is no more than `expected`."""
    octets = files.read(descriptor, expected + 1)
    if len(octets) <= expected:
        return octets
    pieces = [octets]
    while octets:
        octets = files.read(descriptor, 1 << 20)
        pieces.append(octets)
    return b"".join(pieces)


def boot_id() -> str:
    """What tells one run of the machine from the next; ``""`` where the system does not say.

    An index that was last open under another one may lack its last
    transactions.
    """
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""
