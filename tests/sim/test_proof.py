"""Nothing that got 250 is lost, whatever goes wrong, and whenever it does."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import pytest

from tests.sim.cycle import HARMED, STORIES, cycle
from tests.sim.harms import ON_DISK, ON_WIRE, kill

CASES = [(story, which) for story in STORIES for which in HARMED[story]]
STRIDE = 179
"""Of an ordinary run: which moments are tried is another for each harm. `make proof` tries all."""


@cache
def moments(story: str, which: int, *, wire: bool) -> int:
    """How many there are at which something can go wrong in a story."""
    found = cycle(story, which, 0, kill)
    return found.words if wire else len(found.calls)


def harmed(story: str, which: int, name: str, numbers: range, *, wire: bool) -> Iterator[str]:
    """What is wrong after cycles in which something happens at each of these moments."""
    harm = (ON_WIRE if wire else ON_DISK)[name]
    for number in numbers:
        found = cycle(story, which, number, harm, wire=wire)
        where = "word" if wire else str(found.calls[number - 1])
        yield from (f"{name} at {number}, {where}: {fault}" for fault in found.wrong)


@pytest.mark.parametrize(("story", "which"), CASES)
def test_a_cycle(story: str, which: int) -> None:
    """Without harm nothing is wrong, nothing is sent twice, and there are calls of each kind."""
    found = cycle(story, which, 0, kill)
    assert (found.wrong, found.judge.duplicates, found.undone) == ([], 0, 0)
    letters = [sent for sent in found.judge.sent.values() if sent.recipients]
    assert all(sent.heard is not None for sent in letters)
    names = {call.name for call in found.calls}
    assert names >= {"open", "write", "fsync", "rename", "commit", "unlink"}
    assert found.words > 8


def some(names: dict[str, object], name: str, case: int, count: int) -> range:
    """Some of so many moments, others for each kind of harm and each case."""
    first = (13 * list(names).index(name) + 29 * case) % STRIDE
    return range(first + 1, count + 1, STRIDE)


@pytest.mark.parametrize("name", ON_DISK)
def test_some_calls(name: str) -> None:
    """Crashes and failures at some calls to the disk."""
    for case, (story, which) in enumerate(CASES):
        numbers = some({**ON_DISK}, name, case, moments(story, which, wire=False))
        assert list(harmed(story, which, name, numbers, wire=False)) == []


@pytest.mark.parametrize("name", ON_WIRE)
def test_some_words(name: str) -> None:
    """Crashes, partitions and resets at some words that are said."""
    for case, (story, which) in enumerate(CASES):
        numbers = some({**ON_WIRE}, name, case, moments(story, which, wire=True))
        assert list(harmed(story, which, name, numbers, wire=True)) == []


@pytest.mark.soak
@pytest.mark.parametrize(("story", "which"), CASES)
@pytest.mark.parametrize("name", ON_DISK)
def test_every_call(name: str, story: str, which: int) -> None:
    """Crashes and failures at each call of a cycle, one after the other."""
    numbers = range(1, moments(story, which, wire=False) + 1)
    assert list(harmed(story, which, name, numbers, wire=False)) == []


@pytest.mark.soak
@pytest.mark.parametrize(("story", "which"), CASES)
@pytest.mark.parametrize("name", ON_WIRE)
def test_every_word(name: str, story: str, which: int) -> None:
    """Likewise at each word that is said between machines."""
    numbers = range(1, moments(story, which, wire=True) + 1)
    assert list(harmed(story, which, name, numbers, wire=True)) == []
