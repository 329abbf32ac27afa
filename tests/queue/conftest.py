"""A spool for the queue's tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mailhub.queue.spool import Spool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    """One that is empty."""
    made = Spool(str(tmp_path))
    yield made
    made.close()
