"""What is true of a mailbox now, and what happened lately: arrays, history, watchers.

Invariants:

1. The arrays run parallel, in ascending order of UID, and change only by a `Delta` that
   files and index already show.
2. `watch`ers are called in the turn in which the arrays change.
3. Arrays cost 32 octets a message, and the history 4 to 8.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Final

from mailhub.ports.message import Change, ModSeq, Uid, UidValidity
from mailhub.store.box import Box, Delta
from mailhub.store.changes import Changes
from mailhub.store.rows import Columns, Row, columns

BARE: Final = 8_192
"""Octets that a mailbox takes without messages."""


class MailboxState:
    """The part of a `ports.mailbox.Mailbox` that sessions read, and never wait for.

    Attributes:
        loaded: The arrays are filled. Only `MailStore.open` needs them.
    """

    def __init__(self, box: Box) -> None:
        self.box = box
        self.loaded = False
        self.uid_validity = UidValidity(0)
        self.uid_next = Uid(1)
        self.highest_modseq = ModSeq(1)
        self.keywords: Sequence[str] = ()
        self.cursor = 0
        self._recent_taken = False
        self._limit = box.ground.limits.changes
        self._changes = Changes()
        self._watchers: dict[Callable[[], None], None] = {}
        self.show(columns())

    def show(self, found: Columns) -> None:
        """Take these arrays for the truth."""
        self.columns = found
        self.uids, self.flags, self.modseqs, self.sizes, self.dates = found

    @property
    def octets(self) -> int:
        """About how much memory it takes."""
        arrays = sum(len(column) * column.itemsize for column in self.columns)
        return BARE + arrays + self._changes.octets

    # ---- What is true now ---------------------------------------------------------------------

    def position(self, uid: int) -> int | None:
        """The index of `uid` in the arrays, or None if it is gone."""
        uids = self.uids
        position = bisect_left(uids, uid)
        return position if position < len(uids) and uids[position] == uid else None

    def changes(self, cursor: int) -> Sequence[tuple[Change, Uid]] | None:
        """What has happened since `cursor`, oldest first; None if that is too long ago."""
        return self._changes.since(cursor)

    @property
    def mailbox_id(self) -> str:
        """MAILBOXID (RFC 8474 §4)."""
        return self.box.mailbox_id

    def doubtful(self, modseq: int) -> bool:
        """Whether who knows all up to `modseq` may know what never was."""
        kept = self.box.kept
        return kept.doubt < modseq < kept.certain

    def take_recent(self) -> frozenset[Uid]:
        r"""UIDs no session has seen yet: the caller's ``\Recent`` (RFC 3501 §2.3.2)."""
        first = self.box.kept.recent
        uids = self.uids
        recent = frozenset(map(Uid, uids[bisect_left(uids, first) :]))
        if self.uid_next > first:
            self.box.kept.recent = self.uid_next
            self._recent_taken = True
        return recent

    def watch(self, woken: Callable[[], None]) -> None:
        """Call `woken` after each change, whoever made it."""
        self._watchers[woken] = None

    def unwatch(self, woken: Callable[[], None]) -> None:
        """Stop doing so."""
        self._watchers.pop(woken, None)

    # ---- How it changes -----------------------------------------------------------------------

    def apply(self, delta: Delta) -> None:
        """Show what files and index show already, and wake who watches."""
        kept = self.box.kept
        self.uid_validity = UidValidity(kept.uid_validity)
        self.uid_next = Uid(kept.uid_next)
        self.highest_modseq = ModSeq(kept.modseq)
        self.keywords = self.box.keywords
        if not delta or not self.loaded:
            return
        self._remove(delta.removed)
        self._reflag(delta.changed)
        self._add(delta.added)
        self.cursor = self._changes.cursor
        for woken in list(self._watchers):
            woken()
        # Only now: whoever keeps up at each change misses none, however many they are.
        self._changes.trim(max(self._limit, len(self.uids)))

    def _remove(self, uids: Sequence[int]) -> None:
        positions = [at for uid in uids if (at := self.position(uid)) is not None]
        removed = [self.uids[position] for position in positions]
        if len(positions) < 32:
            for position in reversed(positions):
                for column in self.columns:
                    del column[position]
        else:
            stays = bytearray(b"\1") * len(self.uids)
            for position in positions:
                stays[position] = 0
            for column in self.columns:
                column[:] = array(column.typecode, compress(column, stays))
        self._changes.add(Change.EXPUNGED, removed)

    def _reflag(self, changed: Sequence[tuple[int, int, int]]) -> None:
        if not changed:
            return
        uids, flags, modseqs = zip(*changed, strict=True)
        first = self.position(uids[0])
        if first is not None and self.uids[first : first + len(uids)] == array("I", uids):
            # Neighbours, as they are where all of a mailbox changes
            self.flags[first : first + len(uids)] = array("I", flags)
            self.modseqs[first : first + len(uids)] = array("Q", modseqs)
            self._changes.add(Change.FLAGGED, uids)
            return
        told = []
        for uid, bits, modseq in changed:
            position = self.position(uid)
            if position is not None:
                self.flags[position] = bits
                self.modseqs[position] = modseq
                told.append(uid)
        self._changes.add(Change.FLAGGED, told)

    def _add(self, rows: Sequence[Row]) -> None:
        if not rows:
            return
        uids, _, flags, modseqs, sizes, dates, _ = zip(*rows, strict=True)
        added = Columns(uids, flags, modseqs, sizes, dates)  # type: ignore[arg-type]  # to extend
        for column, values in zip(self.columns, added, strict=True):
            column.extend(values)
        self._changes.add(Change.ARRIVED, uids)


def difference(old: Columns, new: Columns) -> Delta:
    """What leads from `old` to `new`."""
    before = {uid: n for n, uid in enumerate(old.uids)}
    after = set(new.uids)
    changed: list[tuple[int, int, int]] = []
    added: list[Row] = []
    for uid, flags, modseq, size, date in zip(*new, strict=True):
        at = before.get(uid)
        if at is None:
            added.append(Row(uid, b"", flags, modseq, size, date, 0))
        elif old.flags[at] != flags or old.modseqs[at] != modseq:
            changed.append((uid, flags, modseq))
    return Delta([uid for uid in old.uids if uid not in after], changed, added)
