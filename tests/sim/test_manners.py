"""The values that a provider is made of."""

from __future__ import annotations

from mailhub.sim.manners import LIMITS, Manners, Rate, Stage, Why, Window


def test_rates() -> None:
    """A rate of nothing is no limit."""
    assert not Rate()
    assert Rate(3600, 3600.0).per_second == 1.0


def test_windows() -> None:
    """A window has an end."""
    assert Window(10, 5).end == 15


def test_defaults_do_no_harm() -> None:
    """A provider of which nothing is said takes everything."""
    manners = Manners("x")
    assert not any((manners.rate, manners.capacity, manners.outages, manners.chances))
    assert Manners("x", drops=((Stage.MAIL, 0.5),)).chances == {Stage.MAIL: 0.5}


def test_limits_are_told_apart() -> None:
    """What does not slow a campaign down is no limit of it."""
    assert not {Why.UNKNOWN, Why.OTHER} & set(LIMITS)
    assert len({why.value for why in Why}) == len(Why)
