"""The operating system's calls, in one replaceable place."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mailhub.store import files
from mailhub.store.files import Files


class TestFiles:
    def test_syncfs(self, tmp_path: Path) -> None:
        """A file system can be made durable as a whole, where the system knows how."""
        descriptor = os.open(tmp_path, os.O_RDONLY)
        assert Files().syncfs(descriptor) == (files._SYNCFS is not None)
        os.close(descriptor)

    @pytest.mark.skipif(files._SYNCFS is None, reason="no syncfs(2) here")
    def test_syncfs_tells_of_errors(self) -> None:
        """An error of the system is an OSError, never silence."""
        with pytest.raises(OSError, match="descriptor"):
            Files().syncfs(-1)

    def test_without_syncfs(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where there is no syncfs(2) the caller is told so."""
        monkeypatch.setattr(files, "_SYNCFS", None)
        descriptor = os.open(tmp_path, os.O_RDONLY)
        assert not Files().syncfs(descriptor)
        os.close(descriptor)

    def test_finds_no_syncfs(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """A C library without it is no error."""
        monkeypatch.setattr("ctypes.CDLL", lambda *_, **__: object())
        assert files._find_syncfs() is None
