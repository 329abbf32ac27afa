"""The store's refusals in IMAP's words."""

from __future__ import annotations

from mailhub.imap.fault import to_target, worded
from mailhub.ports.store import StoreFault, StoreRefused


def test_codes() -> None:
    """Each fault is its own response code; a missing target may be created."""
    for fault in StoreFault:
        assert worded(StoreRefused(fault, "x")).code == fault.value
    assert to_target(StoreRefused(StoreFault.NONEXISTENT, "x")).code == "TRYCREATE"
    assert to_target(StoreRefused(StoreFault.OVER_QUOTA, "x")).code == "OVERQUOTA"
