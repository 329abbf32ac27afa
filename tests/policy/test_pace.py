"""The pace: limits kept in every span of time, halved by complaints, grown by quiet."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.pace import (
    DAY,
    FLOOR,
    HOLD,
    HOUR,
    MINUTE,
    STEP,
    Limits,
    Pace,
    Window,
    fell,
    grew,
    moved,
    sent,
    slot,
)

NOW = 1_700_000_000.0
NONE = Limits()


def run(pace: Pace, limits: Limits, count: int, now: float = NOW) -> list[float]:
    """The moments at which so many messages go out, as early as they may."""
    moments = []
    for _ in range(count):
        now = slot(pace, limits, now)
        moments.append(now)
        pace = sent(pace, now)
    return moments


class TestLimits:
    def test_none(self) -> None:
        """Without limits nothing waits."""
        assert run(Pace(), NONE, 1000) == [NOW] * 1000

    @pytest.mark.parametrize(
        ("limits", "length"),
        [
            (Limits(per_minute=7), MINUTE),
            (Limits(per_hour=30), HOUR),
            (Limits(per_day=3), DAY),
            (Limits(per_minute=1), MINUTE),
        ],
    )
    def test_spans(self, limits: Limits, length: float) -> None:
        """In no span are there more than allowed, and hardly fewer over many of them."""
        limit = limits.per_minute or limits.per_hour or limits.per_day
        moments = run(Pace(), limits, limit * 5)
        for number, moment in enumerate(moments[limit:]):
            assert moment - moments[number] >= length * 0.999
        assert moments[-1] - NOW <= 5 * length * 1.1

    def test_all(self) -> None:
        """Every limit is kept at once."""
        moments = run(Pace(), Limits(per_minute=5, per_hour=12), 30)
        assert moments[5] - moments[0] >= MINUTE * 0.999
        assert moments[12] - moments[0] >= HOUR * 0.999

    @given(st.lists(st.floats(0, 500), min_size=1, max_size=60), st.integers(1, 9))
    def test_any(self, waits: list[float], limit: int) -> None:
        """Whenever messages come, the limit is kept."""
        pace, now, moments = Pace(), NOW, list[float]()
        for wait in waits:
            now = slot(pace, Limits(per_minute=limit), now + wait)
            moments.append(now)
            pace = sent(pace, now)
        for early, late in zip(moments, moments[limit:], strict=False):
            assert late - early >= MINUTE * 0.999

    @given(
        st.lists(st.tuples(st.floats(0, 60), st.floats(0, 50)), min_size=1, max_size=60),
        st.integers(1, 9),
    )
    def test_late(self, waits: list[tuple[float, float]], limit: int) -> None:
        """Messages that begin later than their slots keep the limit too, each where it begins."""
        limits, pace, now = Limits(per_minute=limit), Pace(), NOW
        begun, late = list[float](), list[tuple[float, float]]()
        for wait, more in waits:
            now += wait
            while late and late[0][0] <= now:
                due, then = late.pop(0)
                after = moved(pace, then, due)
                assert after is not None
                pace = after
                begun.append(due)
            if slot(pace, limits, now) == now:
                pace = sent(pace, now)
                late = sorted([*late, (now + more, now)])
        for early, later in zip(begun, begun[limit:], strict=False):
            assert later - early >= MINUTE * 0.999

    def test_too_late(self) -> None:
        """A slot that has left its minute is worth nothing any more."""
        pace = sent(Pace(), NOW)
        assert moved(pace, NOW, NOW + 1) is not None
        assert moved(pace, NOW, NOW + 2 * MINUTE) is None
        assert moved(pace, NOW + 10 * MINUTE, NOW) is None

    def test_clock_set_back(self) -> None:
        """A clock that goes back a year holds nothing up."""
        pace = Pace(rate=10.0, next=NOW + 5)
        for _ in range(10):
            pace = sent(pace, NOW)
        past = NOW - 365 * DAY
        assert slot(pace, Limits(per_minute=3), past) - past <= MINUTE + 6.0

    def test_window_used(self) -> None:
        """What was sent in the last minute is known."""
        window = Window()
        for second in range(120):
            window = window.counted(NOW + second, MINUTE)
        assert 54 <= window.used(NOW + 119, MINUTE) <= 66
        assert window.used(NOW + 300, MINUTE) == 0


class TestComplaints:
    def test_halved(self) -> None:
        """The rate falls to half, and messages keep apart."""
        pace = fell(Pace(rate=60.0, top=60.0), NONE, NOW, of_connections=False)
        assert (pace.rate, pace.top) == (30.0, 60.0)
        moments = run(pace, NONE, 5)
        assert [round(b - a, 6) for a, b in pairwise(moments)] == [2.0] * 4
        assert moments[0] == NOW + 2.0

    def test_measured(self) -> None:
        """Without a rate, what was sent in the last minute is halved."""
        pace = Pace()
        for second in range(60):
            pace = sent(pace, NOW + second)
        pace = fell(pace, NONE, NOW + 59, of_connections=False)
        assert 27 <= pace.rate <= 30

    def test_configured(self) -> None:
        """A configured rate is what falls first."""
        assert fell(Pace(), Limits(per_minute=100), NOW, of_connections=False).rate == 50.0

    def test_once(self) -> None:
        """Complaints about the same excess count once."""
        once = fell(Pace(rate=60.0), NONE, NOW, of_connections=False)
        assert fell(once, NONE, NOW + HOLD / 2, of_connections=False) == once
        assert fell(once, NONE, NOW + HOLD, of_connections=False).rate == 15.0

    def test_connections(self) -> None:
        """A complaint about connections makes them fewer; with one left, the rate falls."""
        limits, now, pace = Limits(connections=10), NOW, Pace()
        places = []
        for _ in range(4):
            pace = fell(pace, limits, now, of_connections=True)
            places.append(pace.places(limits))
            now += HOLD
        assert places == [5, 2, 1, 1]
        assert pace.rate == FLOOR

    @given(st.lists(st.booleans(), max_size=40))
    def test_floor(self, complaints: list[bool]) -> None:
        """However much they complain, a little is always sent."""
        pace, now = Pace(rate=1000.0), NOW
        for of_connections in complaints:
            pace = fell(pace, NONE, now, of_connections=of_connections)
            now += HOLD
        assert pace.rate >= FLOOR
        assert pace.places(NONE) >= 1


class TestRecovery:
    def test_steps(self) -> None:
        """It grows by a tenth of what it was, a step a minute, and not without mail."""
        pace = fell(Pace(rate=100.0), NONE, NOW, of_connections=False)
        assert grew(pace, NONE, NOW + STEP - 1) == pace
        pace = grew(pace, NONE, NOW + STEP)
        assert pace.rate == 60.0
        assert grew(pace, NONE, NOW + STEP + 1) == pace
        assert grew(pace, NONE, NOW + 2 * STEP).rate == 70.0

    def test_ceiling(self) -> None:
        """At the configured rate it is as configured again."""
        limits, now = Limits(per_minute=100), NOW
        pace = fell(Pace(), limits, now, of_connections=False)
        for _ in range(5):
            now += STEP
            pace = grew(pace, limits, now)
        assert not pace.slowed

    def test_release(self) -> None:
        """Without one it is unlimited again at four times what was too much."""
        pace, now, steps = fell(Pace(rate=100.0), NONE, NOW, of_connections=False), NOW, 0
        while pace.rate:
            now, steps = now + STEP, steps + 1
            pace = grew(pace, NONE, now)
        assert steps == 35

    def test_connections(self) -> None:
        """Connections come back one by one."""
        limits, now = Limits(connections=4), NOW
        pace, places = fell(Pace(), limits, now, of_connections=True), list[int]()
        for _ in range(2):
            now += STEP
            pace = grew(pace, limits, now)
            places.append(pace.places(limits))
        assert places == [3, 4]
        assert not pace.slowed
        assert grew(pace, limits, now + STEP) == pace
