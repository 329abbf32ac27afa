"""What receivers remember."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from mailhub.sim.manners import Manners, Rate, Why
from mailhub.sim.memory import GOOD, Counter, Memory, Source, share

HOUR = 3600.0


def memory(**manners: Any) -> tuple[Memory, Source]:
    """A memory, and an address that is new to it."""
    made = Memory(Manners("x", **manners), "7")
    return made, made.source("192.0.2.1")


def accept(made: Memory, source: Source, number: int, now: float = 0.0) -> list[Why]:
    """Try to send to so many; why some were refused."""
    found = []
    for place in range(number):
        refused = made.mail(source, now) or made.recipient(
            source, "192.0.2.1", "s@x", f"u{place}@far.example", now
        )
        if refused is None:
            made.accepted(source, 1, now)
        else:
            found.append(refused.why)
    return found


def test_a_counter() -> None:
    """It counts what happened in the last hour, within a minute."""
    counter = Counter(Rate(10, HOUR))
    for minute in range(120):
        counter.add(minute * 60.0)
    assert counter.count(120 * 60.0) == pytest.approx(60, abs=1)
    assert counter.count(10 * HOUR) == 0
    assert len(counter._slots) <= 61


def test_shares() -> None:
    """A share belongs to a seed and a text, and is spread evenly."""
    assert share("1", "full", "a@b") == share("1", "full", "a@b")
    assert share("1", "full", "a@b") != share("2", "full", "a@b")
    assert share("1", "full", "a@b") != share("1", "unknown", "a@b")
    found = sum(share("1", "full", f"u{number}@b") < 0.1 for number in range(10_000))
    assert found == pytest.approx(1000, rel=0.1)


def test_the_rate() -> None:
    """So many an hour, from each address; then no more until the hour has passed."""
    made, source = memory(rate=Rate(10, HOUR))
    assert accept(made, source, 15) == [Why.RATE] * 5
    assert accept(made, made.source("192.0.2.2"), 10) == []
    assert accept(made, source, 2, HOUR + 61) == []


def test_a_new_address_warms_up() -> None:
    """An address that is new begins with a tenth of the rate, and has all of it in the end."""
    made, source = memory(rate=Rate(100, HOUR), warm_up=1000)
    assert made.allowed(source, 0) == 10
    source.total = 500
    assert made.allowed(source, 0) == pytest.approx(60)
    source.total = 1000
    assert made.allowed(source, 0) == 100


def test_connections() -> None:
    """So many at once, so many an hour."""
    made, source = memory(connections=2, connection_rate=Rate(3, HOUR))
    source.open = 2
    refused = made.connect(source, 0)
    assert refused is not None
    assert refused.why is Why.CONNECTIONS
    source.open = 0
    assert [made.connect(source, 1) is None for _ in range(4)] == [True, True, False, False]
    assert made.connect(source, 2 * HOUR) is None


def test_greylisting() -> None:
    """A triplet that was never seen waits, and is known then; another one waits for itself."""
    made, source = memory(greylist=300.0, greylist_memory=HOUR)

    def refused(sender: str, now: float) -> bool:
        return made.recipient(source, "192.0.2.1", sender, "u@far.example", now) is not None

    assert refused("a@x", 0)
    assert refused("a@x", 299)
    assert not refused("a@x", 301)
    assert refused("b@x", 301)
    assert not refused("a@x", HOUR)
    assert refused("a@x", 3 * HOUR), "it was forgotten"


def test_who_is_not_there() -> None:
    """The same addresses are unknown, and the same mailboxes full, every time."""
    made, source = memory(unknown=0.1, full=0.1)
    first = accept(made, source, 1000)
    assert first.count(Why.UNKNOWN) == pytest.approx(100, abs=30)
    assert first.count(Why.FULL) == pytest.approx(90, abs=30)
    assert accept(made, source, 1000) == first


def test_blocked_for_too_much() -> None:
    """Who tries too often is blocked, tries in vain for a while, and is forgiven."""
    made, source = memory(block_above=Rate(20, HOUR), block_for=4 * HOUR)
    found = accept(made, source, 30)
    assert found == [Why.BLOCKED] * 9 or found == [Why.BLOCKED] * 10
    assert accept(made, source, 1, 3 * HOUR) == [Why.BLOCKED]
    assert accept(made, source, 1, 9 * HOUR) == []
    assert source.blocks == 1
    assert made.reputation(source, 0) < GOOD


def test_blocked_for_unknown_recipients() -> None:
    """A list full of addresses that do not exist has its sender blocked, once it is no accident."""
    made, source = memory(unknown=0.3, block_unknown=0.2, block_for=HOUR)
    assert Why.BLOCKED not in accept(made, source, 49)
    assert Why.BLOCKED in accept(made, source, 100)


def test_blocked_for_complaints() -> None:
    """Complaints of a day add up."""
    made, source = memory(block_complaints=3, block_for=HOUR)
    for _ in range(3):
        made.complained("192.0.2.1", 0.0)
    assert accept(made, source, 1) == []
    made.complained("192.0.2.1", 60.0)
    assert accept(made, source, 1, 61.0) == [Why.BLOCKED]
    assert source.score < GOOD - 5


def test_reputation_is_rate() -> None:
    """Reputation that was lost costs part of the rate, and comes back with time."""
    made, source = memory(rate=Rate(100, HOUR))
    source.score = 50.0
    assert made.allowed(source, 0) == 50
    assert made.allowed(source, 10 * HOUR) == 70
    assert made.reputation(source, 100 * HOUR) == GOOD
    source.score = 0.0
    assert made.allowed(source, 100 * HOUR) == 10, "never nothing"


def test_capacity() -> None:
    """A provider with little room says so late."""
    made, source = memory(capacity=Rate(2, 1.0))
    waits = [made.accepted(source, 1, 0.0) for _ in range(6)]
    assert waits == [0.0, 0.0, 0.5, 1.0, 1.5, 2.0]
    assert made.accepted(source, 1, 60.0) == 0.0


def test_no_reply_is_made_here() -> None:
    """What is said to whom is the manners'."""
    manners = Manners("x", unknown=1.0)
    made = Memory(manners, "7")
    refused = made.recipient(made.source("a"), "a", "s", "p", 0)
    assert refused is not None
    assert refused.reply is manners.says_unknown
    assert dataclasses.is_dataclass(refused)
