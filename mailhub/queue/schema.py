"""The tables of the spool, version by version.

Two partial indexes hold what is pending and nothing else: by moment, to find
what is due without looking at the rest, and by domain, to find what is due for
one domain when its next hop has room again. Fresh local recipients are in
neither: they are filed at once, and found by a scan after a crash.
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- keeps the highest ever, see Spool.floor
        arrived REAL NOT NULL,
        size INTEGER NOT NULL,
        reverse_local TEXT NOT NULL,
        reverse_domain TEXT NOT NULL,
        body TEXT NOT NULL,
        ret TEXT,
        envid TEXT,
        utf8 INTEGER NOT NULL,
        require_tls INTEGER NOT NULL,
        announced INTEGER,
        address TEXT NOT NULL,
        helo TEXT NOT NULL,
        protocol TEXT NOT NULL,
        account TEXT NOT NULL,
        head BLOB NOT NULL,
        in_file INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE content (item INTEGER PRIMARY KEY, octets BLOB NOT NULL) STRICT;
    CREATE TABLE recipient (
        item INTEGER NOT NULL,
        number INTEGER NOT NULL,
        state INTEGER NOT NULL,
        due REAL NOT NULL,  -- of a settled one: the moment of it
        attempts INTEGER NOT NULL,
        warned INTEGER NOT NULL,
        local TEXT NOT NULL,
        domain TEXT NOT NULL,
        notify INTEGER,
        orcpt TEXT,
        account INTEGER,
        mailbox TEXT,
        reply TEXT,
        host TEXT,
        why TEXT,
        PRIMARY KEY (item, number)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX due ON recipient (due, domain) WHERE state = 0;
    CREATE INDEX destined ON recipient (domain, due) WHERE state = 0;
    CREATE INDEX held ON recipient (domain) WHERE state = 1;
    CREATE TABLE attempt (
        id INTEGER PRIMARY KEY,
        item INTEGER NOT NULL,
        numbers TEXT NOT NULL,
        started REAL NOT NULL,
        ended REAL NOT NULL,
        host TEXT NOT NULL,
        address TEXT NOT NULL,
        port INTEGER NOT NULL,
        tls TEXT NOT NULL,
        certificate TEXT NOT NULL,
        reused INTEGER NOT NULL,
        stage TEXT NOT NULL,
        reply TEXT NOT NULL,
        in_doubt INTEGER NOT NULL
    ) STRICT;
    CREATE INDEX attempted ON attempt (item);
    """,
    """
    CREATE TABLE promise (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- the number of the queue id in its file's name
        account INTEGER NOT NULL,
        mailbox TEXT NOT NULL,
        flags TEXT NOT NULL,  -- separated by blanks
        date REAL NOT NULL,
        octets BLOB NOT NULL
    ) STRICT;
    """,
)
"""Each brings the database one version up; `PRAGMA user_version` counts those done."""
