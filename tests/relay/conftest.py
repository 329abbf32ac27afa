"""A world to walk in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network import Network
from tests.relay.sending import start
from tests.relay.walking import World


@pytest.fixture
def world() -> Iterator[World]:
    network = Network()
    world = World(network)
    yield world
    stopped = start(world.remote().stop())
    network.pass_time(60)
    assert stopped == [None]
    assert not network.calls, "a call was left behind"
    assert not any(end.connected for end in network.made), "a connection was left open"
