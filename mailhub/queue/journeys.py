"""Journeys on disk: what happened to each message, found by its id or by the names in it.

One SQLite database beside the spool, of which nothing depends: it is written
behind the mail's back, in batches, and a crash of the machine may cost the last
moments of it.

Invariants:

1. Rows are only ever added at the end, and removed at the beginning: writing
   costs the same however much is kept.
2. A journey whose item is still in the spool is not removed, whatever its age.
3. A database that cannot be read is set aside, and a new one begun.

Names (addresses, Message-IDs, accounts) are found by a checksum, in buckets of
`BUCKET` rows that are written together: an index over all of them would touch as
many pages as there are names in a batch. What a checksum finds is to be compared.
"""
# what is put into SQL here are constants; values are bound

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from mailhub.mail.value import value
from mailhub.ports.outgoing import QueueId
from mailhub.queue.database import Unreadable, set_aside, translated
from mailhub.queue.event import Accepted, Event, from_text, to_text
from mailhub.queue.ids import number_at, to_number, to_queue_id
from mailhub.queue.wanted import Wanted, keys

DATABASE: Final = "journeys.db"
ASIDE: Final = ".corrupt"
"""Behind the name of a database that could not be read."""
BUCKET: Final = 16_384
"""Names in one bucket: some 80 pages that the rows of a batch may fall into."""
TOGETHER: Final = 50
"""Rows of one statement: the interpreter's lock is given back once for all of them."""
PATIENCE: Final = 5.0
"""Seconds to wait for another process's transaction."""
UID_LIMIT: Final = (1 << 32) - 1
"""The highest UID there can be (RFC 3501 §2.3.1.1)."""
PURGE_ROWS: Final = 2000
"""Rows looked at in one go when old journeys are removed."""
PURGE_SHARE: Final = 0.02
"""Of the limit that is set free at a time."""

_PRAGMAS: Final = (
    "journal_mode=WAL",
    "synchronous=NORMAL",
    "wal_autocheckpoint=1000",
    "journal_size_limit=16777216",
    "cache_size=-8192",
    "temp_store=MEMORY",
    "secure_delete=OFF",  # mail that has left is not worth a page written
)
_SCHEMA: Final = """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        journey INTEGER NOT NULL,  -- the number of the queue id
        events TEXT NOT NULL
    ) STRICT;
    CREATE INDEX journey ON event (journey);
    CREATE TABLE named (
        bucket INTEGER NOT NULL,
        key INTEGER NOT NULL,
        journey INTEGER NOT NULL,
        PRIMARY KEY (bucket, key, journey)
    ) STRICT, WITHOUT ROWID;
"""
_VERSION: Final = 1
_LATEST: Final = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name='event'"

Happened = Mapping[QueueId, Sequence[Event]]
"""For each message what happened to it, in order."""


@value(frozen=True, slots=True)
class Written:
    """A part of a journey as it was written.

    Attributes:
        number: Grows from part to part, over all journeys.
    """

    number: int
    queue_id: QueueId
    text: str

    @property
    def events(self) -> tuple[Event, ...]:
        """What it tells; read anew each time."""
        return tuple(from_text(self.text))


class Batch:
    """What is to be written, as texts: they wait, and are not looked at again until read.

    Attributes:
        texts: For each message.
    """

    __slots__ = ("_names", "texts")

    def __init__(self) -> None:
        self.texts: dict[QueueId, str] = {}
        self._names: list[int] = []  # checksum and number of the queue id, in turn

    def add(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        """This has happened next to a message."""
        text = to_text(events)
        known = self.texts.get(queue_id)
        self.texts[queue_id] = text if known is None else f"{known},{text}"
        for event in events:
            if isinstance(event, Accepted):
                number = to_number(queue_id)
                for key in keys(event):
                    self._names += (key, number)

    def rows(self) -> list[Any]:
        """Number of the queue id and text of each part, in turn."""
        found: list[Any] = []
        for queue_id, text in self.texts.items():
            found += (to_number(queue_id), text)
        return found

    def names(self, bucket: int) -> list[int]:
        """Bucket, checksum and number of each name, in turn."""
        found: list[int] = []
        for place in range(0, len(self._names), 2):
            found += (bucket, self._names[place], self._names[place + 1])
        return found


class Journeys:
    """One connection to the journeys in a directory, used by one thread at a time.

    Every method raises `OSError` when the disk says no.

    Args:
        begin: Make the database if it is not there, or cannot be read.
        alive: Which of these numbers of queue ids are in the spool still.
    """

    def __init__(
        self,
        directory: str,
        *,
        now: float,
        begin: bool = True,
        alive: Callable[[Sequence[int]], set[int]] = lambda numbers: set(),  # noqa: ARG005
        connect: Callable[..., sqlite3.Connection] = sqlite3.connect,
    ) -> None:
        self._path = f"{directory}/{DATABASE}"
        self._alive = alive
        self._connect = connect
        if not begin and not os.path.exists(self._path):
            raise FileNotFoundError(errno.ENOENT, "nothing is known of any mail yet", self._path)
        try:
            self._open(now)
        except Unreadable:
            if not begin:
                raise
            set_aside(self._path, ASIDE)
            self._open(now)
        self._bucket, self._names = self._fullest()
        self._purged = 0  # rows up to here were looked at by `purge`

    def _open(self, now: float) -> None:
        with translated(self._path):
            self._database = self._connect(
                self._path, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                for pragma in _PRAGMAS:
                    self._database.execute(f"PRAGMA {pragma}").close()
                self._prepare(now)
            except BaseException:
                self._database.close()
                raise

    def _prepare(self, now: float) -> None:
        [version] = self._row("PRAGMA user_version")
        if version == 0:
            self._database.execute("BEGIN IMMEDIATE")  # closing it takes all of this back
            for statement in filter(str.strip, _SCHEMA.split(";")):
                self._database.execute(statement)
            self._database.execute("INSERT INTO meta VALUES ('validity', ?)", (int(now),))
            self._database.execute("INSERT INTO meta VALUES ('floor', 0)")
            self._database.execute(f"PRAGMA user_version={_VERSION}")
            self._database.execute("COMMIT")
        elif version != _VERSION:
            text = f"journeys: of another mailhub (version {version})"
            raise Unreadable(errno.EINVAL, text, self._path)

    def close(self) -> None:
        """Let go of the database."""
        self._database.close()

    # ---- Writing ---------------------------------------------------------------------------

    def write(self, happened: Happened) -> list[Written]:
        """Add what happened; the parts that were added."""
        batch = Batch()
        for queue_id, events in happened.items():
            batch.add(queue_id, events)
        return self.write_batch(batch)

    def write_batch(self, batch: Batch) -> list[Written]:
        """Add a batch; the parts that were added."""
        rows, names = batch.rows(), batch.names(self._bucket)
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                [last] = self._row(_LATEST)
                self._insert("INSERT INTO event (journey, events)", 2, rows)
                self._insert("INSERT OR IGNORE INTO named", 3, names)
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise
        self._names += len(names) // 3
        if self._names >= BUCKET:
            self._bucket, self._names = self._bucket + 1, 0
        return [
            Written(last + n, queue_id, text)
            for n, (queue_id, text) in enumerate(zip(batch.texts, rows[1::2], strict=True), 1)
        ]

    def _insert(self, into: str, width: int, values: list[Any]) -> None:
        """Add rows, many with each statement."""
        row = f"({', '.join('?' * width)})"
        for start in range(0, len(values), width * TOGETHER):
            part = values[start : start + width * TOGETHER]
            rows = ", ".join([row] * (len(part) // width))
            self._database.execute(f"{into} VALUES {rows}", part)

    def _fullest(self) -> tuple[int, int]:
        [bucket] = self._row("SELECT coalesce(max(bucket), 0) FROM named")
        [names] = self._row("SELECT count(*) FROM named WHERE bucket=?", bucket)
        return (bucket + 1, 0) if names >= BUCKET else (bucket, names)

    # ---- Removing --------------------------------------------------------------------------

    @property
    def size(self) -> int:
        """Octets in use, without what waits to be used again."""
        [pages] = self._row("PRAGMA page_count")
        [free] = self._row("PRAGMA freelist_count")
        [octets] = self._row("PRAGMA page_size")
        return int((pages - free) * octets)

    def purge(self, before: float, limit: int) -> int:
        """Remove finished journeys: those that began `before`, and the oldest while over `limit`.

        Looks at so many rows and no more: to be called now and then. How many
        journeys were removed.
        """
        excess = self.size - limit
        wanted = excess + int(limit * PURGE_SHARE) if excess > 0 else 0
        edge = number_at(before)
        removed: dict[int, None] = {}
        start = self._purged
        for row, journey, octets in self._rows(
            "SELECT id, journey, length(events) FROM event WHERE id>? ORDER BY id LIMIT ?",
            start,
            PURGE_ROWS,
        ):
            if journey >= edge and wanted <= 0:
                break
            self._purged = row
            wanted -= octets
            removed[journey] = None
        if self._purged == start:
            self._purged = 0  # next time look again at those that were alive
        alive = self._alive(list(removed))
        gone = [(journey,) for journey in removed if journey not in alive]
        if gone:
            self._remove(gone)
        return len(gone)

    def _remove(self, gone: list[tuple[int]]) -> None:
        with translated(self._path):
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany("DELETE FROM event WHERE journey=?", gone)
                self._remove_buckets(gone[-1][0])
                self._database.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self._database.execute("ROLLBACK")
                raise

    def _remove_buckets(self, last: int) -> None:
        """Remove the oldest buckets that name nothing later; what they name still moves on."""
        while True:
            [bucket] = self._row("SELECT min(bucket) FROM named")
            if bucket is None or bucket == self._bucket:
                return
            [latest] = self._row("SELECT max(journey) FROM named WHERE bucket=?", bucket)
            if latest > last:
                return
            self._database.execute(
                "INSERT OR IGNORE INTO named SELECT ?, key, journey FROM named"
                " WHERE bucket=? AND journey IN (SELECT journey FROM event)",
                (self._bucket, bucket),
            )
            self._database.execute("DELETE FROM named WHERE bucket=?", (bucket,))

    # ---- Reading ---------------------------------------------------------------------------

    def load(self, queue_id: QueueId) -> list[Written]:
        """A message's journey, part by part; empty if nothing is known of it."""
        found = self._rows(
            "SELECT id, journey, events FROM event WHERE journey=? ORDER BY id",
            to_number(queue_id),
        )
        return [_written(row) for row in found]

    def later(self, than: int, limit: int = 500) -> list[Written]:
        """What was written after a part, of whatever journey, in order."""
        found = self._rows(
            "SELECT id, journey, events FROM event WHERE id>? ORDER BY id LIMIT ?", than, limit
        )
        return [_written(row) for row in found]

    @property
    def newest(self) -> int:
        """The number of the newest queue id of which anything is known; 0 for none."""
        return int(self._row("SELECT coalesce(max(journey), 0) FROM event")[0])

    @property
    def latest(self) -> int:
        """The number of the part written last; 0 before there is one."""
        return int(self._row(_LATEST)[0])

    def find(self, wanted: Wanted, limit: int = 100) -> list[QueueId]:
        """The latest journeys that fit, the latest first."""
        found: list[QueueId] = []
        for number in self._candidates(wanted):
            queue_id = to_queue_id(number)
            if _fits(wanted, self.load(queue_id)):
                found.append(queue_id)
                if len(found) == limit:
                    break
        return sorted(found, reverse=True)

    def _candidates(self, wanted: Wanted) -> Iterator[int]:
        """Numbers of queue ids that may fit, from the latest on."""
        since = number_at(max(wanted.since, 0.0))
        keys = wanted.keys
        if not keys:
            yield from self._all(since)
            return
        for (bucket,) in self._rows("SELECT DISTINCT bucket FROM named ORDER BY bucket DESC"):
            common: set[int] | None = None
            for key in keys:
                rows = self._rows(
                    "SELECT journey FROM named WHERE bucket=? AND key=? AND journey>=?",
                    bucket,
                    key,
                    since,
                )
                numbers = {number for (number,) in rows}
                common = numbers if common is None else common & numbers
            yield from sorted(common or (), reverse=True)

    def _all(self, since: int) -> Iterator[int]:
        before = 1 << 62
        while page := self._rows(
            "SELECT DISTINCT journey FROM event WHERE journey<? AND journey>=?"
            " ORDER BY journey DESC LIMIT 200",
            before,
            since,
        ):
            yield from (number for (number,) in page)
            before = page[-1][0]

    def recent(self, account: str, since: float, limit: int) -> list[list[Written]]:
        """What an account sent, and is in the spool or has changed since a moment.

        The journeys whose last parts are the latest, in order of these, up to `limit`.
        """
        numbers = set(self._candidates(Wanted(account=account)))
        alive = self._alive(list(numbers)) & numbers
        first = self._rows(
            "SELECT id FROM event WHERE journey>=? ORDER BY journey LIMIT 1", number_at(since)
        )
        edge = first[0][0] if first else self.latest + 1
        latest = []
        for number in numbers:
            [part] = self._row("SELECT coalesce(max(id), 0) FROM event WHERE journey=?", number)
            if part >= edge or number in alive:
                latest.append((part, number))
        chosen = sorted(latest)[-limit:]
        found = [self.load(to_queue_id(number)) for _, number in chosen]
        wanted = Wanted(account=account)
        return [parts for parts in found if parts and _fits(wanted, parts)]

    def version(self) -> int:
        """Differs once another connection has written."""
        return int(self._row("PRAGMA data_version")[0])

    # ---- UIDs ------------------------------------------------------------------------------

    def uids(self, now: float) -> tuple[int, int]:
        """UIDVALIDITY, and what is to be taken from a part's number for its UID.

        Both stay as they are until UIDs run out.
        """
        [validity] = self._row("SELECT value FROM meta WHERE name='validity'")
        [floor] = self._row("SELECT value FROM meta WHERE name='floor'")
        if self.latest - floor < UID_LIMIT:
            return validity, floor
        [oldest] = self._row("SELECT coalesce(min(id), 1) FROM event")
        validity, floor = max(validity + 1, int(now)), oldest - 1
        with translated(self._path):
            self._database.execute("UPDATE meta SET value=? WHERE name='validity'", (validity,))
            self._database.execute("UPDATE meta SET value=? WHERE name='floor'", (floor,))
        return validity, floor

    def _rows(self, sql: str, *parameters: Any) -> list[Any]:
        with translated(self._path):
            return self._database.execute(sql, parameters).fetchall()

    def _row(self, sql: str, *parameters: Any) -> Any:
        with translated(self._path):
            return self._database.execute(sql, parameters).fetchone()


def _fits(wanted: Wanted, parts: Iterable[Written]) -> bool:
    """Whether a journey is of a message that is wanted."""
    events = (event for part in parts for event in part.events)
    return any(isinstance(event, Accepted) and wanted.fits(event) for event in events)


def _written(row: Sequence[Any]) -> Written:
    return Written(row[0], to_queue_id(row[1]), row[2])
