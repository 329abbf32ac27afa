"""How aliases are shown; spelling is tested with the database."""

from __future__ import annotations

from mailhub.accounts.record import shown
from mailhub.mail.address import Path


def test_shown() -> None:
    """A catch-all, which has no local part, is called one."""
    assert shown(Path("a", "xn--bcher-kva.example")) == "a@bücher.example"
    assert shown(Path("", "xn--bcher-kva.example")) == "the catch-all of bücher.example"
