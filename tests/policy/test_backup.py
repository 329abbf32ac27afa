"""Domains that are backed up."""

from __future__ import annotations

from mailhub.mail.address import Path
from mailhub.policy.backup import Backup, backing

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
