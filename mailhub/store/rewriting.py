"""Writes messages anew whose sync has failed, so that the next one means something. Blocking.

What cannot be written back Linux tells to one sync, and then takes for clean what it holds
in memory: the next sync goes well, and the disk has not got the octets. So who tries once
more must write them once more.

Invariants:

1. A file is written over in its place, with the octets that it has: whoever reads it meanwhile
   sees nothing, its name may change, its copies share in it, and a crash costs no more than
   before.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping

from mailhub.ports.filing import Filing
from mailhub.store.durable import write_all
from mailhub.store.files import Files
from mailhub.store.placing import search

Pieces = Callable[[], Iterable[bytes]]
"""A message's octets, piece by piece."""
_PIECE = 1 << 20
_ROUNDS = 2
"""Looks at a mailbox: a file may be renamed between its being listed and its being opened."""


def rewrite(files: Files, mailbox: bytes, messages: Mapping[bytes, Pieces]) -> None:
    """Write those messages over that are in a mailbox; they are named by their unique parts.

    A sync has to follow.

    Raises:
        OSError: The disk said no.
    """
    left = dict(messages)
    for _ in range(_ROUNDS):
        found: dict[bytes, bytes] = {}
        search(files, mailbox, set(left), found)
        for unique, path in found.items():
            if _write_over(files, path, left[unique]):
                del left[unique]
        if not left:
            return


def _write_over(files: Files, path: bytes, pieces: Pieces) -> bool:
    """Write a file's octets over; false if it is not there."""
    try:
        descriptor = files.open(path, os.O_WRONLY)
    except FileNotFoundError:
        return False
    try:
        for piece in pieces():
            write_all(files, descriptor, piece)
    finally:
        files.close(descriptor)
    return True


def pieces_of(files: Files, filing: Filing) -> Iterator[bytes]:
    """What the file of a filing holds."""
    yield filing.head
    if isinstance(filing.content, bytes):
        yield filing.content
        return
    descriptor = files.open(os.fsencode(filing.content), os.O_RDONLY)
    try:
        offset = filing.skip
        while octets := files.pread(descriptor, _PIECE, offset):
            yield octets
            offset += len(octets)
    finally:
        files.close(descriptor)
