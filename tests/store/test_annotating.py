"""Who may see and change annotations (RFC 5464 §3.3); values are tried in test_reach."""

from __future__ import annotations

from pathlib import Path as FilePath

import pytest

from mailhub.ports.store import StoreFault, StoreRefused
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


def test_modseq(tmp_path: FilePath) -> None:
    """The mailbox's highest MODSEQ grows, whether anybody has it open or not (RFC 7162 §3.2)."""
    hub = Hub(tmp_path)
    before = run(hub.ann.status("Sent")).highest_modseq
    run(hub.ann.set_metadata("Sent", {"/private/a": b"x"}))
    mailbox = run(hub.ann.open("Sent"))
    assert mailbox.highest_modseq == before + 1
    run(hub.ann.set_metadata("Sent", {"/private/a": None}))
    assert mailbox.highest_modseq == run(hub.ann.status("Sent")).highest_modseq == before + 2


def test_visitors_file(tmp_path: FilePath) -> None:
    """What visitors keep for themselves is apart, and all of a command is kept or none."""
    hub = Hub(tmp_path)
    run(hub.ann.set_acl("Sent", "bob", "lrw"))
    both: dict[str, bytes | None] = {"/shared/a": b"all", "/private/a": b"his"}
    run(hub.bob.set_metadata(f"{ANNS}/Sent", both))
    assert run(hub.bob.metadata(f"{ANNS}/Sent")) == both
    assert run(hub.ann.metadata("Sent")) == {"/shared/a": b"all"}
    maildir = tmp_path / "mail/hub.example/ann/.Sent"
    found = sorted(path.name for path in maildir.glob("mailhub-metadata*"))
    assert found == ["mailhub-metadata", "mailhub-metadata.bob@hub.example"]
    many: dict[str, bytes | None] = {f"/private/{number}": b"x" for number in range(101)}
    with pytest.raises(StoreRefused):
        run(hub.bob.set_metadata(f"{ANNS}/Sent", {"/shared/a": None, **many}))
    assert run(hub.bob.metadata(f"{ANNS}/Sent")) == both
