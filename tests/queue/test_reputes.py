"""How we stand with providers survives a restart."""

from __future__ import annotations

import math
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from mailhub.policy.pace import Pace, sent
from mailhub.policy.repute import Repute, suspend
from mailhub.queue.reputes import NAME, Reputes, from_text, to_text

FULL = replace(
    suspend(Repute(), math.inf, "moving"),
    pace=sent(Pace(rate=3.5, top=7.0), 1_700_000_000.0),
    detour=9.0,
    reply="421 4.7.0 Später",
    taken=3,
)


def test_text() -> None:
    """What is written is read again, whole."""
    assert from_text(to_text(FULL)) == FULL
    assert from_text(to_text(Repute())) == Repute()


@pytest.mark.parametrize("text", ["", "null", "[]", "{}", '{"pace": {}}', '{"pace": 3, "x": 1}'])
def test_other_text(text: str) -> None:
    """What is something else is nothing."""
    assert from_text(text) is None


def test_database(tmp_path: Path) -> None:
    """Some are changed, some forgotten, the others stay."""
    reputes = Reputes(str(tmp_path))
    assert reputes.load() == {}
    reputes.save({("google", ""): FULL, ("yahoo", "one"): Repute(), ("x", ""): Repute()})
    reputes.save({("yahoo", "one"): FULL}, [("x", ""), ("nobody", "")])
    assert Reputes(str(tmp_path)).load() == {("google", ""): FULL, ("yahoo", "one"): FULL}
    assert (tmp_path / NAME).stat().st_mode & 0o077 == 0


def test_unknown_rows(tmp_path: Path) -> None:
    """A row of another version is left out."""
    reputes = Reputes(str(tmp_path))
    reputes.save({("google", ""): FULL})
    with sqlite3.connect(tmp_path / NAME) as database:
        database.execute("INSERT INTO repute VALUES ('x', '', 'future')")
    assert list(reputes.load()) == [("google", "")]


def test_bad_disk(tmp_path: Path) -> None:
    """What the disk refuses is an OSError."""
    with pytest.raises(OSError, match="unable to open"):
        Reputes(str(tmp_path / "nowhere")).save({("a", ""): FULL})


def test_bad_file(tmp_path: Path) -> None:
    """A file that is none of ours is set aside, and a new one begun."""
    (tmp_path / NAME).write_bytes(b"not a database" * 100)
    reputes = Reputes(str(tmp_path))
    assert reputes.load() == {}
    assert (tmp_path / f"{NAME}.bad").exists()
    reputes.save({("a", ""): FULL})
    assert reputes.load() == {("a", ""): FULL}
