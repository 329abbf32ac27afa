"""The reactor's turns: every event is told, and an exception harms nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.python.failure import Failure

from mailhub.net.loop import quicken


class Ear:
    """Reads from one end of a pair of sockets."""

    def __init__(self, reactor: EPollReactor) -> None:
        self.here, self.there = socket.socketpair()
        self.heard = b""
        self.error: Exception | None = None
        self.lost: object = None
        self.breaks = False
        self.after = lambda: None
        self._reactor = reactor
        reactor.addReader(self)

    def fileno(self) -> int:
        return self.here.fileno()

    def logPrefix(self) -> str:
        return "ear"

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason.value
        if self.breaks:
            raise RuntimeError("its end is not borne")

    def doRead(self) -> None:
        self.heard += self.here.recv(100)
        self.after()
        if self.error is not None:
            raise self.error

    def close(self) -> None:
        self._reactor.removeReader(self)
        self.here.close()
        self.there.close()


@pytest.fixture
def reactor() -> Iterator[EPollReactor]:
    made = EPollReactor()
    assert quicken(made), "this Twisted has other names than net.loop knows"
    yield made
    made._poller.close()


@pytest.fixture
def ears(reactor: EPollReactor) -> Iterator[list[Ear]]:
    made = [Ear(reactor), Ear(reactor)]
    yield made
    for ear in made:
        if ear.here.fileno() >= 0:
            ear.close()


def test_all_are_told(reactor: EPollReactor, ears: list[Ear]) -> None:
    """Whoever has something to read reads it, in one turn."""
    for ear in ears:
        ear.there.send(b"x")
    reactor.doIteration(0)
    assert [ear.heard for ear in ears] == [b"x", b"x"]


def test_nothing_to_tell(reactor: EPollReactor, ears: list[Ear]) -> None:
    """A turn without events ends after its time."""
    reactor.doIteration(0)
    assert [ear.heard for ear in ears] == [b"", b""]


def test_an_exception(reactor: EPollReactor, ears: list[Ear]) -> None:
    """Whoever raises it loses his connection, and the others are told all the same."""
    for ear in ears:
        ear.error = KeyError("mine")
        ear.there.send(b"x")
    reactor.doIteration(0)
    assert [ear.heard for ear in ears] == [b"x", b"x"]
    assert [type(ear.lost) for ear in ears] == [KeyError, KeyError]


def test_an_end_that_is_not_borne(reactor: EPollReactor, ears: list[Ear]) -> None:
    """Whoever raises something when his connection ends has it logged; others are told."""
    with capturedLogs() as events:
        for ear in ears:
            ear.breaks, ear.error = True, KeyError("mine")
            ear.there.send(b"x")
        reactor.doIteration(0)
    assert [ear.heard for ear in ears] == [b"x", b"x"]
    told = [it["log_failure"].type for it in events if "not dealt with" in it["log_format"]]
    assert told == [RuntimeError, RuntimeError]


def test_one_that_another_has_closed(reactor: EPollReactor, ears: list[Ear]) -> None:
    """It is not told of what happened before."""
    one, other = ears
    one.after, other.after = other.close, one.close
    for ear in ears:
        ear.there.send(b"x")
    reactor.doIteration(0)
    assert sorted(ear.heard for ear in ears) == [b"", b"x"]


# ---- What is relied upon -------------------------------------------------------------------


def test_the_loop_asks_for_its_turn(reactor: EPollReactor) -> None:
    """Twisted's loop looks its method up in each turn: else ours would never be called."""
    turns: list[float | None] = []
    ours = reactor.doIteration

    def counted(timeout: float | None) -> None:
        turns.append(timeout)
        ours(timeout)

    vars(reactor)["doIteration"] = counted
    reactor._started = True
    reactor.callLater(0, setattr, reactor, "_started", False)
    reactor.mainLoop()
    assert turns


def test_a_reactor_that_is_another() -> None:
    """It is left as it is."""
    clock = Clock()
    assert not quicken(clock)
    assert not hasattr(clock, "doIteration")


class Heir(EPollReactor):
    """Somebody's own, with turns that we do not know."""


class Later(EPollReactor):
    """As that of a later Twisted may be."""


@pytest.mark.parametrize("name", ["_poller", "_selectables", "_doReadOrWrite"])
def test_a_twisted_that_is_another(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a name that we know the reactor's turns stay its own, and go on."""
    made = EPollReactor()
    monkeypatch.setattr("mailhub.net.loop.EPollReactor", Later)
    made.__class__ = Later
    kept, stock = getattr(made, name), made.doIteration
    monkeypatch.setattr(Later, name, None, raising=False)
    vars(made).pop(name, None)
    assert not quicken(made)
    assert made.doIteration == stock
    if name != "_doReadOrWrite":
        setattr(made, name, kept)
    made._poller.close()


def test_other_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a reactor touched that tells of events otherwise."""
    made = EPollReactor()
    monkeypatch.setattr(EPollReactor, "_doReadOrWrite", lambda self, event: None)
    assert not quicken(made)
    made._poller.close()


def test_an_heir() -> None:
    """Nor one that only descends from what we know."""
    made = Heir()
    assert not quicken(made)
    made._poller.close()
