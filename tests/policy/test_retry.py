"""The schedule of attempts, warning and end."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.retry import DAY, HOUR, MINUTE, Schedule

SCHEDULE = Schedule()
chances = st.floats(0, 1, exclude_max=True)


def test_first_attempts_follow_soon() -> None:
    """Greylisting ends after some minutes: there are tries within one, six and sixteen of them."""
    waits = [SCHEDULE.delay(n) for n in range(1, 4)]
    assert waits == [MINUTE, 5 * MINUTE, 10 * MINUTE]


def test_later_attempts_are_rare() -> None:
    """Beyond the list each wait is longer by the factor, up to the maximum."""
    assert SCHEDULE.delay(7) == 1.5 * HOUR
    assert SCHEDULE.delay(8) == 2.25 * HOUR
    assert SCHEDULE.delay(1000) == 4 * HOUR
    assert SCHEDULE.delay(10**9) == 4 * HOUR


@given(st.integers(1, 100), chances)
def test_jitter_is_bounded(attempts: int, chance: float) -> None:
    """A wait differs from its middle by no more than the jitter's share."""
    middle = SCHEDULE.delay(attempts)
    assert 0.9 * middle <= SCHEDULE.delay(attempts, chance) <= 1.1 * middle


@given(st.floats(0, 6 * DAY), st.integers(1, 60), chances, st.booleans())
def test_an_attempt_falls_on_each_turning_point(
    age: float, attempts: int, chance: float, warned: bool
) -> None:
    """The next moment is in the future, and never past the warning or the end."""
    due = SCHEDULE.due(1000.0, 1000.0 + age, attempts, warned=warned, chance=chance)
    assert due > 1000.0 + age
    if age < SCHEDULE.warning and not warned:
        assert due <= 1000.0 + SCHEDULE.warning
    if age < SCHEDULE.lifetime:
        assert due <= 1000.0 + SCHEDULE.lifetime


def test_warning_and_end() -> None:
    """A failure at the very moment of the warning warns; one at the end is final."""
    assert not SCHEDULE.warns(0.0, 4 * HOUR - 1)
    assert SCHEDULE.warns(0.0, 4 * HOUR)
    assert not SCHEDULE.expired(0.0, 5 * DAY - 1, 9)
    assert SCHEDULE.expired(0.0, 5 * DAY, 9)


def test_no_warning() -> None:
    """With a warning time of 0 nobody is ever warned, and no attempt is made for it."""
    schedule = Schedule(warning=0.0)
    assert not schedule.warns(0.0, DAY)
    assert schedule.due(0.0, 0.0, 1, warned=False, chance=0.5) == MINUTE


@pytest.mark.parametrize(
    "wrong",
    [{"delays": ()}, {"delays": (0.0,)}, {"factor": 0.5}, {"jitter": 1.0}, {"jitter": -0.1}],
)
def test_nonsense_is_refused(wrong: dict[str, object]) -> None:
    """A schedule that would try without pause, or back in time, cannot be made."""
    with pytest.raises(ValueError, match=r"delays|factor"):
        Schedule(**wrong)  # type: ignore[arg-type]  # that is the point


def test_a_whole_life() -> None:
    """Five days of failures: 35 to 60 attempts, one at the warning, the last at the end."""
    now, attempts, moments, warned = 0.0, 0, [], False
    while not SCHEDULE.expired(0.0, now, attempts):
        attempts += 1
        warned = warned or SCHEDULE.warns(0.0, now)
        now = SCHEDULE.due(0.0, now, attempts, warned=warned, chance=0.5)
        moments.append(now)
    assert SCHEDULE.warning in moments
    assert moments[-1] == SCHEDULE.lifetime
    assert 35 <= len(moments) <= 60
