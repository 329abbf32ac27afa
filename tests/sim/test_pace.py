"""A hub is never faster than its configuration says, whatever it meets."""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.sim.manners import Manners, Stage
from mailhub.sim.providers import Providers
from mailhub.sim.world import World
from tests.sim.cycle import Letter, Pair

LIMITS = """
[provider far]
mx = *.far.example
connections = 2
messages per connection = 3
recipients per message = 4
messages per minute = 7
messages per hour = 60
"""
RUDE: dict[str, dict[str, Any]] = {
    "calm": {},
    "slow to answer": {"tarpit": 2.0},
    "of few recipients": {"recipients": 2},
    "with two hosts": {"exchanges": ("mx1.far.example", "mx2.far.example")},
    "dropping": {"drops": ((Stage.REPLY, 0.2), (Stage.RCPT, 0.1)), "lost_replies": 0.1},
    "greylisting": {"greylist": 60.0},
}


def letters(number: int, recipients: int) -> tuple[Letter, ...]:
    """So many, to so many recipients each."""
    return tuple(
        (
            f"letter {each}",
            "ann@one.example",
            tuple(f"r{each}x{it}@far.example" for it in range(recipients)),
        )
        for each in range(number)
    )


@pytest.mark.parametrize("manners", RUDE)
def test_a_provider(manners: str) -> None:
    """Connections, messages over each, recipients of each, messages a minute and an hour."""
    with World(3) as world:
        pair = Pair(world, LIMITS)
        given = {"exchanges": ("mx.far.example",), **RUDE[manners]}
        Providers(world, pair.judge).add(Manners("Far", domains=("far.example",), **given))
        pair.send(pair.hubs[0], letters(12, 1))
        pair.send(pair.hubs[0], letters(24, 6)[12:])
        for _ in range(30):
            world.run(60)
            pair.judge.disturbed()
        world.run(12 * 3600)  # whoever was dropped again and again comes after hours
        assert pair.judge.verdict() == []
        assert not pair.judge.waits


ALLOWED = """
[limit accounts]
messages per hour = 10
messages per day = 30
recipients per hour = 18
recipients per day = 50
new recipients per day = 20
action = {action}
[limit together]
accounts = one.example
together = yes
messages per hour = 9
messages per day = 29
action = {action}
"""


@pytest.mark.parametrize("action", ["refuse", "hold"])
def test_an_account(action: str) -> None:
    """What one account, and a domain's together, send in any hour and any day."""
    with World(5) as world:
        pair = Pair(world, ALLOWED.format(action=action))
        Providers(world, pair.judge).add(Manners("Far", domains=("far.example",)))
        chance = world.chance("letters")
        for burst in range(40):
            for connection in range(3):  # at the same moment
                these = tuple(
                    (f"{burst}x{connection}x{number}", *to(chance.randrange(30), 2 - number % 2))
                    for number in range(chance.randrange(3))
                )
                pair.submit(pair.hubs[0], these)
            world.run(chance.choice((1, 60, 900, 3600)))
        assert pair.judge.verdict() == []
        sent = [sent for sent in pair.judge.sent.values() if sent.heard is not None]
        assert len(sent) >= 29


def to(first: int, number: int) -> tuple[str, tuple[str, ...]]:
    """A sender, and so many recipients of thirty."""
    return "ann@one.example", tuple(f"r{first + it}@far.example" for it in range(number))
