"""Worlds: what they hold, and that they are the same again."""

from __future__ import annotations

import gc
from pathlib import Path

from twisted.logger import Logger

from mailhub.sim.wire import Link
from mailhub.sim.world import START, World
from tests.sim.machines import Pair


def test_hosts() -> None:
    """A host has a name, an address of its own, and is found by both."""
    with World() as world:
        one, two = world.host("a.example"), world.host("b.example", "192.0.2.1", "2001:db8::2")
        assert one.addresses == ["198.18.0.1"]
        assert world.names.records("addresses", "b.example") == two.addresses
        assert world.network.find("192.0.2.1", one) is two
        assert world.network.find("127.0.0.1", one) is one


def test_time() -> None:
    """Time passes when it is told to, up to a moment or an event."""
    with World() as world:
        seen: list[float] = []
        world.at(5, lambda: seen.append(world.age))
        assert world.now == START
        assert world.run_until(lambda: seen, 100)
        assert (seen, world.age) == ([5.0], 5.0)
        assert not world.run_until(lambda: len(seen) > 1, 10)
        assert world.age == 15.0


def test_the_same_seed() -> None:
    """The same seed gives the same digest, another one another; each part draws for itself."""

    def digest(seed: int) -> str:
        pair = Pair(seed, Link(0.01, jitter=0.01))
        near, _ = pair.joined()
        for _ in range(5):
            near.transport.write(b"x")
            pair.world.run(0.1)
        near.transport.loseConnection()
        pair.world.run(1)
        pair.world.close()
        return pair.world.digest

    assert digest(1) == digest(1)
    assert digest(1) != digest(2)
    assert World(3).chance("a").random() == World(3).chance("a").random()
    assert World(3).chance("a").random() != World(3).chance("b").random()


def test_what_passes_counts() -> None:
    """The digest tells of octets that passed, on connections that stand or not."""
    digests = set()
    for octets in (b"one", b"two"):
        pair = Pair()
        near, _ = pair.joined()
        near.transport.write(octets)
        pair.world.run(1)
        digests.add(pair.world.digest)
    assert len(digests) == 2


def test_errors_are_kept() -> None:
    """What a program logs as an error can be asked for; its end ends that."""
    log = Logger(namespace="test")
    with World() as world:
        host = world.host("a.example")
        host.reactor.callLater(1, log.error, "{what} broke", what="it")
        host.reactor.callLater(1, log.warn, "never mind")
        world.run(2)
    host.life.call(log.error, "afterwards")
    assert world.errors == ["it broke"]
    assert not Path(world.root).exists()


def test_errors_of_others() -> None:
    """Another world's errors, nobody's, and those of a machine that is dead are not a world's."""
    log = Logger(namespace="test")
    with World(1) as one, World(2) as other:
        hosts = [world.host("a.example") for world in (one, other)]
        for number, host in enumerate(hosts):
            host.reactor.callLater(1, log.error, f"{number}")
        log.error("nobody's")
        one.run(2)
        other.run(2)
        dead = hosts[0].life
        hosts[0].crash()
        dead.call(log.error, "from beyond")
        assert (one.errors, other.errors) == (["0"], ["1"])


class Complains:
    """Something that is logged when Python's collector comes upon it."""

    def __init__(self) -> None:
        self.itself = self

    def __del__(self) -> None:
        Logger(namespace="test").error("collected")


def test_what_the_collector_finds() -> None:
    """What is logged because the collector runs is not recorded: it may run at any moment."""
    with World() as world:
        host = world.host("a.example")

        def turn() -> None:
            Complains()
            gc.collect()
            Logger(namespace="test").error("mine")

        host.reactor.callLater(1, turn)
        world.run(2)
        assert world.errors == ["mine"]


def test_a_forgotten_world() -> None:
    """A world that nobody closes leaves nothing behind either."""
    root = Path(World().root)
    gc.collect()
    assert not root.exists()
