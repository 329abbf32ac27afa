"""A world to walk in."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest
from twisted.logger import ILogObserver, LogEvent, globalLogPublisher

from tests.network import Network
from tests.relay.running import Rig
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


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    rig = Rig(tmp_path)
    rig.runner.start()
    rig.pass_time()
    yield rig
    rig.close()


@pytest.fixture
def errors() -> Iterator[list[LogEvent]]:
    """What was logged."""
    found: list[LogEvent] = []
    observer = cast(ILogObserver, found.append)
    globalLogPublisher.addObserver(observer)
    yield found
    globalLogPublisher.removeObserver(observer)
