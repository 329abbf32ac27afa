"""The client's half of the control socket, against a socket that answers."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Thread

import pytest

from mailhub.cli.control import ask, wake


@dataclass
class Hub:
    """A socket that answers once."""

    path: str
    answer: bytes = b'{"ok": true, "n": 1}\n'
    heard: bytes = b""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    directory = tmp_path / ("long" * 30)
    directory.mkdir()
    hub = Hub(str(directory / "control"))
    where = os.open(directory, os.O_RDONLY)
    with closing(socket.socket(socket.AF_UNIX)) as server:
        server.bind(f"/proc/self/fd/{where}/control")
        server.listen()

        def serve() -> None:
            with suppress(OSError):
                connection, _ = server.accept()
                with connection:
                    hub.heard = connection.recv(1000)
                    connection.sendall(hub.answer)

        Thread(target=serve, daemon=True).start()
        yield hub
    os.close(where)


def test_ask(hub: Hub) -> None:
    """One line of JSON goes, and one comes, however long the socket's path is."""
    assert ask(hub.path, {"do": "wake"}) == {"ok": True, "n": 1}
    assert hub.heard == b'{"do": "wake"}\n'


@pytest.mark.parametrize("answer", [b"", b"nonsense\n", b"[1]\n", b'{"cut'])
def test_nonsense(hub: Hub, answer: bytes) -> None:
    """An answer that is none counts as no hub."""
    hub.answer = answer
    assert ask(hub.path, {"do": "wake"}) is None


def test_no_hub(tmp_path: Path) -> None:
    """Where no hub listens, nobody is told, and that is all."""
    assert not wake(str(tmp_path / "control"))
    assert not wake(str(tmp_path / ("x" * 120) / "control"))
