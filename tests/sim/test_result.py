"""What a simulation came to."""

from __future__ import annotations

import json

import pytest

from mailhub.config.load import parse
from mailhub.sim.books import Slot
from mailhub.sim.campaign import parsed
from mailhub.sim.manners import Manners, Outage, Why, Window
from mailhub.sim.result import (
    OUR_CONNECTIONS,
    OUR_PACE,
    Outcome,
    Stretch,
    _limits,
    concluded,
    duration,
)
from mailhub.sim.simulation import Plan, simulate
from mailhub.sim.worldfile import parsed as parsed_world
from tests.sim.runs import result


def provider(name: str) -> Outcome:
    return next(it for it in result().providers if it.name == name)


def test_the_answer() -> None:
    """One sentence says how long it took and who held it up."""
    answer = result().answer
    assert answer.startswith("Done in ")
    assert "Slow is the bottleneck (its rate limit)" in answer
    assert "bounced." in answer


def test_what_is_left() -> None:
    """Where time is up, the answer says how many wait, and for whom."""
    found = result(until=1800.0)
    assert found.answer.startswith("Not done after 30 min: ")
    assert found.waiting > 0
    assert found.ended == 1800.0


def test_what_was_given_up() -> None:
    """Who was given up long after the last was delivered is not passed over; nor what they publish.

    A provider whose MTA-STS policy names hosts that are not its own gets nothing.
    """
    text = """
[provider Good]
domains = good.example
weight = 1
[provider Strict]
domains = strict.example
weight = 1
tls = good
mta-sts = wrong
"""
    settings, _ = parse("[hub]\nhostname = mx.sender.example\n")
    campaign = parsed("test.ini", "[mail x]\nrecipients = 40\nsize = 1K\n")
    found = concluded(simulate(Plan(settings, parsed_world("test", text), campaign, "7")))
    assert found.given_up == found.bounced > 10
    assert f"but for {found.given_up} that were given up after 5 d" in found.answer
    strict = next(it for it in found.providers if it.name == "Strict")
    assert strict.limit == "what it says of its TLS"


def test_sums() -> None:
    """The whole is the sum of its parts, and every recipient is somewhere."""
    found = result()
    assert found.recipients == 120
    assert found.delivered + found.bounced + found.refused + found.waiting == 120
    for outcome in found.providers:
        assert outcome.recipients == (
            outcome.delivered + outcome.bounced + outcome.refused + outcome.waiting
        )
        total = sum(outcome.pace) * found.bin / 60
        assert total == pytest.approx(outcome.delivered)
        assert outcome.queue[-1] == outcome.waiting


def test_limits() -> None:
    """Each provider's limit is what stood in its way."""
    assert provider("Quick").limit == ""
    assert provider("Greylisting").limit == "greylisting"
    assert provider("Slow").limit == "its rate limit"
    assert provider("Absent").limit == "its outage"
    outage = next(it for it in provider("Absent").limits if it.why == "its outage")
    assert outage.start == 0
    assert 1200 <= outage.end <= 3700


def test_moments() -> None:
    """Half, most and all had it in that order."""
    for outcome in result().providers:
        moments = [outcome.half, outcome.most, outcome.nearly_all, outcome.all]
        assert None not in moments
        assert moments == sorted(moments)  # type: ignore[type-var]  # none is None
    assert provider("Greylisting").behind > 600


def test_json() -> None:
    """It can be written down, the same octets each time, and read by a program."""
    text = result().as_json()
    found = json.loads(text)
    assert found["seed"] == "7"
    assert {it["name"] for it in found["providers"]} == {"Quick", "Greylisting", "Slow", "Absent"}
    result.cache_clear()
    assert result().as_json() == text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (1.25, "1.2 s"),
        (75, "1 min 15 s"),
        (3600, "1 h"),
        (11520, "3 h 12 min"),
        (86400 * 2 + 3600 * 5 + 60, "2 d 5 h"),
        (3599.9, "1 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    """Durations are said with two units at most."""
    assert duration(seconds) == words


def limits(*slots: Slot, manners: Manners | None = None) -> list[Stretch]:
    queue, waiting = [], 0
    for slot in slots:
        waiting += slot.handed_in - slot.delivered - slot.gone
        queue.append(waiting)
    return _limits(slots, queue, manners, 10.0)


def slot(handed_in: int = 0, delivered: int = 0, connections: int = 0, **refused: int) -> Slot:
    made = Slot(handed_in, delivered, 0, connections)
    made.refused.update({Why[name.upper()]: count for name, count in refused.items()})
    return made


def test_what_they_said_lasts() -> None:
    """What was said is what limits, until the queue is empty, though nothing is asked meanwhile."""
    found = limits(slot(100, 10, 5, rate=20), slot(), slot(0, 80, 5), slot(0, 10))
    assert found == [Stretch("its rate limit", 0, 40)]


def test_one_word_is_enough_where_nothing_follows() -> None:
    """A single refusal behind which nothing moves is why."""
    found = limits(slot(1000, 100, 5), slot(0, 100, 5), slot(), slot())
    assert found[-1].why == OUR_PACE
    refused = slot(1000, 100, 5)
    refused.refused[Why.CONNECTIONS] = 1
    assert limits(refused, slot(), slot())[-1] == Stretch("its limit of connections", 10, 30)


def test_ours() -> None:
    """Where nobody refused us it was our own doing: our connections, or our pace."""
    found = limits(slot(200, 50, 20), slot(0, 50, 20), slot(0, 10, 5))
    assert found == [Stretch(OUR_CONNECTIONS, 0, 20), Stretch(OUR_PACE, 20, 30)]


def test_on_their_way() -> None:
    """Those that are just being sent wait for nothing."""
    assert limits(slot(20, 10, 20), slot(0, 10, 20)) == []


def test_a_tarpit_and_an_outage() -> None:
    """A tarpit says nothing, and neither does a host that is not there: both are known."""
    slow = limits(slot(100, 5, 5), slot(0, 5, 5), manners=Manners("x", tarpit=5.0))
    assert [it.why for it in slow] == ["its slow answers"]
    away = Manners("x", outages=(Window(0, 15),), outage=Outage.SILENT)
    assert [it.why for it in limits(slot(100), slot(), manners=away)] == ["its outage"]
