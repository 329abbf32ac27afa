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


def test_no_names_of_files() -> None:
    """Of a fault of the disk a client hears what it was, and not where."""
    why = StoreRefused(StoreFault.SERVER_BUG, "Cannot store: [Errno 28] …: b'/var/mail/x'")
    why.__cause__ = OSError(28, "No space left on device", b"/var/mail/x")
    assert worded(why).text == "Cannot store: No space left on device"
    why.__cause__ = OSError("/var/mail/x: not understood")
    assert worded(why).text == "Cannot store: the disk said no"
