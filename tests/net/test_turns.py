"""Turns, and how many there are."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from mailhub.net.turns import Turns
from tests.rig import run


def start(coroutine: object) -> Deferred[None]:
    """Begin a coroutine."""
    return Deferred.fromCoroutine(coroutine)  # type: ignore[arg-type]


class Visitors:
    """Those who want in, and who is in."""

    def __init__(self, turns: Turns, count: int) -> None:
        self.turns = turns
        self.inside: list[int] = []
        self.coming = [start(self._come(number)) for number in range(count)]

    async def _come(self, number: int) -> None:
        await self.turns.enter()
        self.inside.append(number)

    def leave(self) -> None:
        self.inside.pop(0)
        self.turns.leave()


def test_in_order() -> None:
    """So many at a time, and whoever came first goes first."""
    visitors = Visitors(Turns(2), 4)
    assert visitors.inside == [0, 1]
    visitors.leave()
    assert visitors.inside == [1, 2]
    visitors.leave()
    assert visitors.inside == [2, 3]


def test_whoever_gives_up() -> None:
    """One who is cancelled while waiting leaves no gap."""
    visitors = Visitors(Turns(1), 3)
    failures: list[object] = []
    visitors.coming[1].addErrback(lambda failure: failures.append(failure.check(CancelledError)))
    visitors.coming[1].cancel()
    assert failures == [CancelledError]
    visitors.leave()
    assert visitors.inside == [2]


def test_more_places() -> None:
    """Where there are more, those who wait come in at once."""
    turns = Turns(1)
    visitors = Visitors(turns, 4)
    turns.places = 3
    assert turns.places == 3
    assert visitors.inside == [0, 1, 2]


def test_fewer_places() -> None:
    """Where there are fewer, nobody is thrown out, and the number is kept from then on."""
    turns = Turns(3)
    visitors = Visitors(turns, 5)
    turns.places = 1
    visitors.leave()
    visitors.leave()
    assert visitors.inside == [2]
    visitors.leave()
    assert visitors.inside == [3]


def test_many_turns_without_recursion() -> None:
    """Thousands that wait and leave at once need no deep stack."""
    turns = Turns(1)
    run(turns.enter())
    count = 0

    async def pass_through() -> None:
        nonlocal count
        await turns.enter()
        count += 1
        turns.leave()

    tasks = [start(pass_through()) for _ in range(5000)]
    turns.leave()
    assert count == 5000
    assert all(task.called for task in tasks)
    run(pass_through())


def test_nobody_jumps_the_queue() -> None:
    """Who comes while others wait goes behind them, even if a place has just become free."""
    turns = Turns(1)
    run(turns.enter())
    order: list[str] = []

    async def first() -> None:
        await turns.enter()
        order.append("first")
        start(late())
        turns.leave()

    async def other(name: str) -> None:
        await turns.enter()
        order.append(name)
        turns.leave()

    async def late() -> None:
        await other("late")

    start(first())
    start(other("second"))
    turns.leave()
    assert order == ["first", "second", "late"]
