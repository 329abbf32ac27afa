"""Limits and what a site says of itself."""

from __future__ import annotations

import ipaddress

from mailhub.smtp.limits import LINE_MINIMUM, RECIPIENTS_MINIMUM, TEXT_MINIMUM, Limits, Site


def test_defaults() -> None:
    """No default is below what everybody may count on (RFC 5321 §4.5.3)."""
    limits = Limits()
    assert limits.command_line >= LINE_MINIMUM + 26 + 17 + 500 + 116 + 10
    assert limits.text_line >= TEXT_MINIMUM
    assert limits.recipients >= RECIPIENTS_MINIMUM
    assert limits.command_patience >= 300
    assert limits.content_patience >= 180
    assert limits.auth_line >= 12288


def test_normalises() -> None:
    """Only configured peers' line ends are mended."""
    site = Site("hub.example")
    assert not site.normalises("192.0.2.1")
    networks = (ipaddress.ip_network("192.0.2.0/28"), ipaddress.ip_network("2001:db8::/32"))
    site = Site("hub.example", normalise=networks)
    assert site.normalises("192.0.2.1")
    assert site.normalises("2001:db8::1")
    assert not site.normalises("192.0.2.100")
    assert not site.normalises("")
