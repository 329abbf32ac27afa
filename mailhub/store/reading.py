"""Reads messages: whole, in pieces, their header sections and fields, their summaries. Blocking.

Invariants:

1. What is read has CR LF line ends: a file whose length is its RFC822.SIZE is
   given as it stands, another one converted.
2. A file that another program has just renamed is found.
3. Memory is bounded by what is asked for: large messages are read in pieces.
4. What cannot be kept in the index, because the disk is full, is given nevertheless.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from mailhub.mail.header import SECTION_LIMIT, bounded, wanted
from mailhub.mail.objectid import object_id
from mailhub.mail.part import Part, parse
from mailhub.ports.message import Identity, Rendering
from mailhub.store import excerpts
from mailhub.store.box import Box
from mailhub.store.durable import read_all
from mailhub.store.files import Files
from mailhub.store.lines import header_end, served_size, to_crlf
from mailhub.store.maildir import Finder
from mailhub.store.name import base_of, parse_base
from mailhub.store.rows import Row

_HEADER_GUESS = 8 << 10
"""Octets in which most header sections end."""
_PIECE = 256 << 10


class Opener:
    """Opens messages' files, wherever other programs have renamed them to.

    While it is entered it holds the directory: from there the way to many files is shorter.
    """

    def __init__(self, box: Box) -> None:
        self._box = box
        self._files = box.ground.files
        self._directory = box.path + b"/cur/"
        self._finder = Finder(self._files, box.path)
        self._held: int | None = None

    def __enter__(self) -> Self:
        with suppress(FileNotFoundError):
            self._held = self._files.open(self._directory, os.O_RDONLY)
        return self

    def __exit__(self, *_: object) -> None:
        if self._held is not None:
            self._files.close(self._held)
            self._held = None

    def open(self, row: Row) -> int | None:
        """A descriptor; None if the message is gone."""
        try:
            if self._held is not None:
                return self._files.open(row.name, os.O_RDONLY, dir_fd=self._held)
            return self._files.open(self._directory + row.name, os.O_RDONLY)
        except FileNotFoundError:
            self._box.missed()
            found = self._finder.find(row.name)
            if found is None:
                return None
        try:
            return self._files.open(self._directory + found, os.O_RDONLY)
        except FileNotFoundError:
            return None

    def whole(self, row: Row) -> bytes | None:
        """All of a message; None if it is gone."""
        descriptor = self.open(row)
        if descriptor is None:
            return None
        try:
            octets = read_all(self._files, descriptor, row.size)
        finally:
            self._files.close(descriptor)
        return octets if len(octets) == row.size else to_crlf(octets)


@dataclass(slots=True)
class Ahead:
    """Messages read in one go.

    Attributes:
        whole: By UID.
        large: The first message, if it is too large to be read whole.
    """

    whole: dict[int, bytes] = field(default_factory=dict)
    large: LargeFile | None = None


def read_ahead(box: Box, uid: int, messages: int) -> Ahead:
    """Read the message `uid` (if it is there) and up to `messages - 1` that follow."""
    limits = box.ground.limits
    with box.transaction(write=False) as transaction:
        rows = transaction.rows_from(box.kept.id, uid, messages)
    ahead = Ahead()
    if not rows or rows[0].uid != uid:
        return ahead
    opener, room = Opener(box), limits.read_ahead_octets
    for row in rows:
        room -= row.size
        if row.size > limits.read_whole or (room < 0 and ahead.whole):
            break
        octets = opener.whole(row)
        if octets is not None:
            ahead.whole[row.uid] = octets
    if rows[0].size > limits.read_whole:
        descriptor = opener.open(rows[0])
        if descriptor is not None:
            ahead.large = LargeFile(box.ground.files, descriptor, rows[0].size)
    return ahead


class LargeFile:
    """A message that is read in pieces. One reads at a time, from any thread.

    Attributes:
        size: Octets in all, with CR LF line ends.
    """

    def __init__(self, files: Files, descriptor: int, size: int) -> None:
        self._files = files
        self._descriptor = descriptor
        self._verbatim = files.fstat(descriptor).st_size == size
        # Not what the name says, if another program has changed the file in its place.
        self.size = size if self._verbatim else served_size(files, descriptor)
        self._lock = threading.Lock()
        self._closed = False
        # Where conversion of bare LFs stands: octets read, octets given, a CR just before.
        self._taken = self._given = 0
        self._after_cr = False

    def read(self, offset: int, length: int) -> bytes:
        """The octets at `offset`; fewer at the end of the message.

        Raises:
            OSError: The disk said no, or the file was closed.
        """
        with self._lock:
            try:
                if self._closed:
                    return b""
                pieces = self._plain if self._verbatim else self._converted
                return b"".join(pieces(offset, min(length, max(self.size - offset, 0))))
            finally:
                self._close_if_asked()

    def _plain(self, offset: int, length: int) -> Iterator[bytes]:
        while length > 0 and (octets := self._files.pread(self._descriptor, length, offset)):
            yield octets
            offset += len(octets)
            length -= len(octets)

    def _converted(self, offset: int, length: int) -> Iterator[bytes]:
        if offset < self._given:
            self._taken = self._given = 0
            self._after_cr = False
        while length > 0:
            octets = self._files.pread(self._descriptor, _PIECE, self._taken)
            if not octets:
                return
            piece = to_crlf(octets)
            if self._after_cr and octets.startswith(b"\n"):
                piece = piece[1:]
            part = piece[offset - self._given :][:length]
            yield part
            offset += len(part)
            length -= len(part)
            if offset >= self._given + len(piece):
                self._taken += len(octets)
                self._given += len(piece)
                self._after_cr = octets.endswith(b"\r")

    def close(self) -> None:
        """Let go of the file; at once, or when a read that is under way has ended."""
        self._closed = True
        if self._lock.acquire(blocking=False):
            try:
                self._close_if_asked()
            finally:
                self._lock.release()

    def _close_if_asked(self) -> None:
        if self._closed and self._descriptor >= 0:
            self._files.close(self._descriptor)
            self._descriptor = -1


def whole(box: Box, uids: Sequence[int]) -> Sequence[bytes | None]:
    """The octets of messages."""
    with Opener(box) as opener:
        found = {row.uid: opener.whole(row) for row in box.rows(uids)}
    return [found.get(uid) for uid in uids]


def structure(box: Box, uid: int) -> Part | None:
    """A message's structure; None if it is gone."""
    octets = [Opener(box).whole(row) for row in box.rows([uid])]
    return parse(octets[0]) if octets and octets[0] is not None else None


# ---- Header sections, fields, summaries --------------------------------------------------------


def headers(box: Box, uids: Sequence[int]) -> Sequence[bytes | None]:
    """The header sections, with their empty lines; all of a message that has none.

    One longer than `SECTION_LIMIT` is `bounded`.
    """
    found = {}
    with Opener(box) as opener:
        for row in box.rows(uids):
            descriptor = opener.open(row)
            if descriptor is not None:
                try:
                    found[row.uid] = _header(box.ground.files, descriptor, row.size)
                finally:
                    box.ground.files.close(descriptor)
    return [found.get(uid) for uid in uids]


def _header(files: Files, descriptor: int, size: int) -> bytes:
    verbatim = files.fstat(descriptor).st_size == size
    octets = b""
    while True:
        more = files.pread(descriptor, max(len(octets), _HEADER_GUESS), len(octets))
        octets += more
        served = octets if verbatim else to_crlf(octets)
        end = header_end(served)
        if end is not None or not more or len(served) > SECTION_LIMIT:
            return bounded(served[:end])


def fields(names: Sequence[bytes], box: Box, uids: Sequence[int]) -> Sequence[bytes | None]:
    """These header fields of messages; kept in the index if it has learnt to."""
    spelt, now, mailbox = excerpts.spelt(names), box.ground.clock(), box.kept.id
    with box.transaction(write=False) as transaction:
        known = transaction.excerpts.find(spelt, now)
        if known is None:
            found: Sequence[bytes | None] = [None] * len(uids)
        else:
            found = transaction.excerpted(known[0], mailbox, uids)
    lacking = [uid for uid, octets in zip(uids, found, strict=True) if octets is None]
    if not lacking and known is not None and not known[1]:
        return found
    made = {
        uid: wanted(section, names)
        for uid, section in zip(lacking, headers(box, lacking), strict=True)
        if section is not None
    }
    with suppress(OSError), box.transaction() as transaction:
        number = transaction.excerpts.admit(spelt, now)
        if number is not None:
            transaction.excerpt(number, mailbox, made.items())
    return _completed(found, uids, made)


def identities(box: Box, uids: Sequence[int]) -> Sequence[Identity | None]:
    """What messages are: their names say it, and their header's References."""
    threads = dict(zip(uids, rendered(Rendering.THREAD, box, uids), strict=True))
    found = {}
    for row in box.rows(uids):
        stem = parse_base(base_of(row.name)).stem
        thread = threads[row.uid] or object_id("T", stem).encode()
        found[row.uid] = Identity(object_id("M", stem).encode(), thread, row.saved)
    return [found.get(uid) for uid in uids]


def rendered(
    what: Rendering, box: Box, uids: Sequence[int], *, make: bool = True
) -> Sequence[bytes | None]:
    """What the index keeps of messages' content; what it does not keep yet is made and kept."""
    with box.transaction(write=False) as transaction:
        found = transaction.rendered(what, box.kept.id, uids)
    if not make or None not in found:
        return found
    opener, made = Opener(box), {}
    lacking = [uid for uid, octets in zip(uids, found, strict=True) if octets is None]
    for row in box.rows(lacking):
        octets = opener.whole(row)
        if octets is not None:
            made[row.uid] = box.ground.summarise(octets)
    if made:
        with suppress(OSError), box.transaction() as transaction:
            transaction.put_summaries(box.kept.id, made.items())
    values = {uid: getattr(summary, what.value) for uid, summary in made.items()}
    return _completed(found, uids, values)


def _completed(
    found: Sequence[bytes | None], uids: Sequence[int], made: Mapping[int, bytes]
) -> Sequence[bytes | None]:
    """A column with its gaps filled."""
    return [
        made.get(uid) if octets is None else octets for uid, octets in zip(uids, found, strict=True)
    ]
