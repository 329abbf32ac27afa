"""When a backlog will be gone."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.estimate import Backlog, Going, finished

NOW = 1000.0
DUE = Backlog(600, NOW - 50, NOW - 10)


@pytest.mark.parametrize(
    ("backlog", "going", "end"),
    [
        (Backlog(), Going(), NOW),
        (DUE, Going(measured=60), NOW + 600),
        (DUE, Going(measured=60, allowed=30), NOW + 1200),
        (DUE, Going(measured=60, allowed=1000), NOW + 600),
        (DUE, Going(allowed=600), NOW + 60),
        (DUE, Going(measured=60, until=NOW + 300), NOW + 900),
        (Backlog(600, NOW + 100, NOW + 200), Going(measured=60), NOW + 700),
        (Backlog(2, NOW, NOW + 5000), Going(measured=60), NOW + 5000),
    ],
)
def test_known(backlog: Backlog, going: Going, end: float) -> None:
    """Amount over pace, from when it may begin; never before the last is due."""
    assert finished(backlog, going, NOW) == pytest.approx(end)


@pytest.mark.parametrize("going", [Going(), Going(allowed=0.0), Going(until=NOW + 9)])
def test_unknown(going: Going) -> None:
    """Where nothing goes, and nothing says how fast it may, nothing is claimed."""
    assert finished(DUE, going, NOW) is None


@given(st.integers(1, 10**6), st.floats(0.1, 1e4), st.floats(0, 1e6))
def test_never_too_soon(waiting: int, rate: float, ahead: float) -> None:
    """More mail, less pace or a later moment never make it earlier."""
    end = finished(Backlog(waiting, NOW, NOW + ahead), Going(rate), NOW)
    assert end is not None
    assert end >= NOW + ahead
    for worse in (
        finished(Backlog(waiting + 1, NOW, NOW + ahead), Going(rate), NOW),
        finished(Backlog(waiting, NOW, NOW + ahead), Going(rate / 2), NOW),
        finished(Backlog(waiting, NOW, NOW + ahead + 1), Going(rate), NOW),
    ):
        assert worse is not None
        assert worse >= end
