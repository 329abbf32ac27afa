"""Hosts: calling, listening, crashing."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.application.strports import service
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import (
    CannotListenError,
    ConnectError,
    ConnectionLost,
    NoRouteError,
    UserError,
)
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TimeoutError as TimedOut
from twisted.internet.interfaces import IReactorTCP, IReactorTime
from zope.interface.verify import verifyObject

from mailhub.sim.wire import Link
from tests.sim.machines import Client, Pair, Server, Talker


def test_a_call_takes_a_round_trip() -> None:
    """The server knows after half of it, the client after all of it, and then the greeting."""
    pair = Pair()
    pair.server.make = lambda: Talker(pair.world, b"220 hello")
    talker, _ = pair.call()
    pair.world.run(0.031)
    assert len(pair.server.made) == 1
    assert not talker.made
    pair.world.run(0.1)
    assert talker.made
    assert talker.heard == [(0.06, b"220 hello")]
    assert talker.transport.getPeer().host == pair.far.addresses[0]
    assert pair.server.made[0].transport.getPeer().host == pair.near.addresses[0]


def test_connections_are_told() -> None:
    """Who wants to meddle with connections is told of each when it is made."""
    pair = Pair()
    ends: list[object] = []
    pair.world.network.opened = ends.append
    near, _ = pair.joined()
    assert ends == [near.transport] == list(pair.world.network.connections)


def test_refused() -> None:
    """Where nothing listens a call is refused, after a round trip."""
    pair = Pair()
    factory = Client(Talker(pair.world))
    pair.near.reactor.connectTCP(pair.far.addresses[0], 26, factory)
    pair.world.run(0.05)
    assert factory.failed is None
    pair.world.run(0.05)
    assert factory.failed is not None
    assert factory.failed.check(Refused)


def test_reset_before_it_is_known() -> None:
    """A connection that is lost before the caller knew of it could not be made, as Twisted says it.

    That is a `ConnectError`, and never the error of a connection that stood.
    """
    pair = Pair()
    _, factory = pair.call()
    pair.world.run(0.035)  # half a round trip is 0.03: the other host has it
    (end,) = pair.far.ends
    end.reset()
    pair.world.run(1)
    assert factory.failed is not None
    assert factory.failed.check(ConnectError)


def test_silence() -> None:
    """Where nobody is, and behind a cut, a call takes as long as the caller is patient."""
    pair = Pair()
    nobody = Client(Talker(pair.world))
    pair.near.reactor.connectTCP("203.0.113.1", 25, nobody, timeout=10)
    pair.world.network.cut(pair.far, pair.near, both=False)
    _, cut = pair.call(timeout=10)
    pair.world.run(9.9)
    assert (nobody.failed, cut.failed) == (None, None)
    pair.world.run(0.2)
    for factory in (nobody, cut):
        assert factory.failed is not None
        assert factory.failed.check(TimedOut)


def test_no_route() -> None:
    """A host without IPv6 has no route to it."""
    pair = Pair()
    factory = Client(Talker(pair.world))
    pair.near.reactor.connectTCP("2001:db8::1", 25, factory)
    pair.world.run(1)
    assert factory.failed is not None
    assert factory.failed.check(NoRouteError)


def test_giving_up() -> None:
    """A caller that gives up while the other end stands already leaves nothing behind."""
    pair = Pair()
    talker = Talker(pair.world)
    factory = Client(talker)
    connector = pair.near.reactor.connectTCP(pair.far.addresses[0], 25, factory)
    pair.world.run(0.04)
    connector.disconnect()
    pair.world.run(1)
    assert factory.failed is not None
    assert factory.failed.check(UserError)
    assert not talker.made
    assert pair.server.made[0].lost is not None


def test_places() -> None:
    """A port is taken once; a listener on one address does not hear another."""
    pair = Pair()
    reactor = pair.far.reactor
    with pytest.raises(CannotListenError):
        reactor.listenTCP(25, Server(pair.world))
    reactor.listenTCP(143, Server(pair.world), interface="127.0.0.1")
    outside, inside = Client(Talker(pair.world)), Client(Talker(pair.world))
    pair.near.reactor.connectTCP(pair.far.addresses[0], 143, outside)
    reactor.connectTCP("127.0.0.1", 143, inside)
    pair.world.run(1)
    assert outside.failed is not None
    assert inside.failed is None
    assert reactor.listenTCP(0, Server(pair.world)).getHost().port > 1024


def test_source_addresses() -> None:
    """A host that binds an address has it from then on."""
    pair = Pair()
    talker = Talker(pair.world)
    pair.near.reactor.connectTCP(
        pair.far.addresses[0], 25, Client(talker), bindAddress=("192.0.2.7", 0)
    )
    pair.world.run(1)
    assert pair.server.made[0].transport.getPeer().host == "192.0.2.7"
    assert pair.world.network.find("192.0.2.7", pair.far) is pair.near


def test_local_sockets() -> None:
    """A path leads to what listens on it, on the same host."""
    pair = Pair()
    server = Server(pair.world)
    pair.far.reactor.listenUNIX("/run/control", server, mode=0o600)
    here, there = Talker(pair.world, b"hello"), Client(Talker(pair.world))
    pair.far.reactor.connectUNIX("/run/control", Client(here))
    pair.near.reactor.connectUNIX("/run/control", there)
    pair.world.run(1)
    assert server.made[0].octets == b"hello"
    assert there.failed is not None


def test_twisted_runs_on_it() -> None:
    """Endpoints, strings that describe them, and services are Twisted's own."""
    pair = Pair()
    assert verifyObject(IReactorTCP, pair.near.reactor)
    assert verifyObject(IReactorTime, pair.near.reactor)
    server = Server(pair.world)
    reactor: Any = pair.far.reactor
    listener = service("tcp:587", server, reactor)
    listener.privilegedStartService()
    listener.startService()
    talker = Talker(pair.world, b"EHLO x\r\n")
    connectProtocol(TCP4ClientEndpoint(pair.near.reactor, pair.far.addresses[0], 587), talker)
    pair.world.run(1)
    assert server.made[0].octets == b"EHLO x\r\n"
    listener.stopService()
    failures: list[object] = []
    again = connectProtocol(
        TCP4ClientEndpoint(pair.near.reactor, pair.far.addresses[0], 587), Talker(pair.world)
    )
    again.addErrback(lambda failure: failures.append(failure.check(ConnectError)))
    pair.world.run(1)
    assert failures == [ConnectError]


def test_a_crash() -> None:
    """A crash ends timers, connections and listeners; others learn of it by a reset."""
    pair = Pair()
    near, far = pair.joined()
    ran: list[int] = []
    before = pair.far.reactor
    before.callLater(5, ran.append, 1)
    pair.far.crash()
    before.callLater(1, ran.append, 2)
    far.transport.write(b"from beyond")
    pair.world.run(10)
    assert ran == []
    assert near.octets == b""
    assert near.lost is not None
    assert near.lost.check(ConnectionLost)
    assert far.lost is None, "who is dead is told nothing"
    _, refused = pair.call()
    pair.world.run(1)
    assert refused.failed is not None
    pair.far.reactor.listenTCP(25, pair.server)
    talker, _ = pair.joined(b"again")
    assert talker.made


def test_a_power_cut() -> None:
    """A machine without power answers nothing; when it is back it knows no old connection."""
    pair = Pair()
    near, _ = pair.joined()
    pair.far.crash(silent=True)
    near.transport.write(b"hello?")
    _, silent = pair.call(timeout=10)
    pair.world.run(60)
    assert near.lost is None
    assert silent.failed is not None
    assert silent.failed.check(TimedOut)
    pair.far.boot()
    near.transport.write(b"hello?")
    pair.world.run(1)
    assert near.lost is not None


def test_a_middlebox_that_calls_twice() -> None:
    """Whatever the client says is said a second time, a little later; it hears one answer."""
    pair = Pair(link=Link(0.01, doubled=1.0))
    near, _ = pair.joined(b"hello ")
    near.transport.write(b"again")
    near.transport.loseConnection()
    pair.world.run(60)
    far, copy = pair.server.made
    assert [far.octets, copy.octets] == [b"hello again"] * 2
    assert copy.heard[0][0] > far.heard[0][0]
    assert copy.lost is not None


def test_what_is_said_to_the_copy() -> None:
    """Nobody hears it, and who is called twice may hang up once."""
    pair = Pair(link=Link(0.01, doubled=1.0))
    near, _ = pair.joined(b"hello")
    pair.world.run(60)
    copy = pair.server.made[1]
    copy.transport.write(b"not for you")
    copy.transport.abortConnection()
    near.transport.write(b" there")
    pair.world.run(60)
    assert near.octets == b""
    assert near.lost is None
    assert pair.server.made[0].octets == b"hello there"


def test_a_clock_that_is_set() -> None:
    """Dates jump; what is waited for does not."""
    pair = Pair()
    ran: list[float] = []
    pair.far.reactor.callLater(10, lambda: ran.append(pair.far.now()))
    pair.far.ahead = 86400.0
    pair.world.run(10)
    assert ran == [pair.world.now + 86400.0]
    assert pair.near.now() == pair.world.now


def test_asleep() -> None:
    """A machine that sleeps does nothing and hears nothing, and then all of it, in order."""
    pair = Pair()
    near, far = pair.joined()
    ran: list[tuple[str, float]] = []
    for name, delay in (("soon", 1.0), ("next", 2.0), ("late", 100.0)):
        pair.far.reactor.callLater(delay, lambda name=name: ran.append((name, pair.world.age)))
    began = pair.world.age
    pair.far.sleep(60.0)
    near.transport.write(b"wake up")
    pair.world.run(59)
    assert (ran, far.octets) == ([], b"")
    pair.world.run(60)
    assert [(name, round(at - began)) for name, at in ran] == [
        ("soon", 60), ("next", 60), ("late", 100),
    ]  # fmt: skip
    assert far.octets == b"wake up"
