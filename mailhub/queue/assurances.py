"""What was learnt of the TLS of other domains, kept over restarts: policies, and who offers TLS.

One SQLite database beside the spool, of which no mail depends: one that cannot be
read is set aside, and a new one begun.

Used by the event loop's thread: rows are few and small, and nothing is synced.
"""

from __future__ import annotations

import errno
import json
import os
import sqlite3
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Final

from mailhub.policy.backup import Known
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.policy.tlsrpt import Fault, Kind, Session
from mailhub.queue.database import Connect, Unreadable, set_aside, translated
from mailhub.queue.rows import printable

DATABASE: Final = "assurances.db"
ASIDE: Final = ".corrupt"
"""Behind the name of a database that could not be read."""
VERSION: Final = 2
POLICIES: Final = 100_000
"""Policies kept; the oldest go."""
HOSTS: Final = 200_000
"""Hosts remembered to have offered TLS; those not seen for longest go."""
RECIPIENTS: Final = 100_000
"""Recipients of backed-up domains of whom it is kept whether they exist; the oldest go."""
KINDS: Final = 200
"""Kinds of connection to one domain that are told apart in a day."""
TRIM_EVERY: Final = 1000
"""Writes after which it is seen whether there are too many rows."""
_PRAGMAS: Final = ("journal_mode=WAL", "synchronous=NORMAL")
_SCHEMA: Final = """
    CREATE TABLE sts (
        domain TEXT PRIMARY KEY,
        id TEXT NOT NULL,
        mode TEXT NOT NULL,
        mx TEXT NOT NULL,  -- separated by spaces
        max_age INTEGER NOT NULL,
        fetched REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX sts_age ON sts (fetched);
    CREATE TABLE offered (
        host TEXT PRIMARY KEY,
        seen REAL NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX offered_age ON offered (seen);
    CREATE TABLE recipient (
        path TEXT PRIMARY KEY,
        found INTEGER NOT NULL,
        at REAL NOT NULL,
        reply TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX recipient_age ON recipient (at);
    CREATE TABLE session (
        day INTEGER NOT NULL,  -- since the epoch
        domain TEXT NOT NULL,
        kind TEXT NOT NULL,  -- JSON
        count INTEGER NOT NULL,
        PRIMARY KEY (day, domain, kind)
    ) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Kept:
    """A policy, as it was fetched.

    Attributes:
        id: Of the record that announced it.
        fetched: Seconds since the epoch.
    """

    id: str
    policy: StsPolicy
    fetched: float

    def holds(self, now: float) -> bool:
        """Whether it has not expired (RFC 8461 §5.1)."""
        return now < self.fetched + self.policy.max_age


class Assurances:
    """The database in a directory.

    Args:
        log: Takes a line for the operator.
        begin: Make the database if it is not there, or cannot be read.

    Raises:
        OSError: From every method: the disk said no.
    """

    def __init__(
        self,
        directory: str,
        log: Callable[[str], None],
        connect: Connect = sqlite3.connect,
        *,
        begin: bool = True,
    ) -> None:
        self._path = f"{directory}/{DATABASE}"
        self._connect = connect
        self._writes = 0
        if not begin and not os.path.exists(self._path):
            raise FileNotFoundError(errno.ENOENT, "nothing is known of others", self._path)
        os.makedirs(directory, 0o700, exist_ok=True)
        try:
            self._db = self._opened()
        except Unreadable as error:
            if not begin:
                raise
            log(f"{error.strerror}; set aside, a new one is begun")
            set_aside(self._path, ASIDE)
            self._db = self._opened()

    def _opened(self) -> sqlite3.Connection:
        with translated(self._path):
            return self._open()

    def _open(self) -> sqlite3.Connection:
        db = self._connect(self._path, isolation_level=None)
        try:
            for pragma in _PRAGMAS:
                db.execute(f"PRAGMA {pragma}").close()
            [version] = db.execute("PRAGMA user_version").fetchone()
            if version == 0:
                db.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
            elif version != VERSION:
                text = f"{DATABASE}: made by another mailhub (version {version})"
                raise Unreadable(errno.EINVAL, text, self._path)
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        """Let go of the file."""
        self._db.close()

    # ---- MTA-STS ---------------------------------------------------------------------------

    def policy(self, domain: str) -> Kept | None:
        """A domain's policy as it was last fetched, expired or not."""
        with translated(self._path):
            row = self._db.execute(
                "SELECT id, mode, mx, max_age, fetched FROM sts WHERE domain=?", (domain,)
            ).fetchone()
        if row is None:
            return None
        return Kept(row[0], StsPolicy(Mode(row[1]), tuple(row[2].split()), row[3]), row[4])

    def keep(self, domain: str, kept: Kept) -> None:
        """Remember a domain's policy in place of what was known."""
        policy = kept.policy
        row = (domain, kept.id, policy.mode.value, " ".join(policy.mx), policy.max_age)
        with translated(self._path):
            self._db.execute(
                "INSERT OR REPLACE INTO sts VALUES (?, ?, ?, ?, ?, ?)", (*row, kept.fetched)
            )
            self._trim()

    # ---- Who offers TLS --------------------------------------------------------------------

    def offered(self, host: str) -> float | None:
        """When a host was last seen to offer STARTTLS, in seconds since the epoch."""
        with translated(self._path):
            row = self._db.execute("SELECT seen FROM offered WHERE host=?", (host,)).fetchone()
        return None if row is None else float(row[0])

    def offers(self, host: str, now: float) -> None:
        """A host offers STARTTLS."""
        with translated(self._path):
            self._db.execute("INSERT OR REPLACE INTO offered VALUES (?, ?)", (host, now))
            self._trim()

    def forget(self, host: str) -> None:
        """Expect no TLS of a host any more."""
        with translated(self._path):
            self._db.execute("DELETE FROM offered WHERE host=?", (host,))

    # ---- Who exists in domains that we back up -----------------------------------------------

    def recipient(self, path: str) -> Known | None:
        """What was found out about a recipient last."""
        with translated(self._path):
            row = self._db.execute(
                "SELECT found, at, reply FROM recipient WHERE path=?", (path,)
            ).fetchone()
        return None if row is None else Known(bool(row[0]), row[1], row[2])

    def remember(self, path: str, known: Known) -> None:
        """This was found out about a recipient."""
        row = (path, known.exists, known.at, printable(known.reply))
        with translated(self._path):
            self._db.execute("INSERT OR REPLACE INTO recipient VALUES (?, ?, ?, ?)", row)
            self._trim()

    # ---- What came of connections --------------------------------------------------------------

    def count(self, day: int, session: Session) -> None:
        """There was a connection, on a day."""
        with translated(self._path):
            changed = self._db.execute(
                "UPDATE session SET count=count+1 WHERE day=? AND domain=? AND kind=?",
                (day, session.domain, _to_text(session)),
            ).rowcount
            if not changed:
                self._db.execute(
                    "INSERT INTO session SELECT ?1, ?2, ?3, 1 WHERE"
                    " (SELECT count(*) FROM session WHERE day=?1 AND domain=?2) < ?4",
                    (day, session.domain, _to_text(session), KINDS),
                )

    def reportable(self, before: int) -> list[tuple[int, str]]:
        """Days that have ended, and the domains to which there were connections on them."""
        with translated(self._path):
            rows = self._db.execute(
                "SELECT DISTINCT day, domain FROM session WHERE day<? ORDER BY day, domain",
                (before,),
            ).fetchall()
        return [(day, domain) for day, domain in rows]

    def counted(self, day: int, domain: str) -> dict[Session, int]:
        """How many connections of each kind there were."""
        with translated(self._path):
            rows = self._db.execute(
                "SELECT kind, count FROM session WHERE day=? AND domain=?", (day, domain)
            ).fetchall()
        return {_from_text(domain, kind): count for kind, count in rows}

    def reported(self, day: int, domain: str) -> None:
        """They have been reported, or never will be."""
        with translated(self._path):
            self._db.execute("DELETE FROM session WHERE day=? AND domain=?", (day, domain))

    def _trim(self) -> None:
        """Now and then, let the oldest rows go where there are too many."""
        self._writes += 1
        if self._writes % TRIM_EVERY:
            return
        for table, name, age, most in (
            ("sts", "domain", "fetched", POLICIES),
            ("offered", "host", "seen", HOSTS),
            ("recipient", "path", "at", RECIPIENTS),
        ):
            self._db.execute(
                f"DELETE FROM {table} WHERE {name} IN (SELECT {name} FROM {table} ORDER BY {age}"  # noqa: S608
                f" LIMIT max(0, (SELECT count(*) FROM {table}) - ?))",
                (most,),
            )


def _to_text(session: Session) -> str:
    kind = asdict(session)
    del kind["domain"]
    kind |= {"kind": session.kind.value, "fault": session.fault and session.fault.value}
    return json.dumps(kind, sort_keys=True, separators=(",", ":"))


def _from_text(domain: str, text: str) -> Session:
    kind = json.loads(text)
    kind |= {
        "kind": Kind(kind["kind"]),
        "fault": kind["fault"] and Fault(kind["fault"]),
        "lines": tuple(kind["lines"]),
        "patterns": tuple(kind["patterns"]),
    }
    return Session(domain, **kind)
