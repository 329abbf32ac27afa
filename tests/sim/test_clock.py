"""Virtual time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import AlreadyCalled, AlreadyCancelled
from twisted.internet.task import Clock as Stock

from mailhub.sim.clock import Clock, Life


def test_order() -> None:
    """Calls run at their moments, those of one moment in the order they were asked for."""
    clock, ran = Clock(100.0), list[str]()
    for delay, name in ((2, "c"), (1, "a"), (2, "d"), (1, "b")):
        clock.callLater(delay, ran.append, name)
    assert clock.next() == 101.0
    clock.run(101.5)
    assert ran == ["a", "b"]
    assert clock.seconds() == 101.5
    clock.advance(10)
    assert ran == ["a", "b", "c", "d"]
    assert clock.ran == 4


def test_a_call_can_be_moved() -> None:
    """`reset` and `delay` move a call either way, and it runs once."""
    clock, ran = Clock(), list[tuple[str, float]]()
    calls = {
        name: clock.callLater(5, lambda it: ran.append((it, clock.seconds())), name)
        for name in "abc"
    }
    calls["a"].reset(1)
    calls["b"].delay(5)
    calls["c"].reset(8)
    assert [call.getTime() for call in clock.getDelayedCalls()] == [1, 10, 8]
    clock.run(20)
    assert ran == [("a", 1), ("c", 8), ("b", 10)]


def test_a_call_runs_once() -> None:
    """What has run or was cancelled cannot be cancelled or moved."""
    clock = Clock()
    done, dropped = clock.callLater(1, int), clock.callLater(1, int)
    dropped.cancel()
    clock.run(2)
    assert not done.active()
    with pytest.raises(AlreadyCalled):
        done.cancel()
    with pytest.raises(AlreadyCancelled):
        dropped.reset(1)
    with pytest.raises(ValueError, match="over"):
        clock.callLater(-1, int)


def test_stale_entries_are_swept() -> None:
    """Timers that are set and cancelled all the time do not gather."""
    clock = Clock()
    for _ in range(50_000):
        clock.callLater(300, int).cancel()
    assert len(clock._heap) < 10_000
    assert clock.next() is None


def test_a_life_ends() -> None:
    """What belongs to a life that is over does not run, and is kept for those who clear up."""
    clock, ran, life = Clock(), list[int](), Life()
    clock.in_life(life, 1, ran.append, (1,), {})
    clock.in_life(life, 3, ran.append, (2,), {})
    clock.run(2)
    life.over = True
    late = clock.in_life(life, 1, ran.append, (3,), {})
    clock.run(10)
    assert ran == [1]
    assert len(life.remains) == 2
    other = Life()
    clock.in_life(other, 1, ran.append, (4,), {})
    clock.in_life(life, 1, ran.append, (5,), {})
    other.over = True
    clock.drop((other,))
    assert len(other.remains) == 1
    assert clock.next() is None
    late.cancel()


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("later", "cancel", "reset", "delay", "advance")),
            st.integers(0, 9),
            st.integers(0, 9),
        ),
        max_size=60,
    )
)
def test_it_agrees_with_twisted(steps: list[tuple[str, int, int]]) -> None:
    """The same calls run in the same steps as on Twisted's own clock."""
    told = []
    for clock in (Clock(), Stock()):
        ran: list[tuple[int, int]] = []
        now = [0]
        calls: list[Any] = []
        for moment, (step, which, seconds) in enumerate(steps):
            call = calls[which % len(calls)] if calls else None
            if step == "later":
                number = len(calls)
                calls.append(
                    clock.callLater(seconds, lambda n, r=ran, t=now: r.append((n, t[0])), number)
                )
            elif step == "advance":
                now[0] = moment
                clock.pump([1] * (seconds + 1)) if isinstance(clock, Stock) else clock.advance(
                    seconds + 1
                )
            elif call is not None and call.active():
                call.cancel() if step == "cancel" else getattr(call, step)(seconds)
        told.append(sorted(ran))
    assert told[0] == told[1]
