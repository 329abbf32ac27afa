"""Limits: the defaults keep what the RFCs demand."""

from __future__ import annotations

from mailhub.imap.settings import Limits, Settings


def test_defaults() -> None:
    """RFC 7162 §4 wants lines of 8192 octets, RFC 3501 §5.4 half an hour of patience."""
    limits = Limits()
    assert limits.line >= limits.line_before_login >= 8192
    assert limits.patience >= 1800
    assert limits.idle_patience > 29 * 60


def test_identity() -> None:
    """ID tells our name, and no version unless the operator wants it."""
    assert dict(Settings("hub.example").identity) == {"name": "mailhub"}
