"""Next hops, and the lanes in which they wait."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace

import pytest

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.limits import RunnerLimits
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome
from mailhub.relay.hops import LOCAL, Hops
from mailhub.relay.lane import Job, Lanes
from tests.relay.test_lane import due
from tests.rig import run


class Outbound:
    """Knows who runs what, once it was asked to find out."""

    def __init__(self) -> None:
        self.known: dict[str, str] = {}

    def lane(self, hop: str) -> Hashable:
        return self.known.get(hop, hop)

    async def find(self, hop: str) -> None:
        if hop != "nobody":
            self.known[hop] = "big"

    def places(self, lane: Hashable) -> int | None:
        return 3 if lane == "big" else None

    async def deliver(self, hop: str, envelope: Envelope, content: Content) -> Outcome:
        raise NotImplementedError


def route(reverse_path: Path, path: Path, way: str) -> str:
    if path.domain == "refused.example":
        raise Refusal(550, "4.4", "No route")
    return way or path.domain


@pytest.fixture
def hops() -> Hops[str]:
    return Hops(Outbound(), route)


def job(hop: Hashable, lane: Hashable) -> Job:
    lanes = Lanes(RunnerLimits())
    lanes.admit(hop, due(1), lane)
    found = lanes.next()
    assert found is not None
    return found


def test_hops(hops: Hops[str]) -> None:
    """Ours, the route's, the operator's; and the reply to who has none."""
    assert hops.of(replace(due(1), local=True)) is LOCAL
    assert hops.of(due(1)) == "a.example"
    assert hops.of(replace(due(1), route="other")) == "other"
    assert hops.of(due(1, domain="refused.example")) == Reply(550, "4.4", ("No route",))


def test_lanes(hops: Hops[str]) -> None:
    """A hop is a lane by itself until it is known who runs it; our own always are."""
    assert hops.lane("a") == "a"
    assert run(hops.displaced(job("a", "a")))
    assert hops.lane("a") == "big"
    assert hops.places("big") == 3
    for own in (LOCAL, Reply(550, "4.4", ("No route",))):
        assert hops.lane(own) == own
        assert hops.places(own) is None
        assert not run(hops.displaced(job(own, own)))


def test_displaced(hops: Hops[str]) -> None:
    """A job stays where nothing better is known, be that forgotten or never found."""
    assert not run(hops.displaced(job("nobody", "nobody")))
    assert not run(hops.displaced(job("a", "big")))
    run(hops.displaced(job("a", "a")))
    assert run(hops.displaced(job("a", "other")))
