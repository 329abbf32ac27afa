"""Hosts, and the network between them: who listens where, who calls whom, what is cut.

A `Host` is a machine with addresses. What runs on it is handed its `reactor`, which
offers `IReactorTime`, `IReactorTCP` and what else Twisted programs ask of one, and
which belongs to one `Life`: `Host.crash` ends that, and `Host.boot` begins another.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from errno import ECONNRESET
from typing import Any, Final, Protocol

from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    NoRouteError,
    NotConnectingError,
    UserError,
)
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import (
    IConnector,
    IListeningPort,
    IReactorFromThreads,
    IReactorTCP,
    IReactorTime,
    IReactorUNIX,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from mailhub.sim.clock import Call, Clock, Ground, Life
from mailhub.sim.remains import closed_down
from mailhub.sim.trace import Trace
from mailhub.sim.wire import End, Link, Place, address_of

WILDCARDS: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104  # how they are written
LOOPBACK: Final = ("127.0.0.1", "::1")
EPHEMERAL: Final = 32_768
"""The first port of those that connect: Linux."""
LAG: Final = 30.0
"""Seconds at most by which what a middlebox says twice comes later: see `Link.doubled`."""


class Witness(Protocol):
    """Listens in on every connection, at both ends; not to what is encrypted."""

    def opened(self, near: Any, far: Any, *, copied: bool) -> None:
        """A connection stands, the client's end first; or the copy that a middlebox makes."""

    def wrote(self, end: Any, octets: bytes) -> None:
        """Something is said at an end."""

    def heard(self, end: Any, octets: bytes) -> None:
        """Something is heard at an end."""

    def ended(self, end: Any) -> None:
        """A connection is no more at an end."""


class Network(Ground):
    """Everything between hosts.

    Attributes:
        connections: The clients' ends of all connections that stand, in order.
        opened: Called with the client's end of each new connection, if it is set.
        witness: Who listens in, if anybody does.
    """

    def __init__(self, clock: Clock, trace: Trace, chance: random.Random) -> None:
        self.clock = clock
        self.trace = trace
        self.chance = chance
        self.connections: dict[End, None] = {}
        self.opened: Callable[[End], object] | None = None
        self.witness: Witness | None = None
        self._hosts: dict[str, Host] = {}
        self._cuts: set[tuple[str, str]] = set()
        self._isolated: dict[str, None] = {}
        self._held: dict[Any, None] = {}

    def add(self, address: str, host: Host) -> None:
        """Let a host have an address."""
        self._hosts[address] = host

    def find(self, address: str, seeker: Host) -> Host | None:
        """The host with an address, as `seeker` sees the world."""
        if address.startswith("127.") or address == "::1":
            return seeker
        return self._hosts.get(address)

    # ---- Partitions ------------------------------------------------------------------------

    def cut(self, source: Host, target: Host, *, both: bool = True) -> None:
        """Let nothing pass from one host to another; nothing is lost as long as TCP is patient."""
        self._cuts.add((source.name, target.name))
        if both:
            self._cuts.add((target.name, source.name))

    def mend(self, source: Host, target: Host) -> None:
        """Let everything pass between two hosts again."""
        self._cuts -= {(source.name, target.name), (target.name, source.name)}
        for end in list(self._held):
            if {end.host.name, end.other.host.name} == {source.name, target.name}:
                del self._held[end]
                end.release()

    def isolate(self, host: Host) -> None:
        """Let nothing pass between a host and all others."""
        self._isolated[host.name] = None

    def rejoin(self, host: Host) -> None:
        """Let everything pass again."""
        self._isolated.pop(host.name, None)
        for end in list(self._held):
            if host in (end.host, end.other.host):
                del self._held[end]
                end.release()

    def is_cut(self, source: Host, target: Host) -> bool:
        """Whether nothing passes."""
        if self._cuts and (source.name, target.name) in self._cuts:
            return True
        alone = self._isolated
        return (
            bool(alone) and source is not target and (source.name in alone or target.name in alone)
        )

    def held(self, end: Any) -> None:
        """An end has something to send that cannot pass; for `wire`."""
        self._held[end] = None

    # ---- Connections -----------------------------------------------------------------------

    def join(
        self, client: Host, here: Place, server: Host, there: Place, *, copied: bool = False
    ) -> tuple[End, End]:
        """The two ends of a new connection."""
        near = End(self, client, here, there, client=True)
        far = End(self, server, there, here, client=False)
        near.other, far.other = far, near
        self.connections[near] = None
        client.ends[near] = None
        server.ends[far] = None
        self.trace.note(self.clock.seconds(), f"{near} opened")
        if self.opened is not None:
            self.opened(near)
        if self.witness is not None:
            self.witness.opened(near, far, copied=copied)
        return near, far

    def ended(self, end: Any) -> None:
        """A connection is no more at one end; for `wire`."""
        end.host.ends.pop(end, None)
        if not end.connected and not end.other.connected:
            self.trace.note(self.clock.seconds(), f"{end} ended {end.sums}")
        if end.client:
            self.connections.pop(end, None)
        if self.witness is not None:
            self.witness.ended(end)


class Host(Ground):
    """A machine.

    Attributes:
        up: Whether it runs at all: a machine that does not answers nothing.
        ahead: Seconds by which its clock is ahead of the world's: `now`.
        reactor: What its programs are given; a new one after each crash.
        ends: Its ends of connections that stand.
    """

    def __init__(self, network: Network, name: str, addresses: tuple[str, ...], link: Link) -> None:
        self.network = network
        self.name = name
        self.addresses = list(addresses)
        self.link = link
        self.up = True
        self.ahead = 0.0
        self.life = Life(network.clock)
        self.ends: dict[End, None] = {}
        self.ports: dict[int, list[Port]] = {}
        self.paths: dict[str, Port] = {}
        self.reactor = HostReactor(self)
        self._ephemeral = EPHEMERAL
        for address in addresses:
            network.add(address, self)

    def crash(self, *, silent: bool = False) -> None:
        """End all that runs here, this moment, without a word of its own.

        Other hosts learn of it by a reset, as from the kernel of a machine whose program
        was killed; or not at all (`silent`), as when the power fails.
        """
        clock = self.network.clock
        life, self.life = self.life, Life(clock)
        self.up = not silent
        for end in self.ends:
            if not silent:
                end.tell_reset()
            self.network.connections.pop(end, None)
        life.over = True
        life.remains += [list(self.ends), self.ports, self.paths]
        self.ends, self.ports, self.paths = {}, {}, {}
        self.network.trace.note(clock.seconds(), f"{self.name} crashed")
        self.reactor = HostReactor(self)
        # In a turn of its own: this one may be the dead program's.
        clock.at(clock.seconds(), closed_down, clock, (life,))

    def end(self) -> Life:
        """End all that runs here, with the world; what life that was."""
        self.life.over = True
        self.life.remains += [list(self.ends), self.ports, self.paths]
        return self.life

    def boot(self) -> None:
        """Run again."""
        self.up = True

    def now(self) -> float:
        """The moment, by its own clock; what it waits for goes by the world's."""
        return self.network.clock.seconds() + self.ahead

    def sleep(self, seconds: float) -> None:
        """Stand still for a while, as a laptop that is closed: nothing runs, and nothing passes."""
        clock = self.network.clock
        self.life.wakes = clock.seconds() + seconds
        self.network.isolate(self)
        clock.callLater(seconds, self.network.rejoin, self)

    def listening(self, address: str, port: int) -> Port | None:
        """What listens there."""
        found = [it for it in self.ports.get(port, ()) if it.takes(address)]
        return found[0] if found else None

    def ephemeral(self) -> int:
        """A port for a connection from here."""
        self._ephemeral += 1
        if self._ephemeral > 60_999:  # Linux's last
            self._ephemeral = EPHEMERAL
        return self._ephemeral

    def source(self, target: str, bind: tuple[str, int] | None) -> str:
        """The address that a connection to `target` comes from."""
        if bind is not None and bind[0]:
            if self.network.find(bind[0], self) is not self:
                self.addresses.append(bind[0])
                self.network.add(bind[0], self)
            return bind[0]
        if target in LOOPBACK or target.startswith("127."):
            return "::1" if ":" in target else "127.0.0.1"
        same = [it for it in self.addresses if (":" in it) == (":" in target)]
        return same[0] if same else ""


@implementer(IListeningPort)
class Port:
    """Something that listens."""

    def __init__(self, host: Host, place: Place, factory: Any) -> None:
        self.host = host
        self.place = place
        self.factory = factory
        self.open = False

    def startListening(self) -> None:
        """Begin.

        Raises:
            CannotListenError: The place is taken.
        """
        interface, number = self.place
        if number == 0 and interface[:1] == "/":
            self.host.paths[interface] = self
        else:
            if number == 0:
                number = self.host.ephemeral()
                self.place = (interface, number)
            others = self.host.ports.setdefault(number, [])
            if any(it.place[0] == interface for it in others):
                raise CannotListenError(interface, number, OSError("Address already in use"))
            others.append(self)
            if interface not in WILDCARDS and interface not in LOOPBACK:
                self.host.source("", (interface, 0))
        self.open = True
        self.factory.doStart()

    def stopListening(self) -> None:
        """End."""
        if self.open:
            self.open = False
            interface, number = self.place
            if self.host.paths.get(interface) is self:
                del self.host.paths[interface]
            elif self in self.host.ports.get(number, ()):
                self.host.ports[number].remove(self)
            self.factory.doStop()

    loseConnection = stopListening

    def takes(self, address: str) -> bool:
        """Whether a connection to an address of the host is for this."""
        return self.place[0] in WILDCARDS or self.place[0] == address

    def getHost(self) -> Any:
        """Where."""
        interface, number = self.place
        if not number:
            return address_of(self.place)
        return address_of((interface or "0.0.0.0", number))  # noqa: S104


@implementer(IConnector)
class Connector:
    """A connection being made, and what was made of it."""

    def __init__(
        self, host: Host, place: Place, factory: Any, timeout: float | None, bind: Any
    ) -> None:
        self.host = host
        self.place = place
        self.factory = factory
        self.state = "disconnected"
        self.transport: End | None = None
        self._timeout = timeout
        self._bind = bind
        self._calls: list[Call] = []
        self._started = False

    def connect(self) -> None:
        """Try."""
        self.state = "connecting"
        if not self._started:
            self._started = True
            self.factory.doStart()
        self.factory.startedConnecting(self)
        if self.state != "connecting":
            return
        host, network, reactor = self.host, self.host.network, self.host.reactor
        target = network.find(self.place[0], host) if self.place[1] else host
        here = host.source(self.place[0], self._bind) if self.place[1] else self.place[0]
        if not here:
            self._calls = [reactor.callLater(0, self._fail, NoRouteError())]
            return
        if self._timeout:
            self._calls = [reactor.callLater(self._timeout, self._fail, ConnectTimeout())]
        if target is None or not target.up or self._cut(target):
            return
        delay = 0.0 if target is host else host.link.latency + target.link.latency
        self._calls.append(reactor.callLater(delay, self._reached, target, here, delay))

    def _cut(self, target: Host) -> bool:
        network = self.host.network
        return network.is_cut(self.host, target) or network.is_cut(target, self.host)

    def _reached(self, target: Host, here: str, delay: float) -> None:
        """The first packet comes to the other host."""
        if not target.up or self._cut(target):
            return
        address, number = self.place
        port = target.listening(address, number) if number else target.paths.get(address)
        if port is None:
            self._calls.append(self.host.reactor.callLater(delay, self._fail, Refused()))
            return
        source = (here, self.host.ephemeral() if number else 0)
        near, far = self.host.network.join(self.host, source, target, self.place)
        # Both ends exist from here on; the caller learns of it half a round trip later,
        # before anything that the other one says.
        near.connector = self
        near.protocol = _Nobody()
        self.transport = near
        near._last_arrival = far._last_arrival = self.host.network.clock.seconds() + delay  # noqa: SLF001
        self._calls.append(self.host.reactor.callLater(delay, self._connected, near))
        target.life.call(self._answered, port, far)
        twice = max(self.host.link.doubled, target.link.doubled)
        if twice and number and self.host.network.chance.random() < twice:
            self._double(near, target, here, port)

    @staticmethod
    def _answered(port: Port, far: End) -> None:
        """The other host has a new connection."""
        protocol = port.factory.buildProtocol(far.getPeer())
        if protocol is None:
            far.protocol = _Nobody()
            far.abortConnection()
            return
        far.protocol = protocol
        protocol.makeConnection(far)

    def _double(self, near: End, target: Host, here: str, port: Port) -> None:
        """A middlebox calls a second time, and will say there what is said here."""
        network = self.host.network
        source = (here, self.host.ephemeral())
        copy, far = network.join(self.host, source, target, self.place, copied=True)
        copy.protocol = _Nobody()
        near.copy = copy
        near.lag = network.chance.random() * LAG
        target.life.call(self._answered, port, far)

    def _connected(self, near: End) -> None:
        self._settle()
        self.state = "connected"
        protocol = self.factory.buildProtocol(near.getPeer())
        if protocol is None:
            near.abortConnection()
            return
        near.protocol = protocol
        protocol.makeConnection(near)

    def _settle(self) -> None:
        for call in self._calls:
            if call.active():
                call.cancel()
        self._calls = []

    def _fail(self, error: Exception) -> None:
        self._settle()
        self.state = "disconnected"
        transport, self.transport = self.transport, None
        if transport is not None:  # it stands at the other host only
            transport.connector = None
            transport.abortConnection()
        self.factory.clientConnectionFailed(self, Failure(error))
        self._perhaps_stop()

    def lost(self, failure: Failure) -> None:
        """The connection is no more."""
        if self.state == "connecting":  # lost before the caller knew that it stood
            self._fail(ConnectError(ECONNRESET, "Connection reset by peer"))
            return
        self.state = "disconnected"
        self.factory.clientConnectionLost(self, failure)
        self._perhaps_stop()

    def _perhaps_stop(self) -> None:
        if self.state == "disconnected" and self._started:
            self._started = False
            self.factory.doStop()

    def stopConnecting(self) -> None:
        """Give up.

        Raises:
            NotConnectingError: There is nothing to give up.
        """
        if self.state != "connecting":
            raise NotConnectingError
        self._fail(UserError())

    def disconnect(self) -> None:
        """Give up, or close."""
        if self.state == "connecting":
            self.stopConnecting()
        elif self.state == "connected" and self.transport is not None:
            self.transport.loseConnection()

    def getDestination(self) -> Any:
        """Where it leads."""
        return address_of(self.place)


class _Nobody:
    """The protocol of an end that nobody wants."""

    def dataReceived(self, data: bytes) -> None:
        """Nothing is done with it."""

    def connectionLost(self, reason: Failure) -> None:
        """Nothing was there."""


@implementer(IReactorTime, IReactorTCP, IReactorUNIX, IReactorFromThreads)
class HostReactor:
    """A reactor for the programs of one host, for one life of it."""

    running = True

    def __init__(self, host: Host) -> None:
        self._host = host
        self._life = host.life
        self._clock = host.network.clock

    # ---- IReactorTime ----------------------------------------------------------------------

    def seconds(self) -> float:
        """The moment."""
        return self._clock.seconds()

    def callLater(
        self,
        delay: float,
        callable: Callable[..., object],  # noqa: A002  # its name in IReactorTime
        *args: object,
        **kw: object,
    ) -> Call:
        """Call something later, if the host still lives then."""
        return self._clock.in_life(self._life, delay, callable, args, kw)

    def getDelayedCalls(self) -> list[Call]:
        """Those of all hosts."""
        return self._clock.getDelayedCalls()

    # ---- IReactorTCP and others ------------------------------------------------------------

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Port:  # noqa: ARG002
        """Listen on a port of the host."""
        made = Port(self._host, (interface, port), factory)
        if not self._life.over:
            made.startListening()
        return made

    def connectTCP(
        self,
        host: str,
        port: int,
        factory: Any,
        timeout: float | None = 30,
        bindAddress: tuple[str, int] | None = None,
    ) -> Connector:
        """Call another host."""
        connector = Connector(self._host, (host, port), factory, timeout, bindAddress)
        if not self._life.over:
            connector.connect()
        return connector

    def listenUNIX(self, address: str, factory: Any, *_: object, **__: object) -> Port:
        """Listen on a path."""
        made = Port(self._host, (address, 0), factory)
        if not self._life.over:
            made.startListening()
        return made

    def connectUNIX(
        self, address: str, factory: Any, timeout: float = 30, *_: object, **__: object
    ) -> Connector:
        """Call a path."""
        connector = Connector(self._host, (address, 0), factory, timeout, None)
        if not self._life.over:
            connector.connect()
        return connector

    def callFromThread(self, callable: Any, *args: object, **kw: object) -> None:  # noqa: A002
        """Call something soon: there are no threads."""
        self.callLater(0, callable, *args, **kw)

    def callWhenRunning(self, callable: Any, *args: object, **kw: object) -> None:  # noqa: A002
        """Call something soon: it runs already."""
        self.callLater(0, callable, *args, **kw)

    def addSystemEventTrigger(self, phase: str, eventType: str, *_: object, **__: object) -> None:
        """Nothing: a world that ends does not call its programs."""
