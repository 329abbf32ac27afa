r"""What a visitor has seen of a mailbox that is another's: a file for each, in its maildir.

::

    mailhub-seen 1 1795504570
    1795504571000001 + 1:40,42
    1795504599000017 - 7

The number behind the version is the mailbox's UIDVALIDITY; each line has the MODSEQ
of a change, and the UIDs that were seen by it, or made unseen.  The owner's ``\Seen``
lies in the messages' names, as always.

Invariants:

1. A change is one line that is appended; the file is written anew when it is read and
   has become long.
2. A line that a crash has torn, and all of another UIDVALIDITY, counts for nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from typing import Final, NamedTuple
from urllib.parse import quote

from mailhub.store.durable import MODE, read_file, replace, write_all
from mailhub.store.files import Files

PREFIX: Final = b"mailhub-seen."
"""Stands before the visitor's address in the file's name."""
LONG: Final = 1000
"""Lines from which the file is written anew."""

_HEADER: Final = re.compile(rb"mailhub-seen 1 ([0-9]{1,10})")
_LINE: Final = re.compile(rb"([0-9]{1,19}) ([+-]) ([0-9]+(?::[0-9]+)?(?:,[0-9]+(?::[0-9]+)?)*)")


class Mark(NamedTuple):
    """What is known of a message."""

    seen: bool
    modseq: int


class SeenFile:
    """One visitor's file; it follows the mailbox, whose maildir is told each time. Blocking."""

    def __init__(self, files: Files, visitor: str) -> None:
        self._files = files
        self._name = b"/" + PREFIX + quote(visitor, safe="@+=").encode()

    def load(self, maildir: bytes, uid_validity: int, uids: Collection[int]) -> dict[int, Mark]:
        """The marks of those of a mailbox's messages that have one.

        Raises:
            OSError: The disk said no.
        """
        path = maildir + self._name
        octets = read_file(self._files, path)
        if octets is None:
            return {}
        lines = octets.split(b"\n")
        header = _HEADER.fullmatch(lines[0])
        if header is None or int(header[1]) != uid_validity:
            self._files.unlink(path)
            return {}
        there = set(uids)
        marks: dict[int, Mark] = {}
        for line in lines[1:-1]:  # what stands behind the last line end is torn
            if entry := _LINE.fullmatch(line):
                mark = Mark(entry[2] == b"+", int(entry[1]))
                marks.update((uid, mark) for uid in _among(entry[3], there))
        if len(lines) > LONG:
            with suppress(OSError):
                replace(self._files, path, _whole(uid_validity, marks))
        return marks

    def mark(self, maildir: bytes, uid_validity: int, uids: Iterable[int], mark: Mark) -> None:
        """Add a mark to messages.

        Raises:
            OSError: The disk said no.
        """
        path = maildir + self._name
        descriptor = self._files.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, MODE)
        try:
            begun = self._files.fstat(descriptor).st_size
            text = b"" if begun else b"mailhub-seen 1 %d\n" % uid_validity
            if begun and self._files.pread(descriptor, 1, begun - 1) != b"\n":
                text = b" torn\n"  # by a full disk, or a crash: it is not to be read as a whole one
            write_all(self._files, descriptor, text + _line(mark, sorted(uids)))
        finally:
            self._files.close(descriptor)


def _whole(uid_validity: int, marks: dict[int, Mark]) -> bytes:
    """The file's text with one line for each change that still counts."""
    changes: dict[Mark, list[int]] = {}
    for uid in sorted(marks):
        changes.setdefault(marks[uid], []).append(uid)
    ordered = sorted(changes.items(), key=lambda item: item[0].modseq)
    lines = [_line(mark, uids) for mark, uids in ordered]
    return b"mailhub-seen 1 %d\n" % uid_validity + b"".join(lines)


def _line(mark: Mark, uids: list[int]) -> bytes:
    spans = ",".join(str(a) if a == b else f"{a}:{b}" for a, b in _runs(uids))
    return b"%d %b %b\n" % (mark.modseq, b"+" if mark.seen else b"-", spans.encode())


def _runs(uids: list[int]) -> Iterator[tuple[int, int]]:
    first = last = uids[0]
    for uid in uids[1:]:
        if uid != last + 1:
            yield first, last
            first = uid
        last = uid
    yield first, last


def _among(spans: bytes, there: set[int]) -> Iterator[int]:
    """Those UIDs that are in the spans."""
    for span in spans.split(b","):
        first, _, last = span.partition(b":")
        low, high = int(first), int(last or first)
        if high - low < len(there):
            yield from (uid for uid in range(low, high + 1) if uid in there)
        else:
            yield from (uid for uid in there if low <= uid <= high)
