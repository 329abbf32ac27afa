"""Copies and moves messages between two mailboxes. Blocking.

Invariants:

1. All messages arrive or none (RFC 3501 §6.4.7): what was placed before an error is
   taken back.
2. A message keeps its stem wherever it goes; in the target it has a new UID.
3. When this returns the target's directory is durable; a message that moves is never in
   neither mailbox: it is renamed, and the target is synced first.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field

from mailhub.store import maildir
from mailhub.store.box import Box, Delta
from mailhub.store.change import translation
from mailhub.store.durable import write_file
from mailhub.store.files import CANNOT_LINK, Files
from mailhub.store.maildir import Finder
from mailhub.store.name import base_of, flags_now, numbered, parse_base, relettered
from mailhub.store.rows import Row, Transaction

_PIECE = 1 << 20


@dataclass(slots=True)
class Transfer:
    """What went where.

    Attributes:
        source: What is different in the mailbox it came from.
        target: What is different in the mailbox it went to.
        pairs: UIDs before and after.
    """

    source: Delta = field(default_factory=Delta)
    target: Delta = field(default_factory=Delta)
    pairs: list[tuple[int, int]] = field(default_factory=list)


def transfer(
    source: Box,
    target: Box,
    uids: Sequence[int],
    *,
    move: bool,
    flags: Callable[[Row], int] | None = None,
) -> Transfer:
    """Copy or move messages, with all flags or those that `flags` says; the gone are passed over.

    Both boxes must be ready. They may be the same one, or of two accounts.

    Raises:
        OSError: The disk said no; nothing was copied or moved.
        StoreRefused: LIMIT where the target's UIDs are used up.
        IndexLost: One of the boxes must be loaded anew.
    """
    rows = source.rows(uids)
    if not rows:
        return Transfer()
    first = target.allocate(len(rows))
    modseq = target.next_modseq()
    if move:
        source.next_modseq()
    way = _Way(source, target, rows, flags or _all_flags, move=move)
    try:
        with ExitStack() as changing:
            if move and source is not target:
                changing.enter_context(source.changing())
            changing.enter_context(target.changing())
            placed = way.carry(rows, first, modseq)
        _record(source, target, placed, move=move)
    except BaseException:
        way.back()
        raise
    return Transfer(
        Delta(removed=[row.uid for row, _ in placed] if move else ()),
        Delta(added=[new for _, new in placed]),
        [(row.uid, new.uid) for row, new in placed],
    )


def _all_flags(row: Row) -> int:
    return row.flags


def _record(source: Box, target: Box, placed: Sequence[tuple[Row, Row]], *, move: bool) -> None:
    together = target.index is source.index
    with target.transaction() as transaction:
        transaction.put(target.kept.id, [new for _, new in placed])
        if together:
            pairs = [(row.uid, new.uid) for row, new in placed]
            transaction.copy_summaries(source.kept.id, target.kept.id, pairs)
            if move:
                _depart(source, transaction, placed)
        target.save(transaction)
    if move and not together:
        with source.transaction() as transaction:
            _depart(source, transaction, placed)


def _depart(source: Box, transaction: Transaction, placed: Sequence[tuple[Row, Row]]) -> None:
    source.remove(transaction, [row.uid for row, _ in placed])
    source.note_departure(transaction, [row for row, _ in placed])
    source.save(transaction)


class _Way:
    """Carries files from one ``cur`` to another, and back again."""

    def __init__(
        self,
        source: Box,
        target: Box,
        rows: Sequence[Row],
        flags: Callable[[Row], int],
        *,
        move: bool,
    ) -> None:
        self._files = source.ground.files
        self._source = source
        self._target = target
        self._from = source.path + b"/cur/"
        self._to = target.path + b"/cur/"
        self._finder = Finder(self._files, source.path)
        self._flags = flags
        self._translate = translation(source.keywords, target, [flags(row) for row in rows])
        self._move = move
        self._now = max(int(source.ground.clock()), 0)
        self._done: list[tuple[bytes, bytes]] = []
        self._here = self._there = -1  # the directories, while they are held open

    def carry(self, rows: Sequence[Row], first: int, modseq: int) -> list[tuple[Row, Row]]:
        """Bring files over, durably; their rows before and after, but for those that are gone.

        Raises:
            OSError: The disk said no; some may have gone over.
        """
        files = self._files
        with maildir.held(files, self._from) as here, maildir.held(files, self._to) as there:
            self._here, self._there = here, there
            placed = self._carry_all(rows, first, modseq)
            files.fsync(there)
            if self._move and self._source is not self._target:
                files.fsync(here)
                self._source.sync_new()
        return placed

    def _carry_all(self, rows: Sequence[Row], first: int, modseq: int) -> list[tuple[Row, Row]]:
        placed = []
        for uid, row in enumerate(rows, first):
            try:
                new = self._carry(row, uid, modseq)
            except FileNotFoundError:
                found = self._finder.find(row.name)
                self._source.missed()
                if found is None:
                    continue
                flags = flags_now(row.name, found, row.flags, self._source.known)
                new = self._carry(row._replace(name=found, flags=flags), uid, modseq)
            placed.append((row, new))
        return placed

    def _carry(self, row: Row, uid: int, modseq: int) -> Row:
        flags = self._translate(self._flags(row))
        # Letters are their own mailbox's keywords: only what `flags` says goes along.
        letters = relettered(b"", flags, self._target.known)
        base = parse_base(base_of(row.name))
        size = base.size or row.size
        name = numbered(base.stem, size, uid, letters, base.served, self._now)
        here, there = self._here, self._there
        if self._move:
            self._files.rename(row.name, name, src_dir_fd=here, dst_dir_fd=there)
        else:
            try:
                self._files.link(row.name, name, src_dir_fd=here, dst_dir_fd=there)
            except OSError as error:
                if error.errno not in CANNOT_LINK:
                    raise
                temporary = self._target.path + b"/tmp/" + name
                copy_file(self._files, self._from + row.name, temporary)
                self._files.rename(temporary, self._to + name)
        self._done.append((row.name, name))
        return Row(uid, name, flags, modseq, row.size, row.date, self._now)

    def back(self) -> None:
        """Undo all that was done, as far as the disk lets us."""
        self._source.missed()
        self._target.missed()
        for old, new in reversed(self._done):
            with suppress(OSError):
                if self._move:
                    self._files.rename(self._to + new, self._from + old)
                else:
                    self._files.unlink(self._to + new)


def copy_file(
    files: Files,
    source: bytes,
    target: bytes,
    *,
    head: bytes = b"",
    skip: int = 0,
    sync: bool = True,
) -> None:
    """Write `head` and what a file has behind its first `skip` octets to another one.

    Raises:
        OSError: The disk said no; the target is gone again.
    """
    descriptor = files.open(source, os.O_RDONLY)

    def pieces() -> Iterator[bytes]:
        yield head
        offset = skip
        while octets := files.pread(descriptor, _PIECE, offset):
            yield octets
            offset += len(octets)

    try:
        status = files.fstat(descriptor)
        write_file(files, target, pieces(), sync=sync)
        files.utime(target, ns=(status.st_mtime_ns, status.st_mtime_ns))
    finally:
        files.close(descriptor)
