"""The clock that keeps pace: in order, at each call's own moment, however far it is moved."""

from __future__ import annotations

import pytest
from twisted.internet.task import Clock as Machine

from mailhub.lab.clock import PacedClock

START = 1_800_000_000.0


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def clock(machine: Machine) -> PacedClock:
    return PacedClock(machine, START)


def test_it_keeps_pace(machine: Machine, clock: PacedClock) -> None:
    """Its time passes as the machine's does."""
    machine.advance(2.5)
    assert clock.seconds() == START + 2.5


def test_calls_come_at_their_time(machine: Machine, clock: PacedClock) -> None:
    """A call waits for its moment, and no longer."""
    told: list[float] = []
    clock.callLater(3, lambda: told.append(clock.seconds()))
    machine.advance(2.9)
    assert told == []
    machine.advance(0.2)
    assert told == [START + 3]


def test_what_is_asked_for_late_counts_from_then(machine: Machine, clock: PacedClock) -> None:
    """A delay begins when it is asked for, though nothing has run for a while."""
    machine.advance(100)
    assert clock.callLater(1, lambda: None).getTime() == START + 101


def test_moved(machine: Machine, clock: PacedClock) -> None:
    """All that is due until then happens, in order, each at its own moment, and what follows."""
    told: list[tuple[str, float]] = []

    def again(name: str, every: float) -> None:
        told.append((name, clock.seconds() - START))
        clock.callLater(every, again, name, every)

    clock.callLater(10, again, "a", 10)
    clock.callLater(15, again, "b", 15)
    done = clock.move(31)
    machine.advance(0)
    assert told == [("a", 10), ("b", 15), ("a", 20), ("b", 30), ("a", 30)]
    assert done.called
    assert clock.seconds() == START + 31


def test_moving_waits_for_what_is_due(machine: Machine, clock: PacedClock) -> None:
    """Who moves the clock is told when all has happened, and not before."""
    told: list[str] = []
    clock.callLater(5, told.append, "five")
    done = clock.move(5)
    assert not done.called
    machine.advance(0)
    assert done.called
    assert told == ["five"]


def test_a_call_that_fails_stops_nothing(machine: Machine, clock: PacedClock) -> None:
    """The others still run."""
    told: list[str] = []
    clock.callLater(1, lambda: 1 / 0)
    clock.callLater(2, told.append, "next")
    machine.advance(3)
    assert told == ["next"]


def test_earlier_calls_wake_it_earlier(machine: Machine, clock: PacedClock) -> None:
    """A call that is put before others is not late for them."""
    told: list[str] = []
    late = clock.callLater(50, told.append, "late")
    clock.callLater(10, told.append, "early")
    machine.advance(10)
    assert told == ["early"]
    late.reset(1)
    machine.advance(1)
    assert told == ["early", "late"]


def test_it_never_goes_back(clock: PacedClock) -> None:
    """There is no way back."""
    with pytest.raises(ValueError, match="back"):
        clock.move(-1)


def test_nobody_waits_for_a_clock_that_stops(clock: PacedClock) -> None:
    """Whoever waits for a moment that will not come is told so."""
    moved = clock.move(3600)
    clock.callLater(1800, int)
    clock.stop()
    assert moved.called


def test_stopped(machine: Machine, clock: PacedClock) -> None:
    """Nothing happens any more, and the machine is left nothing to do."""
    told: list[str] = []
    clock.callLater(1, told.append, "one")
    clock.stop()
    clock.callLater(1, told.append, "two")
    machine.advance(10)
    assert told == []
    assert machine.getDelayedCalls() == []
