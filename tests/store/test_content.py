"""Content as sessions get it."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.ports.message import Content
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.content import LargeContent, ReadCache, WholeContent
from mailhub.store.limits import Limits
from tests.rig import InlineDisk, run
from tests.store.test_reading import large
from tests.store.world import FailingFiles, Hub


def test_whole() -> None:
    """Any part of what is in memory."""
    content: Content = WholeContent(b"0123456789")
    assert content.size == 10
    assert run(content.read()) == b"0123456789"
    assert run(content.read(3)) == b"3456789"
    assert run(content.read(3, 2)) == b"34"
    assert run(content.read(0, 4)) == b"0123"
    assert run(content.read(50, 4)) == b""
    content.close()


def test_large(tmp_path: Path) -> None:
    """Any part of a file."""
    content: Content = LargeContent(InlineDisk(), large(tmp_path / "x", b"0123456789"))
    assert content.size == 10
    assert run(content.read()) == b"0123456789"
    assert run(content.read(8, 5)) == b"89"
    content.close()


def test_error(tmp_path: Path) -> None:
    """A disk that fails is SERVERBUG."""
    hub = Hub(tmp_path, files=(files := FailingFiles()), limits=Limits(read_whole=10))
    hub.append(b"x" * 50)
    content = run(hub.open().content(1))
    assert content is not None
    files.arm(0)
    with pytest.raises(StoreRefused) as refused:
        run(content.read())
    assert refused.value.fault is StoreFault.SERVER_BUG
    files.disarm()
    content.close()


class TestCache:
    def test_oldest_go_first(self) -> None:
        """What is kept stays within the limit."""
        cache = ReadCache(10)
        cache.put(1, {1: b"aaaa", 2: b"bbbb"})
        cache.put(1, {1: b"cccc", 3: b"dddd"})
        assert cache.get(1, 2) is None
        assert cache.get(1, 1) == b"cccc"
        assert cache.get(1, 3) == b"dddd"
        assert cache.get(2, 3) is None

    def test_serials(self) -> None:
        """No two mailboxes share a place, however long the process runs."""
        cache = ReadCache(1)
        assert cache.serial() != cache.serial()
