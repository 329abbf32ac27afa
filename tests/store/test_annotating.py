"""Who may see and change annotations (RFC 5464 §3.3); values are tried in test_reach."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from mailhub.ports import StoreFault, StoreRefused
from tests.rig import run
from tests.store.test_reach import ANNS, Hub


@pytest.mark.parametrize(
    ("rights", "read", "private", "shared"),
    [
        ("", "NONEXISTENT", "NONEXISTENT", "NONEXISTENT"),
        ("l", "NOPERM", "NOPERM", "NOPERM"),
        ("lk", "NOPERM", "NOPERM", "NOPERM"),
        ("r", "NONEXISTENT", "NONEXISTENT", "NONEXISTENT"),
        ("lr", "", "", "NOPERM"),
        ("lp", "", "", "NOPERM"),
        ("lw", "", "", ""),
    ],
)
def test_rights(tmp_path: FilePath, rights: str, read: str, private: str, shared: str) -> None:
    """Lookup and one of r, s, w, i, p for all of it; w for what others see."""
    hub = Hub(tmp_path)
    run(hub.ann.set_acl("Sent", "bob", rights))
    attempts = {
        read: hub.bob.metadata(f"{ANNS}/Sent"),
        private + " ": hub.bob.set_metadata(f"{ANNS}/Sent", {"/private/a": b"x"}),
        shared + "  ": hub.bob.set_metadata(f"{ANNS}/Sent", {"/shared/a": b"x"}),
    }
    for fault, attempt in attempts.items():
        if not fault.strip():
            run(attempt)
            continue
        with pytest.raises(StoreRefused) as caught:
            run(attempt)
        assert caught.value.fault.value == fault.strip()


def test_nowhere(tmp_path: FilePath) -> None:
    """A mailbox that is not there has none, one's own neither."""
    hub = Hub(tmp_path)
    for attempt in (
        hub.ann.metadata("Nowhere"),
        hub.ann.set_metadata("Nowhere", {"/private/a": b"x"}),
    ):
        with pytest.raises(StoreRefused) as caught:
            run(attempt)
        assert caught.value.fault is StoreFault.NONEXISTENT
