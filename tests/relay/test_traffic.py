"""Turns: places and slots for each provider, and none that holds up the others."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from mailhub.mail.reply import Refusal, Reply
from mailhub.policy import repute as standing
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Rule, Verdict
from mailhub.policy.limits import PoolLimits
from mailhub.policy.pace import Pace
from mailhub.policy.provider import Provider, Source
from mailhub.policy.repute import FAILURES, News, Repute
from mailhub.relay import traffic as module
from mailhub.relay.traffic import (
    AHEAD,
    LOOK,
    SAVE,
    SPREAD,
    Gate,
    PutOff,
    Stopping,
    Traffic,
    Turn,
)
from tests.network import Network
from tests.relay.sending import start, traffic
from tests.rig import InlineDisk

A, B, C = (Provider(name) for name in "abc")
OK = Reply(250, "0.0", ("Ok",))
LATER = Reply(421, "7.0", ("Slow down",))
ONE, TWO = Source("one", "192.0.2.1"), Source("two", "192.0.2.2")


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    assert not network.calls, "a call was left behind"


def room(it: Traffic, gate: Gate) -> float:
    """When a message may begin: 0 is now."""
    try:
        it._check(gate)
    except PutOff as put_off:
        return put_off.until
    except Refusal:
        return 0.0
    return 0.0


class Jobs:
    """Messages that are at work until they are told to end."""

    def __init__(self, it: Traffic) -> None:
        self.it = it
        self.at_work: list[str] = []
        self.ends: dict[str, Deferred[None]] = {}
        self.results: dict[str, list[Any]] = {}

    def begin(self, name: str, gate: Gate) -> None:
        self.ends[name] = Deferred()

        async def work() -> str:
            async with self.it.turn(gate):
                self.at_work.append(name)
                await self.ends[name]
            return "done"

        self.results[name] = start(work())

    def end(self, *names: str) -> None:
        for name in names:
            self.at_work.remove(name)
            self.ends[name].callback(None)

    def end_all(self) -> None:
        while self.at_work:
            self.end(self.at_work[0])

    def refused(self, name: str) -> Any:
        [failure] = self.results[name]
        assert isinstance(failure, Failure)
        return failure.value


class TestPlaces:
    def test_destination(self, network: Network) -> None:
        """So many for one provider, the rest in order; other providers do not wait."""
        it = traffic(network, limits=PoolLimits(destination=2))
        jobs = Jobs(it)
        for name in ("a1", "a2", "a3", "a4", "b1"):
            jobs.begin(name, it.gate(Provider(name[0])))
        assert jobs.at_work == ["a1", "a2", "b1"]
        jobs.end("a2")
        assert jobs.at_work == ["a1", "b1", "a3"]
        jobs.end_all()
        assert all(result == ["done"] for result in jobs.results.values())

    def test_configured(self, network: Network) -> None:
        """A provider's own number of connections counts."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(replace(A, connections=1))
        jobs.begin("one", gate)
        jobs.begin("two", gate)
        assert jobs.at_work == ["one"]
        jobs.end_all()

    def test_shares(self, network: Network) -> None:
        """One that takes all it may leaves as many places free as it has."""
        it = traffic(network, limits=PoolLimits(destination=20, total=8))
        jobs = Jobs(it)
        for number in range(10):
            jobs.begin(f"a{number}", it.gate(A))
        assert len(jobs.at_work) == 4
        for number in range(10):
            jobs.begin(f"b{number}", it.gate(B))
        assert len(jobs.at_work) == 6
        jobs.begin("c", it.gate(C))
        assert jobs.at_work[-1] == "c"
        for name in ("a0", "a1", "a2", "a3"):
            jobs.end(name)
        # What a gave up is shared by all.
        assert sum(name.startswith("b") for name in jobs.at_work) > 2
        jobs.end_all()
        assert all(result == ["done"] for result in jobs.results.values())

    def test_troubled(self, network: Network) -> None:
        """A hundred dead providers leave three quarters to the living."""
        it = traffic(network, limits=PoolLimits(destination=20, total=8))
        jobs = Jobs(it)
        for number in range(100):
            gate = it.gate(Provider(f"dead{number}"))
            gate.unreached(LATER)
            jobs.begin(f"dead{number}", gate)
        assert len(jobs.at_work) == 2
        for number in range(3):
            jobs.begin(f"alive{number}", it.gate(A))
        assert jobs.at_work[2:] == ["alive0", "alive1", "alive2"]
        jobs.end_all()
        assert all(result == ["done"] for result in jobs.results.values())

    def test_failure(self, network: Network) -> None:
        """A turn that ends badly, or is not waited for any more, is given on."""
        it = traffic(network, limits=PoolLimits(destination=1))
        jobs = Jobs(it)
        gate = it.gate(A)
        jobs.begin("one", gate)

        async def other() -> None:
            async with it.turn(gate):
                raise AssertionError

        waiting = Deferred.fromCoroutine(other())
        waiting.addErrback(lambda failure: failure.trap(CancelledError))
        jobs.begin("three", gate)
        waiting.cancel()
        jobs.at_work.remove("one")
        jobs.ends["one"].errback(Failure(RuntimeError()))
        assert isinstance(jobs.refused("one"), RuntimeError)
        assert jobs.at_work == ["three"]
        jobs.end_all()
        assert gate.busy == 0
        assert gate.users == 0

    def test_other_limits(self, network: Network) -> None:
        """More places are given at once."""
        it = traffic(network, limits=PoolLimits(destination=1))
        jobs = Jobs(it)
        for name in ("one", "two"):
            jobs.begin(name, it.gate(A))
        it.obey(PoolLimits(destination=2))
        assert jobs.at_work == ["one", "two"]
        jobs.end_all()

    def test_room(self, network: Network) -> None:
        """What is worth being begun: connections, what may follow on them, and a few more."""
        it = traffic(network, limits=PoolLimits(destination=3))
        assert it.room(A) == 3 + AHEAD
        assert it.room(A, (ONE, TWO)) == 6 + AHEAD
        gate = it.gate(A)
        gate.seat("a link", 1)
        assert it.room(A) == 4 + AHEAD
        gate.repute = replace(gate.repute, trial=True)
        assert it.room(A) == 1 + AHEAD

    def test_crowd(self, network: Network) -> None:
        """Where many wait, others are told to come again, one after the other."""
        it = traffic(network, limits=PoolLimits(destination=1))
        jobs = Jobs(it)
        gate = it.gate(A)
        for number in range(8):
            jobs.begin(f"a{number}", gate)
        moments = [jobs.refused(name).until for name in ("a6", "a7")]
        assert network.seconds() + 1000 < moments[0] < moments[1]
        assert room(it, gate) > 1000
        jobs.end_all()
        assert room(it, gate) == 0.0


class TestPace:
    def test_slots(self, network: Network) -> None:
        """Messages wait for their slots, or come again if these are far."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(A)
        it.change(gate, replace(gate.repute, pace=Pace(rate=60.0, top=60.0)))
        for name in ("one", "two", "three", "four"):
            jobs.begin(name, gate)
        assert jobs.at_work == ["one"]
        assert jobs.refused("four").until == pytest.approx(1003.0)
        network.pass_time(1)
        assert jobs.at_work == ["one", "two"]
        network.pass_time(1)
        assert jobs.at_work == ["one", "two", "three"]
        jobs.end_all()

    def test_transactions(self, network: Network) -> None:
        """The first transaction of a turn has its slot, whenever it begins; others need one."""
        it = traffic(network)
        gate = it.gate(replace(A, per_minute=2))
        turns: list[Turn] = []

        async def work() -> None:
            async with it.turn(gate) as turn:
                turns.append(turn)
                await Deferred()

        start(work())
        network.pass_time(30)
        [turn] = turns
        assert [turn.begins() for _ in range(3)] == [True, True, False]
        # Both count where they began, and not where the turn was given.
        assert turn.put_off().until == pytest.approx(1030 + 60, abs=6.0)
        network.pass_time(66)
        assert turn.begins()
        assert turn.over is None

    def test_unlimited(self, network: Network) -> None:
        """Where nothing is limited, nothing is counted twice, and all may begin."""
        it = traffic(network)
        gate = it.gate(A)

        async def work() -> None:
            async with it.turn(gate) as turn:
                before = gate.repute
                assert turn.begins()
                assert gate.repute is before
                assert turn.begins()

        assert start(work()) == [None]

    def test_tickets(self, network: Network) -> None:
        """Those who are to come again do not come all at once."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(replace(A, per_hour=1))
        for number in range(4):
            jobs.begin(f"a{number}", gate)
        moments = [jobs.refused(f"a{number}").until for number in (1, 2, 3)]
        assert moments == [4680.0, 4680 + 0.75 * SPREAD, 4680 + 0.75 * SPREAD]
        jobs.end_all()
        spread = traffic(network)
        crowd = Jobs(spread)
        busy = spread.gate(replace(A, per_minute=60))
        spread.change(busy, replace(busy.repute, pace=Pace(rate=1.0, top=1.0, next=1100.0)))
        for number in range(100):
            crowd.begin(f"a{number}", busy)
        moments = [crowd.refused(f"a{number}").until for number in range(100)]
        assert moments[:3] == [1100.0, 1160.0, 1220.0]
        assert max(moments) <= 1100 + SPREAD

    def test_complaint(self, network: Network) -> None:
        """A complaint slows down what waits, and the operator hears of it."""
        news: list[tuple[str, str, News]] = []
        it = traffic(network, tell=lambda *it: news.append((it[0].name, it[1].name, it[2])))
        gate = it.gate(A, [ONE])
        gate.refused(Verdict(Cause.RATE_LIMITED), LATER, "rcpt")
        assert room(it, gate) == pytest.approx(1060.0)
        [(provider, source, told)] = news
        assert (provider, source) == ("a", "one")
        assert told.text.startswith("wants us to go slower")
        for _ in range(3):
            gate.taken(OK)
        assert gate.repute.taken == 3


class TestOrders:
    def test_suspended(self, network: Network) -> None:
        """Nothing is sent to who is suspended; the moment to come again is told."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(A)
        it.change(gate, standing.suspend(gate.repute, 1500.0, "moving"))
        jobs.begin("one", gate)
        put_off = jobs.refused("one")
        assert isinstance(put_off, PutOff)
        assert put_off.until == 1500.0
        assert put_off.reply.text == "451 4.3.2 Mail for a is suspended: moving"
        it.change(gate, standing.suspend(gate.repute, math.inf, "for ever"))
        assert room(it, gate) == 1000 + LOOK
        it.change(gate, standing.resume(gate.repute))
        jobs.begin("two", gate)
        jobs.end("two")

    def test_while_waiting(self, network: Network) -> None:
        """An order reaches those who wait for a place, too."""
        it = traffic(network, limits=PoolLimits(destination=1))
        jobs = Jobs(it)
        gate = it.gate(A)
        jobs.begin("one", gate)
        jobs.begin("two", gate)
        it.change(gate, standing.suspend(gate.repute, 1500.0, "moving"))
        jobs.end("one")
        assert isinstance(jobs.refused("two"), PutOff)
        assert gate.busy == 0

    def test_trial(self, network: Network) -> None:
        """After a suspension for a reply one message tries, and a taken one lets all go."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(A)
        rule = Rule(Cause.RATE_LIMITED, suspend=50.0)
        gate.refused(Verdict(Cause.BUSY, rule), LATER, "rcpt")
        network.pass_time(51)
        for name in ("one", "two", "three"):
            jobs.begin(name, gate)
        assert jobs.at_work == ["one"]
        gate.taken(OK)
        assert jobs.at_work == ["one", "two", "three"]
        jobs.end_all()

    def test_dead(self, network: Network) -> None:
        """Where nobody answers no time is lost: the last words are said again."""
        it = traffic(network)
        jobs = Jobs(it)
        gate = it.gate(A)
        for _ in range(FAILURES):
            gate.unreached(Reply(451, "4.1", ("Connection timed out",)))
        jobs.begin("one", gate)
        refusal = jobs.refused("one")
        assert isinstance(refusal, Refusal)
        assert "Connection timed out" in refusal.reply.text
        assert room(it, gate) == 0.0
        network.pass_time(61)
        jobs.begin("two", gate)
        jobs.begin("three", gate)
        assert jobs.at_work == ["two"]
        jobs.end_all()

    def test_stop(self, network: Network) -> None:
        """At the end those who wait are sent away, and those at work are let be."""
        it = traffic(network, limits=PoolLimits(destination=1))
        jobs = Jobs(it)
        gate = it.gate(A)
        jobs.begin("one", gate)
        jobs.begin("two", gate)
        assert start(it.stop()) == [None]
        assert isinstance(jobs.refused("two"), Stopping)
        jobs.begin("three", gate)
        assert isinstance(jobs.refused("three"), Stopping)
        jobs.end("one")


class TestSources:
    def test_ready(self, network: Network) -> None:
        """The source that may send first is taken, and of equals the less busy."""
        it = traffic(network)
        jobs = Jobs(it)
        one = it.gate(A, [ONE, TWO])
        jobs.begin("one", one)
        two = it.gate(A, [ONE, TWO])
        assert {one.source.name, two.source.name} == {"one", "two"}
        two.refused(Verdict(Cause.RATE_LIMITED), LATER, "rcpt")
        assert it.gate(A, [ONE, TWO]) is one
        jobs.end_all()

    def test_apart(self, network: Network) -> None:
        """Each source has its own pace and places, and keeps them."""
        it = traffic(network)
        it.gate(A, [ONE]).taken(OK)
        assert it.gate(A, [ONE]).repute.taken == 1
        assert it.gate(A, [TWO]).repute.taken == 0
        assert it.gate(A).repute.taken == 0


class Memory:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Repute] = {}
        self.broken = False

    def save(
        self,
        changed: Mapping[tuple[str, str], Repute],
        gone: Sequence[tuple[str, str]] = (),
    ) -> None:
        if self.broken:
            raise OSError("disk full")
        self.rows.update(changed)
        for key in gone:
            self.rows.pop(key, None)


class TestMemory:
    def test_saved(self, network: Network) -> None:
        """What was learnt is on disk soon, and a hub that starts anew goes on with it."""
        memory = Memory()
        it = traffic(network, memory=memory, disk=InlineDisk())
        it.gate(A, [ONE]).refused(Verdict(Cause.RATE_LIMITED), LATER, "rcpt")
        network.pass_time(SAVE)
        assert memory.rows["a", "one"].pace.rate == 1.0
        start(it.stop())
        again = traffic(network, known=memory.rows)
        assert again.remembered() == memory.rows
        assert again.gate(A, [ONE]).repute == memory.rows["a", "one"]
        assert again.remembered() == {}

    def test_strangers(self, network: Network) -> None:
        """Of providers without a name only what holds mail back is kept."""
        memory = Memory()
        it = traffic(network, memory=memory, disk=InlineDisk())
        gate = it.gate(replace(A, listed=False))
        gate.taken(OK)
        start(it.stop())
        assert memory.rows == {}
        it = traffic(network, memory=memory, disk=InlineDisk())
        gate = it.gate(replace(A, listed=False))
        it.change(gate, standing.suspend(gate.repute, math.inf, "x"))
        start(it.stop())
        assert set(memory.rows) == {("a", "")}

    def test_bad_disk(self, network: Network) -> None:
        """A disk that refuses holds up nothing, and gets it later."""
        memory = Memory()
        memory.broken = True
        it = traffic(network, memory=memory, disk=InlineDisk())
        it.gate(A).taken(OK)
        network.pass_time(SAVE)
        assert memory.rows == {}
        memory.broken = False
        network.pass_time(SAVE)
        assert set(memory.rows) == {("a", "")}
        start(it.stop())

    def test_bounded(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        """Strangers are forgotten in the end; whoever is held back, or has mail here, is not."""
        monkeypatch.setattr(module, "GATES", 10)
        it = traffic(network)
        jobs = Jobs(it)
        it.change(it.gate(A), standing.suspend(Repute(), math.inf, "x"))
        jobs.begin("one", it.gate(B))
        for number in range(50):
            it.gate(Provider(f"stranger{number}")).taken(OK)
        names = {gate.provider.name for gate in it.all()}
        assert {"a", "b"} <= names
        assert len(names) <= 11
        jobs.end_all()
