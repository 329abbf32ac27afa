"""The way out, as a hub has it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mailhub import outbound
from mailhub.config.endpoint import Endpoint
from mailhub.config.load import filled
from mailhub.mail.reply import Reply
from mailhub.net.dns import DnsResolver
from mailhub.net.web import HttpsClient
from mailhub.outbound import Outbound
from mailhub.policy.cause import Cause
from mailhub.policy.provider import Provider, Source
from mailhub.policy.repute import News
from mailhub.policy.route import Exchange, Smarthost
from tests.hubs import World, populated

SERVERS = {"dns.servers": (("192.0.2.53", 53),)}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = populated(tmp_path / "state")
    yield made
    if made.hub.running:
        made.stop()


def outbound_of(world: World) -> Outbound:
    """The way out of a hub that runs."""
    world.start()
    return world.parts.outbound


def test_a_resolver_of_its_own(world: World) -> None:
    """Other name servers are asked by another resolver; the same ones keep their cache."""
    out = outbound_of(world)
    resolver = out.remote.resolver
    assert isinstance(resolver, DnsResolver)
    out.obey(filled(world.settings, {"schedule.lifetime": 1000.0}))
    assert out.remote.resolver is resolver
    out.obey(filled(world.settings, SERVERS))
    assert out.remote.resolver is not resolver
    assert isinstance(out.web, HttpsClient)
    assert out.web.resolver is out.remote.resolver


def test_a_given_resolver(world: World) -> None:
    """A resolver in place of the DNS stays."""
    resolver: Any = object()
    world.hub._world = replace(world.surroundings(), resolver=resolver)
    out = outbound_of(world)
    assert out.remote.resolver is resolver
    out.obey(filled(world.settings, SERVERS))
    assert out.remote.resolver is resolver


def test_listening(world: World) -> None:
    """Mail that comes back to a port of ours is a loop: ``""`` is every address."""
    where = (Endpoint("0.0.0.0", 25), Endpoint("127.0.0.1", 2525))
    found = filled(world.settings, {"listen.smtp": where})
    assert outbound._listening(found) == [("", 25), ("127.0.0.1", 2525)]


def test_what_is_known(world: World) -> None:
    """What stands behind a reply is told by its words; who runs a host only once it is known."""
    out = outbound_of(world)
    assert out.cause(Reply(450, "4.7", ("Greylisted, come again",))) is Cause.GREYLISTED
    assert out.provider(Smarthost("out", "smtp.example")) == "route out"
    assert out.provider(Exchange("unknown.example")) == ""


@pytest.mark.parametrize(("urgent", "letters"), [(True, 1), (False, 0)])
def test_news(world: World, monkeypatch: pytest.MonkeyPatch, urgent: bool, letters: int) -> None:
    """What is urgent the postmaster is told, with the name and the address that it is about."""
    out = outbound_of(world)
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(out._operator, "tell", lambda *words: told.append(words))
    out._provider_news(Provider("big"), Source("second"), News("is suspended", urgent=urgent))
    assert len(told) == letters
    for subject, text in told:
        assert subject == "big (from second) is suspended"
        assert "mailhub provider show big" in text


def test_detours(world: World) -> None:
    """The route that mail for a hop may take instead, as far as its provider is known."""
    out = outbound_of(world)
    hop = Exchange("far.example")
    assert out.detour(hop) == ""
    out.remote._remember("far.example", Provider("far", mx=("mx.far.example",), detour="relay"))
    assert out.detour(hop) == "relay"
    assert out.detour(Smarthost("relay", "smtp.example")) == ""
