"""From host to host for a provider: its limits, its addresses, its ways, and what replies do.

What becomes of hosts that break at each stage is in `test_remote`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailhub.mail.address import Path
from mailhub.mail.envelope import DeliverBy, Envelope, Recipient
from mailhub.policy.cause import Cause
from mailhub.policy.limits import PoolLimits, RemoteLimits
from mailhub.policy.provider import Provider, Providers
from mailhub.policy.route import Exchange, Smarthost, TlsDemand
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain
from mailhub.relay.remote import Directions, Remote
from mailhub.relay.traffic import AHEAD
from tests.network import scripted
from tests.relay.sending import (
    SMALL,
    Host,
    content,
    envelope,
    start,
    told,
)
from tests.relay.walking import BLOCKED, HOP, ONE, RELAY, TWO, World
from tests.smtp.model import DROP, SILENCE, Model, Octets, Unknowing


class TestGroup:
    def test_reuse(self, world: World) -> None:
        """Domains of one provider use the same connection, and the same gate."""
        first = world.deliver()
        other = Envelope(recipients=(Recipient(Path("ann", "example.net")),))
        second = world.deliver(other, Exchange("example.net"))
        assert (first.provider, second.provider) == ("big", "big")
        assert second.attempts[0].reused
        assert second.attempts[0].provider == "big"
        [gate] = world.traffic.all()
        assert gate.repute.taken == 2

    def test_lanes(self, world: World) -> None:
        """Domains of one provider are one lane, once that is found out; with its places."""
        world.provider["connections"] = 2
        remote = world.remote()
        net = Exchange("example.net")
        assert remote.lane(HOP) == HOP
        assert remote.places(HOP) is None
        start(remote.find(HOP))
        start(remote.find(net))
        assert remote.lane(HOP) == remote.lane(net) == "big"
        assert remote.places("big") == 2 + AHEAD
        nowhere = Exchange("nowhere.example")
        world.mx["nowhere.example"] = NoSuchDomain()
        [found] = start(remote.find(nowhere))
        assert found is None
        assert remote.lane(nowhere) == nowhere
        literal = Exchange("[192.0.2.7]")
        start(remote.find(literal))
        assert remote.lane(literal) == "[192.0.2.7]"
        assert remote.lane(Smarthost("out", "relay.example")) == "route out"

    @pytest.mark.parametrize(
        ("extensions", "by", "taken_over"),
        [
            (("DSN",), None, True),
            (("DSN", "DELIVERBY"), DeliverBy(60, returned=False), True),
            (("DSN",), DeliverBy(60, returned=False), False),
            (("DSN", "DELIVERBY"), DeliverBy(60, returned=True, trace=True), False),
            ((), None, False),
        ],
    )
    def test_who_reports(
        self, world: World, extensions: tuple[str, ...], by: DeliverBy | None, taken_over: bool
    ) -> None:
        """The next host takes over, unless the sender wants to hear of it (RFC 2852 §4.1.4)."""
        world.network.hosts[ONE, 25] = Host(partial(Model, extensions))
        outcome = world.deliver(envelope(by=by))
        assert outcome.dsn == (taken_over,)

    def test_probe(self, world: World) -> None:
        """Hosts are asked about a recipient, in order, and no message is sent."""
        there = Path("ann", "example.org")
        world.addresses["mx.big.example"] = [TWO, ONE]
        answers = {"RCPT": "550 5.1.1 No such user", "MAIL": "250 2.1.0 Ok"}
        host = world.answers(**answers)
        remote = world.remote()
        results = start(remote.probe(HOP, there))
        world.network.pass_time(1)
        [reply] = results
        assert reply.text == "550 5.1.1 No such user"
        assert host.commands[-3:] == ["MAIL FROM:<>", "RCPT TO:<ann@example.org>", "QUIT"]
        world.answers(MAIL="550 5.7.1 No bounces")
        assert self.probed(world, remote) == "451"
        world.answers(EHLO=DROP)
        assert self.probed(world, remote) == "451"
        world.mx["example.org"] = LookupFailed("SERVFAIL")
        assert self.probed(world, remote) == "451"
        world.mx["example.org"] = [Mx(10, "mx.big.example")]
        world.addresses["mx.big.example"] = NoSuchDomain()
        assert self.probed(world, remote) == "451"

    def probed(self, world: World, remote: Remote) -> str:
        results = start(remote.probe(HOP, Path("ann", "example.org")))
        world.network.pass_time(1)
        [reply] = results
        return str(reply.code)

    def test_unknown(self, world: World) -> None:
        """Domains of nobody known are grouped by their exchanges."""
        world.mx["example.com"] = [Mx(10, "mx.small.example")]
        world.addresses["mx.small.example"] = [ONE]
        outcome = world.deliver(hop=Exchange("example.com"))
        assert outcome.provider == "mx.small.example"
        assert outcome.attempts[0].provider == ""

    def test_recipients(self, world: World) -> None:
        """A message goes in as many transactions as the provider's recipients ask for."""
        world.provider["recipients"] = 2
        outcome = world.deliver(envelope("ann", "bea", "cid"))
        assert told(outcome) == ["250 2.0.0"] * 3
        assert [len(message.recipients) for message in world.host.models[0].taken] == [2, 1]

    def test_messages(self, world: World) -> None:
        """A connection carries as many messages as the provider's limit says."""
        world.provider["messages"] = 2
        for _ in range(5):
            world.deliver()
        assert len(world.host.models) == 3

    def test_connections(self, world: World) -> None:
        """There are as many connections as the provider's limit says."""
        world.provider["connections"] = 2
        results = [start(world.remote().deliver(HOP, envelope(), content())) for _ in range(8)]
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.host.models) == 2

    def test_tls(self, world: World) -> None:
        """A provider may demand TLS."""
        world.provider["tls"] = TlsDemand.REQUIRED
        outcome = world.deliver()
        assert told(outcome) == ["454 4.7.4"]
        assert outcome.causes == (Cause.TLS,)


class TestAstray:
    """A host that announces PIPELINING and answers out of order."""

    def test_one_at_a_time(self, world: World) -> None:
        """It is called again at once, gets one command at a time, and the message once."""

        def model(**words: Any) -> Model:
            """On the first connection the replies to RCPT and DATA change places."""
            swapped = {"RCPT": "354 Go", "DATA": "250 Ok"}
            return Model(**words, answers={} if world.host.models else swapped)

        world.host = Host(model)
        world.network.hosts[ONE, 25] = world.host
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert [it.stage for it in outcome.attempts] == ["rcpt", "done"]
        assert [len(it.taken) for it in world.host.models] == [0, 1]
        assert "Unexpected reply" in outcome.attempts[0].reply.text
        assert world.pool.astray.has("mx.big.example", world.network.seconds())
        world.deliver()
        assert len(world.host.models) == 2, "the connection is kept"

    def test_for_a_while(self, world: World) -> None:
        """After a day it may try again."""
        now = world.network.seconds
        world.answers(RCPT="354 Go", DATA="250 Ok")
        outcome = world.deliver()
        assert told(outcome) == ["451 4.5.0"]
        assert len(outcome.attempts) == 2
        assert outcome.causes == (Cause.PROTOCOL,)
        assert world.pool.astray.has("mx.big.example", now() + 86_000)
        assert not world.pool.astray.has("mx.big.example", now() + 87_000)


class TestSilence:
    def test_among_several(self, world: World) -> None:
        """A host that falls silent behind some answers gets one command at a time, for an hour."""
        world.answers(RCPT=SILENCE)
        world.deliver(seconds=1000)
        now = world.network.seconds()
        assert world.pool.astray.has("mx.big.example", now)
        assert not world.pool.astray.has("mx.big.example", now + 3600)

    def test_from_the_start(self, world: World) -> None:
        """One that does not even answer MAIL has other troubles."""
        world.answers(MAIL=SILENCE)
        world.deliver(seconds=1000)
        assert not world.pool.astray.has("mx.big.example", world.network.seconds())


class TestOtherDirections:
    def test_obeyed(self, world: World) -> None:
        """What is configured anew counts at once, also where a domain's provider is known."""
        remote = world.remote()
        world.deliver(remote=remote)
        providers = Providers((Provider("big", ("*.big.example",), per_hour=1),))
        assert remote.provider_of(HOP) is not None
        remote.obey(RemoteLimits(), Directions(providers))
        assert remote.provider_of(HOP) is None
        assert world.deliver(remote=remote).put_off is not None
        assert remote.waiting("big") == ["example.org"]
        assert remote.waiting("big") == []


class TestBehind:
    """More messages than connections: they follow each other."""

    def deliveries(self, world: World, count: int) -> list[list[Any]]:
        remote = world.remote()
        return [start(remote.deliver(HOP, envelope(), content())) for _ in range(count)]

    def test_announced(self, world: World) -> None:
        """A message is announced behind the content of the one before, on the same connection."""
        world.provider["connections"] = 1
        results = self.deliveries(world, 6)
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        [model] = world.host.models
        assert len(model.taken) == 6
        attempts = [outcome.attempts[0] for [outcome] in results]
        assert [attempt.reused for attempt in attempts] == [False] + [True] * 5
        assert all(attempt.dialogue[-1].startswith("<<< 250") for attempt in attempts)

    def test_quick(self, world: World) -> None:
        """Where messages take no time they follow each other, without a connection for each."""
        world.provider["connections"] = 10
        for _ in range(30):  # what they take is learnt bit by bit
            self.deliveries(world, 1)
            world.network.settle()
        results = self.deliveries(world, 2)
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.host.models) == 1

    def test_not_known_to_be_quick(self, world: World) -> None:
        """Where that is not known, each takes a connection of its own."""
        world.provider["connections"] = 10
        results = self.deliveries(world, 2)
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.host.models) == 2

    def test_lost(self, world: World) -> None:
        """If the connection breaks, who was announced goes on another; nothing arrives twice."""
        world.provider["connections"] = 1
        turns: Iterator[Any] = iter([{".": DROP}, {}])
        world.host = Host(lambda: Model(answers=next(turns)))
        world.network.hosts[ONE, 25] = world.host
        results = self.deliveries(world, 3)
        world.network.settle()
        assert [told(outcome) for [outcome] in results] == [
            ["451 4.4.2"],
            ["250 2.0.0"],
            ["250 2.0.0"],
        ]
        assert [outcome.attempts[-1].in_doubt for [outcome] in results] == [True, False, False]

    def test_farewell(self, world: World) -> None:
        """A server that ends the connection after each message gets the next on a new one."""
        world.provider["connections"] = 1
        world.host = Host(lambda: Model(answers={".": "250 Ok\n421 4.7.0 Enough"}))
        world.network.hosts[ONE, 25] = world.host
        results = self.deliveries(world, 3)
        world.network.pass_time(5)
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)

    def test_not_pipelining(self, world: World) -> None:
        """Without PIPELINING there is one message for each connection."""
        world.provider["connections"] = 2
        world.host = Host(lambda: Model(("8BITMIME",)))
        world.network.hosts[ONE, 25] = world.host
        results = self.deliveries(world, 5)
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.host.models) == 2

    def test_cancelled(self, world: World) -> None:
        """Who gives up after it was announced takes the connection along, and nobody's mail."""
        world.provider["connections"] = 1
        world.answers(**{".": ["silence"]})
        remote = world.remote()
        first = start(remote.deliver(HOP, envelope(), content()))
        world.network.settle()
        second = Deferred.fromCoroutine(remote.deliver(HOP, envelope("zoe"), content()))
        second.addErrback(lambda failure: failure.trap(CancelledError))
        world.network.settle()
        assert world.network.made[0].connected
        second.cancel()
        world.network.pass_time(700)
        [outcome] = first
        assert outcome.attempts[0].in_doubt
        assert not world.network.made[0].connected

    def test_unreadable(self, world: World) -> None:
        """A message whose content cannot be read leaves the connection to others."""
        world.provider["connections"] = 1
        remote = world.remote()
        bad = Octets(SMALL, short=len(SMALL))
        works = [start(remote.deliver(HOP, envelope(), it)) for it in (content(), bad, content())]
        world.network.settle()
        assert [told(outcome) for [outcome] in works] == [
            ["250 2.0.0"],
            ["451 4.3.0"],
            ["250 2.0.0"],
        ]


class Leaving(Model):
    """Hangs up behind a farewell."""

    def say(self, answer: str) -> None:
        super().say(answer)
        self.closed = self.closed or answer.startswith("421")


class TestFar:
    """A long line, to a host that takes chunks: several messages are under way at once."""

    @pytest.fixture
    def world(self, world: World) -> World:
        """One connection at most, and 100 ms to the host and back."""
        world.network.latency = 0.05
        world.provider["connections"] = 1
        return world

    def deliveries(self, world: World, count: int) -> list[list[Any]]:
        remote = world.remote()
        return [start(remote.deliver(HOP, envelope(f"n{n}"), content())) for n in range(count)]

    def proved(self, world: World, count: int, behaviour: Any = None) -> list[Any]:
        """What comes of so many at once, once a connection is there that has taken a chunk."""
        world.host = Host(behaviour or Model)
        world.network.hosts[ONE, 25] = world.host
        first = self.deliveries(world, 1)
        world.network.pass_time(1)
        assert [told(outcome) for [outcome] in first] == [["250 2.0.0"]]
        results = self.deliveries(world, count)
        world.network.pass_time(0.101)
        return results

    def test_a_round_trip_for_four(self, world: World) -> None:
        """Four messages take one round trip, and the next follow as soon as one is answered."""
        results = self.proved(world, 4)
        assert [told(outcome) for [outcome] in results] == [["250 2.0.0"]] * 4
        [model] = world.host.models
        assert len(model.taken) == 5
        assert not any(attempt.in_doubt for [it] in results for attempt in it.attempts)
        assert [it.attempts[0].dialogue[-1] for [it] in results] == [
            "<<< 250 2.0.0 Ok: queued as MODEL"
        ] * 4
        assert all(
            any(f"n{n}@" in line for line in it.attempts[0].dialogue)
            for n, [it] in enumerate(results)
        )

    def test_spread(self, world: World) -> None:
        """They follow where fewest do, so that all connections carry as much."""
        world.provider["connections"] = 2
        self.deliveries(world, 2)
        world.network.pass_time(1)
        results = self.deliveries(world, 8)
        world.network.pass_time(0.101)
        assert [told(outcome) for [outcome] in results] == [["250 2.0.0"]] * 8
        assert [len(model.taken) for model in world.host.models] == [5, 5]

    def test_many(self, world: World) -> None:
        """However many there are, each arrives once."""
        results = self.deliveries(world, 12)
        world.network.pass_time(3)
        assert [told(outcome) for [outcome] in results if outcome.put_off is None] == [
            ["250 2.0.0"]
        ] * sum(outcome.put_off is None for [outcome] in results)
        taken = [it.recipients for model in world.host.models for it in model.taken]
        assert len(taken) == len({tuple(it) for it in taken}) >= 5

    def test_lost(self, world: World) -> None:
        """If the connection breaks all that were sent are in doubt, and none is tried elsewhere."""
        answers: dict[str, Any] = {"BDAT": ["", "250 Ok", "", "250 Ok", "", DROP]}
        results = self.proved(world, 4, lambda: Model(answers=answers))
        world.network.pass_time(5)
        assert [told(outcome) for [outcome] in results] == [["250 2.0.0"], *[["451 4.4.2"]] * 3]
        doubts = [[it.in_doubt for it in outcome.attempts] for [outcome] in results]
        assert doubts == [[False], [True], [True], [True]]
        assert all(
            any(f"n{n}@" in line for line in outcome.attempts[0].dialogue)
            for n, [outcome] in enumerate(results)
        )
        assert len(world.host.models) == 1

    def test_farewell(self, world: World) -> None:
        """What was sent behind a farewell was not read: it goes on a new connection."""
        turns: Iterator[Any] = iter([{"MAIL": ["250 Ok", "250 Ok", "421 4.7.0 Enough"]}, {}])
        results = self.proved(world, 4, lambda: Leaving(answers=next(turns)))
        world.network.pass_time(5)
        sent = [outcome for [outcome] in results if outcome.put_off is None]
        assert len(sent) >= 2
        assert [told(outcome) for outcome in sent] == [["250 2.0.0"]] * len(sent)
        assert not any(it.in_doubt for [outcome] in results for it in outcome.attempts)
        assert len(world.host.models) == 2
        assert sum(len(model.taken) for model in world.host.models) == 1 + len(sent)

    def test_unknown(self, world: World) -> None:
        """A host that knows no BDAT, whatever it announces, gets the message by DATA at once."""
        world.host = Host(Unknowing)
        world.network.hosts[ONE, 25] = world.host
        results = self.deliveries(world, 1)
        world.network.pass_time(3)
        assert [told(outcome) for [outcome] in results] == [["250 2.0.0"]]
        assert len(world.host.models) == 2

    def test_one_after_the_other(self, world: World) -> None:
        """An operator who wants no doubts has one message under way at a time."""
        limits = PoolLimits(under_way=1)
        world.pool.obey(limits, world.pool.timeouts)
        self.proved(world, 4)
        [model] = world.host.models
        assert len(model.taken) == 1
        assert "DATA" in model.commands

    def test_cancelled(self, world: World) -> None:
        """Who gives up amid the others takes the connection along: those behind are in doubt."""
        world.host = Host()
        world.network.hosts[ONE, 25] = world.host
        first = self.deliveries(world, 1)
        world.network.pass_time(1)
        assert first[0]
        remote = world.remote()
        works = [
            Deferred.fromCoroutine(remote.deliver(HOP, envelope(f"n{n}"), content()))
            for n in range(3)
        ]
        results: dict[int, Any] = {}
        for number, work in enumerate(works):
            work.addBoth(partial(results.__setitem__, number))
        world.network.settle()
        works[1].cancel()
        world.network.pass_time(1)
        whole, cut, behind = (results[number] for number in range(3))
        assert cut.check(CancelledError)
        assert told(whole) == ["250 2.0.0"]
        assert behind.attempts[0].in_doubt


class TestPutOff:
    def test_slow(self, world: World) -> None:
        """What the pace does not allow now is put off: no attempt, and no failure."""
        world.provider["per_hour"] = 1
        assert world.deliver().put_off is None
        outcome = world.deliver()
        assert outcome.put_off is not None
        assert outcome.put_off > 1000 + 3600
        assert told(outcome) == ["451 4.3.2"]
        assert outcome.causes == (Cause.LOCAL,)
        assert outcome.attempts == ()

    def test_rate_limited(self, world: World) -> None:
        """A complaint is a failure of that message, and puts off those behind it."""
        world.answers(RCPT="450 4.7.1 Too many messages, slow down")
        first = world.deliver()
        assert first.causes == (Cause.RATE_LIMITED,)
        assert first.put_off is None
        assert world.deliver().put_off == pytest.approx(1060)
        assert world.news[0].text.startswith("wants us to go slower")

    def test_connections_complaint(self, world: World) -> None:
        """A complaint at the greeting is about connections."""
        world.network.hosts[ONE, 25] = scripted("421 4.7.0 Too many connections from 192.0.2.9")
        outcome = world.deliver()
        assert outcome.causes == (Cause.RATE_LIMITED,)
        [gate] = world.traffic.all()
        assert gate.repute.pace.connections == 10


class TestDetour:
    def test_blocked(self, world: World) -> None:
        """What is refused because we are blocked goes through the relay, and is no bounce."""
        world.provider["detour"] = "out"
        world.answers(RCPT=["250 Ok", BLOCKED, "550 5.1.1 User unknown"])
        outcome = world.deliver(envelope("ann", "bea", "cid"))
        assert told(outcome) == ["250 2.0.0", "250 2.0.0", "550 5.1.1"]
        assert outcome.hosts == ("mx.big.example", "relay.example", "mx.big.example")
        assert outcome.causes == (None, None, Cause.UNKNOWN_USER)
        [message] = world.relay.models[0].taken
        assert message.recipients == ["TO:<bea@example.org>"] or len(message.recipients) == 1
        assert [news.urgent for news in world.news] == [True]
        assert world.news[0].text == f"blocks us; its mail goes through out: {BLOCKED}"

    @pytest.mark.parametrize("verb", ["MAIL", "RCPT", "DATA", "."])
    def test_stages(self, world: World, verb: str) -> None:
        """At whatever stage they say it."""
        world.provider["detour"] = "out"
        world.answers(**{verb: BLOCKED})
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert outcome.hosts == ("relay.example",)
        assert [attempt.host for attempt in outcome.attempts] == ["mx.big.example", "relay.example"]

    def test_greeting(self, world: World) -> None:
        """At the greeting too."""
        world.provider["detour"] = "out"
        world.network.hosts[ONE, 25] = scripted(BLOCKED)
        assert told(world.deliver()) == ["250 2.0.0"]

    def test_remembered(self, world: World) -> None:
        """Others take the detour at once; after a while one tries, and brings all back."""
        world.provider.update(detour="out", probe=600.0, detour_for=3600.0)
        blocking = world.answers(MAIL=BLOCKED)
        world.deliver()
        assert len(blocking.models) == 1
        assert world.deliver().hosts == ("relay.example",)
        assert len(blocking.models) == 1
        world.network.pass_time(600)
        assert world.deliver().hosts == ("relay.example",)
        assert len(blocking.models) == 2
        world.answers()
        assert world.deliver().hosts == ("relay.example",)
        world.network.pass_time(600)
        assert world.deliver().hosts == ("mx.big.example",)
        assert world.deliver().hosts == ("mx.big.example",)
        assert world.news[-1].text.endswith("the detour has ended")

    def test_other_providers(self, world: World) -> None:
        """Only that provider's mail takes it."""
        world.provider["detour"] = "out"
        world.answers(MAIL=BLOCKED)
        world.deliver()
        world.network.hosts[TWO, 25] = Host()
        world.mx["example.com"] = [Mx(10, "mx.small.example")]
        world.addresses["mx.small.example"] = [TWO]
        assert world.deliver(hop=Exchange("example.com")).hosts == ("mx.small.example",)

    def test_places_there(self, world: World) -> None:
        """While mail takes the detour it has the places of the relay."""
        world.provider |= {"detour": "out", "connections": 2}
        remote = world.remote()
        world.answers(MAIL=BLOCKED)
        world.deliver(remote=remote)
        assert remote.places("big") == PoolLimits().destination + AHEAD

    def test_relay_down(self, world: World) -> None:
        """If the relay is down too, mail waits: a block is still no bounce."""
        world.provider["detour"] = "out"
        world.answers(MAIL=BLOCKED)
        world.network.hosts[RELAY, 587] = "refuse"
        outcome = world.deliver()
        assert told(outcome) == ["451 4.4.1"]
        assert outcome.causes == (Cause.UNREACHABLE,)

    def test_none(self, world: World) -> None:
        """Without a detour a block is a refusal like another."""
        world.answers(MAIL=BLOCKED)
        outcome = world.deliver()
        assert told(outcome) == ["554 5.7.1"]
        assert outcome.causes == (Cause.BLOCKED,)

    def test_itself(self, world: World) -> None:
        """Mail that goes to the relay anyway has no detour, even if that blocks us."""
        world.relay = Host(partial(Model, answers={"MAIL": BLOCKED}))
        world.network.hosts[RELAY, 587] = world.relay
        world.addresses["mx.big.example"] = [RELAY]
        hop = Smarthost("out", "relay.example", 587, TlsDemand.NONE)
        assert told(world.deliver(hop=hop)) == ["554 5.7.1"]
        assert len(world.relay.models) == 1
