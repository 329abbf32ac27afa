"""The tables of the spool, version by version.

What is pending is found in two steps, neither of which looks at what is not
due. `strand` has one row for all pending recipients of one flow (whose mail it
is, and of which class) to one domain, with the moment of the first of them: so
900,000 recipients of one domain that does not answer are one row to whoever
looks for the others. The index `waiting` holds the recipients themselves, in
the order of their moments within each strand. Fresh local recipients are in
neither: they are filed at once, and found by a scan after a crash.

What a person asks for is found by the same indexes, by that of held recipients, and by
that of senders (`queue.choosing`).

Whoever changes a pending recipient brings its strand up to date in the same
transaction (`queue.strands`).
"""

from __future__ import annotations

from typing import Final

MIGRATIONS: Final = (
    """
    CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE ceiling (number INTEGER NOT NULL) STRICT;  -- one row: see queue.ceiling
    INSERT INTO ceiling VALUES (0);
    CREATE TABLE flow (
        id INTEGER PRIMARY KEY,
        sender TEXT NOT NULL,
        name TEXT NOT NULL,
        priority INTEGER NOT NULL,
        UNIQUE (sender, name, priority)
    ) STRICT;
    CREATE TABLE item (
        id INTEGER PRIMARY KEY,  -- the number of its queue id
        arrived REAL NOT NULL,
        size INTEGER NOT NULL,
        reverse_local TEXT NOT NULL COLLATE NOCASE,
        reverse_domain TEXT NOT NULL,
        body TEXT NOT NULL,
        ret TEXT,
        envid TEXT,
        utf8 INTEGER NOT NULL,
        require_tls INTEGER NOT NULL,
        tls_optional INTEGER NOT NULL,
        announced INTEGER,
        release REAL,
        hold_for INTEGER,  -- seconds, if the release was asked for so
        by_seconds INTEGER,
        by_mode TEXT,
        priority INTEGER,
        address TEXT NOT NULL,
        helo TEXT NOT NULL,
        protocol TEXT NOT NULL,
        account TEXT NOT NULL,
        head BLOB NOT NULL,
        flow INTEGER NOT NULL,
        total INTEGER NOT NULL,  -- of its recipients
        in_file INTEGER NOT NULL,
        open INTEGER NOT NULL,  -- recipients that are not settled
        owed REAL  -- the moment when its sender is to be told what is owed, if something is
    ) STRICT;
    CREATE INDEX sender ON item (reverse_domain, reverse_local);
    CREATE INDEX owing ON item (owed) WHERE owed IS NOT NULL;
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
        flow INTEGER NOT NULL,  -- the item's
        notify INTEGER,
        orcpt TEXT,
        account INTEGER,
        mailbox TEXT,
        reply TEXT,
        host TEXT,
        why TEXT,
        cause TEXT,
        route TEXT,
        owed INTEGER NOT NULL DEFAULT 0,  -- its sender is still to be told
        PRIMARY KEY (item, number)
    ) STRICT, WITHOUT ROWID;
    -- The key's own columns stand in it so that addresses behind them are compared in it.
    CREATE INDEX waiting ON recipient (flow, domain, due, item, number, local) WHERE state = 0;
    CREATE INDEX held ON recipient (flow, domain, item, number, local) WHERE state = 1;
    CREATE TABLE strand (
        flow INTEGER NOT NULL,
        domain TEXT NOT NULL,
        due REAL NOT NULL,
        PRIMARY KEY (flow, domain)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX first ON strand (flow, due);
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
    CREATE TABLE used (  -- what was sent: see policy.allowance
        subject TEXT NOT NULL,
        slot INTEGER NOT NULL,
        messages INTEGER NOT NULL,
        recipients INTEGER NOT NULL,
        new INTEGER NOT NULL,
        PRIMARY KEY (subject, slot)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE acquaintance (  -- whom a subject has written to, and in which slot last
        subject TEXT NOT NULL,
        recipient INTEGER NOT NULL,
        slot INTEGER NOT NULL,
        PRIMARY KEY (subject, recipient)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE sent (  -- with a return path of ours: who is to hear if it comes back
        day INTEGER NOT NULL,  -- as the return path has it
        item INTEGER NOT NULL,
        number INTEGER NOT NULL,
        sender TEXT NOT NULL,
        recipient TEXT NOT NULL,
        notify INTEGER,
        orcpt TEXT,
        envid TEXT,
        returned INTEGER NOT NULL DEFAULT 0,  -- it has come back, and that is told
        PRIMARY KEY (day, item, number)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE promise (
        id INTEGER PRIMARY KEY,  -- the number of the queue id in its file's name
        account INTEGER NOT NULL,
        mailbox TEXT NOT NULL,
        flags TEXT NOT NULL,  -- separated by blanks
        date REAL NOT NULL,
        octets BLOB NOT NULL
    ) STRICT;
    """,
)
"""Each brings the database one version up; `PRAGMA user_version` counts those done."""
