"""Changes of one mailbox's messages: flags, and removal. Blocking.

Invariants:

1. A message's flags change by one rename(2). If one of a batch fails, those
   before it are named back.
2. A file that another program has just renamed is found, and its flags count.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache

from mailhub.mail.flag import KEYWORD_SHIFT
from mailhub.ports.message import FlagAction
from mailhub.store.box import Box, Delta
from mailhub.store.durable import sync_directory
from mailhub.store.maildir import Finder
from mailhub.store.name import flags_of, known_bits, letters_of, reflagged
from mailhub.store.rows import Row


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
    bits = box.bits(names, make=action is not FlagAction.REMOVE)
    wanted = _change(action, bits)
    known = box.known
    found, modified = _split(box.rows(uids), unchanged_since)
    changing = [row for row in found if wanted(row.flags) != row.flags]
    if not changing:
        return Restyled(modified=modified)
    files, directory = box.ground.files, box.path + b"/cur/"
    finder = Finder(files, box.path)
    done: list[tuple[bytes, bytes]] = []
    rows: list[tuple[bytes, int, int, int]] = []
    modseq = box.next_modseq()
    rename = files.rename
    try:
        with box.changing():
            for row in changing:
                old, flags = row.name, wanted(row.flags)
                new = reflagged(old, flags, known)
                try:
                    rename(directory + old, directory + new)
                except FileNotFoundError:
                    renamed = finder.find(old)
                    box.missed()
                    if renamed is None:
                        continue
                    old, flags = renamed, wanted(flags_of(letters_of(renamed)) & known)
                    new = reflagged(old, flags, known)
                    rename(directory + old, directory + new)
                done.append((old, new))
                rows.append((new, flags, modseq, row.uid))
        with box.transaction() as transaction:
            transaction.reflag(box.kept.id, rows)
            box.save(transaction)
    except BaseException:
        _back(box, done)
        raise
    delta = Delta(changed=[(uid, flags, modseq) for _, flags, modseq, uid in rows])
    return Restyled(delta, modified)


def _split(rows: list[Row], unchanged_since: int | None) -> tuple[list[Row], list[int]]:
    """Rows that have not changed since then, and the UIDs of the others."""
    if unchanged_since is None:
        return rows, []
    modified = [row.uid for row in rows if row.modseq > unchanged_since]
    return [row for row in rows if row.modseq <= unchanged_since], modified


def _back(box: Box, done: Sequence[tuple[bytes, bytes]]) -> None:
    """Give files their old names back, as far as the disk lets us."""
    directory = box.path + b"/cur/"
    box.missed()
    for old, new in reversed(done):
        with suppress(OSError):
            box.ground.files.rename(directory + new, directory + old)


def _change(action: FlagAction, bits: int) -> Callable[[int], int]:
    """What becomes of flags."""
    if action is FlagAction.REPLACE:
        return lambda _: bits
    if action is FlagAction.ADD:
        return lambda flags: flags | bits
    return lambda flags: flags & ~bits


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
    files, directory = box.ground.files, box.path + b"/cur/"
    finder = Finder(files, box.path)
    box.next_modseq()
    with box.changing():
        try:
            for row in rows:
                try:
                    files.unlink(directory + row.name)
                except FileNotFoundError:
                    if (found := finder.find(row.name)) is not None:
                        with suppress(FileNotFoundError):
                            files.unlink(directory + found)
                removal.rows.append(row)
            sync_directory(files, box.path + b"/cur")
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
