"""Addresses of a host: which of them are tried, in which order, and from where."""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.policy.cause import Cause
from mailhub.policy.limits import Family
from mailhub.policy.provider import Source
from mailhub.ports.resolver import LookupFailed
from tests.network import scripted
from tests.relay.sending import (
    Host,
    content,
    envelope,
    pool,
    start,
    told,
)
from tests.relay.walking import HOP, ONE, OURS, SIX, TWO, World


class TestAddresses:
    def test_preference(self, world: World) -> None:
        """A provider has its own."""
        world.addresses["mx.big.example"] = [ONE, SIX]
        world.network.hosts[SIX, 25] = Host()
        world.provider["family"] = Family.IPV4
        assert world.deliver().attempts[0].address == ONE
        world.pool = pool(world.network)
        world.provider["family"] = Family.IPV6
        assert world.deliver().attempts[0].address == SIX

    def test_silent_family(self, world: World) -> None:
        """A family that leads nowhere costs two seconds, and not a time-out."""
        world.addresses["mx.big.example"] = [SIX, ONE]
        world.network.hosts[SIX, 25] = "silent"
        outcome = world.deliver(seconds=2.0)
        assert told(outcome) == ["250 2.0.0"]
        [attempt] = outcome.attempts
        assert attempt.address == ONE

    def test_next_address(self, world: World) -> None:
        """A host that greets badly on one address is tried on the next, however that was raced."""
        world.addresses["mx.big.example"] = [ONE, TWO]
        world.network.hosts[ONE, 25] = world.network.hosts[TWO, 25] = scripted("450 4.3.2 Later")
        outcome = world.deliver()
        assert {attempt.address for attempt in outcome.attempts} == {ONE, TWO}
        assert outcome.causes == (Cause.BUSY,)

    @pytest.mark.parametrize("ptr", [None, ["mail.example"], ["other.example"]])
    def test_named(self, world: World, ptr: Any) -> None:
        """From an address without a name that leads back nothing goes over IPv6, where it must."""
        world.provider["named"] = True
        world.network.hosts[SIX, 25] = six = Host()
        world.addresses.update({"mx.big.example": [SIX, ONE], "mail.example": [OURS]})
        world.network.local = OURS
        if ptr is not None:
            world.ptr[OURS] = ptr
        good = ptr == ["mail.example"]
        remote = world.remote()
        outcome = world.deliver(remote=remote)
        assert told(outcome) == ["250 2.0.0"]
        assert outcome.attempts[-1].address == (SIX if good else ONE)
        assert six.taken == good
        if not good:
            # It said nothing: not even EHLO.
            assert six.commands == []
            assert outcome.attempts[0].reply.detail == "7.25"
            assert [it.address for it in world.deliver(remote=remote).attempts] == [ONE]

    def test_nobody_knows(self, world: World) -> None:
        """If the DNS fails, the benefit of the doubt is given."""
        world.provider["named"] = True
        world.network.hosts[SIX, 25] = Host()
        world.addresses["mx.big.example"] = [SIX]
        world.network.local = OURS
        world.ptr[OURS] = LookupFailed("no answer")
        assert told(world.deliver()) == ["250 2.0.0"]

    def test_only_six(self, world: World) -> None:
        """Where there is nothing but IPv6, mail waits for the name."""
        world.provider["named"] = True
        world.network.hosts[SIX, 25] = Host()
        world.addresses["mx.big.example"] = [SIX]
        world.network.local = OURS
        remote = world.remote()
        assert told(world.deliver(remote=remote)) == ["451 4.7.25"]
        assert told(world.deliver(remote=remote)) == ["451 4.4.4"]
        assert len(world.network.attempts) == 1

    def test_sources(self, world: World) -> None:
        """Mail comes from the provider's sources, each with its name, and is told so."""
        world.sources = {
            "one": Source("one", "192.0.2.11", "", "one.example"),
            "two": Source("two", "192.0.2.12", "", "two.example"),
        }
        world.provider["sources"] = ("one",)
        [attempt] = world.deliver().attempts
        assert attempt.source == "one"
        assert world.network.connectors[0].bind == ("192.0.2.11", 0)
        assert world.host.commands[0] == "EHLO one.example"

    def test_pool(self, world: World) -> None:
        """Several sources take turns, and keep their connections apart."""
        world.sources = {name: Source(name, f"192.0.2.{n}") for n, name in enumerate("ab", 11)}
        world.provider["sources"] = ("a", "b")
        world.provider["connections"] = 1
        results = [start(world.remote().deliver(HOP, envelope(), content())) for _ in range(4)]
        world.network.settle()
        used = {outcome.attempts[0].source for [outcome] in results}
        assert used == {"a", "b"}
        assert len(world.host.models) == 2

    def test_source_of_one_family(self, world: World) -> None:
        """A source of one family does not reach the other."""
        world.sources = {"six": Source("six", "", OURS)}
        world.provider["sources"] = ("six",)
        assert told(world.deliver()) == ["451 4.4.4"]
