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
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final

from mailhub.queue import amend, edit, rows, sent, usage
from mailhub.queue.amend import START, At
from mailhub.queue.ceiling import Ceiling
from mailhub.queue.change import (
    Accept,
    Amend,
    Cancel,
    Change,
    Count,
    Drop,
    Edit,
    Filed,
    Kept,
    Outlived,
    Promised,
    Returned,
    Sent,
    Settle,
    Stale,
    Told,
)
from mailhub.queue.content import DIRECTORY, System, files, path_of, sync_directory
from mailhub.queue.database import Connect, Database
from mailhub.queue.ids import to_number, to_queue_id
from mailhub.queue.item import Item
from mailhub.queue.journey import Attempted, numbers_to_text, to_row
from mailhub.queue.look import ATTEMPT_COLUMNS, Reading
from mailhub.queue.rows import FATE_COLUMNS, ITEM_COLUMNS, RECIPIENT_COLUMNS, State
from mailhub.queue.strands import Strands

DATABASE: Final = "spool.db"
LOST: Final = ".lost"
"""Behind the name of content whose item nobody knows."""
ATTEMPTS_KEPT: Final = 250_000
"""Attempts remembered, of all items together: of those that have left, journeys tell."""
_ATTEMPTS_STEP: Final = 256
"""After so many new ones the oldest are forgotten."""

_INSERT_ITEM: Final = f"INSERT INTO item ({ITEM_COLUMNS}, in_file, open) VALUES ({'?, ' * 25}?)"
_INSERT_RECIPIENT: Final = f"INSERT INTO recipient ({RECIPIENT_COLUMNS}) VALUES ({'?, ' * 17}?)"
_THIS: Final = "item=? AND number=? AND state IN (?, ?) AND local=? AND domain=?"
_UPDATE_FATE: Final = (
    f"UPDATE recipient SET ({FATE_COLUMNS})=({'?, ' * 8}?), owed=max(owed, ?) WHERE {_THIS}"
)
_LEAVE: Final = f"DELETE FROM recipient WHERE {_THIS}"
_LEAVE_ITEM: Final = "DELETE FROM item WHERE id=? AND total=1 RETURNING id, in_file"
_INSERT_ATTEMPT: Final = (
    f"INSERT INTO attempt (item, numbers, {ATTEMPT_COLUMNS}) VALUES ({'?, ' * 12}?)"
)


class Spool(Reading):
    """One connection to the spool in a directory, which is made if need be.

    `connect` opens databases, and `system` changes files: tests and simulations bring their own.

    Attributes:
        amended: Told of each step of an amendment that is durable, and whom it changed.
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
        self.amended: Callable[[Amend, Sequence[amend.Key]], None] = _nobody_asks
        self.system = system
        self._attempts_kept = attempts_kept
        self._connect = connect
        self._gone: list[str] = []  # content files of items that the transaction at hand removes
        if not os.path.isdir(f"{directory}/{DIRECTORY}"):
            system.makedirs(f"{directory}/{DIRECTORY}", 0o700, exist_ok=True)
            sync_directory(directory, system)
            sync_directory(os.path.dirname(os.path.abspath(directory)), system)
        self._database = Database(f"{directory}/{DATABASE}", connect)
        self._strands = Strands(self._database)
        self._ceiling = Ceiling(self._database)

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
        try:
            self._database.commit()
        except BaseException:
            self._rolled_back()
            raise
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
        self._strands.begin()
        try:
            self._write_each(changes)
            self._strands.refresh()
        except BaseException:
            self._rolled_back()
            raise

    def _rolled_back(self) -> None:
        """Nothing of the transaction is there: what we know of it is wrong."""
        self._strands.forget()
        self._ceiling.forget()

    def _write_each(self, changes: Sequence[Change]) -> None:
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
                case Count():
                    usage.count(self._database, change)
                case Sent() | Returned() | Outlived():
                    sent.write(self._database, change)
                case Told():
                    self._told(change)
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
        flow = self._strands.number(item.flow)
        row = rows.item_row(item, flow)
        self._ceiling.cover(row[0])
        execute(_INSERT_ITEM, (*row, content is None, len(item.open)))
        if content is not None:
            execute("INSERT INTO content (item, octets) VALUES (?, ?)", (row[0], content))
        recipients = rows.recipient_rows(item, flow)
        if len(recipients) == 1:
            execute(_INSERT_RECIPIENT, recipients[0])
        else:
            self._database.execute_many(_INSERT_RECIPIENT, recipients)
        for each in recipients:
            if each[9] == State.PENDING:
                self._strands.touch(flow, each[3])

    def _settle(self, change: Settle) -> None:
        before, after = change.before, change.after
        item, flow = to_number(after.queue_id), self._strands.number(after.flow)
        changed = [
            place
            for place, (old, new) in enumerate(zip(before.fates, after.fates, strict=True))
            if old is not new and old != new
        ]
        # Which row it must be, so that it is the one that `before` knows.
        these = [_this(before, item, place) for place in changed]
        for place in changed:
            self._strands.touch(flow, before.envelope.recipients[place].path.domain)
        if len(changed) == 1 and after.settled and not change.owed and self._left(item, these[0]):
            return
        for each in change.attempts:
            self._record(item, each)
        owed = set(change.owed)
        updates = [
            (*rows.fate_row(after.fates[place], after.places[place]), place in owed, *this)
            for place, this in zip(changed, these, strict=True)
        ]
        if updates and self._database.execute_many(_UPDATE_FATE, updates) != len(updates):
            raise Stale(after.queue_id)
        if owed:
            self._owe(item, change.owed_at)
        self._close(item, len(before.open) - len(after.open))

    def _left(self, item: int, this: tuple[int, int, State, State, str, str]) -> bool:
        """Let an item go at once whose only recipient is settled: nearly all are so.

        Raises:
            Stale: The recipient is not what it should be.
        """
        gone = self._database.execute(_LEAVE_ITEM, (item,)).fetchall()
        if not gone:
            return False
        if self._database.execute(_LEAVE, this).rowcount != 1:
            raise Stale(to_queue_id(item))
        self._database.execute("DELETE FROM content WHERE item=?", (item,))
        self._note_files(gone)
        return True

    def _owe(self, item: int, at: float) -> None:
        """The item stays until its sender is told."""
        self._database.execute(
            "UPDATE item SET owed=min(ifnull(owed, ?1), ?1) WHERE id=?2", (at, item)
        )

    def _told(self, change: Told) -> None:
        """What was owed for these recipients is said."""
        item = to_number(change.item.queue_id)
        done = self._database.execute_many(
            "UPDATE recipient SET owed=0 WHERE item=? AND number=? AND owed=1",
            [(item, change.item.number(place)) for place in range(len(change.item.fates))],
        )
        if done != len(change.item.fates):
            raise Stale(change.item.queue_id)
        self._database.execute(
            "UPDATE item SET owed=NULL WHERE id=?1"
            " AND NOT EXISTS (SELECT 1 FROM recipient WHERE item=?1 AND owed=1)",
            (item,),
        )
        self._close(item, 0)

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
        self._ceiling.cover(number)
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
        done = self._database.execute_many(
            f"UPDATE recipient SET state={State.DELIVERED:d}, due=?"
            " WHERE item=? AND number=? AND state IN (2, 3)",
            [(change.at, item, number) for number in change.numbers],
        )
        self._close(item, done)

    def _close(self, item: int, settled: int) -> None:
        """So many more of an item's recipients are settled: let it go if nothing is left to do."""
        row = self._database.execute(
            "UPDATE item SET open=open-? WHERE id=? RETURNING open, owed", (settled, item)
        ).fetchone()
        if row is not None and row[0] <= 0 and row[1] is None:
            self._forget({item})

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

    def amend(
        self, change: Amend, at: At = START, limit: int = amend.LIMIT
    ) -> tuple[int, At | None]:
        """Change up to `limit` recipients that fit; how many, and where to go on, None at the end.

        Waits for other writers. Recipients being filed at this moment are left
        alone; one being attempted is not attempted any less for it.

        Raises:
            OSError: The disk said no.
        """
        with self._database.transaction(patient=True):
            self._gone = []
            self._strands.begin()
            keys, then = amend.step(self._database, change, at, limit)
            for key in keys:
                self._strands.touch(key.flow, key.domain)
            self._strands.refresh()
            if isinstance(change, Cancel):
                for item, settled in Counter(key.item for key in keys).items():
                    self._close(item, settled)
        self.commit()
        self.amended(change, keys)
        return len(keys), then

    def edit(self, change: Edit) -> bool:
        """Correct a recipient that is not settled, or add one; whether there was one to correct.

        Raises:
            OSError: The disk said no.
        """
        with self._database.transaction(patient=True):
            self._gone = []
            self._strands.begin()
            done = edit.edited(self._database, self._strands, change)
            self._strands.refresh()
        self.commit()
        return done

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
            self._strands.tidy()
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


def _this(item: Item, number: int, place: int) -> tuple[int, int, State, State, str, str]:
    """What `_THIS` asks for: the row of a recipient, as long as it is as `item` has it."""
    path = item.envelope.recipients[place].path
    states = rows.expected(item.fates[place], item.places[place])
    return number, item.number(place), *states, path.local, path.domain


def _nobody_asks(change: Amend, keys: Sequence[amend.Key]) -> None:
    """Nobody wants to know whom an amendment changed."""
