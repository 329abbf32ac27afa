"""Domains that are backed up."""

from __future__ import annotations

import pytest

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply
from mailhub.policy.backup import Backup, Known, absent, backing

ONE = Backup("one", ("a.example", "*.b.example"))


def test_whose_domain() -> None:
    """Only those that are named, and never all the world."""
    assert backing("a.example", [ONE]) is ONE
    assert backing("x.b.example", [ONE]) is ONE
    assert backing("c.example", [ONE]) is None
    assert backing("c.example", [Backup("all", ("*",))]) is None


def test_who_exists() -> None:
    """Everybody, as far as we know, or those on the list."""
    ann = Path("Ann", "a.example")
    assert ONE.has(ann)
    assert Backup("x", ("a.example",), frozenset({"ann@a.example"})).has(ann)
    assert not Backup("x", ("a.example",), frozenset({"bob@a.example"})).has(ann)


@pytest.mark.parametrize(
    ("code", "detail", "expected"),
    [
        (550, "1.1", True),
        (550, "", True),
        (550, "2.1", True),
        (550, "7.1", False),
        (554, "4.6", False),
        (450, "1.1", False),
        (250, "1.5", False),
    ],
)
def test_absent(code: int, detail: str, expected: bool) -> None:
    """Only what is said for good, and about the address, says that nobody is there."""
    assert absent(Reply(code, detail, ("x",))) is expected


def test_how_long_it_is_known() -> None:
    """One who exists is believed in for longer than one who does not."""
    there, gone = Known(True, 0.0), Known(False, 0.0)
    day = 86_400.0
    assert (there.fresh(6 * day), there.fresh(8 * day), there.holds(30 * day)) == (
        True,
        False,
        True,
    )
    assert (gone.fresh(3600.0), gone.fresh(day), gone.holds(day)) == (True, False, True)
    assert not there.holds(32 * day)
    assert not gone.holds(4 * day)
