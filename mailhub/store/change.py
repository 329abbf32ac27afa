"""Changes of one mailbox's messages: flags, and removal. Blocking.

Invariants:

1. A message's flags change by one rename(2). If one of a batch fails, those
   before it are named back.
2. A file that another program has just renamed is found, and its flags count.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Set as AbstractSet
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import groupby, repeat

from mailhub.imap.response import runs
from mailhub.mail.flag import KEYWORD_SHIFT
from mailhub.ports.message import FlagAction
from mailhub.store import maildir
from mailhub.store.box import Box, Delta
from mailhub.store.maildir import Finder
from mailhub.store.name import INFO, flags_of, known_bits, letters_of, reflagged, relettered
from mailhub.store.rows import Marked, Reflagged, Row


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
    wanted = cache(_change(action, bits))
    with box.transaction(write=False) as transaction:
        marked = transaction.marked(box.kept.id, uids)
    found, modified = _split(marked, unchanged_since)
    changing = [it for it in found if wanted(it[2]) != it[2]]
    if not changing:
        return Restyled(modified=modified)
    renaming = _Renaming(box, wanted, box.next_modseq())
    try:
        with box.changing(), maildir.held(box.ground.files, box.path + b"/cur") as directory:
            renaming.rename(changing, directory)
        with box.transaction() as transaction:
            transaction.reflag_runs(box.kept.id, renaming.runs)
            transaction.reflag(box.kept.id, renaming.strays)
            box.save(transaction)
    except BaseException:
        _back(box, renaming.done)
        raise
    return Restyled(Delta(changed=renaming.changed), modified)


class _Renaming:
    """Files given the names that say their new flags, and what the index is to hear of it.

    Attributes:
        done: Names before and after, in order.
        changed: UIDs, flags and MODSEQ.
        runs: The same of neighbours whose names have changed alike.
        strays: Name, flags, MODSEQ and UID of those that another program had renamed.
    """

    def __init__(self, box: Box, wanted: Callable[[int], int], modseq: int) -> None:
        self.done: list[tuple[bytes, bytes]] = []
        self.changed: list[tuple[int, int, int]] = []
        self.runs: list[Reflagged] = []
        self.strays: list[tuple[bytes, int, int, int]] = []
        self._box = box
        self._wanted = wanted
        self._modseq = modseq
        self._known = box.known
        self._finder = Finder(box.ground.files, box.path)

    def rename(self, rows: Iterable[Marked], directory: int) -> None:
        """Rename in an open directory, those that look alike together."""
        for (tail, flags), alike in groupby(rows, key=_look):
            self._rename_alike(list(alike), tail, self._wanted(flags), directory)

    def _rename_alike(
        self, rows: Sequence[Marked], tail: bytes, flags: int, directory: int
    ) -> None:
        end = INFO + relettered(tail[len(INFO) :], flags, self._known)
        stop = -len(tail) or None
        names = [(old, old[:stop] + end) for _, old, _, _ in rows]
        strays = self._rename_each(names, directory)
        uids = [uid for uid, old, _, _ in rows if old not in strays]
        self.changed += zip(uids, repeat(flags), repeat(self._modseq), strict=False)
        self.runs += [
            Reflagged(first, last, len(tail), end, flags, self._modseq)
            for first, last in runs(uids)
        ]
        for uid, old, _, _ in rows if strays else ():
            if old in strays:
                self._rename_stray(uid, old, directory)

    def _rename_each(
        self, names: Sequence[tuple[bytes, bytes]], directory: int
    ) -> AbstractSet[bytes]:
        """Rename files; those of these names that are not there."""
        rename, missing, end = self._box.ground.files.rename, set(), len(names)
        try:
            for old, new in names:
                try:
                    rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
                except FileNotFoundError:
                    missing.add(old)
        except BaseException:
            end = names.index((old, new))
            raise
        finally:
            some = names[:end]
            self.done += [it for it in some if it[0] not in missing] if missing else some
        return missing

    def _rename_stray(self, uid: int, name: bytes, directory: int) -> None:
        """Another program has just renamed it, or removed it."""
        old = self._finder.find(name)
        self._box.missed()
        if old is None:
            return
        flags = self._wanted(flags_of(letters_of(old)) & self._known)
        new = reflagged(old, flags, self._known)
        self._box.ground.files.rename(old, new, src_dir_fd=directory, dst_dir_fd=directory)
        self.done.append((old, new))
        self.changed.append((uid, flags, self._modseq))
        self.strays.append((new, flags, self._modseq, uid))


def _look(row: Marked) -> tuple[bytes, int]:
    """The end of a message's name, and its flags: what its name is to say depends on these."""
    name = row[1]
    at = name.find(INFO)
    return b"" if at < 0 else name[at:], row[2]


def _split(rows: list[Marked], unchanged_since: int | None) -> tuple[list[Marked], list[int]]:
    """Rows that have not changed since then, and the UIDs of the others."""
    if unchanged_since is None:
        return rows, []
    modified = [uid for uid, _, _, modseq in rows if modseq > unchanged_since]
    return [row for row in rows if row[3] <= unchanged_since], modified


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
