"""Keys of the hub: what may not be set too low."""

from __future__ import annotations

import pytest

from mailhub.config.load import parse


@pytest.mark.parametrize(
    ("section", "setting"),
    [
        ("auth", "scram iterations = 4095"),
        ("auth", "hash memory = 7K"),
        ("limits", "connections = 0"),
        ("tls", "minimum version = 1.1"),
        ("addresses", "literals = [192.0.2.1]"),
    ],
)
def test_too_little(section: str, setting: str) -> None:
    """SCRAM wants 4096 iterations (RFC 7677 §4), TLS 1.1 is history (RFC 8996 §5)."""
    [mistake] = parse(f"[hub]\nhostname = hub.example\n[{section}]\n{setting}\n")[1]
    assert mistake.text.startswith("expected ")
