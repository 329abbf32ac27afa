"""Connections: idle ones kept and dropped, groups that make room, an end without losses."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectBindError, ConnectError, NoRouteError

from mailhub.policy.limits import PoolLimits
from mailhub.policy.provider import Source
from mailhub.policy.route import TlsDemand
from mailhub.relay.pool import Link, Peer, Pool
from mailhub.sasl.client import Credentials
from mailhub.smtp.wire import Broken
from tests.network import Network
from tests.relay.sending import Host, content, envelope, pool, start
from tests.smtp.model import EVERYTHING, Model

ADDRESS = "192.0.2.1"
PEER = Peer("mx.example.net", 25, TlsDemand.OPPORTUNISTIC)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    network.hosts[ADDRESS, 25] = Host()
    yield network
    network.pass_time(60)
    assert not network.calls, "a call was left behind"
    assert not any(end.connected for end in network.made), "a connection was left open"


def linked(network: Network, it: Pool, peer: Peer = PEER) -> Link:
    """A connection with its session open."""
    results = start(it.connect(peer, ADDRESS))
    network.settle()
    [link] = results
    assert isinstance(link, Link), link
    assert start(link.session.open()) == []
    network.settle()
    return link


class TestConnect:
    def test_session(self, network: Network) -> None:
        """A link speaks as we were named, and without delay of small writes."""
        link = linked(network, pool(network))
        host: Host = network.hosts[ADDRESS, 25]
        assert host.commands == ["EHLO hub.example"]
        assert network.made[0].no_delay
        link.hang_up()

    @pytest.mark.parametrize(
        ("behaviour", "words"),
        [("refuse", "Connection refused"), ("silent", "Connection timed out")],
    )
    def test_unreachable(self, network: Network, behaviour: str, words: str) -> None:
        """What cannot be reached is told in plain words."""
        network.hosts[ADDRESS, 25] = behaviour
        results = start(pool(network).connect(PEER, ADDRESS))
        network.pass_time(31)
        assert results[0].check(Broken)
        assert results[0].value.reply.text == f"451 4.4.1 {words}"

    @pytest.mark.parametrize(
        ("error", "words"),
        [
            (NoRouteError(), "No route to host"),
            (ConnectError(string="x"), "Cannot connect"),
            (ConnectBindError(24, "x"), "No connection can be opened: Too many open files"),
        ],
    )
    def test_other_errors(self, network: Network, error: Exception, words: str) -> None:
        """So is what else the kernel says."""
        network.hosts[ADDRESS, 25] = "silent"
        results = start(pool(network).connect(PEER, ADDRESS))
        network.connectors[0].call.cancel()
        network.connectors[0].failed(error)
        assert words in results[0].value.reply.text

    def test_cancelled(self, network: Network) -> None:
        """A connection that nobody waits for any more is not made."""
        network.hosts[ADDRESS, 25] = "silent"
        waiting = Deferred.fromCoroutine(pool(network).connect(PEER, ADDRESS))
        waiting.addErrback(lambda failure: failure.trap(CancelledError))
        waiting.cancel()
        assert not network.made

    def test_source(self, network: Network) -> None:
        """Connections come from the addresses that were given, and say their name."""
        it = pool(network)
        source = Source("nine", "192.0.2.9", "2001:db8::9", "nine.example")
        for address in (ADDRESS, "2001:db8::1"):
            start(it.connect(replace(PEER, source=source), address))
        assert [connector.bind for connector in network.connectors] == [
            ("192.0.2.9", 0),
            ("2001:db8::9", 0),
        ]
        start(pool(network).connect(PEER, ADDRESS))
        assert network.connectors[2].bind is None
        network.settle()
        for end in network.made:
            end.abortConnection()
        named = linked(network, it, replace(PEER, source=source))
        assert network.hosts[ADDRESS, 25].commands[-1] == "EHLO nine.example"
        named.hang_up()

    def test_login(self, network: Network) -> None:
        """Credentials are used, readable only where there is to be no TLS."""
        for demand, code in ((TlsDemand.NONE, ""), (TlsDemand.OPPORTUNISTIC, "454")):
            network.hosts[ADDRESS, 25] = Host(
                lambda: Model((*EVERYTHING, "AUTH PLAIN"), answers={"AUTH": "235 Ok"})
            )
            peer = Peer("mx.example.net", 25, demand, credentials=Credentials("ann", "x"))
            results = start(pool(network).connect(peer, ADDRESS))
            network.settle()
            link = results[0]
            opening = start(link.session.open())
            network.settle()
            if code:
                assert str(opening[0].value.reply.code) == code
            else:
                assert opening == [None]
            link.hang_up()


class TestIdle:
    def test_taken(self, network: Network) -> None:
        """An idle connection is for the same peer on the same terms, the last used first."""
        it = pool(network)
        one, two = linked(network, it), linked(network, it)
        it.give_back(one)
        it.give_back(two)
        assert it.take(Peer("mx.example.net", 25, TlsDemand.REQUIRED)) is None
        assert it.take(PEER) is two
        assert it.take(PEER) is one
        assert it.take(PEER) is None
        assert (one.sent, two.sent) == (1, 1)
        it.give_back(one)
        it.give_back(two)

    def test_time(self, network: Network) -> None:
        """It is kept for a while, then says goodbye."""
        it = pool(network, limits=PoolLimits(idle=10))
        it.give_back(linked(network, it))
        network.pass_time(9)
        link = it.take(PEER)
        assert link is not None
        it.give_back(link)
        network.pass_time(9)
        assert network.made[0].connected
        network.pass_time(2)
        assert not network.made[0].connected
        assert it.take(PEER) is None
        host: Host = network.hosts[ADDRESS, 25]
        assert host.commands[-1] == "QUIT"

    def test_messages(self, network: Network) -> None:
        """After so many messages a connection is not kept."""
        it = pool(network, limits=PoolLimits(messages=2))
        link = linked(network, it)
        for after in (link, None):
            start(link.session.deliver(envelope("ann"), content()))
            network.settle()
            it.give_back(link)
            assert it.take(PEER) is after

    def test_exhausted(self, network: Network) -> None:
        """Nor if the server wants no more on it."""
        network.hosts[ADDRESS, 25] = Host(lambda: Model((*EVERYTHING, "LIMITS MAILMAX=1")))
        it = pool(network)
        link = linked(network, it)
        start(link.session.deliver(envelope(), content()))
        network.settle()
        it.give_back(link)
        assert it.take(PEER) is None

    def test_room(self, network: Network) -> None:
        """Nor if there are too many already."""
        it = pool(network, limits=PoolLimits(idle_total=1))
        one, two = linked(network, it), linked(network, it)
        it.give_back(one)
        it.give_back(two)
        assert it.take(PEER) is one
        it.give_back(one)

    def test_farewell(self, network: Network) -> None:
        """A connection on which the server says something is gone at once."""
        it = pool(network)
        it.give_back(linked(network, it))
        host: Host = network.hosts[ADDRESS, 25]
        transport: Any = host.served[0].transport
        transport.write(b"421 4.4.2 Idle\r\n")
        network.settle()
        assert it.take(PEER) is None

    def test_closed(self, network: Network) -> None:
        """So is one that the server closes."""
        it = pool(network)
        it.give_back(linked(network, it))
        network.made[0].other.loseConnection()
        network.settle()
        assert it.take(PEER) is None
        assert not it._links

    def test_lost_before(self, network: Network) -> None:
        """One that was closed before it was given back is not kept."""
        it = pool(network)
        link = linked(network, it)
        network.made[0].other.loseConnection()
        network.settle()
        it.give_back(link)
        assert it.take(PEER) is None


class TestGroups:
    def test_room(self, network: Network) -> None:
        """An idle connection makes room for a new one of its group, and for no other's."""
        it = pool(network)
        peers = [replace(PEER, host=f"mx{n}.example", group=group) for n, group in enumerate("aab")]
        links = [linked(network, it, peer) for peer in peers]
        for link in links:
            it.give_back(link)
        fourth = replace(PEER, host="mx4.example", group="a")
        start(it.connect(fourth, ADDRESS, most=3))
        network.settle()
        assert [it.take(peer) for peer in peers] == links
        for link in links:
            it.give_back(link)
        start(it.connect(fourth, ADDRESS, most=3))
        network.settle()
        assert it.take(peers[0]) is None
        assert it.take(peers[1]) is links[1]
        for end in network.made:
            end.abortConnection()

    def test_terms(self, network: Network) -> None:
        """A group has its own number of messages over a connection, and of recipients in one."""
        it = pool(network)
        peer = replace(PEER, messages=2, recipients=1)
        link = linked(network, it, peer)
        results = start(link.session.deliver(envelope("ann", "bea"), content()))
        network.settle()
        assert len(results) == 1
        assert link.session.messages == 2
        it.give_back(link)
        assert it.take(peer) is None


class TestSeats:
    def test_given_up(self, network: Network) -> None:
        """Who gets a connection, and does not want it any more, leaves none behind that is lost."""
        network.hosts[ADDRESS, 25] = Host(lambda: Model(EVERYTHING))
        it = pool(network)
        link = linked(network, it)
        assert it.at_work(link)
        seat = it.join(PEER)
        assert seat is not None
        it.give_back(link)  # it is the follower's now
        transport: Any = network.hosts[ADDRESS, 25].served[0].transport
        transport.write(b"421 4.4.2 Idle\r\n")
        network.settle()
        assert not link.usable
        seat.leave()
        network.settle()
        assert not it.full(PEER, 1), "it is counted no longer"
        assert not it._links

    def test_not_wanted(self, network: Network) -> None:
        """A good one is there for the next."""
        network.hosts[ADDRESS, 25] = Host(lambda: Model(EVERYTHING))
        it = pool(network)
        link = linked(network, it)
        it.at_work(link)
        seat = it.join(PEER)
        assert seat is not None
        it.give_back(link)
        seat.leave()
        assert it.take(PEER) is link
        it.give_back(link)


class TestStop:
    def test_idle(self, network: Network) -> None:
        """Idle connections say goodbye."""
        it = pool(network)
        it.give_back(linked(network, it))
        stopped = start(it.stop())
        assert stopped == []
        network.settle()
        assert stopped == [None]
        host: Host = network.hosts[ADDRESS, 25]
        assert host.commands[-1] == "QUIT"
        assert start(it.stop()) == [None]

    def test_at_work(self, network: Network) -> None:
        """Those at work may finish, and give nothing back."""
        it = pool(network, limits=PoolLimits(grace=10))
        link = linked(network, it)
        stopped = start(it.stop())
        assert stopped == []
        it.give_back(link)
        assert stopped == []
        network.settle()
        assert stopped == [None]
        [failure] = start(it.connect(PEER, ADDRESS))
        assert failure.check(Broken)

    def test_grace(self, network: Network) -> None:
        """Whoever does not finish in time loses its connections, made or not."""
        it = pool(network, limits=PoolLimits(grace=10))
        network.hosts["192.0.2.2", 25] = "silent"
        network.hosts[ADDRESS, 25] = Host(lambda: Model(answers={"MAIL": "silence"}))

        async def busy(address: str) -> None:
            link = await it.connect(PEER, address)
            await link.session.open()
            handover = await link.session.deliver(envelope(), content())
            assert handover.fault is not None
            await it.connect(PEER, address)

        results = [start(busy(ADDRESS)), start(busy("192.0.2.2"))]
        network.settle()
        stopped = start(it.stop())
        network.pass_time(9)
        assert results == [[], []]
        network.pass_time(1)
        assert stopped == [None]
        assert all(result[0].check(Broken) for result in results)
        assert results[0][0].value.reply.status == "4.3.2"
