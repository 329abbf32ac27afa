"""How we stand with providers, on disk: so that a restart begins where the hub left off.

A cache that is worth keeping, and no more: a database that does not parse is set
aside, and a crash loses the last seconds of it. (Hence synchronous=NORMAL.)
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any, Final

from mailhub.policy.pace import Pace, Window
from mailhub.policy.repute import Repute
from mailhub.queue.database import Connect, Unreadable, set_aside, translated

NAME: Final = "providers.db"
"""The file in the state directory."""
PATIENCE: Final = 10.0
"""Seconds to wait for another process that writes."""

Key = tuple[str, str]
"""A provider's name, and a source's."""

_SCHEMA: Final = """
    CREATE TABLE IF NOT EXISTS repute (
        provider TEXT NOT NULL,
        source TEXT NOT NULL,
        state TEXT NOT NULL,
        PRIMARY KEY (provider, source)
    ) STRICT, WITHOUT ROWID
"""


class Reputes:
    """The database in a state directory; each call opens it anew, and any process may.

    Raises:
        OSError: From every method: the disk said no.
    """

    def __init__(self, state: str, connect: Connect = sqlite3.connect) -> None:
        self._path = os.path.join(state, NAME)
        self._connect = connect

    def load(self) -> dict[Key, Repute]:
        """All that is remembered; a file that is no database is set aside, and nothing is."""
        if not os.path.exists(self._path):
            return {}
        try:
            with translated(self._path):
                rows = self._rows()
        except Unreadable:
            set_aside(self._path, ".bad")
            return {}
        found = {(provider, source): from_text(text) for provider, source, text in rows}
        return {key: repute for key, repute in found.items() if repute is not None}

    def _rows(self) -> list[tuple[str, str, str]]:
        database = self._open()
        try:
            return database.execute("SELECT provider, source, state FROM repute").fetchall()
        finally:
            database.close()

    def save(self, changed: Mapping[Key, Repute], gone: Iterable[Key] = ()) -> None:
        """Remember some, and forget others, all or nothing."""
        with translated(self._path):
            database = self._open()
            try:
                with database:
                    database.executemany(
                        "INSERT OR REPLACE INTO repute VALUES (?, ?, ?)",
                        [(*key, to_text(repute)) for key, repute in changed.items()],
                    )
                    database.executemany(
                        "DELETE FROM repute WHERE provider = ? AND source = ?", list(gone)
                    )
            finally:
                database.close()

    def _open(self) -> sqlite3.Connection:
        database = self._connect(self._path, timeout=PATIENCE)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute("PRAGMA synchronous=NORMAL")
            database.execute(_SCHEMA)
            os.chmod(self._path, 0o600)
        except BaseException:
            database.close()
            raise
        return database


def to_text(repute: Repute) -> str:
    """How we stand, as text."""
    return json.dumps(asdict(repute), separators=(",", ":"))


def from_text(text: str) -> Repute | None:
    """What `to_text` wrote; None for anything else: another version's, most likely."""
    try:
        values: dict[str, Any] = json.loads(text)
        pace: dict[str, Any] = values.pop("pace")
        windows = {
            name: Window(pace[name]["last"], tuple(pace[name]["counts"]))
            for name in ("minute", "hour", "day")
        }
        return Repute(pace=Pace(**{**pace, **windows}), **values)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
