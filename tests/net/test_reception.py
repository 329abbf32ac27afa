"""The factories of conversations."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.net.test_conversation import Room
from tests.net.wires import Collector, Pair, server_context


class TestLimits:
    def test_total(self) -> None:
        """One too many is told so, and let go; its place is free when another leaves."""
        room = Room(total=1)
        first, second = room.visit(), room.visit()
        assert second.hear() == ["crowded"]
        assert second.client.lost is not None
        assert not second.session.closings
        first.near.lose()
        assert room.visit().hear() == ["hello"]
        assert room.factory.turnstile.inside == 1
        assert not second.near.connected

    def test_per_address(self) -> None:
        """One too many from an address likewise; octets it sends are ignored."""
        room = Room(per_address=1)
        room.visit()
        second = room.visit()
        assert second.say(b"a\n") == ["greedy"]
        second.near.protocol.dataReceived(b"x\n")
        assert len(room.factory.conversations) == 1

    def test_lingering(self) -> None:
        """Nor can it hold its connection."""
        room = Room(total=1)
        room.visit()
        server = room.factory.buildProtocol(IPv4Address("TCP", "x", 1))
        assert server is not None
        from tests.net.wires import Wire  # noqa: PLC0415

        wire = Wire(
            server,
        )
        server.makeConnection(wire)
        room.clock.advance(15)
        assert not wire.connected

    def test_implicit_tls(self) -> None:
        """Under implicit TLS one too many is not worth a handshake."""
        room = Room(total=1)
        room.visit()
        factory = TLSMemoryBIOFactory(server_context(), False, room.factory, room.clock)
        server = factory.buildProtocol(IPv4Address("TCP", "x", 1))
        assert server is not None
        pair = Pair(server, Collector())
        assert not pair.near.connected


class TestStop:
    def test_farewell(self) -> None:
        """A stop says farewell to all, after what is under way."""
        room = Room()
        idle, busy = room.visit(), room.visit()
        busy.say(b"slow\n")
        stopped = Deferred.fromCoroutine(room.factory.stop(30))
        assert idle.hear() == ["hello", "going down"]
        assert busy.hear() == []
        busy.session.waiting[0].callback(None)
        assert not stopped.called
        assert busy.hear() == ["slow", "going down"]
        assert stopped.called
        assert not room.clock.getDelayedCalls()

    def test_patience(self) -> None:
        """It waits for a bounded time, then aborts."""
        room = Room()
        busy = room.visit()
        busy.say(b"slow\n")
        stopped = Deferred.fromCoroutine(room.factory.stop(30))
        room.clock.advance(29)
        assert not stopped.called
        room.clock.advance(1)
        assert stopped.called
        assert not busy.near.connected

    def test_nobody(self) -> None:
        """Where nobody is there is nothing to wait for."""
        room = Room()
        assert Deferred.fromCoroutine(room.factory.stop(30)).called
        assert not room.clock.getDelayedCalls()
