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
