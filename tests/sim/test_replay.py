"""Replaying what was recorded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mailhub.config.load import parse
from mailhub.config.settings import Settings
from mailhub.mail.reply import Reply
from mailhub.queue.event import as_json
from mailhub.queue.journeys import Journeys
from mailhub.queue.wanted import Wanted
from mailhub.sim.hub import SimHub
from mailhub.sim.manners import Manners
from mailhub.sim.providers import Providers
from mailhub.sim.replay import Fate, NotJourneys, Recorded, read, replay
from mailhub.sim.world import World
from tests.sim.machines import hub, submit


def settings(text: str = "") -> Settings:
    found, mistakes = parse(f"[hub]\nhostname = mx.sender.example\nstate = /no\n{text}")
    assert mistakes == []
    return found


def recorded(*answers: tuple[float, str], end: str = "delivered", at: float = 1000.0) -> Recorded:
    """A message to one recipient that was answered so, and met its fate with the last."""
    replies = [(at + age, Reply.parse(int(text[:3]), [text[4:]])) for age, text in answers]
    fate = Fate(end, answers[-1][0] if answers else 0.0, len(answers))
    return Recorded("q1", at, "a@here.example", ("b@far.example",), 2000, [replies], [fate])


def test_nothing_changes() -> None:
    """The same configuration fares the same: nothing is told."""
    assert replay(settings(), [recorded((1.0, "250 2.0.0 Ok"))]) == []
    greylisted = recorded((1.0, "451 4.7.1 Greylisted"), (301.0, "250 2.0.0 Ok"))
    assert replay(settings(), [greylisted]) == []
    failed = recorded((1.0, "550 5.1.1 No such user"), end="failed")
    assert replay(settings(), [failed]) == []


def test_another_route() -> None:
    """Another next hop is told."""
    route = "[route out]\nrecipients = *\nhost = smtp.relay.example\ntls = none\n"
    [found] = replay(settings(route), [recorded((1.0, "250 2.0.0 Ok"))])
    assert "by smtp.relay.example" in found.would
    assert "by" not in found.was
    assert str(found).startswith("q1 <b@far.example>: delivered after 1.0 s")


def test_another_schedule() -> None:
    """A delivery that comes much later is told: hosts go on saying what they said."""
    late = recorded((1.0, "451 4.3.0 Not now"), (600.0, "250 2.0.0 Ok"))
    slow = "[queue]\ndelays = 2h\njitter = 0\n"
    [found] = replay(settings(slow), [late])
    assert found.was == "delivered after 10 min, 2 attempts"
    assert found.would.startswith("delivered after 2 h")


def test_another_fate() -> None:
    """Who gives up sooner bounces what was delivered."""
    late = recorded((1.0, "451 4.3.0 Not now"), (7200.0, "250 2.0.0 Ok"))
    [found] = replay(settings("[queue]\nlifetime = 1h\ndelay warning = 30m\n"), [late])
    assert "failed" in found.would


def test_in_order() -> None:
    """Messages are handed in as far apart as they were, each with a fate of its own."""
    first = recorded((1.0, "250 2.0.0 Ok"))
    second = recorded((1.0, "250 2.0.0 Ok"), at=5000.0)
    assert replay(settings(), [first, second]) == []


def journeys_of(hub: SimHub) -> list[dict[str, Any]]:
    """What `mailhub journey --json` prints of all mail."""
    with_all = Journeys(hub.state, now=hub.world.now, begin=False)
    try:
        return [
            {
                "id": each,
                "events": [as_json(e) for part in with_all.load(each) for e in part.events],
            }
            for each in with_all.find(Wanted(since=1.0), 100)
        ]
    finally:
        with_all.close()


def test_what_a_hub_recorded(tmp_path: Path) -> None:
    """What a hub writes of its mail can be read, and replayed without a difference."""
    with World(1) as world:
        providers = Providers(world)
        providers.add(Manners("Grey", ("grey.example",), greylist=60.0))
        providers.add(Manners("Far", ("far.example",)))
        one = hub(world, "one.example")
        one.start()
        submit(world, one.host, "ann@one.example", "x@grey.example", "y@far.example")
        submit(world, one.host, "ann@one.example", "ann@one.example")
        world.run(3600)
        stopped = one.stop()
        world.run(60)
        assert stopped.called
        (tmp_path / "j.json").write_text(json.dumps(journeys_of(one)))
    messages = read(str(tmp_path / "j.json"))
    assert [it.recipients for it in messages] == [
        ("x@grey.example", "y@far.example"),
        ("ann@one.example",),
    ]
    assert [fate.end for it in messages for fate in it.fates] == ["delivered"] * 3
    assert messages[0].fates[0].attempts >= 2
    codes = [reply.code for _, reply in messages[0].answers[0]]
    assert (codes[0], codes[-1]) == (451, 250)
    assert replay(settings(), messages) == []


@pytest.mark.parametrize("text", ["", "{}", "[]", '[{"id": "x"}]', "[1]", '{"a": [1]}'])
def test_other_files(tmp_path: Path, text: str) -> None:
    """A file that holds something else is told so in a line."""
    (tmp_path / "x").write_text(text)
    with pytest.raises(NotJourneys) as caught:
        read(str(tmp_path / "x"))
    assert "\n" not in str(caught.value)
