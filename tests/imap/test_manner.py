"""How a client wants to be told."""

from __future__ import annotations

from mailhub.imap.manner import PLAIN, Manner


def test_plain() -> None:
    """A client that has enabled nothing hears what RFC 3501 knows, and no more."""
    assert Manner(modseqs=False, vanished=False, uid_only=False, recent=True) == PLAIN
