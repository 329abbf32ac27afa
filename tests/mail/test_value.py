"""Values behave as frozen dataclasses do, but for what it takes to make one."""

from __future__ import annotations

from dataclasses import dataclass, field, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.value import replace, value


@value(frozen=True, slots=True)
class Spot:
    """A value."""

    x: int
    y: int = 2
    name: str = ""


@value(frozen=True, slots=True)
class Checked:
    """A value that refuses some."""

    low: int
    high: int

    def __post_init__(self) -> None:
        if self.low > self.high:
            raise ValueError(self.low)


@dataclass(frozen=True, slots=True)
class Frozen:
    """What a value is compared with."""

    x: int
    y: int = 2
    name: str = ""


@given(st.integers(), st.integers(), st.text())
def test_a_value_is_compared_hashed_and_shown_like_a_frozen_dataclass(
    x: int, y: int, name: str
) -> None:
    """Equal attributes make equal values, with equal hashes."""
    one, other, frozen = Spot(x, y, name), Spot(x, y, name), Frozen(x, y, name)
    assert one == other
    assert hash(one) == hash(other) == hash(frozen)
    assert one != Spot(x + 1, y, name)
    assert repr(one) == repr(frozen).replace("Frozen", "Spot")
    assert [it.name for it in fields(one)] == ["x", "y", "name"]


def test_another_class_is_another_value() -> None:
    """Values of different classes differ, whatever they hold."""
    assert Spot(1) != Frozen(1)  # type: ignore[comparison-overlap]


def test_defaults_and_slots() -> None:
    """What is not given has its default; there is no room for anything else."""
    assert Spot(1) == Spot(1, 2, "")
    assert not hasattr(Spot(1), "__dict__")


@given(st.integers(), st.integers())
def test_replace_changes_what_is_named_and_nothing_else(x: int, y: int) -> None:
    """The old value stays as it was."""
    old = Spot(x, 5, "five")
    new = replace(old, y=y)
    assert (new, old) == (Spot(x, y, "five"), Spot(x, 5, "five"))
    assert type(new) is Spot


def test_replace_checks_as_making_does() -> None:
    """What `__post_init__` refuses cannot be had by replacing either."""
    assert replace(Checked(1, 3), high=1) == Checked(1, 1)
    with pytest.raises(ValueError, match="1"):
        replace(Checked(1, 3), high=0)


def test_replace_refuses_what_there_is_not() -> None:
    """A name that is no attribute is a mistake."""
    with pytest.raises(AttributeError):
        replace(Spot(1), z=1)  # type: ignore[call-arg]


@value(frozen=True, slots=True)
class Remembering:
    """A value that finds out something about itself."""

    x: int
    found: dict[int, int] = field(default_factory=dict, init=False, compare=False)


def test_what_a_value_has_found_out_is_not_its_successors() -> None:
    """What is not given when a value is made is made anew with it."""
    old = Remembering(1)
    old.found[1] = 2
    assert replace(old, x=3) == Remembering(3)
    assert replace(old, x=3).found == {}
