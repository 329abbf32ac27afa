"""What was learnt of other domains' TLS outlives a restart."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from mailhub.policy.backup import Known
from mailhub.policy.sts import Mode, StsPolicy
from mailhub.queue import assurances
from mailhub.queue.assurances import ASIDE, DATABASE, Assurances, Kept
from tests.queue import given

POLICY = StsPolicy(Mode.ENFORCE, ("mx.far.example", "*.far.example"), 1000)
KEPT = Kept("20260101", POLICY, 5000.0)


@pytest.fixture
def told() -> list[str]:
    return []


@pytest.fixture
def kept(tmp_path: Path, told: list[str]) -> Iterator[Assurances]:
    made = Assurances(str(tmp_path), told.append)
    yield made
    made.close()


def test_policy(kept: Assurances, tmp_path: Path, told: list[str]) -> None:
    """A policy is what it was, and another takes its place."""
    assert kept.policy("far.example") is None
    kept.keep("far.example", KEPT)
    again = Assurances(str(tmp_path), told.append)
    assert again.policy("far.example") == KEPT
    newer = Kept("20260202", StsPolicy(Mode.NONE, (), 5), 6000.0)
    again.keep("far.example", newer)
    assert kept.policy("far.example") == newer
    again.close()


def test_expiry() -> None:
    """A policy holds for its age, from when it was fetched."""
    assert KEPT.holds(5999.0)
    assert not KEPT.holds(6000.0)


def test_offers(kept: Assurances) -> None:
    """What a host offered is remembered, and can be forgotten."""
    assert kept.offered("mx.far.example") is None
    kept.offers("mx.far.example", 7.0)
    kept.offers("mx.far.example", 9.0)
    assert kept.offered("mx.far.example") == 9.0
    kept.forget("mx.far.example")
    assert kept.offered("mx.far.example") is None


def test_bounded(kept: Assurances, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest go where there are too many."""
    monkeypatch.setattr(assurances, "TRIM_EVERY", 10)
    monkeypatch.setattr(assurances, "HOSTS", 5)
    for number in range(20):
        kept.offers(f"mx{number}.example", float(number))
    assert [n for n in range(20) if kept.offered(f"mx{n}.example")] == [15, 16, 17, 18, 19]


def test_each_is_bounded(kept: Assurances, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whichever table was written when it is looked, all of them are looked at."""
    monkeypatch.setattr(assurances, "TRIM_EVERY", 10)
    monkeypatch.setattr(assurances, "RECIPIENTS", 5)
    for number in range(20):  # every second write, and so each tenth, is of a host
        kept.remember(f"{number}@b.example", Known(True, float(number)))
        kept.offers("mx.example", float(number))
    left = [n for n in range(20) if kept.recipient(f"{n}@b.example") is not None]
    assert left == [15, 16, 17, 18, 19]


def test_a_disk_that_fails(tmp_path: Path, told: list[str]) -> None:
    """What cannot be read for the disk's sake is not set aside: it is as good as it was."""
    with closing(Assurances(str(tmp_path), told.append)) as made:
        made.keep("far.example", KEPT)

    def connect(*args: Any, **options: Any) -> sqlite3.Connection:
        raise given.sqlite_error(sqlite3.SQLITE_CANTOPEN, "unable to open")

    with pytest.raises(OSError, match="unable"):
        Assurances(str(tmp_path), told.append, connect)
    with closing(Assurances(str(tmp_path), told.append)) as made:
        assert made.policy("far.example") == KEPT
    assert told == []


@pytest.mark.parametrize("damage", [b"no database at all" * 100, b""])
def test_damaged(tmp_path: Path, told: list[str], damage: bytes) -> None:
    """A file that is no database is set aside, and told of; an empty one is a new one."""
    (tmp_path / DATABASE).write_bytes(damage)
    made = Assurances(str(tmp_path), told.append)
    made.keep("far.example", KEPT)
    assert made.policy("far.example") == KEPT
    assert (tmp_path / (DATABASE + ASIDE)).exists() is bool(damage)
    assert bool(told) is bool(damage)
    made.close()


def test_of_another_version(tmp_path: Path, told: list[str]) -> None:
    """So is one that another mailhub made."""
    made = Assurances(str(tmp_path), told.append)
    made._db.execute("PRAGMA user_version=99")
    made.close()
    Assurances(str(tmp_path), told.append).close()
    assert "version 99" in told[0]


def test_who_exists(tmp_path: Path) -> None:
    """What was found out about a recipient is kept, and changed."""
    with closing(Assurances(str(tmp_path), print)) as kept:
        assert kept.recipient("a@b.example") is None
        kept.remember("a@b.example", Known(False, 5.0, "550 No \udcff"))
        kept.remember("c@b.example", Known(True, 6.0))
    with closing(Assurances(str(tmp_path), print)) as kept:
        assert kept.recipient("a@b.example") == Known(False, 5.0, "550 No ?")
        kept.remember("a@b.example", Known(True, 7.0))
        assert kept.recipient("a@b.example") == Known(True, 7.0)
