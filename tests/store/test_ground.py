"""What the store stands on is one value, handed in."""

from __future__ import annotations

from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tests.store.world import Hub


def test_frozen(tmp_path: Path) -> None:
    """Nobody changes it behind another's back; each unique text is given once."""
    ground = Hub(tmp_path).ground
    with pytest.raises(FrozenInstanceError):
        ground.host = "other"  # type: ignore[misc]  # that is the point
    assert len({ground.unique() for _ in range(50)}) == 50
