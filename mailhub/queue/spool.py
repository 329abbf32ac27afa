"""The spool: everything accepted and not yet settled, in one SQLite database.

A `Spool` is one connection, used by one thread at a time. The hub writes
through one, and reads through others (`another`); the command line opens its
own in its own process. So nothing here assumes to be the only writer: every
change checks, in SQL, the state that it expects.

Invariants:

1. When `commit` has returned, the changes survive a crash of the machine
   (WAL and synchronous=FULL); before, they may or may not.
2. The changes of one commit happen together or not at all.
3. A row never names a content file that is not durable; a file without a row
   is left by a crash alone, and removed by `recover`.
4. A settled recipient stays settled. An item is here as long as one of its
   recipients is not, and goes with all its rows when the last one settles.

When the world fails: a full disk is `OSError` with ENOSPC, a failing one EIO, a
database that another process is writing to `Busy`; nothing was changed then.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any, Final, cast

from mailhub.mail.address import Path
from mailhub.ports import AccountId, QueueId
from mailhub.queue import rows
from mailhub.queue.change import (
    Accept,
    Amend,
    Cancel,
    Change,
    Counts,
    Drop,
    Due,
    Filed,
    Flush,
    Hold,
    Kept,
    Promised,
    Release,
    Select,
    Settle,
    Stale,
    Unfiled,
)
from mailhub.queue.content import DIRECTORY, System, files, path_of, sync_directory
from mailhub.queue.database import Connect, Database
from mailhub.queue.item import Item, to_number, to_queue_id
from mailhub.queue.journey import (
    Attempted,
    from_row,
    numbers_from_text,
    numbers_to_text,
    to_row,
)
from mailhub.queue.rows import ITEM_COLUMNS, RECIPIENT_COLUMNS, SETTLED, State

DATABASE: Final = "spool.db"
LOST: Final = ".lost"
"""Behind the name of content whose item nobody knows."""
AMEND_LIMIT: Final = 5000
"""Recipients changed in one transaction: others can write in between."""
ATTEMPTS_KEPT: Final = 250_000
"""Attempts remembered, of items that are here and of those that have left."""
_ATTEMPTS_STEP: Final = 256
"""After so many new ones the oldest are forgotten."""

_INSERT_ITEM: Final = f"INSERT INTO item ({ITEM_COLUMNS}, in_file) VALUES ({'?, ' * 16}?)"
_INSERT_RECIPIENT: Final = f"INSERT INTO recipient ({RECIPIENT_COLUMNS}) VALUES ({'?, ' * 14}?)"
_UPDATE_FATE: Final = (
    "UPDATE recipient SET state=?, due=?, attempts=?, warned=?, reply=?, host=?, why=?"
    " WHERE item=? AND number=? AND state IN (?, ?)"
)
_ATTEMPT_COLUMNS: Final = (
    "started, ended, host, address, port, tls, certificate, reused, stage, reply, in_doubt"
)
_INSERT_ATTEMPT: Final = (
    f"INSERT INTO attempt (item, numbers, {_ATTEMPT_COLUMNS}) VALUES ({'?, ' * 12}?)"
)
_FINISH: Final = (
    "DELETE FROM item WHERE id=?1"
    f" AND NOT EXISTS (SELECT 1 FROM recipient WHERE item=?1 AND state<{SETTLED})"
    " RETURNING id, in_file"
)
# CROSS JOIN fixes the order: first the index of moments, then each one's item.
_DUE: Final = (
    "SELECT r.due, r.item, r.number, r.local, r.domain, i.reverse_local, i.reverse_domain,"
    " r.account FROM recipient r CROSS JOIN item i ON i.id=r.item WHERE r.state=0 AND "
)


class Spool:
    """One connection to the spool in a directory, which is made if need be.

    `connect` opens databases, and `system` changes files: tests and simulations bring their own.
    """

    def __init__(
        self,
        directory: str,
        *,
        connect: Connect = sqlite3.connect,
        system: System = os,
        attempts_kept: int = ATTEMPTS_KEPT,
    ) -> None:
        self.directory = directory
        self.system = system
        self._attempts_kept = attempts_kept
        self._connect = connect
        self._gone: list[str] = []  # content files of items that the transaction at hand removes
        if not os.path.isdir(f"{directory}/{DIRECTORY}"):
            system.makedirs(f"{directory}/{DIRECTORY}", 0o700, exist_ok=True)
            sync_directory(directory, system)
            sync_directory(os.path.dirname(os.path.abspath(directory)), system)
        self._database = Database(f"{directory}/{DATABASE}", connect)

    def another(self) -> Spool:
        """A further connection to the same spool, for another thread."""
        return Spool(
            self.directory,
            connect=self._connect,
            system=self.system,
            attempts_kept=self._attempts_kept,
        )

    def close(self) -> None:
        """Let go of the database. What was staged and not committed is gone."""
        self._database.close()

    # ---- Writing ---------------------------------------------------------------------------

    def stage(self, changes: Sequence[Change]) -> None:
        """Begin a transaction and write `changes`, in memory: `commit` must follow.

        Quick, and never waits for a disk's sync: it may be called where
        `commit` may not.

        Raises:
            Stale: A `Settle` among them does not fit what is there.
            Busy: Another process writes; `apply` would wait for it.
            OSError: The disk said no. Whatever is raised, nothing is staged.
        """
        with self._database.transaction(patient=False):
            self._write(changes)

    def commit(self) -> None:
        """Make what was staged durable.

        Raises:
            OSError: The disk said no; nothing of it may be promised.
        """
        self._database.commit()
        for path in self._gone:
            with suppress(OSError):  # then `recover` finds it
                self.system.unlink(path)
        self._gone = []

    def apply(self, changes: Sequence[Change]) -> None:
        """Stage and commit, waiting for other writers. Raises as both do."""
        with self._database.transaction(patient=True):
            self._write(changes)
        self.commit()

    def _write(self, changes: Sequence[Change]) -> None:
        self._gone = []
        marks: list[tuple[int, int]] = []
        dropped: set[int] = set()
        for change in changes:
            match change:
                case Accept():
                    self._accept(change.item, change.content)
                case Settle():
                    self._settle(change)
                case Filed():
                    item = to_number(change.item.queue_id)
                    marks += [(item, number) for number in change.numbers]
                case Drop():
                    item = to_number(change.item.queue_id)
                    if len(change.numbers) == len(change.item.fates):
                        dropped.add(item)
                    else:
                        self._drop(item, change)
                case Promised():
                    self._promise(change)
                case Kept():
                    self._keep(change)
        self._mark([mark for mark in marks if mark[0] not in dropped])
        self._forget(dropped)

    def _accept(self, item: Item, content: bytes | None) -> None:
        if item.settled:
            return
        execute = self._database.execute
        row = rows.item_row(item)
        execute(_INSERT_ITEM, (*row, content is None))
        if content is not None:
            execute("INSERT INTO content (item, octets) VALUES (?, ?)", (row[0], content))
        recipients = rows.recipient_rows(item)
        if len(recipients) == 1:
            execute(_INSERT_RECIPIENT, recipients[0])
        else:
            self._database.execute_many(_INSERT_RECIPIENT, recipients)

    def _settle(self, change: Settle) -> None:
        before, after = change.before, change.after
        item = to_number(after.queue_id)
        fates = [
            (*rows.fate_row(new, place), item, number, *rows.expected(old, place))
            for number, (old, new, place) in enumerate(
                zip(before.fates, after.fates, after.places, strict=True)
            )
            if old is not new and old != new
        ]
        if fates and self._database.execute_many(_UPDATE_FATE, fates) != len(fates):
            raise Stale(after.queue_id)
        for each in change.attempts:
            self._record(item, each)
        self._finish(item)

    def _record(self, item: int, each: Attempted) -> None:
        """Keep an attempt's facts, the newest `attempts_kept` of all items together."""
        facts = (item, numbers_to_text(each.numbers), *to_row(each.attempt))
        newest = self._database.execute(_INSERT_ATTEMPT, facts).lastrowid or 0
        if newest % _ATTEMPTS_STEP == 0:
            last = newest - self._attempts_kept
            self._database.execute("DELETE FROM attempt WHERE id<=?", (last,))

    def _promise(self, change: Promised) -> None:
        number, flags = to_number(change.queue_id), " ".join(change.flags)
        row = (number, change.account, change.mailbox, flags, change.date, change.content)
        self._database.execute("INSERT INTO promise VALUES (?, ?, ?, ?, ?, ?)", row)

    def _keep(self, change: Kept) -> None:
        self._database.execute_many(
            "DELETE FROM promise WHERE id=?",
            [(to_number(queue_id),) for queue_id in change.queue_ids],
        )

    def _mark(self, marks: list[tuple[int, int]]) -> None:
        if marks:
            self._database.execute_many(
                "UPDATE recipient SET state=3 WHERE item=? AND number=? AND state=2", marks
            )

    def _drop(self, item: int, change: Drop) -> None:
        self._database.execute_many(
            f"UPDATE recipient SET state={State.DELIVERED:d}, due=?"
            " WHERE item=? AND number=? AND state IN (2, 3)",
            [(change.at, item, number) for number in change.numbers],
        )
        self._finish(item)

    def _finish(self, item: int) -> None:
        """Let the item go if nothing of it is left to do."""
        gone = self._database.execute(_FINISH, (item,)).fetchall()
        if gone:
            execute = self._database.execute
            execute("DELETE FROM recipient WHERE item=?", (item,))
            execute("DELETE FROM content WHERE item=?", (item,))
            self._note_files(gone)

    def _forget(self, items: set[int]) -> None:
        """Let these items go, whatever their recipients' state."""
        if not items:
            return
        chosen = (json.dumps(sorted(items)),)
        execute = self._database.execute
        which = "(SELECT value FROM json_each(?))"
        execute(f"DELETE FROM recipient WHERE item IN {which}", chosen)
        execute(f"DELETE FROM content WHERE item IN {which}", chosen)
        self._note_files(
            execute(
                f"DELETE FROM item WHERE id IN {which} RETURNING id, in_file",
                chosen,
            ).fetchall()
        )

    def _note_files(self, gone: Iterable[tuple[int, int]]) -> None:
        for item, in_file in gone:
            if in_file:
                self._gone.append(path_of(self.directory, to_queue_id(item)))

    # ---- What operators do -----------------------------------------------------------------

    def amend(self, change: Amend, limit: int = AMEND_LIMIT) -> int:
        """Change up to `limit` recipients that fit; how many. Repeat until it is 0.

        Waits for other writers. Recipients being filed at this moment are left
        alone; one being attempted is not attempted any less for it.

        Raises:
            OSError: The disk said no.
        """
        state, also, sets, values = _amendment(change)
        where, parameters = _conditions(change.select)
        with self._database.transaction(patient=True):
            self._gone = []
            keys = self._database.rows(
                "SELECT r.item, r.number FROM recipient r JOIN item i ON i.id=r.item"
                f" WHERE r.state {state} {also} {where} LIMIT ?",
                *(values[:1] if also else ()),
                *parameters,
                limit,
            )
            self._database.execute_many(
                f"UPDATE recipient SET {sets} WHERE item=? AND number=?",
                [(*values, *key) for key in keys],
            )
            if isinstance(change, Cancel):
                for item in sorted({item for item, _ in keys}):
                    self._finish(item)
        self.commit()
        return len(keys)

    # ---- After a start ---------------------------------------------------------------------

    def recover(self, boot_id: str) -> int:
        """Put right what a crash may have left; before anything is accepted.

        What was filed in an earlier boot of the machine may not have reached
        the disk, so it is to be filed again. Content files without an item are
        removed; how many is returned. In a spool that never held an item they
        may belong to a database that was lost: there they are only renamed.
        """
        database = self._database
        with database.transaction(patient=True):
            if database.row("SELECT value FROM meta WHERE name='boot'") != (boot_id,):
                database.execute("UPDATE recipient SET state=2 WHERE state=3")
                database.execute("INSERT OR REPLACE INTO meta VALUES ('boot', ?)", (boot_id,))
        database.commit()
        has_file = "SELECT 1 FROM item WHERE id=? AND in_file"
        orphans = [
            path
            for queue_id, path in files(self.directory)
            if database.row(has_file, to_number(queue_id)) is None
        ]
        for path in orphans:
            if self.floor():
                self.system.unlink(path)
            else:
                self.system.rename(path, path + LOST)
        return len(orphans)

    def floor(self) -> int:
        """The number of the highest queue id that was ever here."""
        row = self._database.row(
            "SELECT max(seq) FROM sqlite_sequence WHERE name IN ('item', 'promise')"
        )
        return 0 if row is None or row[0] is None else int(row[0])

    def promises(self, after: QueueId | None = None, limit: int = 200) -> list[Promised]:
        """Promises not yet kept, in order of their ids, from `after` on."""
        found = self._database.rows(
            "SELECT id, account, mailbox, flags, date, octets FROM promise"
            " WHERE id>? ORDER BY id LIMIT ?",
            -1 if after is None else to_number(after),
            limit,
        )
        return [
            Promised(to_queue_id(row[0]), AccountId(row[1]), row[2], (*row[3].split(),), *row[4:])
            for row in found
        ]

    def unfiled(self, after: QueueId | None = None, limit: int = 200) -> list[Unfiled]:
        """Items with local recipients not yet dropped, in order of their ids, from `after` on."""
        found = self._database.rows(
            "SELECT DISTINCT item FROM recipient WHERE state IN (2, 3) AND item>?"
            " ORDER BY item LIMIT ?",
            to_number(after) if after else -1,
            limit,
        )
        return [self._unfiled(item) for (item,) in found]

    def _unfiled(self, number: int) -> Unfiled:
        item = self.load(to_queue_id(number))
        assert item is not None, "this connection alone removes local recipients"
        states = dict(
            self._database.rows("SELECT number, state FROM recipient WHERE item=?", number)
        )
        return Unfiled(
            item,
            tuple(n for n, state in states.items() if state == State.LOCAL),
            tuple(n for n, state in states.items() if state == State.FILED),
        )

    # ---- Reading ---------------------------------------------------------------------------

    def due(self, now: float, after: Due | float, limit: int) -> list[Due]:
        """Pending recipients whose moment is not later than `now`, in order of moments.

        Those behind `after`: the last one of an earlier call, or a moment that
        is excluded itself.
        """
        if isinstance(after, Due):
            where = "r.due<=? AND (r.due, r.domain, r.item, r.number)>(?, ?, ?, ?)"
            item = to_number(after.queue_id)
            key: tuple[Any, ...] = (after.due, after.path.domain, item, after.number)
        else:
            where, key = "r.due<=? AND r.due>?", (after,)
        order = " ORDER BY r.due, r.domain, r.item, r.number LIMIT ?"
        return [_due(row) for row in self._database.rows(_DUE + where + order, now, *key, limit)]

    def destined(self, domain: str, now: float, limit: int) -> list[Due]:
        """Likewise for the recipients of one domain, the longest due first."""
        where = "r.domain=? AND r.due<=? ORDER BY r.due, r.item, r.number LIMIT ?"
        return [_due(row) for row in self._database.rows(_DUE + where, domain, now, limit)]

    def next_due(self, after: float) -> float | None:
        """The first moment later than `after` for which a recipient waits."""
        first = "SELECT due FROM recipient WHERE state=0 AND due>? ORDER BY due LIMIT 1"
        row = self._database.row(first, after)
        return None if row is None else float(row[0])

    def load(self, queue_id: QueueId) -> Item | None:
        """An item, or None if it has left."""
        number = to_number(queue_id)
        row = self._database.row(f"SELECT {ITEM_COLUMNS} FROM item WHERE id=?", number)
        if row is None:
            return None
        recipients = self._database.rows(
            f"SELECT {RECIPIENT_COLUMNS} FROM recipient WHERE item=? ORDER BY number",
            number,
        )
        # Between the two reads it may have left, with all its recipients.
        return rows.item(row, recipients) if recipients else None

    def content(self, queue_id: QueueId) -> bytes | str:
        """An item's content: the octets, or the path of the file (head first) that holds them."""
        row = self._database.row("SELECT octets FROM content WHERE item=?", to_number(queue_id))
        return path_of(self.directory, queue_id) if row is None else cast(bytes, row[0])

    def attempts(self, queue_id: QueueId) -> list[Attempted]:
        """What was tried for an item, in order; it may have left since."""
        found = self._database.rows(
            f"SELECT numbers, {_ATTEMPT_COLUMNS} FROM attempt WHERE item=? ORDER BY id",
            to_number(queue_id),
        )
        return [Attempted(numbers_from_text(row[0]), from_row(row[1:])) for row in found]

    def present(self, numbers: Sequence[int]) -> set[int]:
        """Those of these numbers of queue ids whose items are here."""
        found = self._database.rows(
            "SELECT id FROM item WHERE id IN (SELECT value FROM json_each(?))",
            json.dumps(list(numbers)),
        )
        return {number for (number,) in found}

    def find(
        self,
        select: Select,
        after: QueueId | None = None,
        limit: int = 100,
        states: Iterable[State] = tuple(State),
    ) -> list[Item]:
        """Items with a recipient that fits, whole, in order of their ids, from `after` on."""
        where, parameters = _conditions(select)
        wanted = ", ".join(str(int(state)) for state in states)
        found = self._database.rows(
            "SELECT i.id FROM item i WHERE i.id>? AND EXISTS"
            f" (SELECT 1 FROM recipient r WHERE r.item=i.id AND r.state IN ({wanted}) {where})"
            " ORDER BY i.id LIMIT ?",
            to_number(after) if after else -1,
            *parameters,
            limit,
        )
        items = [self.load(to_queue_id(number)) for (number,) in found]
        return [item for item in items if item is not None]

    def counts(self) -> Counts:
        """How much there is. Looks at every recipient: not for the hub's own loop."""
        states = self._database.rows("SELECT state, count(*) FROM recipient GROUP BY state")
        [(items, oldest)] = self._database.rows("SELECT count(*), min(arrived) FROM item")
        recipients = {State(state).name.lower(): count for state, count in states}
        return Counts(items, recipients, oldest)


def _due(row: Sequence[Any]) -> Due:
    due, item, number, local, domain, reverse_local, reverse_domain, account = row
    return Due(
        due,
        to_queue_id(item),
        number,
        Path(local, domain),
        Path(reverse_local, reverse_domain),
        account is not None,
    )


def _amendment(change: Amend) -> tuple[str, str, str, tuple[Any, ...]]:
    """SQL of an amendment: the states it is for, a further condition, columns, their values.

    The condition takes the first of the values.
    """
    match change:
        case Flush(now=now):
            return "=0", "AND r.due>?", "due=?", (now,)
        case Hold(why=why):
            return "=0", "", "state=1, why=?", (rows.printable(why),)
        case Release(now=now):
            return "=1", "", "state=0, why=NULL, due=?", (now,)
        case Cancel(now=now):
            fate = "attempts=0, warned=0, reply=NULL, host=NULL, why=NULL"
            return "IN (0, 1)", "", f"state={State.CANCELLED:d}, due=?, {fate}", (now,)


def _conditions(select: Select) -> tuple[str, list[Any]]:
    """SQL of a selection, with tables i and r, and its parameters."""
    where: list[str] = []
    parameters: list[Any] = []
    if select.queue_ids:
        where.append("AND i.id IN (SELECT value FROM json_each(?))")
        parameters.append(json.dumps([to_number(each) for each in select.queue_ids]))
    for table, path in (("i.reverse_", select.sender), ("r.", select.recipient)):
        if path is not None:
            where.append(f"AND lower({table}local)=lower(?) AND {table}domain=?")
            parameters += [path.local, path.domain]
    for column, domain in (
        ("i.reverse_domain", select.sender_domain),
        ("r.domain", select.domain),
    ):
        if domain is not None:
            where.append(f"AND {column}=?")
            parameters.append(domain)
    return " ".join(where), parameters
