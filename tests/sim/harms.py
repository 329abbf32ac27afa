"""What can go wrong in a cycle, at the moment chosen."""

from __future__ import annotations

import errno

from mailhub.sim.disk import Operation
from mailhub.sim.hub import SimHub
from mailhub.sim.wire import End
from tests.sim.cycle import Harm, Pair

_DAY = 86400.0
_WHILE = 1200.0
"""Seconds that a cable is cut, and a machine asleep: longer than TCP is patient."""


def power(keep: str) -> Harm:
    """The power fails; of what was not synced, the disk keeps nothing, all, or something."""

    def harm(pair: Pair, hub: SimHub, _: Operation | End) -> None:
        coin = pair.world.chance("coin")
        hub.crash(
            power=True,
            keep=lambda: {"nothing": False, "all": True, "some": coin.random() < 0.5}[keep],
        )
        pair.judge.disturbed()

    return harm


def kill(pair: Pair, hub: SimHub, _: Operation | End) -> None:
    """As by SIGKILL: the network hears of it at once, and the disk keeps all."""
    hub.crash()
    pair.judge.disturbed()


def failing(code: int) -> Harm:
    """The call fails."""

    def harm(pair: Pair, _: SimHub, operation: Operation | End) -> None:
        pair.judge.disturbed()
        assert isinstance(operation, Operation)
        raise OSError(code, f"{operation.name} fails")

    return harm


def _doubts(pair: Pair, after: float = 0.0) -> None:
    """Look for doubts at a moment and soon after: what was begun before it ends then."""
    for soon in (0.0, 0.1, 1.0, 10.0):
        pair.world.at(pair.world.age + after + soon, pair.judge.disturbed)


def asleep(pair: Pair, hub: SimHub, _: Operation | End) -> None:
    """The machine stands still, and the others give it up."""
    pair.judge.disturbed()
    hub.host.sleep(_WHILE)
    pair.well = pair.world.now + _WHILE
    _doubts(pair, _WHILE)


def clock(seconds: float) -> Harm:
    """The machine's clock is set."""

    def harm(pair: Pair, hub: SimHub, _: Operation | End) -> None:
        hub.host.ahead += seconds
        pair.judge.witness.rates.forget(hub.host.name)

    return harm


def cut(*, there: bool, back: bool) -> Harm:
    """Nothing passes from the harmed hub to the others, or from them to it, or neither."""

    def harm(pair: Pair, hub: SimHub, _: Operation | End) -> None:
        network, host = pair.world.network, hub.host
        others = [it for it in pair.world.hosts.values() if it is not host]
        pair.judge.disturbed()
        for other in others:
            if there:
                network.cut(host, other, both=False)
            if back:
                network.cut(other, host, both=False)

        def mend() -> None:
            pair.judge.disturbed()
            for other in others:
                network.mend(host, other)

        pair.world.at(pair.world.age + _WHILE, mend)
        pair.well = pair.world.now + _WHILE

    return harm


def reset(pair: Pair, hub: SimHub, _: Operation | End) -> None:
    """All connections of the machine break."""
    _doubts(pair)
    for end in list(hub.host.ends):
        end.reset()


ON_DISK: dict[str, Harm] = {
    "power, nothing kept": power("nothing"),
    "power, some kept": power("some"),
    "power, all kept": power("all"),
    "killed": kill,
    "broken": failing(errno.EIO),
    "full": failing(errno.ENOSPC),
    "asleep": asleep,
    "clock set forward": clock(_DAY),
    "clock set back": clock(-_DAY),
}
"""At a call that changes the disk."""
ON_WIRE: dict[str, Harm] = {
    "power, nothing kept": power("nothing"),
    "power, all kept": power("all"),
    "killed": kill,
    "reset": reset,
    "cut": cut(there=True, back=True),
    "deaf": cut(there=False, back=True),
    "mute": cut(there=True, back=False),
    "asleep": asleep,
}
"""When something is said between machines: amid DATA, behind the final dot, before its reply."""
