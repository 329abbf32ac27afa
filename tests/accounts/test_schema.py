"""The tables are made once, whoever comes first."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from mailhub.accounts import schema


def test_two_at_once(tmp_path: Path) -> None:
    """One who finds an empty file, and then is second, makes nothing."""
    first = sqlite3.connect(tmp_path / "db", isolation_level=None)
    second = sqlite3.connect(tmp_path / "db", isolation_level=None)

    def overtaken(number: int) -> bytes:
        return bytes(number)

    assert schema.make(first, overtaken) == schema.VERSION
    assert schema.make(second, overtaken) == schema.VERSION
    assert second.execute("SELECT count(*) FROM pepper").fetchone() == (1,)
    first.close()
    second.close()


def test_older(tmp_path: Path) -> None:
    """A file of version 1 gets what it lacks, and keeps all it has."""
    db = sqlite3.connect(tmp_path / "db", isolation_level=None)
    for statement in schema._SCHEMA.split(";\n"):
        db.execute(statement)
    db.execute("INSERT INTO pepper VALUES (x'01')")
    db.execute("INSERT INTO domain (name) VALUES ('hub.example')")
    db.execute(
        "INSERT INTO account (key, local, domain, maildir, hash, salt, iterations, stored_key,"
        " server_key) VALUES ('a@hub.example', 'a', 'hub.example', 'm', 'h', '', 1, '', '')"
    )
    db.execute("PRAGMA user_version = 1")
    assert schema.make(db, bytes) == schema.VERSION
    assert db.execute("SELECT key, quota_mailboxes, admin FROM account").fetchall() == [
        ("a@hub.example", 0, 0)
    ]
    assert db.execute("SELECT count(*) FROM pepper").fetchone() == (1,)
    fresh = sqlite3.connect(tmp_path / "fresh", isolation_level=None)
    schema.make(fresh, bytes)
    tables = "SELECT sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
    assert db.execute(tables).fetchall() == fresh.execute(tables).fetchall()
