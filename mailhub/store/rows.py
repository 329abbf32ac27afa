"""The tables of an account's index, and every statement on them: the store's SQL is here.

Invariants:

1. A message's key is its mailbox's number times 2**32, plus its UID: a mailbox's
   messages lie together, in order, and a range of UIDs is a range of keys.
2. What is wide and seldom asked for (`store.summaries`, `store.excerpts`) lies apart from
   what is read whenever a mailbox is opened (`message`).
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from mailhub.ports.message import Rendering, Summary
from mailhub.store import behind, conversing, departures, excerpts, summaries, texts
from mailhub.store.behind import Behind
from mailhub.store.conversing import Conversations
from mailhub.store.departures import Departures
from mailhub.store.excerpts import Excerpts
from mailhub.store.summaries import Summaries, side_by_side
from mailhub.store.texts import Texts

VERSION: Final = 8
"""Of the tables; a database of another one is no error, but a lost cache."""
TABLES: Final = (
    """
CREATE TABLE state(boot TEXT NOT NULL, identity INTEGER NOT NULL);
CREATE TABLE mailbox(
    id INTEGER PRIMARY KEY,
    directory BLOB NOT NULL UNIQUE,
    uid_validity INTEGER NOT NULL,
    uid_next INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    recent INTEGER NOT NULL,
    new_changed INTEGER NOT NULL,
    cur_changed INTEGER NOT NULL,
    stale INTEGER NOT NULL DEFAULT 0,
    floor INTEGER NOT NULL DEFAULT 1,
    runs INTEGER NOT NULL DEFAULT 0,
    doubt INTEGER NOT NULL DEFAULT 0,
    certain INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE message(
    key INTEGER PRIMARY KEY,
    name BLOB NOT NULL,
    flags INTEGER NOT NULL,
    modseq INTEGER NOT NULL,
    size INTEGER NOT NULL,
    date INTEGER NOT NULL,
    saved INTEGER NOT NULL
);
"""
    + behind.TABLES
    + conversing.TABLES
    + departures.TABLES
    + summaries.TABLES
    + excerpts.TABLES
    + texts.TABLES
)


Found = TypeVar("Found", "Row", "Marked", "Named")

_SHIFT: Final = 32
_UID: Final = 4_294_967_295


class Row(NamedTuple):
    """A message, as the index keeps it.

    Attributes:
        name: Its file's, as last written or seen; what that says of flags may be `behind`.
        flags: What they are.
        saved: When it came into this mailbox, seconds since the epoch.
    """

    uid: int
    name: bytes
    flags: int
    modseq: int
    size: int
    date: int
    saved: int


Marked = tuple[int, int, int]
"""A message's UID, flags and MODSEQ: what a change of its flags needs to know."""
Named = tuple[int, bytes, int]
"""A message's UID, the name of its file, and its flags."""


class Renamed(NamedTuple):
    """What has become of the names of messages with neighbouring UIDs, of which none is left out.

    Attributes:
        first: The least UID.
        last: The greatest.
        cut: Octets that their names have lost at the end.
        end: What stands there instead.
    """

    first: int
    last: int
    cut: int
    end: bytes


class Columns(NamedTuple):
    """A mailbox's messages as `ports.mailbox.Mailbox` has them, in parallel arrays."""

    uids: array[int]
    flags: array[int]
    modseqs: array[int]
    sizes: array[int]
    dates: array[int]


class Totals(NamedTuple):
    """Sums over a mailbox."""

    messages: int
    recent: int
    unseen: int
    deleted: int
    size: int


@dataclass(slots=True)
class Kept:
    """A mailbox, as the index keeps it.

    Attributes:
        recent: The UID from which messages are new to all sessions.
        new_changed: Time of change of ``new`` when it was last read; 0 for not.
        cur_changed: The same of ``cur``.
        stale: The machine has crashed, or may have, since it was written.
        floor: The MODSEQ above which `departures` knows all that left.
        runs: At most so many runs of UIDs `departures` has of this mailbox.
        doubt: Above this MODSEQ and below `certain`, a crash took from us what clients may
            have been told.
    """

    id: int
    uid_validity: int
    uid_next: int
    modseq: int
    recent: int
    new_changed: int = 0
    cur_changed: int = 0
    stale: bool = False
    floor: int = 1
    runs: int = 0
    doubt: int = 0
    certain: int = 0


def columns() -> Columns:
    """Arrays without messages."""
    return Columns(array("I"), array("I"), array("Q"), array("Q"), array("q"))


class Transaction:
    """What can be asked of the database while one has it.

    Attributes:
        behind: Which names do not say their messages' flags yet.
        conversations: What is kept of THREAD's results.
        departures: What is known of messages that have left.
        excerpts: What can be asked of header fields.
        summaries: What can be asked of rendered content.
        texts: What can be asked of the full-text index.
    """

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database
        self.behind = Behind(database)
        self.conversations = Conversations(database)
        self.departures = Departures(database)
        self.excerpts = Excerpts(database)
        self.summaries = Summaries(database)
        self.texts = Texts(database)

    def rebuilt(self) -> None:
        """Let every process that has this database open load all it knows of it anew."""
        self._database.execute("UPDATE state SET identity = abs(random())")

    # ---- Mailboxes ------------------------------------------------------------------------

    def mailbox(self, directory: bytes) -> Kept | None:
        """What is kept of the mailbox in a directory."""
        row = self._database.execute(
            "SELECT id, uid_validity, uid_next, modseq, recent, new_changed, cur_changed, stale,"
            " floor, runs, doubt, certain FROM mailbox WHERE directory = ?",
            (directory,),
        ).fetchone()
        return None if row is None else Kept(*row)

    def add_mailbox(self, directory: bytes, uid_validity: int) -> Kept:
        """Begin a mailbox without messages; whatever was kept of that directory is forgotten."""
        self.forget_mailbox(directory)
        cursor = self._database.execute(
            "INSERT INTO mailbox(directory, uid_validity, uid_next, modseq, recent,"
            " new_changed, cur_changed) VALUES (?, ?, 1, 1, 1, 0, 0)",
            (directory, uid_validity),
        )
        return Kept(cursor.lastrowid or 0, uid_validity, 1, 1, 1)

    def save_mailbox(self, kept: Kept) -> None:
        """Write what has changed of a mailbox."""
        self._database.execute(
            "UPDATE mailbox SET uid_validity = ?, uid_next = ?, modseq = ?, recent = ?,"
            " new_changed = ?, cur_changed = ?, stale = ?, floor = ?, runs = ?, doubt = ?,"
            " certain = ? WHERE id = ?",
            (
                kept.uid_validity,
                kept.uid_next,
                kept.modseq,
                kept.recent,
                kept.new_changed,
                kept.cur_changed,
                kept.stale,
                kept.floor,
                kept.runs,
                kept.doubt,
                kept.certain,
                kept.id,
            ),
        )

    def rename_mailbox(self, directory: bytes, new: bytes) -> None:
        """Follow a directory that was renamed."""
        self.forget_mailbox(new)
        self._database.execute(
            "UPDATE mailbox SET directory = ? WHERE directory = ?", (new, directory)
        )

    def forget_mailbox(self, directory: bytes) -> None:
        """Drop all that is kept of a mailbox."""
        kept = self.mailbox(directory)
        if kept is None:
            return
        self.clear(kept.id)
        self.behind.clear(kept.id)
        self.departures.clear(kept.id)
        self._database.execute("DELETE FROM mailbox WHERE id = ?", (kept.id,))

    def clear(self, mailbox: int) -> None:
        """Drop a mailbox's messages."""
        self._remove([_span(mailbox)])
        self.texts.note_learnt(mailbox, 0)
        self.conversations.clear(mailbox)

    # ---- Messages -------------------------------------------------------------------------

    def load(self, mailbox: int) -> Columns:
        """All messages, for memory."""
        found = columns()
        cursor = self._database.execute(
            "SELECT key & 4294967295, flags, modseq, size, date FROM message"
            " WHERE key BETWEEN ? AND ? ORDER BY key",
            _span(mailbox),
        )
        while rows := cursor.fetchmany(4096):
            for column, values in zip(found, zip(*rows, strict=True), strict=True):
                column.extend(values)
        return found

    def totals(self, mailbox: int, recent: int) -> Totals:
        """Sums over all messages; `recent` is the first UID that counts as such."""
        row = self._database.execute(
            "SELECT count(*), coalesce(sum(key & 4294967295 >= ?), 0),"
            " coalesce(sum(~flags & 1), 0), coalesce(sum((flags >> 3) & 1), 0),"
            " coalesce(sum(size), 0)"
            " FROM message WHERE key BETWEEN ? AND ?",
            (recent, *_span(mailbox)),
        ).fetchone()
        return Totals(*row)

    def names(self, mailbox: int) -> dict[bytes, int]:
        """The UIDs of all messages by their names."""
        cursor = self._database.execute(
            "SELECT name, key & 4294967295 FROM message WHERE key BETWEEN ? AND ?",
            _span(mailbox),
        )
        return dict(cursor.fetchall())

    def rows(self, mailbox: int, uids: Sequence[int]) -> list[Row]:
        """Those of `uids` (in ascending order) that there are, in that order."""
        return _those(self._rows, mailbox, uids)

    def rows_from(self, mailbox: int, uid: int, limit: int) -> list[Row]:
        """Up to `limit` messages from `uid` on."""
        cursor = self._database.execute(
            "SELECT key & 4294967295, name, flags, modseq, size, date, saved FROM message"
            " WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",
            ((mailbox << _SHIFT) + uid, _span(mailbox)[1], limit),
        )
        return list(map(Row._make, cursor))

    def _rows(self, first: int, last: int) -> list[Row]:
        cursor = self._database.execute(
            "SELECT key & 4294967295, name, flags, modseq, size, date, saved FROM message"
            " WHERE key BETWEEN ? AND ? ORDER BY key",
            (first, last),
        )
        return list(map(Row._make, cursor))

    def put(self, mailbox: int, rows: Iterable[Row]) -> None:
        """Add messages, or replace what is kept of them."""
        base = mailbox << _SHIFT
        self._database.executemany(
            "INSERT OR REPLACE INTO message VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(base + row[0], *row[1:]) for row in rows],
        )

    def marked(self, mailbox: int, uids: Sequence[int]) -> list[Marked]:
        """UID, flags and MODSEQ of those of `uids` (in ascending order) that there are."""

        def between(first: int, last: int) -> list[Marked]:
            return self._database.execute(
                "SELECT key & 4294967295, flags, modseq FROM message"
                " WHERE key BETWEEN ? AND ? ORDER BY key",
                (first, last),
            ).fetchall()

        return _those(between, mailbox, uids)

    def named(self, mailbox: int, first: int, last: int, limit: int) -> list[Named]:
        """UID, name and flags of up to `limit` messages, from one UID to another."""
        base = mailbox << _SHIFT
        return self._database.execute(
            "SELECT key & 4294967295, name, flags FROM message"
            " WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?",
            (base + first, base + last, limit),
        ).fetchall()

    def mark(
        self, mailbox: int, runs: Iterable[tuple[int, int]], keep: int, add: int, modseq: int
    ) -> None:
        """Change flags of all messages of runs of UIDs: some are kept, and some are added."""
        base = mailbox << _SHIFT
        self._database.executemany(
            "UPDATE message SET flags = (flags & ?) | ?, modseq = ? WHERE key BETWEEN ? AND ?",
            [(keep, add, modseq, base + first, base + last) for first, last in runs],
        )

    def rename(self, mailbox: int, runs: Iterable[Renamed]) -> None:
        """Change the ends of the names of all messages of runs of UIDs."""
        base = mailbox << _SHIFT
        self._database.executemany(
            "UPDATE message SET name = CAST(substr(name, 1, length(name) - ?) || ? AS BLOB)"
            " WHERE key BETWEEN ? AND ?",
            [(it.cut, it.end, base + it.first, base + it.last) for it in runs],
        )

    def reflag(self, mailbox: int, rows: Iterable[tuple[bytes, int, int, int]]) -> None:
        """Change name, flags and MODSEQ of messages; the UID stands last."""
        base = mailbox << _SHIFT
        self._database.executemany(
            "UPDATE message SET name = ?, flags = ?, modseq = ? WHERE key = ?",
            [(name, flags, modseq, base + uid) for name, flags, modseq, uid in rows],
        )

    def renew(self, mailbox: int, after: int, before: int, modseq: int) -> None:
        """Give messages with a MODSEQ between two others a new one."""
        self._database.execute(
            "UPDATE message SET modseq = ? WHERE key BETWEEN ? AND ? AND modseq > ? AND modseq < ?",
            (modseq, *_span(mailbox), after, before),
        )

    def remove(self, mailbox: int, runs: Iterable[tuple[int, int]]) -> None:
        """Forget messages from one UID to another."""
        base = mailbox << _SHIFT
        self._remove([(base + first, base + last) for first, last in runs])

    def _remove(self, spans: Sequence[tuple[int, int]]) -> None:
        self._database.executemany("DELETE FROM message WHERE key BETWEEN ? AND ?", spans)
        self.texts.remove(spans)
        self.summaries.remove(spans)
        self.excerpts.remove(spans)

    # ---- Summaries ------------------------------------------------------------------------

    def rendered(
        self, what: Rendering, mailbox: int, uids: Sequence[int]
    ) -> Sequence[bytes | None]:
        """What is kept of the content of each of `uids` (in ascending order), or None."""

        def between(first: int, last: int) -> list[tuple[int, bytes]]:
            return self.summaries.between(what, first, last)

        if uids and uids[-1] - uids[0] == len(uids) - 1:
            base = mailbox << _SHIFT
            every = self.summaries.every(what, base + uids[0], base + uids[-1])
            if every is not None:
                return every
        return _column(between, mailbox, uids)

    def excerpted(self, fields: int, mailbox: int, uids: Sequence[int]) -> Sequence[bytes | None]:
        """What is kept of a set of header fields likewise."""

        def between(first: int, last: int) -> list[tuple[int, bytes]]:
            return self.excerpts.between(fields, first, last)

        return _column(between, mailbox, uids)

    def excerpt(self, fields: int, mailbox: int, octets: Iterable[tuple[int, bytes]]) -> None:
        """Keep header fields of messages, by UID."""
        base = mailbox << _SHIFT
        self.excerpts.put(fields, [(base + uid, found) for uid, found in octets])

    def put_summaries(self, mailbox: int, made: Iterable[tuple[int, Summary]]) -> None:
        """Keep what was made of messages' content."""
        base = mailbox << _SHIFT
        self.summaries.put((base + uid, summary) for uid, summary in made)

    def copy_summaries(self, source: int, target: int, uids: Iterable[tuple[int, int]]) -> None:
        """Keep for copies what is kept of their originals: pairs of UIDs, the old one first."""
        keys = (((target << _SHIFT) + new, (source << _SHIFT) + old) for old, new in uids)
        together = list(side_by_side(keys))
        self.summaries.copy(together)
        self.texts.copy(together)


def _column(
    between: Callable[[int, int], list[tuple[int, bytes]]], mailbox: int, uids: Sequence[int]
) -> Sequence[bytes | None]:
    """Values of `uids` (in ascending order) in that order, None where there is none.

    Where most numbers between the first and the last are asked for, one query
    reads them all; where nothing is amiss its rows are the column.
    """
    if not uids:
        return []
    base = mailbox << _SHIFT
    if uids[-1] - uids[0] < 4 * len(uids):
        rows = between(base + uids[0], base + uids[-1])
    else:
        rows = [row for uid in uids for row in between(base + uid, base + uid)]
    if not rows:
        return [None] * len(uids)
    there, values = zip(*rows, strict=True)
    if there == tuple(uids):
        return values
    found = dict(rows)
    return [found.get(uid) for uid in uids]


def _those(
    between: Callable[[int, int], list[Found]], mailbox: int, uids: Sequence[int]
) -> list[Found]:
    """The rows of `uids` (in ascending order), as far as there are any; a UID stands first."""
    if not uids:
        return []
    base = mailbox << _SHIFT
    if uids[-1] - uids[0] < 4 * len(uids):
        rows = between(base + uids[0], base + uids[-1])
        if len(rows) == len(uids) == uids[-1] - uids[0] + 1:
            return rows
        wanted = set(uids)
        return [row for row in rows if row[0] in wanted]
    return [row for uid in uids for row in between(base + uid, base + uid)]


def _span(mailbox: int) -> tuple[int, int]:
    """The first and the last key that a mailbox's messages may have."""
    return mailbox << _SHIFT, (mailbox << _SHIFT) | _UID
