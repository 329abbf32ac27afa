"""Sockets in deep directories."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from mailhub.config.longpath import LIMIT, short


def test_short() -> None:
    """A path that fits stays as it is, whether its directory exists or not."""
    with short("/nowhere/control") as path:
        assert path == "/nowhere/control"


def test_long(tmp_path: Path) -> None:
    """Whoever binds and whoever connects meet at a path that no address has room for."""
    deep = tmp_path / ("d" * LIMIT) / ("e" * LIMIT)
    deep.mkdir(parents=True)
    path = str(deep / "control")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        with short(path) as address:
            assert len(address) <= LIMIT
            server.bind(address)
            server.listen()
        assert os.path.exists(path)
        with short(path) as address:
            client.connect(address)


def test_descriptors(tmp_path: Path) -> None:
    """The directory's descriptor is closed again."""
    before = len(os.listdir("/proc/self/fd"))
    with short(f"{tmp_path}/{'./' * LIMIT}control"):
        assert len(os.listdir("/proc/self/fd")) == before + 1
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_directory(tmp_path: Path) -> None:
    """A directory that is not there is an error of its own."""
    with pytest.raises(FileNotFoundError), short(str(tmp_path / ("x" * LIMIT) / "control")):
        pass
