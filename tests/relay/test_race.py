"""The first address that answers is taken, and none is waited for long."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailhub.mail.reply import Reply
from mailhub.relay.race import Result, race
from mailhub.smtp.wire import Broken


class Line:
    def __init__(self) -> None:
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True


class Run:
    """A race whose connections the test makes."""

    def __init__(self, *addresses: str, stubborn: Sequence[str] = ()) -> None:
        self.clock = Clock()
        self.tried: dict[str, Deferred[Line]] = {}
        self.cancelled: list[str] = []
        self.lines: dict[str, Line] = {}
        self._stubborn = stubborn
        self.results: list[Any] = []
        work = race(addresses, self.connect, self.clock, self.clock.seconds, 2.0)
        self.running = Deferred.fromCoroutine(work)
        self.running.addBoth(self.results.append)

    async def connect(self, address: str) -> Line:
        canceller = (lambda _: None) if address in self._stubborn else None
        attempt = self.tried[address] = Deferred(canceller)
        try:
            return await attempt
        except CancelledError:
            self.cancelled.append(address)
            raise

    def win(self, address: str) -> None:
        self.lines[address] = Line()
        self.tried[address].callback(self.lines[address])

    def lose(self, address: str) -> None:
        self.tried[address].errback(Broken(Reply(451, "4.1", (f"not {address}",)), "connect"))

    @property
    def result(self) -> Result[Line]:
        [result] = self.results
        assert isinstance(result, Result), result
        assert not self.clock.getDelayedCalls()
        return result


def test_first() -> None:
    """If the first answers, no other is tried."""
    run = Run("a", "b")
    run.win("a")
    assert run.result.winner == ("a", 0.0, run.lines["a"])
    assert list(run.tried) == ["a"]
    assert run.result.left == ["b"]


def test_refused() -> None:
    """If one refuses, the next is tried at once, and what failed is told."""
    run = Run("a", "b")
    run.lose("a")
    run.win("b")
    assert run.result.winner is not None
    assert run.result.winner[0] == "b"
    [(address, started, fault)] = run.result.failed
    assert (address, started, fault.reply.text) == ("a", 0.0, "451 4.4.1 not a")
    assert run.result.left == []


def test_silent() -> None:
    """If one is silent, others join in; the winner stops the rest, which nothing is known of."""
    run = Run("a", "b", "c")
    run.clock.advance(1.5)
    assert list(run.tried) == ["a"]
    run.clock.advance(0.5)
    assert list(run.tried) == ["a", "b"]
    run.win("b")
    assert run.result.winner == ("b", 2.0, run.lines["b"])
    assert run.cancelled == ["a"]
    assert run.result.left == ["a", "c"]


def test_late() -> None:
    """The first may still win after others joined in."""
    run = Run("a", "b")
    run.clock.advance(2)
    run.win("a")
    assert run.result.winner == ("a", 0.0, run.lines["a"])
    assert run.cancelled == ["b"]


def test_none() -> None:
    """If all fail, all failures are told."""
    run = Run("a", "b")
    run.clock.advance(2)
    run.lose("b")
    run.lose("a")
    assert run.result.winner is None
    assert [address for address, _, _ in run.result.failed] == ["b", "a"]


def test_nobody() -> None:
    """Nobody wins a race of nobody."""
    assert Run().result == Result()


def test_too_late() -> None:
    """A connection that comes when the race is over is ended."""
    run = Run("a", "b", stubborn="a")
    run.clock.advance(2)
    run.win("b")
    assert run.results


def test_bug() -> None:
    """What is no failure to connect is not swallowed."""
    run = Run("a", "b")
    run.tried["a"].errback(Failure(RuntimeError()))
    assert run.results[0].check(RuntimeError)


def test_cancelled() -> None:
    """Who gives up ends all attempts."""
    run = Run("a", "b")
    run.clock.advance(2)
    run.running.cancel()
    assert run.results[0].check(CancelledError)
    assert run.cancelled == ["a", "b"]
    assert not run.clock.getDelayedCalls()
