"""The files that a configuration names (bad ones are in tests/config/bad)."""

from __future__ import annotations

from pathlib import Path

from mailhub.config.certificate import self_signed
from mailhub.config.files import unusable
from mailhub.config.load import filled
from mailhub.config.settings import Settings


def test_good_files(tmp_path: Path) -> None:
    """Files that can be used, and a state directory that is still to be made, are no mistakes."""
    files, _ = self_signed(str(tmp_path / "tls"), ["hub.example"], 1_700_000_000.0)
    settings = filled(
        Settings(), {"tls.certificates": (files,), "hub.state": str(tmp_path / "state")}
    )
    assert unusable(settings, {}) == []


def test_nothing_named() -> None:
    """Without certificates nothing is opened."""
    assert unusable(filled(Settings(), {"hub.state": "/"}), {}) == []
