"""Changes of one mailbox's messages: flags, and removal. Blocking.

Invariants:

1. A message's flags are what the index says; they change by one transaction of it, all of a
   batch or none. The name of its file follows (`store.naming`).
2. A file that another program has just renamed is found when it is to be removed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import repeat
from typing import Final

from mailhub.imap.response import runs
from mailhub.mail.flag import KEYWORD_SHIFT
from mailhub.ports.message import FlagAction
from mailhub.store import maildir
from mailhub.store.box import Box, Delta
from mailhub.store.maildir import Finder
from mailhub.store.name import known_bits
from mailhub.store.rows import Marked, Row

_ALL: Final = -1
"""A mask that keeps each flag."""


@dataclass(slots=True)
class Restyled:
    """What a change of flags came to.

    Attributes:
        modified: UIDs of messages that were to be left alone, for they had changed.
    """

    delta: Delta = field(default_factory=Delta)
    modified: Sequence[int] = ()


def store(
    box: Box,
    uids: Sequence[int],
    action: FlagAction,
    names: Sequence[str],
    unchanged_since: int | None = None,
) -> Restyled:
    """Change flags; messages that are gone are passed over.

    Raises:
        StoreRefused: LIMIT where no keyword is left.
        OSError: The disk said no; nothing was changed.
        IndexLost: The box must be loaded anew.
    """
    keep, add = _masks(action, box.bits(names, make=action is not FlagAction.REMOVE))
    with box.transaction() as transaction:
        marked = transaction.marked(box.kept.id, uids)
        found, modified = _split(marked, unchanged_since)
        changing = [
            (uid, flags & keep | add) for uid, flags, _ in found if flags & keep | add != flags
        ]
        if not changing:
            return Restyled(modified=modified)
        changed, flags = zip(*changing, strict=True)
        modseq = box.next_modseq()
        transaction.mark(box.kept.id, runs(changed), keep, add, modseq)
        box.fall_behind(transaction, changed)
        box.save(transaction)
    delta = Delta(changed=list(zip(changed, flags, repeat(modseq))))
    return Restyled(delta, modified)


def _masks(action: FlagAction, bits: int) -> tuple[int, int]:
    """The flags that a message keeps of those it has, and those that are added."""
    if action is FlagAction.REPLACE:
        return 0, bits
    if action is FlagAction.ADD:
        return _ALL, bits
    return ~bits, 0


def _split(rows: list[Marked], unchanged_since: int | None) -> tuple[list[Marked], list[int]]:
    """Rows that have not changed since then, and the UIDs of the others."""
    if unchanged_since is None:
        return rows, []
    modified = [uid for uid, _, modseq in rows if modseq > unchanged_since]
    return [row for row in rows if row[2] <= unchanged_since], modified


@dataclass(slots=True)
class Removal:
    """What a removal came to.

    Attributes:
        error: What stopped it before all were removed.
    """

    rows: list[Row] = field(default_factory=list)
    error: OSError | None = None

    @property
    def delta(self) -> Delta:
        """The messages that are gone."""
        return Delta(removed=[row.uid for row in self.rows])


def expunge(box: Box, uids: Sequence[int]) -> Removal:
    """Remove messages, durably; those that were gone before count as removed.

    Raises:
        OSError: The index said no; `reconcile` will find out what is gone.
        IndexLost: The box must be loaded anew.
    """
    rows = box.rows(uids)
    removal = Removal()
    if not rows:
        return removal
    files = box.ground.files
    finder = Finder(files, box.path)
    box.next_modseq()
    with box.changing():
        try:
            with maildir.held(files, box.path + b"/cur") as directory:
                for row in rows:
                    try:
                        files.unlink(row.name, dir_fd=directory)
                    except FileNotFoundError:
                        if (found := finder.find(row.name)) is not None:
                            with suppress(FileNotFoundError):
                                files.unlink(found, dir_fd=directory)
                    removal.rows.append(row)
                files.fsync(directory)
            box.sync_new()
        except OSError as error:
            removal.error = error
    with box.transaction() as transaction:
        box.remove(transaction, [row.uid for row in removal.rows])
        box.note_departure(transaction, removal.rows)
        box.save(transaction)
    return removal


def translation(source: Sequence[str], target: Box, flags: Sequence[int]) -> Callable[[int], int]:
    """How flags of one mailbox are written in another.

    Keywords that are in use are made there, as far as letters are left.

    Raises:
        OSError: The disk said no.
    """
    used = 0
    for value in flags:
        used |= value
    names = ((1 << (KEYWORD_SHIFT + n), name) for n, name in enumerate(source))
    pairs = [(bit, name) for bit, name in names if used & bit]
    target.bits([name for _, name in pairs], spare=True)
    mapped = [(bit, target.bits([name], make=False)) for bit, name in pairs]
    system = known_bits(0)

    @cache
    def translate(value: int) -> int:
        result = value & system
        for bit, new in mapped:
            if value & bit:
                result |= new
        return result

    return translate
