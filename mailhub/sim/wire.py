"""TCP-like connections: two ends, with what a network does to octets between them.

Invariants:

1. What one end writes arrives at the other in order and once, or the connection
   is lost for at least one of the two.
2. A protocol is called by the clock alone: nothing it writes arrives within its own call.
3. A writer whose reader is slow is paused (`WINDOW`), as by a full socket.
4. After `Life.over` an end says and hears nothing.

TLS is OpenSSL's, through Twisted's own wrapper. Its records are not timed by their length
and jitter only once for each connection, for what a machine's OpenSSL says differs from
the next one's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from zlib import crc32

from twisted.internet._newtls import _BypassTLS
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ISSLTransport,
    ITCPTransport,
    ITLSTransport,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

from mailhub.sim.clock import TURN, Ground, Life

if TYPE_CHECKING:
    from mailhub.sim.network import Host, Network

Place = tuple[str, int]
"""An IP address and a port; or a path and 0."""

WINDOW: Final = 128 * 1024
"""Octets on their way in one direction above which the writer is paused."""
PATIENCE: Final = 924.6
"""Seconds of silence after which TCP gives unacknowledged data up: Linux, tcp_retries2 = 15."""


@dataclass(slots=True)
class Link:
    """How a host is connected to the rest of the world.

    Attributes:
        latency: Seconds from here to the middle of the network.
        jitter: Seconds added at most, evenly spread.
        bandwidth: Octets a second each way, shared by all its connections; 0 for any.
        segment: Octets that travel together; 0 for all there are.
        resets: The share of segments that arrive as a reset.
        doubled: The share of connections that a middlebox makes twice: all that the client
            says is said to the server a second time, a little later, on a connection of
            which the client knows nothing.
    """

    latency: float = 0.01
    jitter: float = 0.0
    bandwidth: float = 0.0
    segment: int = 0
    resets: float = 0.0
    doubled: float = 0.0
    up_free: float = 0.0
    down_free: float = 0.0


class _Chunk:
    """Octets that travel together."""

    __slots__ = ("pieces", "size")

    def __init__(self, octets: bytes) -> None:
        self.pieces = [octets]
        self.size = len(octets)

    @property
    def octets(self) -> bytes:
        return self.pieces[0] if len(self.pieces) == 1 else b"".join(self.pieces)


_FIN: Final = _Chunk(b"")


class _Plain(Ground):
    """An end without TLS: what `_BypassTLS` calls."""

    def __init__(
        self, network: Network, host: Host, here: Place, there: Place, *, client: bool
    ) -> None:
        self.network = network
        self.host = host
        self.life = host.life
        self.other: Any = None
        self.protocol: Any = None
        self.connector: Any = None
        self.connected = True
        self.disconnected = False
        self.disconnecting = False
        self.producer: Any = None
        self.streamingProducer = False
        self.producerPaused = False
        self.client = client
        self.here, self.there = here, there
        self._clock = network.clock
        self._reading = True
        self._draining = False
        self._inbox: deque[_Chunk] = deque()
        self._chunk: _Chunk | None = None
        self._chunk_at = 0.0
        self._flying = 0
        self._last_arrival = 0.0
        self._opaque = False
        self._jitter: float | None = None
        self._held: list[_Chunk] = []  # behind a cut
        self.heard = 0
        self._sum = 0
        self._patience: Any = None
        self.copy: Any = None  # the end at which a middlebox says all of this again,
        self.lag = 0.0  # so many seconds later

    def part_of(self, life: Life) -> bool:
        """Whether it is an end of its connections."""
        return self.life is life

    # ---- Writing ---------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send octets."""
        if not data or not self.connected or self.life.over:
            return
        if not isinstance(data, bytes):
            data = bytes(data)
        if self.copy is not None:
            self._clock.callLater(self.lag, self.copy.write, data)
        if self.network.witness is not None and not self._opaque:
            self.network.witness.wrote(self, data)
        self._flying += len(data)
        if (
            self._chunk is not None
            and self._chunk_at == self._clock.seconds()
            and not self.host.link.bandwidth
        ):
            self._chunk.pieces.append(data)
            self._chunk.size += len(data)
        else:
            self._send(data)
        if self._flying > WINDOW and self.producer is not None and not self.producerPaused:
            self.producerPaused = True
            self.producer.pauseProducing()

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send octets."""
        self.write(b"".join(iovec))

    def _send(self, data: bytes) -> None:
        here, there = self.host.link.segment, self.other.host.link.segment
        segment = min(here, there) if here and there else here or there
        if segment and not self._opaque:
            for start in range(0, len(data), segment):
                self._dispatch(_Chunk(data[start : start + segment]))
            return
        chunk = self._chunk = _Chunk(data)
        self._chunk_at = self._clock.seconds()
        self._dispatch(chunk)

    def _dispatch(self, chunk: _Chunk) -> None:
        """Put something on its way, behind all that is there already."""
        if self._held or self.network.is_cut(self.host, self.other.host):
            self._held.append(chunk)
            self.network.held(self)
            if self._patience is None and not self.life.over:
                self._patience = self._clock.callLater(PATIENCE, self._given_up)
            return
        when = max(self._arrival(chunk.size), self._last_arrival)
        self._last_arrival = when
        self._clock.at(when, self.other.arrive, chunk)

    def release(self) -> None:
        """The cut is mended: what was held back goes on its way."""
        held, self._held = self._held, []
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None
        for chunk in held:
            self._dispatch(chunk)

    def _given_up(self) -> None:
        self._patience = None
        self._held.clear()
        self.lose(Failure(ConnectionLost("no acknowledgement")))

    def _arrival(self, size: int) -> float:
        now: float = self._clock.seconds()
        here, there = self.host, self.other.host
        if here is there:
            return now
        up: Link = here.link
        down: Link = there.link
        when = now
        if up.bandwidth and not self._opaque:
            when = up.up_free = max(when, up.up_free) + size / up.bandwidth
        when += up.latency + down.latency + self._jitters(up.jitter + down.jitter)
        if down.bandwidth and not self._opaque:
            when = down.down_free = max(when, down.down_free) + size / down.bandwidth
        return when

    def _jitters(self, most: float) -> float:
        if not most:
            return 0.0
        if self._opaque:
            if self._jitter is None:
                self._jitter = self.network.chance.random() * most
            once: float = self._jitter
            return once
        return self.network.chance.random() * most

    # ---- Reading ---------------------------------------------------------------------------

    def arrive(self, chunk: _Chunk) -> None:
        """Something comes out of the network; for the other end."""
        if self.other._chunk is chunk:  # noqa: SLF001
            self.other._chunk = None  # noqa: SLF001
        if not self.connected or self.life.over:
            self._refuse()
            return
        if chunk is not _FIN and self._torn():
            return
        self._inbox.append(chunk)
        if self._reading and not self._draining:
            self._drain()

    def _torn(self) -> bool:
        chance = max(self.host.link.resets, self.other.host.link.resets)
        if not chance or self.network.chance.random() >= chance:
            return False
        self.reset()
        return True

    def _refuse(self) -> None:
        """Answer what comes to a connection that is no more, if there is anybody to answer."""
        other = self.other
        if self.host.up and other.connected:
            self._clock.at(self._arrival(0), other.lose, Failure(ConnectionLost("reset by peer")))

    def _drain(self) -> None:
        """Give what has arrived to the protocol, as long as it reads."""
        self._draining = True
        turn = TURN.set(self.life)
        try:
            while self._inbox and self._reading and self.connected and not self.life.over:
                chunk = self._inbox.popleft()
                if chunk is _FIN:
                    self._finished()
                    return
                octets = chunk.octets
                self.heard += chunk.size
                if not self._opaque:  # what OpenSSL says is its own affair
                    self._sum = crc32(octets, self._sum)
                    if self.network.witness is not None:
                        self.network.witness.heard(self, octets)
                self.protocol.dataReceived(octets)
                self.other.consumed(chunk.size)
        finally:
            TURN.reset(turn)
            self._draining = False

    def _finished(self) -> None:
        """The other end has closed."""
        half = None if self._opaque else IHalfCloseableProtocol(self.protocol, None)
        if half is not None:
            half.readConnectionLost()
        else:
            self.lose(Failure(ConnectionDone()))

    def consumed(self, count: int) -> None:
        """The other end has read so much."""
        self._flying -= count
        if not self.connected or self.life.over:
            return
        producer = self.producer
        if producer is None and self.disconnecting and self._flying + count > WINDOW:
            self._close_soon()
            return
        if (
            producer is not None
            and self._flying <= WINDOW // 2
            and (self.producerPaused or not self.streamingProducer)
        ):
            self.producerPaused = False
            self.life.call(producer.resumeProducing)

    def pauseProducing(self) -> None:
        """Read nothing for now."""
        self._reading = False

    def resumeProducing(self) -> None:
        """Read on."""
        if self._reading or self.disconnecting:
            return
        self._reading = True
        if self._inbox and not self._draining:
            self._clock.callLater(0, self._resumed)

    def _resumed(self) -> None:
        if self._reading and not self._draining:
            self._drain()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    # ---- Producers -------------------------------------------------------------------------

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have something write as fast as the other end reads.

        Raises:
            RuntimeError: There is a producer already.
        """
        if self.producer is not None:
            raise RuntimeError(f"there is a producer already: {self.producer}")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer, self.streamingProducer, self.producerPaused = producer, streaming, False
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """It writes no more."""
        self.producer = None
        if self.disconnecting and self.connected:
            self._close_soon()

    # ---- The end ---------------------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close, behind all that was written."""
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        self._reading = False
        if self.producer is None:
            self._close_soon()

    def _close_soon(self) -> None:
        if self._flying <= WINDOW:  # else when the other end has read some of it
            self._clock.callLater(0, self._close)

    def _close(self) -> None:
        if not self.connected or self.producer is not None or self.life.over:
            return
        self._chunk = None
        self._dispatch(_FIN)
        self.lose(Failure(ConnectionDone()))

    def abortConnection(self) -> None:
        """Close at once; what was written may never arrive."""
        if not self.connected or self.life.over:
            return
        self.disconnecting = True
        self._reading = False
        self.producer = None
        self._clock.callLater(0, self._abort)

    def _abort(self) -> None:
        if self.connected and not self.life.over:
            self.tell_reset()
            self.lose(Failure(ConnectionAborted()))

    def tell_reset(self) -> None:
        """Have the other end learn that this connection is no more."""
        other = self.other
        if not self.network.is_cut(self.host, other.host):
            failure = Failure(ConnectionLost("reset by peer"))
            self._clock.at(max(self._arrival(0), self._last_arrival), other.lose, failure)

    def reset(self) -> None:
        """The network resets the connection, now and at both ends."""
        for end in (self, self.other):
            self._clock.callLater(0, end.lose, Failure(ConnectionLost("reset")))

    def lose(self, failure: Failure) -> None:
        """The connection is no more at this end."""
        if self.connected and not self.life.over:
            self.life.call(self._lost, failure)

    def _lost(self, failure: Failure) -> None:
        self.connected = False
        self.disconnected = True
        self.network.ended(self)
        if self.copy is not None:
            self._clock.callLater(self.lag, self.copy.loseConnection)
        if self._patience is not None and not self._held:
            self._patience.cancel()
            self._patience = None
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(failure)
        if self.connector is not None:
            self.connector.lost(failure)

    # ---- What protocols ask ----------------------------------------------------------------

    def getHost(self) -> Any:
        """This end's address."""
        return address_of(self.here)

    def getPeer(self) -> Any:
        """The other end's."""
        return address_of(self.there)

    def getTcpNoDelay(self) -> bool:
        """Nagle's algorithm is not simulated."""
        return True

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Likewise."""

    def getTcpKeepAlive(self) -> bool:
        """Nor are keep-alives."""
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Likewise."""

    def loseWriteConnection(self) -> None:
        """Say that no more will be written."""
        if self.connected and not self.life.over:
            self._chunk = None
            self._dispatch(_FIN)

    @property
    def sums(self) -> str:
        """What passed on the connection: how many octets each way and their checksums."""
        if self._opaque:
            return "encrypted"
        there = self.other
        return f"{self.heard}/{self._sum:08x} {there.heard}/{there._sum:08x}"  # noqa: SLF001

    def __repr__(self) -> str:
        return "{}:{} to {}:{}".format(*self.here, *self.there)


@implementer(ITCPTransport, ITLSTransport, IConsumer)
class End(_Plain):
    """One end of a connection: a transport, as Twisted's protocols know it."""

    TLS = False

    def write(self, data: bytes) -> None:
        """Send octets; here and below, through TLS once it has begun."""
        if self.TLS:
            if self.connected:
                self.protocol.write(data)
        else:
            _Plain.write(self, data)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        self.write(b"".join(iovec))

    def loseConnection(self) -> None:
        if self.TLS:
            if self.connected and not self.disconnecting:
                self.protocol.loseConnection()
        else:
            _Plain.loseConnection(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.TLS:
            self.protocol.registerProducer(producer, streaming)
        else:
            _Plain.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        if self.TLS:
            if self.protocol is not None:
                self.protocol.unregisterProducer()
        else:
            _Plain.unregisterProducer(self)

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        """Encrypt from here on: `_newtls.startTLS`, with the world's clock.

        Stock's wrapper gathers small writes on the global reactor's.
        """
        producer, streaming = self.producer, self.streamingProducer
        if producer is not None:
            self.unregisterProducer()
        nobody: Any = None  # the protocol is there already
        client = self.client if normal else not self.client
        factory = TLSMemoryBIOFactory(ctx, client, nobody, self.host.reactor)
        tls = factory.protocol(factory, self.protocol, False)
        self.protocol = tls
        self.getHandle = tls.getHandle
        self.getPeerCertificate = tls.getPeerCertificate
        directlyProvides(self, ISSLTransport, ITCPTransport)
        self.TLS = self._opaque = True
        tls.makeConnection(_BypassTLS(_Plain, self))
        if producer is not None:
            self.registerProducer(producer, streaming)


def address_of(place: Place) -> IPv4Address | IPv6Address | UNIXAddress:
    """A place as Twisted says it."""
    host, port = place
    if not port and not host[:1].isdigit():
        return UNIXAddress(host)
    return (IPv6Address if ":" in host else IPv4Address)("TCP", host, port)
