"""The tables of the accounts database, and its version."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Final

VERSION: Final = 2
"""``PRAGMA user_version`` of what `make` makes."""
PEPPER_OCTETS: Final = 32
"""Octets of the key that unknown users' SCRAM keys are made from."""

_SCHEMA: Final = """
CREATE TABLE domain (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL DEFAULT 1,
    postmaster TEXT
);
CREATE TABLE account (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    local TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domain (name),
    maildir TEXT NOT NULL UNIQUE,
    enabled INTEGER NOT NULL DEFAULT 1,
    quota_octets INTEGER NOT NULL DEFAULT 0,
    quota_messages INTEGER NOT NULL DEFAULT 0,
    version INTEGER NOT NULL DEFAULT 1,
    hash TEXT NOT NULL,
    salt BLOB NOT NULL,
    iterations INTEGER NOT NULL,
    stored_key BLOB NOT NULL,
    server_key BLOB NOT NULL
);
CREATE TABLE alias (
    id INTEGER PRIMARY KEY,
    key TEXT NOT NULL,
    local TEXT NOT NULL,
    domain TEXT NOT NULL REFERENCES domain (name),
    target_key TEXT NOT NULL,
    target TEXT NOT NULL,
    UNIQUE (key, target_key)
);
CREATE TABLE retired (maildir TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE pepper (value BLOB NOT NULL)
"""
_SINCE_1: Final = """
ALTER TABLE account ADD COLUMN quota_mailboxes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE account ADD COLUMN admin INTEGER NOT NULL DEFAULT 0;
CREATE TABLE team (name TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE member (
    team TEXT NOT NULL REFERENCES team (name) ON DELETE CASCADE,
    account INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    PRIMARY KEY (account, team)
) WITHOUT ROWID;
CREATE TABLE share (
    identifier TEXT NOT NULL,
    owner INTEGER NOT NULL REFERENCES account (id) ON DELETE CASCADE,
    PRIMARY KEY (identifier, owner)
) WITHOUT ROWID
"""
_STEPS: Final = (_SCHEMA, _SINCE_1)
"""What makes each version of the one before: the data is the truth, and is never thrown away."""


def make(db: sqlite3.Connection, entropy: Callable[[int], bytes]) -> int:
    """Make the tables, or what an older file lacks of them; the version that it has now.

    A file of a newer version is left as it is.

    Raises:
        sqlite3.Error: It is no database, or cannot be written.
    """
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA foreign_keys = ON")
    version = _version(db)
    if version >= VERSION:
        return version
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("BEGIN IMMEDIATE")
    try:
        version = _version(db)  # somebody else may have been quicker
        for step in _STEPS[version:]:
            for statement in step.split(";\n"):
                db.execute(statement)
        if not version:
            db.execute("INSERT INTO pepper VALUES (?)", (entropy(PEPPER_OCTETS),))
        if version < VERSION:
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise
    return _version(db)


def _version(db: sqlite3.Connection) -> int:
    [version] = db.execute("PRAGMA user_version").fetchone()
    return int(version)
