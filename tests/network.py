"""A network in memory: TCP and UDP between Twisted protocols, on a clock that tests advance.

Connections are made of Twisted's own `FileDescriptor`, so that buffering,
producers and closing are what they are on a socket; TLS is OpenSSL's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from twisted.internet._newtls import ConnectionMixin, _BypassTLS
from twisted.internet.abstract import FileDescriptor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.error import (
    ConnectionDone,
    ConnectionLost,
    UserError,
)
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IConnector,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
    ITLSTransport,
)
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from zope.interface import directlyProvides, implementer

Address = tuple[str, int]

ROOM = 64 * 1024
"""Octets on their way in one direction, beyond which a sender waits."""


def _address(address: Address) -> Any:
    return (IPv6Address if ":" in address[0] else IPv4Address)("TCP", *address)


@implementer(ITCPTransport, ITLSTransport)
class End(ConnectionMixin, FileDescriptor):
    """One end of a connection.

    Attributes:
        deaf: What arrives stays on its way: the program at this end reads nothing.
        sent: Octets that left here.
    """

    def __init__(self, network: Network, host: Address, peer: Address, *, client: bool) -> None:
        super().__init__(network)  # type: ignore[arg-type]  # it has what is used of a reactor
        self._tlsClientDefault = client
        self._network = network
        self._host, self._peer = host, peer
        self.other: End
        self.protocol: Any = None
        self.deaf = False
        self.no_delay = False
        self.sent = 0
        self.inbox = b""
        self.heard = 0
        self.connected = 1
        self._reading = True

    def writeSomeData(self, data: bytes) -> int:
        room = ROOM - len(self.other.inbox)
        taken = data[:room]
        self.sent += len(taken)
        self.other.inbox += taken
        self._network.callLater(self._network.latency, self.other.deliver)
        return len(taken)

    def deliver(self) -> None:
        if self.connected and self._reading and not self.deaf and self.inbox:
            cut = self._network.segment or len(self.inbox)
            octets, self.inbox = self.inbox[:cut], self.inbox[cut:]
            self.heard += len(octets)
            limit = self._network.deaf_after
            self.deaf = bool(limit) and not self._tlsClientDefault and self.heard > limit
            self.protocol.dataReceived(octets)
            self._network.callLater(0, self.deliver)
            if self.other.dataBuffer or self.other._tempDataBuffer:
                self._network.addWriter(self.other)

    def startReading(self) -> None:
        self._reading = True
        self._network.callLater(0, self.deliver)

    def stopReading(self) -> None:
        self._reading = False

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        # As `_newtls.startTLS`, with our clock: stock's buffers on the global reactor's.
        producer, streaming = self.producer, self.streamingProducer
        if producer is not None:
            self.unregisterProducer()
        client = self._tlsClientDefault if normal else not self._tlsClientDefault
        nobody: Any = None  # the protocol is there already
        factory = TLSMemoryBIOFactory(ctx, client, nobody, self._network)
        tls = factory.protocol(factory, self.protocol, False)
        self.protocol = tls
        self.getHandle = tls.getHandle
        self.getPeerCertificate = tls.getPeerCertificate
        directlyProvides(self, ISSLTransport, ITCPTransport)
        self.TLS = True
        tls.makeConnection(_BypassTLS(FileDescriptor, self))
        if producer is not None:
            self.registerProducer(producer, streaming)

    def abortConnection(self) -> None:
        # Later, as a socket does: it may be called from within the handshake.
        if self.connected:
            self._network.callLater(0, self.connectionLost, Failure(ConnectionLost("aborted")))

    def connectionLost(self, reason: Failure) -> None:
        if not self.connected:
            return
        FileDescriptor.connectionLost(self, reason)
        self._network.callLater(0, self.other.closed, reason.check(ConnectionDone) is not None)
        protocol, self.protocol = self.protocol, None
        protocol.connectionLost(reason)

    def closed(self, cleanly: bool) -> None:
        """The other end has gone; what it sent before is read first."""
        while cleanly and self.connected and self.inbox and not self.deaf:
            self._reading = True
            self.deliver()
        if self.connected:
            error = ConnectionDone() if cleanly else ConnectionLost("Connection reset by peer.")
            self.connectionLost(Failure(error))

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def getTcpNoDelay(self) -> bool:
        return self.no_delay

    def getTcpKeepAlive(self) -> bool:
        return False

    def setTcpKeepAlive(self, enabled: bool) -> None:
        raise AssertionError

    def loseWriteConnection(self) -> None:
        raise AssertionError

    def getHost(self) -> Any:
        return _address(self._host)

    def getPeer(self) -> Any:
        return _address(self._peer)


@implementer(IConnector)
class Connector:
    """A connection being made, and what was made of it."""

    def __init__(
        self, network: Network, address: Address, factory: Any, timeout: float, bind: Any
    ) -> None:
        self.network, self.address, self.factory = network, address, factory
        self.timeout, self.bind = timeout, bind
        self.end: End | None = None
        self.call: Any = None

    def connect(self) -> None:
        self.end = None
        self.network.attempts.append(self.address)
        self.factory.doStart()
        self.factory.startedConnecting(self)
        behaviour = self.network.hosts.get(self.address, "refuse")
        if behaviour == "silent":
            self.call = self.network.callLater(self.timeout, self.failed, ConnectTimeout())
        elif behaviour == "refuse":
            self.call = self.network.callLater(0, self.failed, Refused())
        elif isinstance(behaviour, Exception):
            self.call = self.network.callLater(0, self.failed, behaviour)
        else:
            self.call = self.network.callLater(0, self._connected, behaviour)

    def failed(self, error: Exception) -> None:
        self.factory.clientConnectionFailed(self, Failure(error))

    def _connected(self, make: Callable[[Any], Any]) -> None:
        address = self.network.local if ":" in self.address[0] else "127.0.0.9"
        local = (address or "127.0.0.9", 40000 + len(self.network.made))
        protocol = self.factory.buildProtocol(_address(self.address))
        if protocol is None:
            self.failed(UserError())
            return
        client = End(self.network, local, self.address, client=True)
        server = End(self.network, self.address, local, client=False)
        client.other, server.other = server, client
        server.protocol = make(_address(local))
        client.protocol = _Told(protocol, self)
        self.end = client
        self.network.made.append(client)
        protocol.makeConnection(client)
        if server.connected:
            server.protocol.makeConnection(server)

    def disconnect(self) -> None:
        if self.end is None:
            self.stopConnecting()
        else:
            self.end.loseConnection()

    def stopConnecting(self) -> None:
        if self.call.active():
            self.call.cancel()
            self.failed(UserError())

    def getDestination(self) -> Any:
        return _address(self.address)


class _Told:
    """A client's protocol, with its factory told when the connection is lost."""

    def __init__(self, protocol: Any, connector: Connector) -> None:
        self._protocol, self._connector = protocol, connector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._protocol, name)

    def connectionLost(self, reason: Failure) -> None:
        self._protocol.connectionLost(reason)
        self._connector.factory.clientConnectionLost(self._connector, reason)


@implementer(IReactorTime)
class Network(Clock):
    """The reactor of everybody on it.

    Attributes:
        hosts: What listens: a function that makes a protocol, ``"refuse"``,
            ``"silent"``, or what a connection fails with.
        local: Where connections over IPv6 come from, if that matters.
        latency: Seconds until octets arrive.
        segment: Octets that arrive at once; 0 for all there are.
        deaf_after: Octets after which servers read no more; 0 for never.
        attempts: Every address that was connected to.
        made: The clients' ends of all connections.
        datagrams: What answers at UDP addresses: a function from a query to answers.
    """

    def __init__(self) -> None:
        super().__init__()
        self.hosts: dict[Address, Any] = {}
        self.local = ""
        self.latency = 0.0
        self.segment = 0
        self.deaf_after = 0
        self.attempts: list[Address] = []
        self.connectors: list[Connector] = []
        self.made: list[End] = []
        self.datagrams: dict[Address, Callable[[bytes, Port], Sequence[bytes]]] = {}
        self.ports: list[Port] = []

    def connectTCP(
        self, host: str, port: int, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Connector:
        connector = Connector(self, (host, port), factory, timeout, bindAddress)
        self.connectors.append(connector)
        connector.connect()
        return connector

    def listenUDP(
        self, port: int, protocol: Any, interface: str = "", maxPacketSize: int = 8192
    ) -> Port:
        assert port == 0
        made = Port(self, protocol, interface, 50000 + len(self.ports))
        self.ports.append(made)
        protocol.makeConnection(made)
        return made

    def addWriter(self, writer: End) -> None:
        self.callLater(0, self._write, writer)

    def _write(self, writer: End) -> None:
        if not writer.connected:
            return
        why = writer.doWrite()
        if why is not None:
            writer.connectionLost(Failure(why if isinstance(why, Exception) else ConnectionDone()))
        elif (writer.dataBuffer or writer._tempDataBuffer) and len(writer.other.inbox) < ROOM:
            self.addWriter(writer)

    def removeWriter(self, writer: End) -> None:
        pass

    addReader = removeReader = removeWriter

    def settle(self) -> None:
        """Let all happen that needs no time to pass."""
        for _ in range(100_000):
            if not self.calls or self.calls[0].getTime() > self.seconds():
                return
            self.advance(0)
        raise AssertionError("it never ends")

    def pass_time(self, seconds: float) -> None:
        """Let time pass, event by event."""
        end = self.seconds() + seconds
        self.settle()
        while self.calls and self.calls[0].getTime() <= end:
            self.advance(self.calls[0].getTime() - self.seconds())
            self.settle()
        self.advance(end - self.seconds())


class Port:
    """A UDP port of a client."""

    def __init__(self, network: Network, protocol: Any, interface: str, number: int) -> None:
        self.network, self.protocol, self.interface = network, protocol, interface
        self.number = number
        self.peer: Address = ("", 0)
        self.open = True
        self.queries: list[bytes] = []

    def connect(self, host: str, port: int) -> None:
        self.peer = (host, port)

    def write(self, datagram: bytes) -> None:
        self.queries.append(datagram)
        answer = self.network.datagrams.get(self.peer)
        if answer is None:
            self.network.callLater(0, self._refused)
            return
        for octets in answer(datagram, self):
            self.network.callLater(0, self.receive, octets, self.peer)

    def receive(self, octets: bytes, source: Address) -> None:
        if self.open:
            self.protocol.datagramReceived(octets, source)

    def _refused(self) -> None:
        if self.open:
            self.protocol.connectionRefused()

    def stopListening(self) -> None:
        self.open = False


class Scripted(Protocol):
    """A server that says its lines in turn: one at once, then one for each write that arrives.

    ``None`` in the script hangs up; ``...`` says nothing more.
    """

    script: ClassVar[Sequence[Any]] = ()

    def __init__(self, script: Sequence[Any]) -> None:
        self.lines = iter(script)
        self.heard = b""

    def connectionMade(self) -> None:
        self._say()

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        self._say()

    def _say(self) -> None:
        line = next(self.lines, ...)
        transport: Any = self.transport
        if line is None:
            transport.loseConnection()
        elif line is not ...:
            transport.write(line.replace("\n", "\r\n").encode() + b"\r\n")


def scripted(*script: Any) -> Callable[[Any], Scripted]:
    """What to put into `Network.hosts`."""
    return lambda _: Scripted(script)
