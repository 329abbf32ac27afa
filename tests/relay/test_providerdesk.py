"""The operator's desk: what is shown of providers, and orders that are in force at once."""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.policy.order import Order, What
from mailhub.policy.provider import Provider, Providers, Source
from mailhub.policy.repute import Repute
from mailhub.policy.route import Exchange
from mailhub.ports.resolver import Mx
from mailhub.relay.providerdesk import ProviderDesk
from mailhub.relay.remote import Directions, Remote
from tests.network import Network
from tests.relay.sending import Host, Names, content, envelope, pool, start, told, traffic

HOP = Exchange("example.org")


class World:
    def __init__(self) -> None:
        self.network = Network()
        self.network.hosts["192.0.2.1", 25] = Host()
        names = Names({"example.org": [Mx(1, "mx.big.example")]}, {"mx.big.example": ["192.0.2.1"]})
        self.flushed: list[str] = []
        known = {("old", ""): Repute(taken=3), ("big", "one"): Repute(taken=4)}
        providers = Providers((Provider("big", ("*.big.example",), sources=("one", "two")),))
        sources = {name: Source(name, f"192.0.2.{n}") for n, name in enumerate(("one", "two"), 8)}
        self.remote = Remote(
            names,
            pool(self.network),
            traffic(self.network, known=known),
            shuffle=lambda _: None,
            time=self.now,
            directions=Directions(providers, sources=sources),
        )
        self.desk = ProviderDesk(self.remote, self.now, self.flushed.extend)

    def now(self) -> float:
        return 1000 + self.network.seconds()

    def order(self, what: What, name: str = "big", **values: Any) -> Any:
        return self.desk.request({"order": Order(what, name, **values).as_json()})

    def deliver(self) -> list[str]:
        [outcome] = results = start(self.remote.deliver(HOP, envelope(), content()))
        assert len(results) == 1
        return told(outcome)


@pytest.fixture
def world() -> World:
    return World()


def test_rows(world: World) -> None:
    """Everybody mail was sent to is there, and who is remembered from before."""
    rows = {(it["provider"], it["source"]): it for it in world.desk.request({})["rows"]}
    assert {key: it["taken"] for key, it in rows.items()} == {("big", "one"): 4, ("old", ""): 3}
    start(world.remote.deliver(HOP, envelope(), content()))
    world.network.settle()
    rows = {(it["provider"], it["source"]): it for it in world.desk.request({})["rows"]}
    assert set(rows) == {("big", "one"), ("big", "two"), ("old", "")}
    start(world.remote.stop())


def test_orders(world: World) -> None:
    """Suspended from every source, nothing goes; resumed, all does, and what waited at once."""
    answer = world.order(What.SUSPEND, why="moving")
    assert [it["state"] for it in answer["rows"]] == ["suspended", "suspended"]
    assert world.deliver() == ["451 4.3.2"]
    assert world.flushed == []
    world.order(What.RESUME)
    assert world.flushed == ["example.org"]
    start(world.remote.stop())


def test_one_source(world: World) -> None:
    """One source may be suspended alone."""
    [it] = world.order(What.SUSPEND, source="one")["rows"]
    assert it["source"] == "one"
    assert "problem" in world.order(What.SUSPEND, source="three")


def test_by_domain(world: World) -> None:
    """A domain that was sent to may be named instead of its provider."""
    assert "problem" in world.order(What.PACE, "example.org", rate=3.0)
    start(world.remote.deliver(HOP, envelope(), content()))
    world.network.settle()
    answer = world.order(What.PACE, "example.org", rate=3.0)
    assert {it["rate"] for it in answer["rows"]} == {3.0}
    start(world.remote.stop())


def test_nonsense(world: World) -> None:
    """What is no order does nothing."""
    assert world.desk.request({"order": {"what": "dance"}}) == {"problem": "no such order"}
    assert "problem" in world.order(What.RESUME, "nobody")
