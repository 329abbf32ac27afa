"""The reactor of a hub in a lab: time and calls are the world's, ports the machine's."""

from __future__ import annotations

from typing import Any

from twisted.internet.protocol import ClientFactory, Factory, Protocol
from twisted.internet.testing import MemoryReactorClock

from mailhub.lab.reactor import LabReactor
from mailhub.sim.world import World


def _factory() -> Any:
    return Factory.forProtocol(Protocol)


def test_ports_are_the_machines() -> None:
    """Who listens, listens on the machine, where it was told to."""
    machine = MemoryReactorClock()
    with World() as world:
        reactor = LabReactor(world.host("hub.test"), machine)
        factory = _factory()
        reactor.listenTCP(25, factory, interface="127.0.0.1")
        reactor.listenUNIX("/control", factory)
    assert machine.tcpServers == [(25, factory, 50, "127.0.0.1")]
    assert machine.unixServers[0][0] == "/control"


def test_some_ports_are_the_worlds_too() -> None:
    """What comes back from the world's hosts is taken where the machine's programs hand in."""
    machine = MemoryReactorClock()
    with World() as world:
        host, other = world.host("hub.test"), world.host("mx.test")
        reactor = LabReactor(host, machine, {3025: 25})
        made: list[object] = []

        class Listening(Protocol):
            def connectionMade(self) -> None:
                made.append(self)

        factory = Factory.forProtocol(Listening)
        reactor.listenTCP(3025, factory, interface="127.0.0.1")
        other.reactor.connectTCP(host.addresses[0], 25, _client())
        world.run(1)
        assert len(made) == 1
    assert machine.tcpServers == [(3025, factory, 50, "127.0.0.1")]


def test_time_and_calls_are_the_worlds() -> None:
    """Hosts are called in the world, and the machine is not asked."""
    machine = MemoryReactorClock()
    with World() as world:
        host, other = world.host("hub.test"), world.host("mx.test")
        reactor = LabReactor(host, machine)
        heard: list[object] = []

        class Listening(Protocol):
            def connectionMade(self) -> None:
                heard.append(self)

        other.reactor.listenTCP(25, Factory.forProtocol(Listening))
        reactor.connectTCP(other.addresses[0], 25, _client())
        world.run(1)
        assert len(heard) == 1
        assert reactor.seconds() == world.now
    assert machine.tcpClients == []


def _client() -> Any:
    return ClientFactory.forProtocol(Protocol)
