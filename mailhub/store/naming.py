"""Gives files the names that say their messages' flags, after the index. Blocking.

Two thirds of the time of a change of flags is rename(2), once for each message. Nobody waits
for it: the index says what flags are, and names follow within a second, in pieces. So a flag
that is set and soon taken off again costs no rename at all.

Invariants:

1. A file's name in the index is its name on the disk, but for what other programs have done
   since: both change under the mailbox's lock.
2. Where that fails halfway the box is `doubted`, and compared before flags change again:
   else our own renaming would be taken for another program's wish.
3. A run of UIDs is `behind` until the names are durable. So after a loss of power the index
   is right where names in one that is begun are others than it has them: they were undone.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from mailhub.imap.response import runs
from mailhub.imap.sequence import contains
from mailhub.store import maildir
from mailhub.store.box import Box
from mailhub.store.durable import sync_directory
from mailhub.store.name import INFO, flags_now, flags_of, letters_of, relettered
from mailhub.store.rows import Named, Renamed, Row, Transaction


class Round:
    """All names of a mailbox that are behind, brought up piece by piece."""

    def __init__(self, box: Box) -> None:
        """Begin.

        Raises:
            OSError: The disk said no.
            IndexLost: The box must be loaded anew.
        """
        with box.transaction() as transaction:
            self._left = list(transaction.behind.runs(box.kept.id))
            transaction.behind.begin(box.kept.id)
        self._modseq = box.kept.modseq
        self._strays: list[int] = []

    def step(self, box: Box) -> bool:
        """Rename some files, and tell the index; whether more are left.

        Raises:
            OSError: The disk said no; the box must be compared with its files.
            IndexLost: The same.
        """
        limit = box.ground.limits.names
        while self._left and limit:
            first, last = self._left[0]
            with box.transaction(write=False) as transaction:
                rows = transaction.named(box.kept.id, first, last, limit)
            if len(rows) < limit or rows[-1][0] == last:
                del self._left[0]
            else:
                self._left[0] = rows[-1][0] + 1, last
            limit -= len(rows)
            wrong = [row for row in rows if _said(row, box.known) != row[2]]
            if wrong:
                self._rename(box, wrong)
        return bool(self._left)

    def _rename(self, box: Box, rows: Sequence[Named]) -> None:
        done: list[Renamed] = []
        try:
            with box.changing(), maildir.held(box.ground.files, box.path + b"/cur") as directory:
                for (tail, flags), alike in groupby(rows, key=_look):
                    end = INFO + relettered(tail[len(INFO) :], flags, box.known)
                    uids = self._rename_alike(box, list(alike), len(tail), end, directory)
                    done += [Renamed(*run, len(tail), end) for run in runs(uids)]
            with box.transaction() as transaction:
                transaction.rename(box.kept.id, done)
                box.save(transaction)
        except BaseException:
            box.missed()
            raise

    def _rename_alike(
        self, box: Box, rows: Sequence[Named], cut: int, end: bytes, directory: int
    ) -> Iterator[int]:
        """Rename files whose names change alike; the UIDs of those that were there."""
        rename = box.ground.files.rename
        for uid, name, _ in rows:
            new = name[: len(name) - cut] + end
            try:
                rename(name, new, src_dir_fd=directory, dst_dir_fd=directory)
            except FileNotFoundError:
                # Another program has just renamed it: it is compared before we try again.
                box.missed()
                self._strays.append(uid)
            else:
                yield uid

    def end(self, box: Box) -> None:
        """Note that names say what flags were when the round began; they must be durable.

        Raises:
            OSError: The disk said no.
            IndexLost: The box must be loaded anew.
        """
        with box.transaction() as transaction:
            transaction.behind.forget(box.kept.id, self._modseq)
            box.fall_behind(transaction, self._strays)
            box.behind = transaction.behind.any(box.kept.id)
            box.save(transaction)


def sync(box: Box) -> None:
    """Make the names in ``cur`` durable.

    Raises:
        OSError: They may not be.
    """
    sync_directory(box.ground.files, box.path + b"/cur")


class Said:
    """What names that have been found say of flags.

    Args:
        crashed: The machine may have crashed since the index was last used.
    """

    def __init__(self, box: Box, transaction: Transaction, *, crashed: bool) -> None:
        behind = transaction.behind
        self._known = box.known
        self._behind = behind.runs(box.kept.id)
        self._undone = behind.runs(box.kept.id, begun=True) if crashed else ()

    def flags(self, row: Row, name: bytes) -> int:
        """A message's flags, whose file has been found under a name.

        The name says them, but for one that is behind: of that, another program may have
        changed some; or a name that we gave it was undone by a crash.
        """
        if contains(self._undone, row.uid):
            return row.flags
        if contains(self._behind, row.uid):
            return flags_now(row.name, name, row.flags, self._known)
        return flags_of(letters_of(name)) & self._known


def _said(row: Named, known: int) -> int:
    """The flags that a message's name says."""
    return flags_of(_look(row)[0][len(INFO) :]) & known


def _look(row: Named) -> tuple[bytes, int]:
    """The end of a message's name, and its flags: what its name is to say depends on these."""
    name = row[1]
    at = name.find(INFO)
    return b"" if at < 0 else name[at:], row[2]
