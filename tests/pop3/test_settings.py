"""The limits of POP3."""

from __future__ import annotations

from mailhub.pop3.settings import Limits, Site


def test_defaults() -> None:
    """The RFCs' minima are kept: ten minutes (RFC 1939 §3), 255 octets (RFC 2449 §4)."""
    limits = Limits()
    assert limits.patience >= 600
    assert limits.line >= 255
    assert limits.auth_line >= limits.line


def test_nothing_is_offered_unasked() -> None:
    """A listener offers TLS and takes passwords in the clear only if told so."""
    site = Site("hub.example")
    assert not site.tls
    assert not site.plaintext_on_loopback
