"""The tables by which messages are searched, sorted and threaded, and every statement on them.

Of each message one row says what SORT and THREAD go by, another one holds the texts of the
fields that are searched most (`mail.digest`). Its header section and body lie in a
full-text index of trigrams, as a *document*: copies of a message share it. Texts are
folded before they come here, and trigrams keep their places, so that a phrase of
trigrams is found exactly where the text holds the string.

Documents lie in *shards*. A full-text table without the texts cannot forget a
document, so those of messages that are gone stay, unseen, until so few of a shard are
left that it is dropped and they are indexed anew.

Invariants:

1. A digest's key is its message's (`rows`), and it is there no longer than that; so are
   its fields.
2. A document is written once, before any digest that names it.
3. Up to the UID in `learnt` each message of a mailbox has a digest.
4. Document 0 stands for a message that is in no shard: too long, or SQLite is built
   without trigrams. It has to be read.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import closing
from functools import cache, partial
from typing import Final

from mailhub.mail.digest import Digest
from mailhub.ports.finding import Found, Place, SentOn, Sorting, SortKey, Sought, Threadable
from mailhub.store.keyed import copy_rows, remove_rows

TABLES: Final = """
CREATE TABLE digest(
    key INTEGER PRIMARY KEY,
    document INTEGER NOT NULL,
    sent INTEGER NOT NULL,
    day INTEGER NOT NULL,
    reply INTEGER NOT NULL,
    base TEXT NOT NULL,
    thread BLOB NOT NULL,
    first_from TEXT NOT NULL,
    first_to TEXT NOT NULL,
    first_cc TEXT NOT NULL,
    display_from TEXT NOT NULL,
    display_to TEXT NOT NULL
);
CREATE INDEX digest_document ON digest(document);
CREATE INDEX digest_base ON digest(key >> 32, base, key);
CREATE TABLE field(
    key INTEGER PRIMARY KEY,
    subject TEXT,
    sender TEXT,
    recipient TEXT,
    copied TEXT,
    blind TEXT
);
CREATE TABLE shard(id INTEGER PRIMARY KEY, documents INTEGER NOT NULL);
CREATE TABLE learnt(mailbox INTEGER PRIMARY KEY, uid INTEGER NOT NULL);
"""

SHARD_BITS: Final = 14
SHARD_SIZE: Final = 1 << SHARD_BITS
"""Documents in a shard: one is searched in one step."""
DOCUMENT_LIMIT: Final = 1 << 20
"""Characters of a document; a longer message is read when it is searched for."""
SLICE: Final = 65_536
"""Characters of a list of UIDs that are read in one go: a millisecond."""
MERGED: Final = 8
"""Batches of documents that FTS5 merges into one: fewer would cost a third more."""
SHORTEST: Final = 3
"""Characters of a text that the trigrams can find."""
LONGEST: Final = 256
"""Characters of a text that is sought whole; of a longer one its beginning."""

_SHIFT: Final = 32
_COLUMNS: Final = {
    SortKey.ARRIVAL: "message.date",
    SortKey.CC: "first_cc",
    SortKey.DATE: "sent",
    SortKey.DISPLAYFROM: "display_from",
    SortKey.DISPLAYTO: "display_to",
    SortKey.FROM: "first_from",
    SortKey.RELEVANCY: "coalesce(score.value, 100)",
    SortKey.SIZE: "message.size",
    SortKey.SUBJECT: "base",
    SortKey.TO: "first_to",
}
_TABLES: Final = {
    "digest": "document, sent, day, reply, base, thread, first_from, first_to, first_cc,"
    " display_from, display_to",
    "field": "subject, sender, recipient, copied, blind",
}
_THREADABLES: Final = "SELECT key & 4294967295, sent, reply, base, thread FROM digest"
_FIELDS: Final = 10
"""Where in a `Digest` the texts of fields begin."""
_COMPARISONS: Final = frozenset({"<", "=", ">="})


@cache
def trigrams_available() -> bool:
    """Whether this SQLite has full-text search by trigrams (3.34, built with FTS5)."""
    try:
        with closing(sqlite3.connect(":memory:")) as database:
            database.execute("CREATE VIRTUAL TABLE x USING fts5(y, tokenize = 'trigram')")
    except sqlite3.OperationalError:
        return False
    return True


class Texts:
    """What can be asked of these tables amid a transaction."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    # ---- Messages come and go --------------------------------------------------------------

    def missing(self, first: int, last: int, limit: int) -> list[int]:
        """Keys of messages from `first` to `last` that have no digest yet."""
        cursor = self._database.execute(
            "SELECT key FROM message WHERE key BETWEEN ? AND ?"
            " AND NOT EXISTS (SELECT 1 FROM digest WHERE digest.key = message.key)"
            " ORDER BY key LIMIT ?",
            (first, last, limit),
        )
        return [key for (key,) in cursor]

    def learnt(self, mailbox: int) -> int:
        """A UID up to which all messages of a mailbox have digests."""
        row = self._database.execute(
            "SELECT uid FROM learnt WHERE mailbox = ?", (mailbox,)
        ).fetchone()
        return row[0] if row else 0

    def note_learnt(self, mailbox: int, uid: int) -> None:
        """Remember such a UID; 0 for none."""
        self._database.execute("INSERT OR REPLACE INTO learnt VALUES (?, ?)", (mailbox, uid))

    def put(self, digests: Sequence[tuple[int, Digest]], *, documents: bool = True) -> None:
        """Keep what was made of messages, by their keys; with documents of those, if wanted.

        Each must have a date: `mail.digest.dated`.
        """
        wanted = [
            documents and len(digest.head) + len(digest.body) <= DOCUMENT_LIMIT
            for _, digest in digests
        ]
        numbers = iter(self._allocate(sum(wanted)))
        chosen = [next(numbers) if it else 0 for it in wanted]
        self._database.executemany(
            "INSERT OR REPLACE INTO digest VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            [
                (key, document, *digest[:_FIELDS])
                for (key, digest), document in zip(digests, chosen, strict=True)
            ],
        )
        self._database.executemany(
            "INSERT OR REPLACE INTO field VALUES (?,?,?,?,?,?)",
            [(key, *digest[_FIELDS:-2]) for key, digest in digests],
        )
        for (_, digest), document in zip(digests, chosen, strict=True):
            if document:
                self._database.execute(
                    f"INSERT INTO text_{document >> SHARD_BITS}(rowid, head, body)"  # noqa: S608
                    " VALUES (?, ?, ?)",
                    (document, digest.head, digest.body),
                )

    def _allocate(self, count: int) -> list[int]:
        """Numbers of new documents, in shards that are there."""
        if not trigrams_available():
            return [0] * count
        found: list[int] = []
        row = self._database.execute("SELECT max(id), documents FROM shard").fetchone()
        shard, used = row if row[0] is not None else (0, SHARD_SIZE)
        while len(found) < count:
            if used >= SHARD_SIZE:
                shard, used = shard + 1, 0
                self._begin(shard)
            more = min(count - len(found), SHARD_SIZE - used)
            found += range((shard << SHARD_BITS) + used, (shard << SHARD_BITS) + used + more)
            used += more
            self._database.execute("UPDATE shard SET documents = ? WHERE id = ?", (used, shard))
        return found

    def _begin(self, shard: int) -> None:
        self._database.execute(
            f"CREATE VIRTUAL TABLE text_{shard} USING fts5(head, body, content = '',"
            " columnsize = 0, tokenize = 'trigram case_sensitive 1')"
        )
        self._database.execute(
            f"INSERT INTO text_{shard}(text_{shard}, rank) VALUES ('automerge', ?)",  # noqa: S608
            (MERGED,),
        )
        self._database.execute("INSERT INTO shard VALUES (?, 0)", (shard,))

    def copy(self, runs: Iterable[tuple[int, int, int]]) -> None:
        """Give copies their originals' digests: runs as of `summaries.side_by_side`."""
        copy_rows(self._database, _TABLES, runs)

    def remove(self, runs: Iterable[tuple[int, int]]) -> None:
        """Forget messages from one key to another; documents stay."""
        remove_rows(self._database, _TABLES, runs)

    def compact(self) -> bool:
        """Drop one full shard of which less than half is left; those lose their digests.

        Whoever knew of digests must look for `missing` ones again if this gives True.
        """
        for (shard,) in self._database.execute(
            "SELECT id FROM shard WHERE id < (SELECT max(id) FROM shard)"
        ).fetchall():
            span = shard << SHARD_BITS, ((shard + 1) << SHARD_BITS) - 1
            [left] = self._database.execute(
                "SELECT count(DISTINCT document) FROM digest WHERE document BETWEEN ? AND ?", span
            ).fetchone()
            if left < SHARD_SIZE // 2:
                self._database.execute(
                    "DELETE FROM field WHERE key IN"
                    " (SELECT key FROM digest WHERE document BETWEEN ? AND ?)",
                    span,
                )
                self._database.execute("DELETE FROM digest WHERE document BETWEEN ? AND ?", span)
                self._database.execute(f"DROP TABLE text_{shard}")
                self._database.execute("DELETE FROM shard WHERE id = ?", (shard,))
                self._database.execute("DELETE FROM learnt")
                return True
        return False

    def forget(self) -> None:
        """Drop all digests and documents."""
        for shard in self.shards():
            self._database.execute(f"DROP TABLE text_{shard}")
        for table in ("shard", "learnt", *_TABLES):
            self._database.execute(f"DELETE FROM {table}")  # noqa: S608 -- constants

    def shards(self) -> list[int]:
        """Their numbers."""
        return [shard for (shard,) in self._database.execute("SELECT id FROM shard ORDER BY id")]

    # ---- Searching -------------------------------------------------------------------------

    def in_fields(self, sought: Sought, first: int, last: int) -> array[int]:
        """UIDs of those from key `first` to `last` that have a text in a field of their own."""
        return self._uids(
            f"SELECT group_concat(key & 4294967295) FROM field"  # noqa: S608 -- a column's name
            f" WHERE key BETWEEN ? AND ? AND instr({sought.place.value}, ?)",
            (first, last, sought.text),
        )

    def sent(self, sought: SentOn, first: int, last: int) -> array[int]:
        """UIDs of those that were sent on such a day."""
        assert sought.comparison in _COMPARISONS
        return self._uids(
            "SELECT group_concat(key & 4294967295) FROM digest WHERE key BETWEEN ? AND ?"  # noqa: S608
            f" AND day {sought.comparison} ?",
            (first, last, sought.day),
        )

    def in_shard(self, sought: Sought, shard: int, first: int, last: int) -> array[int]:
        """UIDs of those whose document in a shard holds a text of `SHORTEST` to `LONGEST`."""
        return self._uids(
            f"SELECT group_concat(digest.key & 4294967295) FROM text_{shard} AS text"  # noqa: S608
            " CROSS JOIN digest ON digest.document = text.rowid"
            f" WHERE text_{shard} MATCH ? AND digest.key BETWEEN ? AND ?",
            (_phrase(sought), first, last),
        )

    def in_none(self, first: int, last: int) -> array[int]:
        """UIDs of those that are in no shard."""
        return self._uids(
            "SELECT group_concat(key & 4294967295) FROM digest"
            " WHERE document = 0 AND key BETWEEN ? AND ?",
            (first, last),
        )

    def _uids(self, select: str, values: Sequence[object]) -> array[int]:
        # One string holds all: the interpreter's lock is taken once, not for each row.
        [listed] = self._database.execute(select, values).fetchone()
        return _numbers(listed) if listed else array("I")

    # ---- Sorting and threading -----------------------------------------------------------------

    def order(
        self,
        criteria: Sequence[Sorting],
        first: int,
        last: int,
        keys: Sequence[int] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        """The UIDs of messages, sorted; equals in the order of their UIDs (RFC 5256 §3).

        Args:
            criteria: What goes first.
            first: The least key.
            last: The greatest key.
            keys: Only these, of `first` to `last`: few of them.
            scores: What RELEVANCY goes by, by UID; 100 for all others.
        """
        terms = ", ".join([*(f"{_COLUMNS[it.key]} {_direction(it)}" for it in criteria), "key"])
        among = "" if keys is None else f" AND key IN ({','.join(map(str, keys))})"
        scored, head = "", ""
        if "score." in terms:
            pairs = ",".join(f"({uid},{score})" for uid, score in (scores or {0: 100}).items())
            head = f"WITH score(uid, value) AS (VALUES {pairs}) "
            scored = " LEFT JOIN score ON score.uid = key & 4294967295"
        received = " JOIN message USING (key)" if "message." in terms else ""
        # `digest_base` has them in this order, if the mailbox is named as it names it.
        named = "key >> 32 = ?1 >> 32 AND " if terms.startswith("base ASC, ") else ""
        return self._uids(
            f"{head}SELECT group_concat(uid) FROM (SELECT key & 4294967295 AS uid"  # noqa: S608
            f" FROM digest{received}{scored}"
            f" WHERE {named}key BETWEEN ?1 AND ?2{among} ORDER BY {terms})",
            (first, last),
        )

    def threadables(self, first: int, last: int, limit: int) -> list[Threadable]:
        """What THREAD needs of up to `limit` messages, in the order of their UIDs."""
        cursor = self._database.execute(
            f"{_THREADABLES} WHERE key BETWEEN ? AND ? ORDER BY key LIMIT ?", (first, last, limit)
        )
        # (`_make` would count each row's columns.)
        return list(map(partial(tuple.__new__, Threadable), cursor.fetchall()))

    def threadables_of(self, keys: Sequence[int]) -> list[Threadable]:
        """The same of messages by their keys."""
        listed = ",".join(map(str, keys))
        cursor = self._database.execute(f"{_THREADABLES} WHERE key IN ({listed}) ORDER BY key")
        return list(map(Threadable._make, cursor))

    def related(
        self, ids: Collection[bytes], bases: Collection[str], first: int, last: int
    ) -> array[int]:
        """UIDs of those with such a base subject, or with one of these ids among their octets."""
        subject = f"base IN ({','.join('?' * len(bases))})"
        any_of = " OR ".join([subject, *["instr(thread, ?)"] * len(ids)])
        return self._uids(
            "SELECT group_concat(key & 4294967295) FROM digest"  # noqa: S608 -- placeholders
            f" WHERE key BETWEEN ? AND ? AND ({any_of})",
            (first, last, *bases, *ids),
        )


def _numbers(listed: str) -> array[int]:
    """Numbers between commas; in slices, between which other threads may run."""
    found, start = array("I"), 0
    while start < len(listed):
        end = listed.find(",", start + SLICE)
        end = end if end >= 0 else len(listed)
        found.extend(map(int, listed[start:end].split(",")))
        start = end + 1
    return found


def _direction(sorting: Sorting) -> str:
    # The best fit comes first                                                  (RFC 6203 §5)
    return "DESC" if sorting.reverse != (sorting.key is SortKey.RELEVANCY) else "ASC"


def _phrase(sought: Sought) -> str:
    """A query for a text as a phrase (the strings of FTS5's query language)."""
    quoted = sought.text.replace('"', '""')
    within = {Place.HEAD: "head", Place.BODY: "body", Place.TEXT: "{head body}"}[sought.place]
    # No field's value holds a line feed: only bodies do.
    if sought.place is Place.TEXT and "\n" in quoted:
        within = "body"
    return f'{within} : "{quoted}"'


def key_of(mailbox: int, uid: int) -> int:
    """The key of a message."""
    return (mailbox << _SHIFT) + uid


def found(sure: Iterable[int], unsure: Iterable[int] = ()) -> Found:
    """UIDs, put in order."""
    return Found(array("I", sorted(sure)), array("I", sorted(unsure)))
