"""Nothing that got 250 is lost, whatever call to the disk is the last one."""

from __future__ import annotations

import errno

import pytest

from mailhub.sim.disk import Operation
from mailhub.sim.hub import SimHub
from tests.sim.cycle import Harm, Pair, cycle


def power(keep: str) -> Harm:
    """The power fails; of what was not synced, the disk keeps nothing, all, or something."""

    def harm(pair: Pair, hub: SimHub, _: Operation) -> None:
        coin = pair.world.chance("coin")
        hub.crash(
            power=True,
            keep=lambda: {"nothing": False, "all": True, "some": coin.random() < 0.5}[keep],
        )
        pair.judge.disturbed()

    return harm


def kill(pair: Pair, hub: SimHub, _: Operation) -> None:
    """As by SIGKILL: the network hears of it at once, and the disk keeps all."""
    hub.crash()
    pair.judge.disturbed()


def failing(code: int) -> Harm:
    """The call fails."""

    def harm(pair: Pair, _: SimHub, operation: Operation) -> None:
        pair.judge.disturbed()
        raise OSError(code, f"{operation.name} fails")

    return harm


HARMS: dict[str, Harm] = {
    "power, nothing kept": power("nothing"),
    "power, some kept": power("some"),
    "power, all kept": power("all"),
    "killed": kill,
    "broken": failing(errno.EIO),
    "full": failing(errno.ENOSPC),
}
STRIDE = 29
"""Of an ordinary run: which calls are tried is another for each harm. `make soak` tries all."""


def harmed(which: int, name: str, first: int, stride: int) -> list[str]:
    """What is wrong after cycles in which every `stride`-th call is harmed."""
    wrong = []
    _, calls, _ = cycle(which, 0, kill)
    for number in range(first + 1, len(calls) + 1, stride):
        found, told, _ = cycle(which, number, HARMS[name])
        wrong += [f"{name} at {told[number - 1]}: {fault}" for fault in found]
    return wrong


@pytest.mark.parametrize("which", [0, 1])
def test_a_cycle(which: int) -> None:
    """Without harm nothing is wrong, nothing is sent twice, and there are calls of each kind."""
    found, calls, judge = cycle(which, 0, kill)
    assert (found, judge.duplicates) == ([], 0)
    assert len(judge.sent) == sum(sent.heard is not None for sent in judge.sent.values())
    names = {call.name for call in calls}
    assert names >= {"open", "write", "fsync", "rename", "commit", "mkdir", "unlink"}


@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", HARMS)
def test_some_calls(name: str, which: int) -> None:
    """Crashes and failures at some calls, others for each kind of harm."""
    first = (3 * list(HARMS).index(name) + which) % STRIDE
    assert harmed(which, name, first, STRIDE) == []


@pytest.mark.soak
@pytest.mark.parametrize("which", [0, 1])
@pytest.mark.parametrize("name", HARMS)
def test_every_call(name: str, which: int) -> None:
    """Crashes and failures at each call of a cycle, one after the other."""
    assert harmed(which, name, 0, 1) == []
