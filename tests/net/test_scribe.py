"""Journeys written behind the mail's back."""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailhub.net.scribe import Nobody, Scribe
from mailhub.policy.limits import JourneyLimits
from mailhub.policy.rule import Rule
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Dismissed, Event
from mailhub.queue.ids import number_at, to_queue_id
from mailhub.queue.journeys import Journeys, Written
from tests.rig import InlineDisk, run

NOW = 1_800_000_000.0
LIMITS = JourneyLimits(wait=0.25)
ONE = to_queue_id(number_at(NOW))
TWO = to_queue_id(number_at(NOW) + 1)


def event(n: int) -> Event:
    return Dismissed(NOW + n, "a@hub.example")


class HeldDisk(InlineDisk):
    """A disk whose work waits until it is let go."""

    def __init__(self) -> None:
        self.held: list[Deferred[None]] = []
        self.hold = False

    async def run(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
        if self.hold:
            gate: Deferred[None] = Deferred()
            self.held.append(gate)
            await gate
        return function(*args, **kwargs)


class Watching:
    """A `Watcher` that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[QueueId, int]] = []
        self.parts: list[QueueId] = []

    def happened(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        self.heard.append((queue_id, len(events)))

    def written(self, parts: Sequence[Written]) -> None:
        self.parts += [part.queue_id for part in parts]


class Rig:
    def __init__(self, directory: Path, limits: JourneyLimits = LIMITS) -> None:
        self.clock = Clock()
        self.clock.rightNow = NOW
        self.disk = HeldDisk()
        self.journeys = Journeys(str(directory), now=NOW)
        self.scribe = Scribe(
            self.journeys,
            self.disk,
            self.clock,
            self.clock.seconds,
            limits,
            lambda rule: f"<{rule}>",
        )

    def kept(self, queue_id: QueueId = ONE) -> list[Event]:
        return [event for part in self.journeys.load(queue_id) for event in part.events]


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_together(rig: Rig) -> None:
    """What happens within the wait is one part for each message."""
    rig.scribe.note(ONE, event(1), event(2))
    rig.scribe.note(TWO, event(3))
    rig.scribe.note(ONE, event(4))
    assert rig.journeys.latest == 0
    rig.clock.advance(0.25)
    assert rig.kept() == [event(1), event(2), event(4)]
    assert rig.journeys.latest == 2
    assert not rig.clock.getDelayedCalls()


def test_one_batch_at_a_time(rig: Rig) -> None:
    """What happens while a batch is written waits for the next, in order."""
    rig.disk.hold = True
    rig.scribe.note(ONE, event(1))
    rig.clock.advance(0.25)
    rig.scribe.note(ONE, event(2))
    rig.clock.advance(9)
    assert len(rig.disk.held) == 1
    rig.disk.held.pop().callback(None)
    rig.clock.advance(0.25)
    rig.disk.held.pop().callback(None)
    assert rig.kept() == [event(1), event(2)]


def test_bounded(tmp_path: Path) -> None:
    """What finds no room is not kept, and nobody waits for it."""
    rig = Rig(tmp_path, replace(LIMITS, waiting=2))
    for n in range(5):
        rig.scribe.note(ONE, event(n))
    rig.clock.advance(0.25)
    assert rig.kept() == [event(0), event(1)]
    rig.scribe.note(ONE, event(9))
    rig.clock.advance(0.25)
    assert rig.kept()[-1] == event(9)


def test_switched_off(tmp_path: Path) -> None:
    """With nothing to be kept nothing is written, and no timer runs."""
    rig = Rig(tmp_path, replace(LIMITS, keep=0.0))
    rig.scribe.note(ONE, event(1))
    assert not rig.clock.getDelayedCalls()
    rig.scribe.obey(LIMITS, str)
    rig.scribe.note(ONE, event(2))
    rig.clock.advance(0.25)
    assert rig.kept() == [event(2)]


def test_a_disk_that_refuses(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch that cannot be written is lost, and the next one is written."""
    with monkeypatch.context() as broken:
        broken.setattr(rig.journeys, "write_batch", _full)
        rig.scribe.note(ONE, event(1))
        rig.clock.advance(0.25)
    rig.scribe.note(ONE, event(2))
    rig.clock.advance(0.25)
    assert rig.kept() == [event(2)]


def _full(happened: object) -> None:
    raise OSError(errno.ENOSPC, "no space")


def test_old_ones_go(rig: Rig) -> None:
    """What is older than it is kept is removed, now and then."""
    rig.scribe.note(ONE, event(1))
    rig.clock.advance(0.25)
    rig.clock.advance(LIMITS.keep + 1)
    rig.scribe.note(to_queue_id(number_at(rig.clock.seconds())), event(2))
    rig.clock.advance(0.25)
    assert rig.kept() == []


def test_watched(rig: Rig) -> None:
    """Who watches hears at once what happens, and later that it is written."""
    watching = Watching()
    rig.scribe.watch(watching)
    rig.scribe.note(ONE, event(1), event(2))
    assert (watching.heard, watching.parts) == ([(ONE, 2)], [])
    rig.clock.advance(0.25)
    assert watching.parts == [ONE]
    rig.scribe.unwatch(watching)
    rig.scribe.note(ONE, event(3))
    assert len(watching.heard) == 1


def test_stop_writes(rig: Rig, tmp_path: Path) -> None:
    """What waits at a stop is written, and what comes after it is not."""
    rig.scribe.note(ONE, event(1))
    run(rig.scribe.stop())
    rig.scribe.note(ONE, event(2))
    assert not rig.clock.getDelayedCalls()
    again = Journeys(str(tmp_path), now=NOW)
    assert [it for part in again.load(ONE) for it in part.events] == [event(1)]


def test_stop_waits(rig: Rig, tmp_path: Path) -> None:
    """A batch under way ends before the database is closed, and what came meanwhile follows."""
    rig.disk.hold = True
    rig.scribe.note(ONE, event(1))
    rig.clock.advance(0.25)
    rig.scribe.note(ONE, event(2))
    stopped = Deferred.fromCoroutine(rig.scribe.stop())
    for _ in range(2):
        assert not stopped.called
        rig.disk.held.pop().callback(None)
    assert stopped.called
    again = Journeys(str(tmp_path), now=NOW)
    assert len([it for part in again.load(ONE) for it in part.events]) == 2


def test_catch_up(rig: Rig) -> None:
    """Whoever wants to read what has happened need not wait for the timer."""
    run(rig.scribe.catch_up())
    rig.scribe.note(ONE, event(1))
    run(rig.scribe.catch_up())
    assert rig.kept() == [event(1)]
    assert not rig.clock.getDelayedCalls()
    rig.disk.hold = True
    rig.scribe.note(ONE, event(2))
    rig.clock.advance(0.25)
    rig.scribe.note(ONE, event(3))
    waiting = [Deferred.fromCoroutine(rig.scribe.catch_up()) for _ in range(2)]
    for _ in range(2):
        assert not any(caught_up.called for caught_up in waiting)
        rig.disk.held.pop().callback(None)
    assert all(caught_up.called for caught_up in waiting)
    assert rig.kept() == [event(1), event(2), event(3)]


def test_asked(rig: Rig) -> None:
    """Questions to the database are asked where it is used."""
    rig.scribe.note(ONE, event(1))
    rig.clock.advance(0.25)
    [part] = run(rig.scribe.ask(Journeys.load, ONE))
    assert part.events == (event(1),)


def test_rules(rig: Rig) -> None:
    """Rules are told by the configuration in force."""
    assert rig.scribe.rule(Rule("queue", "delays")) == "<[queue] delays>"
    rig.scribe.obey(LIMITS, lambda rule: "elsewhere")
    assert rig.scribe.rule(Rule("queue", "delays")) == "elsewhere"


def test_nobody() -> None:
    """A hub that remembers nothing says nothing of rules either."""
    Nobody().note(ONE, event(1))
    assert Nobody().rule(Rule("queue")) == ""
