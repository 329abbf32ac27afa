"""Octets leave at once where nothing stands in their way, and in order in any case."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Connection
from twisted.internet.testing import StringTransport

from mailhub.net import writing
from mailhub.net.writing import write


class Wire(Connection):
    """A connection whose kernel takes `room` octets at a time."""

    def __init__(self, room: int | Exception) -> None:
        self.socket: Any = self
        self.connected = 1
        self.dataBuffer = b""
        self._tempDataBuffer = []
        self.room = room
        self.taken = b""
        self.queued: list[bytes] = []

    def send(self, data: bytes) -> int:
        """What the socket does."""
        if isinstance(self.room, Exception):
            raise self.room
        self.taken += data[: self.room]
        return len(data[: self.room])

    def write(self, data: bytes) -> None:
        self.queued.append(data)


class TestWrite:
    def test_what_the_kernel_takes_leaves_at_once(self) -> None:
        """Nothing is left for the reactor to ask about."""
        wire = Wire(100)
        write(wire, b"250 Ok\r\n")
        assert (wire.taken, wire.queued) == (b"250 Ok\r\n", [])

    def test_what_it_does_not_take_is_left_for_the_buffer(self) -> None:
        """No octet is lost, or sent twice."""
        wire = Wire(4)
        write(wire, b"250 Ok\r\n")
        assert (wire.taken, wire.queued) == (b"250 ", [b"Ok\r\n"])

    def test_this_twisted_is_known(self) -> None:
        """Else everything goes through the transport: names in its `FileDescriptor` are others."""
        assert writing.KNOWN

    def test_a_twisted_that_is_not(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Then nothing is written past it, and nothing of its own is asked for."""
        monkeypatch.setattr(FileDescriptor, "__init__", lambda self, reactor: None)
        assert not writing._as_we_know_them()
        monkeypatch.setattr(writing, "KNOWN", False)
        wire = Wire(100)
        del wire._tempDataBuffer
        write(wire, b"250 Ok\r\n")
        assert (wire.taken, wire.queued) == (b"", [b"250 Ok\r\n"])

    def test_behind_what_waits(self) -> None:
        """What was written before leaves before."""
        for waiting in ("dataBuffer", "_tempDataBuffer"):
            wire = Wire(100)
            setattr(wire, waiting, [b"x"])
            write(wire, b"y")
            assert (wire.taken, wire.queued) == (b"", [b"y"])

    def test_not_past_tls_nor_into_a_connection_that_closes(self) -> None:
        """What is to be encrypted goes through the transport, and it knows what to do at an end."""
        for name, value in (("TLS", True), ("disconnecting", True), ("connected", 0)):
            wire = Wire(100)
            setattr(wire, name, value)
            write(wire, b"y")
            assert (wire.taken, wire.queued) == (b"", [b"y"])

    def test_a_lost_connection_is_the_reactors_to_tell(self) -> None:
        """The transport finds out by itself; likewise where the kernel has no room."""
        for trouble in (ConnectionResetError(), BlockingIOError()):
            wire = Wire(trouble)
            write(wire, b"y")
            assert wire.queued == [b"y"]

    def test_any_other_transport(self) -> None:
        """One that is no socket's just writes."""
        transport = StringTransport()
        write(transport, b"x")
        assert transport.value() == b"x"
