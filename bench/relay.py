"""Where relayed mail ends: Postfix's smtp-sink, next door or behind a line with a long delay.

Or a sink of ours, which takes chunks (`bench.chunksink`).
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import os
import selectors
import shutil
import socket
import subprocess
import sys
import threading
import time
from typing import Self

from bench.peers import free_port, wait_for
from bench.postfix import search_path

ROUND_TRIP = 0.1
"""Seconds to a sink that is far away, and back."""


class Sink:
    """A sink on a port, until it has taken so many messages: ours if it takes `chunks`."""

    def __init__(self, port: int, messages: int, *, chunks: bool = False) -> None:
        self.port = port
        self._messages = messages
        self._chunks = chunks
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command())
        wait_for(self.port, b"220")
        return self

    def _command(self) -> list[str]:
        if self._chunks:
            ours = [sys.executable, "-m", "bench.chunksink"]
            return [*ours, str(self.port), str(self._messages)]
        program = shutil.which("smtp-sink", path=search_path())
        assert program
        # Whoever asks whether it is up is no message of those counted.
        command = [program, "-M", str(self._messages), "-m", "1000"]
        if os.geteuid() == 0:
            command += ["-u", "nobody"]  # it does not run as root
        return [*command, f"127.0.0.1:{self.port}", "1000"]

    def wait(self) -> None:
        """Until it has them all."""
        assert self._process is not None
        self._process.wait(300)

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()


class Line:
    """A line to a port of this machine on which each octet takes half of `ROUND_TRIP`.

    Attributes:
        port: Where it begins.
        connections: The most that were open at the same time.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.connections = 0
        self._listener = socket.create_server(("127.0.0.1", port), backlog=1000)
        self._target = target
        self._selector = selectors.DefaultSelector()
        self._later: list[tuple[float, int, socket.socket, bytes]] = []
        self._order = itertools.count()
        self._open: dict[socket.socket, socket.socket] = {}
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        for end in (self._listener, *self._open):
            end.close()

    def _run(self) -> None:
        while not self._over.is_set():
            wait = max(0.0, self._later[0][0] - time.monotonic()) if self._later else 0.05
            for key, _ in self._selector.select(min(wait, 0.05)):
                if key.fileobj is self._listener:
                    self._accept()
                else:
                    self._read(key.data)
            now = time.monotonic()
            while self._later and self._later[0][0] <= now:
                _, _, to, octets = heapq.heappop(self._later)
                self._deliver(to, octets)

    def _accept(self) -> None:
        near, _ = self._listener.accept()
        far = socket.create_connection(("127.0.0.1", self._target))
        for one, other in ((near, far), (far, near)):
            one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._open[one] = other
            self._selector.register(one, selectors.EVENT_READ, one)
        self.connections = max(self.connections, len(self._open) // 2)

    def _read(self, end: socket.socket) -> None:
        try:
            octets = end.recv(1 << 18)
        except OSError:
            octets = b""
        if not octets:
            self._selector.unregister(end)
        due = time.monotonic() + ROUND_TRIP / 2
        heapq.heappush(self._later, (due, next(self._order), self._open[end], octets))

    def _deliver(self, to: socket.socket, octets: bytes) -> None:
        with contextlib.suppress(OSError):
            if octets:
                to.sendall(octets)
            else:
                to.shutdown(socket.SHUT_WR)


class Far(Line):
    """A line with a sink behind it."""

    def __init__(self, port: int, messages: int, *, chunks: bool = False) -> None:
        self._sink = Sink(free_port(), messages, chunks=chunks)
        super().__init__(port, self._sink.port)

    def __enter__(self) -> Self:
        self._sink.__enter__()
        return super().__enter__()

    def wait(self) -> None:
        """Until the sink has all messages."""
        self._sink.wait()

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._sink.__exit__()
