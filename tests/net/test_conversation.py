"""The one Twisted adapter: order, patience, back-pressure, TLS, ends of all kinds."""

from __future__ import annotations

import socket
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from typing import cast

import pytest
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.internet.tcp import Connection
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import implementer

from mailhub.net.conversation import (
    BREATH,
    TURN,
    Conversation,
    Farewells,
    Terms,
    client_of,
)
from mailhub.net.reception import ConversationFactory
from mailhub.net.turnstile import Turnstile
from mailhub.ports.conversation import Client, Session
from tests.net.talkers import Staged, Talker
from tests.net.wires import ClientContext, Collector, Pair, server_context

FAREWELLS = Farewells(b"crowded\r\n", b"greedy\r\n", b"fault\r\n")


class Room:
    """A factory, its clock, and the sessions it has made."""

    def __init__(
        self, make: Callable[[], Talker] = Talker, *, total: int = 0, per_address: int = 0
    ) -> None:
        self.clock = Clock()
        self.sessions: list[Talker] = []
        self._make = make
        terms = Terms(self.clock, FAREWELLS, tls=server_context())
        self.factory = ConversationFactory(self._session, terms, Turnstile(total, per_address))

    def _session(self, client: Client) -> Session:
        self.sessions.append(self._make())
        return self.sessions[-1]

    def visit(self) -> Visit:
        return Visit(self)


class Visit:
    """One client's connection."""

    def __init__(self, room: Room) -> None:
        self.clock = room.clock
        self.client = Collector()
        self.server = cast("Conversation", room.factory.buildProtocol(IPv4Address("TCP", "x", 1)))
        self.pair = Pair(self.server, self.client)
        self.near = self.pair.near
        self.session = room.sessions[-1] if room.sessions else Talker()

    def say(self, octets: bytes) -> list[str]:
        """Say something, and hear what is answered."""
        self.pair.say(octets)
        return self.client.lines()

    def hear(self) -> list[str]:
        self.pair.carry()
        return self.client.lines()


@pytest.fixture
def room() -> Room:
    return Room()


@pytest.fixture
def visit(room: Room) -> Visit:
    visit = room.visit()
    assert visit.client.lines() == ["hello"]
    visit.near.writes.clear()
    return visit


class TestOrder:
    def test_one_write(self, visit: Visit) -> None:
        """The answers to one burst leave together, without Nagle's delay."""
        assert visit.say(b"a\nb\nc\n") == ["a", "b", "c"]
        assert visit.near.writes == [b"a\r\nb\r\nc\r\n"]
        assert visit.near.no_delay

    def test_slow(self, visit: Visit) -> None:
        """A slow decision holds up the answers behind it, and never those before it."""
        assert visit.say(b"a\nslow\nb\nslow\n") == ["a"]
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow", "b"]
        visit.session.waiting[1].callback(None)
        assert visit.hear() == ["slow"]

    def test_slow_no(self, visit: Visit) -> None:
        """A slow decision may be a failure, which the session sees; the conversation goes on."""
        assert visit.say(b"slow\nb\n") == []
        visit.session.waiting[0].errback(LookupError())
        assert visit.hear() == ["none", "b"]

    def test_paused(self, visit: Visit) -> None:
        """A peer that goes on sending while we are busy is paused; nothing is lost."""
        visit.say(b"slow\n")
        assert not visit.near.paused
        visit.say(b"b\n")
        assert visit.near.paused
        visit.say(b"c\n")
        visit.session.waiting[0].callback(None)
        assert not visit.near.paused
        assert visit.hear() == ["slow", "b", "c"]

    def test_breath(self, visit: Visit) -> None:
        """After a few hundred answers others have their turn."""
        count = 2 * BREATH + 10
        assert len(visit.say(count * b"a\n")) == BREATH
        visit.clock.advance(0)
        assert len(visit.hear()) == BREATH + 10

    def test_long_turn(self, visit: Visit) -> None:
        """So it is after a moment, if answers take long to make."""

        class Pondering(Talker):
            async def respond(self) -> AsyncGenerator[bytes, None]:
                if self.buffer:
                    self.buffer = b""
                    for _ in range(3):
                        visit.clock.rightNow += TURN
                        yield b"a\r\n"

        visit.server._session.__class__ = Pondering
        assert visit.say(b"go\n") == ["a", "a"]
        visit.clock.advance(0)
        assert visit.hear() == ["a"]

    def test_asked_breath(self, visit: Visit) -> None:
        """A session that says nothing asks for a breath: others have their turn, and it goes on."""

        class Gasping(Talker):
            async def respond(self) -> AsyncGenerator[bytes, None]:
                if self.buffer:
                    self.buffer = b""
                    yield b"a\r\n"
                    yield b""
                    yield b"b\r\n"

        visit = Room(Gasping).visit()
        assert visit.say(b"x\n")[1:] == ["a"]
        visit.clock.advance(0)
        assert visit.hear() == ["b"]

    def test_unasked(self, visit: Visit) -> None:
        """A session may speak unasked, and is heard when it is not busy."""
        visit.session.unasked.append(b"news\r\n")
        visit.session.wake()
        assert visit.hear() == ["news"]
        visit.say(b"slow\n")
        visit.session.unasked.append(b"more\r\n")
        visit.session.wake()
        visit.session.wake()
        assert visit.hear() == []
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow", "more"]


class TestPatience:
    def test_silence(self, visit: Visit) -> None:
        """Silence ends the conversation with the session's words; octets begin it anew."""
        visit.clock.advance(299)
        visit.say(b"a")
        visit.clock.advance(299)
        assert visit.client.lost is None
        assert visit.session.closings == 0
        visit.clock.advance(1)
        assert visit.hear() == ["too slow"]
        assert visit.client.lost is not None
        assert visit.session.closings == 1
        assert not visit.clock.getDelayedCalls()

    def test_stages(self) -> None:
        """Where a session has stages, octets that complete nothing win no time."""
        visit = Room(Staged).visit()
        visit.clock.advance(200)
        visit.say(b"a\n")
        visit.clock.advance(200)
        visit.say(b"b")
        visit.clock.advance(99)
        visit.say(b"b")
        assert visit.client.lost is None
        visit.clock.advance(1)
        assert visit.hear()[-1] == "too slow"

    def test_shorter(self) -> None:
        """A shorter patience counts at once, a longer one as well."""
        visit = Room(Staged).visit()
        visit.session.patience = 10
        visit.say(b"a\n")
        visit.clock.advance(9)
        visit.session.patience = 50
        visit.say(b"b\n")
        visit.clock.advance(49)
        assert visit.client.lost is None
        visit.clock.advance(1)
        assert visit.hear()[-1] == "too slow"

    def test_lifetime(self) -> None:
        """A session with a lifetime is ended then, however busy it is."""
        for last in (b"", b"slow\n"):
            visit = Room(Staged).visit()
            for _ in range(9):
                visit.clock.advance(100)
                visit.say(b"a\n")
            visit.say(last)
            visit.clock.advance(100)
            if last:
                visit.session.waiting[0].callback(None)
            assert visit.hear()[-1] == "too slow"

    def test_busy(self) -> None:
        """While we are busy nothing is expected of the peer, and it has its whole time after."""
        visit = Room(Staged).visit()
        visit.say(b"slow\n")
        visit.clock.advance(400)
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow"]
        visit.clock.advance(299)
        assert visit.client.lost is None
        visit.say(b"slow\n")
        visit.say(b"y")
        visit.clock.advance(400)
        visit.session.waiting[1].callback(None)
        assert visit.client.lost is None

    def test_partial_after_busy(self) -> None:
        """Time that passed while we were busy is not the peer's, even without a new stage."""

        class Quiet(Staged):
            async def greet(self) -> bytes:
                self.waiting.append(Deferred())
                await self.waiting[-1]
                return b"hello\r\n"

        visit = Room(Quiet).visit()
        visit.clock.advance(1000)
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["hello", "too slow"]

    def test_deaf(self, visit: Visit) -> None:
        """A peer that does not read is cut off: it would not hear a farewell."""
        visit.near.protocol.dataReceived(b"big 3\n")
        assert len(visit.near.out) == 120_000
        visit.clock.advance(300)
        assert not visit.near.connected
        assert visit.session.closings == 1
        assert not visit.clock.getDelayedCalls()

    def test_lingering(self, visit: Visit) -> None:
        """Nor does one that does not read the farewell hold the connection."""
        visit.near.protocol.dataReceived(b"bye\n")
        assert visit.near.disconnecting
        visit.near.protocol.dataReceived(b"ignored\n")
        assert visit.near.connected
        visit.clock.advance(15)
        assert not visit.near.connected
        assert not visit.clock.getDelayedCalls()


class TestBackPressure:
    def test_slow_reader(self, visit: Visit) -> None:
        """A big answer waits for the one who reads it: memory is bounded."""
        visit.near.protocol.dataReceived(b"big 100\nb\n")
        total = 0
        while visit.near.out:
            assert len(visit.near.out) <= 2 * 65_536
            visit.clock.advance(90)
            total += len(visit.near.taken(50_000))
        assert total == 100 * 60_000 + len(b"big\r\nb\r\n")

    def test_never_reads(self, visit: Visit) -> None:
        """One that asks and never reads, a little at a time, is not heard any more."""
        for _ in range(1000):
            if not visit.near.paused:
                visit.near.protocol.dataReceived(b"y" * 1000 + b"\n")
        assert visit.near.paused
        assert len(visit.near.out) < 2 * 65_536
        assert visit.near.taken().endswith(b"y\r\n")
        assert not visit.near.paused

    def test_resumed_late(self, visit: Visit) -> None:
        """A producer may be paused and resumed at any time."""
        visit.server.resumeProducing()
        visit.server.pauseProducing()
        visit.server.pauseProducing()
        visit.server.resumeProducing()
        visit.server.stopProducing()
        assert visit.say(b"a\n") == ["a"]


class TestEnds:
    def test_bye(self, visit: Visit) -> None:
        """A closed session's last words leave, then the connection ends."""
        assert visit.say(b"a\nbye\nb\n") == ["a", "bye"]
        assert visit.client.lost is not None
        assert visit.session.closings == 1
        assert not visit.clock.getDelayedCalls()

    def test_lost(self, visit: Visit) -> None:
        """A lost connection cancels what is under way; the session is closed once."""
        visit.say(b"slow\n")
        visit.near.lose()
        assert visit.session.closings == 1
        assert visit.session.waiting[0].called
        assert not visit.clock.getDelayedCalls()

    @pytest.mark.parametrize("ending", ["bye\n", "slow\n"])
    def test_lost_while_closing(self, visit: Visit, ending: str) -> None:
        """A session that is being closed is closed wholly, though its peer has gone meanwhile."""
        closing = visit.session.closing = Deferred()
        visit.say(ending.encode())
        visit.near.lose()
        assert visit.session.closings == 0
        assert not closing.called
        closing.callback(None)
        assert visit.session.closings == 1
        assert not visit.clock.getDelayedCalls()

    def test_half_closed(self, visit: Visit) -> None:
        """A peer that has closed its half still gets its answers (as from a shell's pipe)."""
        visit.say(b"slow\nb\n")
        visit.pair.half_close()
        assert visit.client.lost is None
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow", "b"]
        assert visit.client.lost is not None
        visit.server.writeConnectionLost()

    def test_half_closed_idle(self, visit: Visit) -> None:
        """If it waits for none, the conversation ends."""
        visit.pair.half_close()
        assert visit.client.lost is not None

    def test_fault(self, visit: Visit) -> None:
        """What nobody foresaw is logged, and answered without a trace."""
        events: list[object] = []

        @implementer(ILogObserver)
        def observe(event: object) -> None:
            events.append(event)

        globalLogPublisher.addObserver(observe)
        try:
            assert visit.say(b"a\nboom secret\nb\n") == ["a", "fault"]
        finally:
            globalLogPublisher.removeObserver(observe)
        assert len(events) == 1
        assert visit.client.lost is not None
        assert visit.session.closings == 1

    def test_cancelled_by_another(self, visit: Visit) -> None:
        """Somebody else's cancellation is a fault, too."""
        visit.say(b"slow\n")
        visit.session.waiting[0].cancel()
        assert visit.hear() == ["fault"]

    def test_bad_close(self, visit: Visit) -> None:
        """A session that cannot be closed does not hold the connection."""

        def fail() -> None:
            raise ValueError

        visit.session.on_close = fail
        assert visit.say(b"bye\n") == ["bye"]
        assert visit.client.lost is not None

    def test_no_session(self) -> None:
        """A session that cannot be made is a fault as well."""

        def fail() -> Talker:
            raise ValueError

        visit = Room(fail).visit()
        assert visit.hear() == ["fault"]
        assert visit.client.lost is not None

    def test_abort(self, visit: Visit) -> None:
        """An aborted conversation ends at once."""
        visit.server.abort()
        assert visit.session.closings == 1


class TestTls:
    def test_upgrade(self, visit: Visit) -> None:
        """After STARTTLS the session learns what was agreed on, and talks on."""
        assert visit.say(b"tls\n") == ["tls"]
        visit.pair.far.startTLS(ClientContext())
        visit.pair.carry()
        [tls] = visit.session.tls
        assert tls.version == "TLSv1.3"
        assert tls.cipher.startswith("TLS_")
        client = visit.pair.far.protocol.getHandle()
        label = b"EXPORTER-Channel-Binding"
        assert tls.binding("tls-exporter") == client.export_keying_material(label, 32, b"")
        assert visit.say(b"a\nslow\n") == ["a"]
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow"]
        assert visit.say(b"bye\n") == ["bye"]
        assert not visit.near.connected
        assert not visit.clock.getDelayedCalls()

    def test_injected(self, visit: Visit) -> None:
        """Octets that come behind the request and before the handshake end it all."""
        visit.near.protocol.dataReceived(b"big 2\ntls\n")
        visit.near.protocol.dataReceived(b"evil\n")
        visit.near.protocol.dataReceived(b"evil\n")
        assert b"evil" not in visit.near.taken()
        assert visit.session.closed or visit.session.tls == []

    def test_injected_while_flushing(self, visit: Visit) -> None:
        """So do those that come while the agreement waits for a slow reader."""

        class Wide(Talker):
            async def respond(self) -> AsyncGenerator[bytes, None]:
                if self.buffer.startswith(b"tls"):
                    self.buffer = b""
                    self.wants_tls = True
                    yield b"x" * 70_000

        visit = Room(Wide).visit()
        visit.near.protocol.dataReceived(b"tls\n")
        visit.near.protocol.dataReceived(b"evil\n")
        visit.near.taken()
        assert visit.session.closed
        assert visit.session.tls == []
        assert visit.near.disconnecting

    def test_handshake_patience(self, visit: Visit) -> None:
        """A handshake that does not come is not waited for."""
        assert visit.say(b"tls\n") == ["tls"]
        visit.clock.advance(60)
        assert not visit.near.connected
        assert visit.session.closings == 1

    def test_failed(self, visit: Visit) -> None:
        """Neither is one that fails."""
        visit.say(b"tls\n")
        visit.pair.say(b"this is no handshake\r\n")
        assert not visit.near.connected
        assert visit.session.closings == 1

    def test_implicit(self, room: Room) -> None:
        """Under implicit TLS the greeting waits for the handshake (RFC 8314 §3)."""
        factory = TLSMemoryBIOFactory(server_context(), False, room.factory, room.clock)
        server = factory.buildProtocol(IPv4Address("TCP", "x", 1))
        assert server is not None
        client = Collector()
        pair = Pair(server, client)
        assert client.heard == b""
        pair.far.startTLS(ClientContext())
        for _ in range(3):
            pair.carry()
            room.clock.advance(0)
        assert client.lines() == ["hello"]
        assert room.sessions[0].tls
        pair.say(b"a\n")
        room.clock.advance(0)
        pair.carry()
        assert client.lines() == ["a"]

    def test_stray_handshake(self, visit: Visit) -> None:
        """A handshake that nobody waits for changes nothing."""
        visit.server.handshakeCompleted()
        assert visit.say(b"a\n") == ["a"]


class TestDeflate:
    def deflated(self, visit: Visit) -> tuple[zlib._Compress, zlib._Decompress]:
        assert visit.say(b"a\ndeflate\n") == ["a", "deflate"]
        return zlib.compressobj(9, zlib.DEFLATED, -15), zlib.decompressobj(-15)

    def say(self, visit: Visit, packing: zlib._Compress, octets: bytes) -> bytes:
        visit.near.writes.clear()
        visit.pair.say(packing.compress(octets) + packing.flush(zlib.Z_SYNC_FLUSH))
        return b"".join(visit.near.writes)

    def test_both_ways(self, visit: Visit) -> None:
        """Behind the answer all is compressed, and each answer leaves at once."""
        packing, unpacking = self.deflated(visit)
        for word in (b"b", b"c"):
            heard = self.say(visit, packing, word + b"\n")
            assert unpacking.decompress(heard) == word + b"\r\n"
        visit.session.unasked.append(b"unasked\r\n")
        visit.near.writes.clear()
        visit.server.wake()
        assert unpacking.decompress(b"".join(visit.near.writes)) == b"unasked\r\n"

    def test_pending(self, visit: Visit) -> None:
        """What is answered before it leaves in the clear."""
        assert visit.say(b"slow\ndeflate\n") == []
        visit.session.waiting[0].callback(None)
        assert visit.hear() == ["slow", "deflate"]

    def test_farewell(self, visit: Visit) -> None:
        """A farewell is compressed like all else."""
        _, unpacking = self.deflated(visit)
        visit.near.writes.clear()
        visit.clock.advance(visit.session.patience)
        assert unpacking.decompress(b"".join(visit.near.writes)) == visit.session.timed_out()

    def test_octets_behind(self, visit: Visit) -> None:
        """Octets behind the request may be either: the connection ends."""

        class Wide(Talker):
            async def respond(self) -> AsyncGenerator[bytes, None]:
                if self.buffer.startswith(b"deflate"):
                    self.buffer = b""
                    self.wants_deflate = True
                    yield b"x" * 70_000

        visit = Room(Wide).visit()
        visit.near.protocol.dataReceived(b"deflate\n")
        visit.near.protocol.dataReceived(b"plain\n")
        visit.near.taken()
        assert visit.session.closed

    def test_bomb(self, visit: Visit) -> None:
        """A little that expands to very much is answered piece by piece, with breaths between."""
        packing, unpacking = self.deflated(visit)
        visit.near.writes.clear()
        lines = b"x ".ljust(65_534) + b"\r\n"
        visit.pair.say(packing.compress(lines * 20) + packing.flush(zlib.Z_SYNC_FLUSH))
        assert unpacking.decompress(b"".join(visit.near.writes)) == b"x\r\n"
        visit.near.writes.clear()
        visit.clock.advance(0)
        assert unpacking.decompress(b"".join(visit.near.writes)) == b"x\r\n" * 19
        assert len(visit.near.writes) == 19

    def test_rubbish(self, visit: Visit) -> None:
        """What cannot be unpacked ends the connection."""
        self.deflated(visit)
        visit.pair.say(b"\xff plain text\r\n")
        assert visit.session.closings == 1

    def test_ended(self, visit: Visit) -> None:
        """A peer that ends its stream is answered, and then the connection ends."""
        packing, unpacking = self.deflated(visit)
        visit.near.writes.clear()
        visit.pair.say(packing.compress(b"b\n") + packing.flush())
        assert unpacking.decompress(b"".join(visit.near.writes)) == b"b\r\n"
        assert visit.session.closings == 1


class TestSockets:
    def test_at_once(self, room: Room) -> None:
        """On a real socket an answer leaves before the reactor is asked whether it may."""
        ours, theirs = socket.socketpair()

        class Local(Connection):
            def getPeer(self) -> UNIXAddress:
                return UNIXAddress(None)

            def setTcpNoDelay(self, enabled: object) -> None: ...

        server = cast("Conversation", room.factory.buildProtocol(UNIXAddress(None)))
        reactor = MemoryReactorClock()
        transport = Local(ours, server, reactor)
        transport.connected = 1
        theirs.setblocking(False)
        with theirs:
            server.makeConnection(transport)
            assert theirs.recv(100) == b"hello\r\n"
            server.dataReceived(b"a\nb\n")
            assert theirs.recv(100) == b"a\r\nb\r\n"
            assert not reactor.getWriters()
            transport.connectionLost(Failure(ConnectionDone()))

    @pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can be asked")
    def test_acknowledged(self, room: Room) -> None:
        """What has no answer yet is acknowledged at once: the client may wait with the rest."""
        with socket.create_server(("127.0.0.1", 0)) as port:
            theirs = socket.create_connection(port.getsockname())
            ours, _ = port.accept()

        class Local(Connection):
            def getPeer(self) -> UNIXAddress:
                return UNIXAddress(None)

        def quick() -> int:
            return ours.getsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK)

        server = cast("Conversation", room.factory.buildProtocol(UNIXAddress(None)))
        reactor = MemoryReactorClock()
        transport = Local(ours, server, reactor)
        transport.connected = 1
        with theirs:
            server.makeConnection(transport)
            for octets, expected in ((b"a\n", 0), (b"b", 1), (b"\n", 0)):
                ours.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)
                server.dataReceived(octets)
                assert quick() == expected
            transport.connectionLost(Failure(ConnectionDone()))

    def test_stubborn(self, visit: Visit) -> None:
        """A session that goes on after its cancellation is not listened to."""

        class Stubborn(Talker):
            async def respond(self) -> AsyncGenerator[bytes, None]:
                if self.buffer:
                    self.buffer = b""
                    with suppress(CancelledError):
                        self.waiting.append(Deferred())
                        await self.waiting[-1]
                    yield b"never mind\r\n"

        visit = Room(Stubborn).visit()
        visit.say(b"a\n")
        visit.near.lose()
        assert visit.session.closings == 1
        assert not visit.clock.getDelayedCalls()


class TestAddresses:
    def test_client_of(self) -> None:
        """The client's address is canonical; a local socket is on loopback."""
        assert client_of(IPv4Address("TCP", "192.0.2.1", 7)) == Client("192.0.2.1", 7)
        assert client_of(IPv6Address("TCP", "::ffff:192.0.2.1", 7)) == Client("192.0.2.1", 7)
        assert client_of(UNIXAddress(b"/x")) == Client("127.0.0.1", 0)
