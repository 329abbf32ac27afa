"""Two transports joined in memory, with real TLS on request, for tests of protocols."""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL
from twisted.internet import _newtls
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
    IProtocol,
    ISSLTransport,
    ITLSTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

HIGH_WATER = 65_536
"""Octets that a transport takes before it pauses its producer, as Twisted's do."""


class RawWire:
    """One end of a wire. What is written waits in `out` until it is carried over."""

    def __init__(
        self, protocol: IProtocol, *, client: bool = False, clock: Clock | None = None
    ) -> None:
        self.clock = clock or Clock()
        self.protocol: Any = protocol
        self.out = b""
        self.producer: Any = None
        self.streamingProducer = True
        self.writes: list[bytes] = []
        self.paused = False
        self.disconnecting = False
        self.connected = True
        self.no_delay = False
        self.half_closed = False
        self._client = client
        self._stopped = False

    def write(self, data: bytes) -> None:
        if not self.connected:
            return
        self.writes.append(data)
        self.out += data
        if self.producer is not None and len(self.out) > HIGH_WATER:
            self._stopped = True
            self.producer.pauseProducing()

    def writeSequence(self, data: Any) -> None:
        self.write(b"".join(data))

    def taken(self, size: int | None = None) -> bytes:
        """What the other end has read."""
        size = len(self.out) if size is None else size
        taken, self.out = self.out[:size], self.out[size:]
        if self._stopped and not self.out and self.producer is not None:
            self._stopped = False
            self.producer.resumeProducing()
        return taken

    def loseConnection(self) -> None:
        self.disconnecting = True

    def abortConnection(self) -> None:
        self.out = b""
        self.lose(ConnectionAborted())

    def lose(self, reason: Exception | None = None) -> None:
        """The connection ends here."""
        if self.connected:
            self.connected = False
            self.protocol.connectionLost(Failure(reason or ConnectionDone()))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self.producer = producer
        while not streaming and self.producer is not None:
            self.producer.resumeProducing()  # a pull producer, of Twisted's client

    def unregisterProducer(self) -> None:
        self.producer = None

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def setTcpKeepAlive(self, enabled: bool) -> None: ...

    def getTcpKeepAlive(self) -> bool:
        return False

    def loseWriteConnection(self) -> None: ...

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.1", 4711)

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "192.0.2.2", 25)


@implementer(ITLSTransport)
class Wire(RawWire):
    """One end of a wire that can be upgraded, as Twisted's TCP transports are."""

    TLS = False

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        # As Twisted's own, which would use the global reactor's clock.
        producer, self.producer = self.producer, None
        factory = TLSMemoryBIOFactory(ctx, self._client == normal, None, self.clock)  # type: ignore[arg-type]  # _newtls does it, too
        wrapper = factory.protocol(factory, self.protocol, False)
        self.protocol = wrapper
        self.getHandle = wrapper.getHandle
        directlyProvides(self, ISSLTransport)
        self.TLS = True
        wrapper.makeConnection(_newtls._BypassTLS(RawWire, self))
        if producer is not None:
            self.registerProducer(producer, True)

    def write(self, data: bytes) -> None:
        if self.TLS:
            self.protocol.write(data)
        else:
            RawWire.write(self, data)

    def loseConnection(self) -> None:
        if self.TLS:
            self.protocol.loseConnection()
        else:
            RawWire.loseConnection(self)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if self.TLS:
            self.protocol.registerProducer(producer, streaming)
        else:
            RawWire.registerProducer(self, producer, streaming)

    def unregisterProducer(self) -> None:
        if self.TLS:
            self.protocol.unregisterProducer()
        else:
            RawWire.unregisterProducer(self)


class Collector(Protocol):
    """A client that remembers what it hears."""

    def __init__(self) -> None:
        self.heard = b""
        self.lost: Failure | None = None

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.lost = reason

    def lines(self) -> list[str]:
        """What was heard since the last call, line by line."""
        heard, self.heard = self.heard, b""
        return heard.decode().split("\r\n")[:-1]


class Pair:
    """A server and a client, joined."""

    def __init__(self, server: IProtocol, client: IProtocol) -> None:
        self.client = client
        self.clock = Clock()  # of TLS, which gathers small writes until the next turn
        self.near = Wire(server, clock=self.clock)
        self.far = Wire(client, client=True, clock=self.clock)
        server.makeConnection(self.near)
        client.makeConnection(self.far)
        self.carry()

    def carry(self) -> None:
        """Carry octets over until there are none."""
        for _ in range(10_000):
            self.clock.advance(0)
            moved = False
            for source, target in ((self.far, self.near), (self.near, self.far)):
                if source.out and target.connected and not target.paused:
                    target.protocol.dataReceived(source.taken())
                    moved = True
            if not moved:
                break
        else:
            raise AssertionError("the two do not come to an end")
        for wire, other in ((self.near, self.far), (self.far, self.near)):
            if wire.disconnecting and not wire.out:
                wire.lose()
                other.lose()

    def say(self, octets: bytes) -> None:
        """Let the client say something, and carry it over."""
        self.far.write(octets)
        self.carry()

    def half_close(self) -> None:
        """The client will send no more."""
        IHalfCloseableProtocol(self.near.protocol).readConnectionLost()
        self.carry()


@implementer(IOpenSSLServerConnectionCreator)
class ServerContext:
    """A server's TLS context."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, _: object) -> SSL.Connection:
        return SSL.Connection(self._context, None)


@lru_cache(maxsize=1)
def server_context() -> ServerContext:
    """A server's TLS context, for hub.example."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "hub.example")])
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + dt.timedelta(days=36500))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("hub.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.use_certificate(certificate)
    context.use_privatekey(key)
    return ServerContext(context)


@implementer(IOpenSSLClientConnectionCreator)
class ClientContext:
    """A client's TLS context that trusts anybody."""

    def clientConnectionForTLS(self, _: object) -> SSL.Connection:
        return SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
