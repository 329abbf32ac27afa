"""Nothing that got 250 is lost, whatever happens."""

from __future__ import annotations

import os
import secrets
import time
from dataclasses import replace

import pytest

from mailhub.sim.judge import id_of
from mailhub.sim.world import World
from mailhub.store.filing import MaildirFiler
from tests.sim.cycle import Pair
from tests.sim.havoc import EXPIRY, FIRST_KINDS, HOUR, SECOND_KINDS, Deed, deeds, havoc, shrunk

SEEDS = tuple(str(number) for number in range(16))
SECONDS = float(os.environ.get("MAILHUB_HAVOC", "300"))
"""How long `make soak` looks for trouble."""


def told(seed: str, number: int = 12, life: float = 8 * HOUR) -> str:
    """What is wrong in the run of a seed, made as short as it can be; nothing if all is well."""
    these = deeds(seed, number)
    if not havoc(seed, these, life):
        return ""
    few = shrunk(seed, these, life)
    lines = [f"seed {seed}:", *map(str, few), *havoc(seed, few, life)]
    return "\n".join(lines)


@pytest.mark.parametrize("seed", SEEDS)
def test_seeds(seed: str) -> None:
    """Crashes, power cuts, partitions, resets, failing disks and rude receivers."""
    assert told(seed) == ""


def test_read_between_filing_and_a_power_cut() -> None:
    """Seed 1047: a message that a reader moved to ``cur`` was in no directory after a power cut."""
    assert havoc("1047", deeds("1047", 30, FIRST_KINDS)) == []


def test_a_flow_that_no_commit_brought() -> None:
    """Seed c3ace894: mail behind a commit that failed was not found again by the next start."""
    these = [
        Deed("disk", 0, 0.6171180062045889, 0.012177767849238158),
        Deed("send", 0, 0.9756789167609156, 302.7374247699325),
        Deed("power", 0, 0.10376636381081394, 0.010595351721137538),
        Deed("send", 0, 0.7176330264944789, 11.364451901739345),
    ]
    assert havoc("c3ace894 long", these, HOUR) == []


def test_what_fails_is_told_in_short(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fault in the code is told with its seed, and with the deeds that it takes alone."""
    send, power = Deed("send", 0, 0.0, 60.0), Deed("power", 0, 0.0, 0.1)
    these = [Deed("look", 0, 0.5, 1.0), send, Deed("clock", 1, 0.5, 1.0), power, send]
    monkeypatch.setattr("tests.sim.test_havoc.deeds", lambda *_: these)
    assert told("x", 5, HOUR) == ""
    monkeypatch.setattr(MaildirFiler, "_sync", lambda *_: None)
    first, *lines = told("x", 5, HOUR).split("\n")
    assert first == "seed x:"
    assert lines[:2] == [str(send), str(power)]
    assert "Deed" not in "".join(lines[3:])
    assert any("lost" in line for line in lines)


def test_moved_and_in_both() -> None:
    """Seed strict 30 long: a message that was moved to ``cur`` was back in ``new`` as well."""
    assert havoc("strict 30 long", deeds("strict 30 long", 30, SECOND_KINDS)) == []


def test_several_under_way_to_a_machine_that_sleeps() -> None:
    """Seed p2 15 long: the judge took the content of two messages under way for the first's."""
    these = [
        Deed("send", 0, 0.41568552247847923, 276.089656674682),
        Deed("send", 0, 0.3087554956005806, 1.3456621766054888),
        Deed("double", 0, 0.11927118167782647, 0.9890161984980747),
        Deed("send", 1, 0.2533691662334224, 0.28282268676089134),
        Deed("send", 1, 0.026116675171778736, 0.35516473618525524),
        Deed("send", 1, 0.4097023999734861, 0.1576823577021854),
        Deed("sleep", 0, 0.2152423566947772, 0.011248015059034543),
    ]
    assert havoc("p2 15 long", these) == []


def test_a_run_is_the_same_again() -> None:
    """A seed is all that is needed to see a run again."""
    assert deeds("1") == deeds("1") != deeds("2")


@pytest.mark.soak
def test_any_seed() -> None:
    """The same with seeds that nobody chose, for as long as one likes."""
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        seed = secrets.token_hex(4)
        assert told(seed, 12) == ""
        assert told(f"{seed} long", 40, EXPIRY) == ""


def test_a_middlebox_between_two_hubs() -> None:
    """Every connection is made twice: each copy is counted, and then it is quiet."""
    with World(8) as world:
        pair = Pair(world)
        for hub in pair.hubs:
            hub.host.link.doubled = 1.0
        for number in range(4):
            to, sender = ("ann@other.example", "ann@one.example")[:: 1 if number % 2 else -1]
            letter = (f"letter {number}", sender, (to, "nobody@other.example"))
            pair.send(pair.hubs[1 - number % 2], (letter,))
        pair.settle()
        judge = pair.judge
        assert judge.verdict() == []
        copies = [judge.doubled[id_of(f"letter {it}"), f"ann@{name}.example"]
                  for it in range(4) for name in ("one", "other")]  # fmt: skip
        # Handed in twice, and each of the two relayed twice.
        assert sorted(copies) == [0, 0, 0, 0, 3, 3, 3, 3]
        calls = len(world.network.connections)
        world.run(6 * HOUR)
        assert judge.verdict() == []
        assert len(world.network.connections) <= calls
        assert judge.duplicates >= 4 * 3


def test_two_hubs_converge() -> None:
    """Connections that break at any moment, on both sides: all arrives, and then it is quiet."""
    with World(7) as world:
        pair = Pair(world)
        clean = [hub.host.link for hub in pair.hubs]
        for hub in pair.hubs:
            hub.host.link = replace(hub.host.link, resets=0.05)
        for number in range(8):
            to, sender = ("ann@other.example", "ann@one.example")[:: 1 if number % 2 else -1]
            pair.send(pair.hubs[1 - number % 2], ((f"letter {number}", sender, (to,)),))
        for _ in range(100):
            world.run(0.1)
            pair.judge.disturbed()
        for hub, link in zip(pair.hubs, clean, strict=True):
            hub.host.link = link
        world.run(6 * HOUR)
        pair.judge.disturbed()
        assert pair.judge.verdict() == []
        calls = len(world.network.connections)
        world.run(6 * HOUR)
        assert pair.judge.verdict() == []
        assert len(world.network.connections) <= calls
