"""What clients were refused, on disk: the latest, found by the names in it.

Nothing depends on it: a database that does not parse is set aside, and a crash loses
the last seconds of it. (Hence synchronous=NORMAL.)

Invariant: there are no more than `ROWS` rows, whatever was refused; the oldest go.
"""
# ruff: noqa: S608  # what is put into SQL here are constants; values are bound

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import fields, replace
from operator import attrgetter
from typing import Any, Final, TypeVar

from mailhub.mail.value import value
from mailhub.policy.refused import Refused
from mailhub.queue.database import Connect, Unreadable, set_aside, translated

T = TypeVar("T")

NAME: Final = "refusals.db"
"""The file in the state directory."""
ROWS: Final = 100_000
"""Some 30 MB."""
PATIENCE: Final = 10.0
"""Seconds to wait for another process that writes."""
_FIELDS: Final = tuple(it.name for it in fields(Refused))
_VALUES: Final = attrgetter(*_FIELDS)
_INSERT: Final = (
    f"INSERT INTO refusal ({', '.join(_FIELDS)}) VALUES ({', '.join('?' * len(_FIELDS))})"
)
_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS refusal (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at REAL NOT NULL,
        until REAL NOT NULL,
        count INTEGER NOT NULL,
        stage TEXT NOT NULL,
        address TEXT NOT NULL,
        helo TEXT NOT NULL,
        tls TEXT NOT NULL,
        account TEXT NOT NULL COLLATE NOCASE,
        sender TEXT COLLATE NOCASE,
        recipient TEXT NOT NULL COLLATE NOCASE,
        reply TEXT NOT NULL,
        rule TEXT NOT NULL,
        alike INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX IF NOT EXISTS refused_sender ON refusal (sender);
    CREATE INDEX IF NOT EXISTS refused_recipient ON refusal (recipient);
    CREATE INDEX IF NOT EXISTS refused_account ON refusal (account);
    CREATE INDEX IF NOT EXISTS refused_client ON refusal (address);
"""


@value(frozen=True, slots=True)
class Sought:
    """Which refusals are looked for; all criteria must fit. Addresses in any case.

    Attributes:
        since: Not before this moment.
    """

    sender: str | None = None
    recipient: str | None = None
    account: str | None = None
    client: str | None = None
    since: float = 0.0


class Refusals:
    """The database in a state directory; each call opens it anew, and any process may.

    Raises:
        OSError: From every method: the disk said no.
    """

    def __init__(self, state: str, connect: Connect = sqlite3.connect) -> None:
        self._path = os.path.join(state, NAME)
        self._connect = connect

    def write(self, refused: Sequence[Refused], before: float) -> None:
        """Add some; forget those from `before`, and the oldest of too many."""

        def written(database: sqlite3.Connection) -> None:
            with database:
                rows = [_row(each) for each in refused]
                database.executemany(_INSERT, rows)
                database.execute(
                    "DELETE FROM refusal WHERE id <= (SELECT coalesce(max(id), 0) - ?"
                    " FROM refusal)",
                    (ROWS,),
                )
                database.execute(
                    "DELETE FROM refusal WHERE id < coalesce((SELECT id FROM refusal"
                    " WHERE until >= ? ORDER BY id LIMIT 1), 0)",
                    (before,),
                )

        self._use(written)

    def find(self, sought: Sought, limit: int = 100) -> list[Refused]:
        """The latest that fit, the latest first."""
        where, values = _conditions(sought)
        if not os.path.exists(self._path):
            return []

        def found(database: sqlite3.Connection) -> list[Any]:
            return database.execute(
                f"SELECT {', '.join(_FIELDS)} FROM refusal {where} ORDER BY id DESC LIMIT ?",
                (*values, limit),
            ).fetchall()

        return [_made(row) for row in self._use(found)]

    def _use(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """The result of work on the database; one that is none is set aside first."""
        try:
            with translated(self._path):
                return self._once(work)
        except Unreadable:
            set_aside(self._path, ".bad")
        with translated(self._path):
            return self._once(work)

    def _once(self, work: Callable[[sqlite3.Connection], T]) -> T:
        database = self._connect(self._path, timeout=PATIENCE)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.executescript(_SCHEMA)
            os.chmod(self._path, 0o600)
            return work(database)
        finally:
            database.close()


def _conditions(sought: Sought) -> tuple[str, list[Any]]:
    given = {
        "sender=?": sought.sender,
        "recipient=?": sought.recipient,
        "account=?": sought.account,
        "address=?": sought.client,
        "until>=?": sought.since or None,
    }
    wanted = {key: each for key, each in given.items() if each is not None}
    where = f"WHERE {' AND '.join(wanted)}" if wanted else ""
    return where, list(wanted.values())


def _row(refused: Refused) -> tuple[Any, ...]:
    """As a table takes it: a client may have said octets that are no UTF-8."""
    values = _VALUES(refused)
    return tuple(
        it.encode("utf-8", "replace").decode() if isinstance(it, str) else it for it in values
    )


def _made(row: Sequence[Any]) -> Refused:
    refused = Refused(*row)
    return replace(refused, alike=bool(refused.alike))
