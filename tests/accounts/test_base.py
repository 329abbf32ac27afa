"""The file of the accounts: opened, or one line that says why not."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.accounts.base import Database
from mailhub.accounts.record import AccountsError


def test_not_a_database(tmp_path: Path) -> None:
    """Another program's file is left as it is."""
    file = tmp_path / "accounts.db"
    file.write_text("x" * 5000)
    with pytest.raises(AccountsError, match=r"accounts\.db: file is not a database"):
        Database(file)
    assert file.read_text() == "x" * 5000


def test_no_directory(tmp_path: Path) -> None:
    """A place that is not there is named."""
    with pytest.raises(AccountsError, match="No such file or directory"):
        Database(tmp_path / "nowhere" / "accounts.db")


def test_nothing_stays(tmp_path: Path) -> None:
    """A change that fails half-way leaves nothing."""

    def broken(database: Database) -> None:
        with database._change():
            database._db.execute("INSERT INTO team VALUES ('a')")
            raise RuntimeError

    with Database(tmp_path / "accounts.db") as database:
        with pytest.raises(RuntimeError):
            broken(database)
        assert database._one("SELECT count(*) FROM team") == 0
