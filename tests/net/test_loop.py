"""The reactor's turns: every event is told, and an exception harms nobody else."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from mailhub.net.loop import quicken


class Ear:
    """Reads from one end of a pair of sockets."""

    def __init__(self, reactor: EPollReactor) -> None:
        self.here, self.there = socket.socketpair()
        self.heard = b""
        self.error: Exception | None = None
        self.lost: object = None
        self.after = lambda: None
        self._reactor = reactor
        reactor.addReader(self)

    def fileno(self) -> int:
        return self.here.fileno()

    def logPrefix(self) -> str:
        return "ear"

    def connectionLost(self, reason: Failure) -> None:
        self.lost = reason.value

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
    quicken(made)
    assert "doIteration" in vars(made)
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


def test_one_that_another_has_closed(reactor: EPollReactor, ears: list[Ear]) -> None:
    """It is not told of what happened before."""
    one, other = ears
    one.after, other.after = other.close, one.close
    for ear in ears:
        ear.there.send(b"x")
    reactor.doIteration(0)
    assert sorted(ear.heard for ear in ears) == [b"", b"x"]


def test_a_reactor_that_is_another() -> None:
    """It is left as it is."""
    clock = Clock()
    quicken(clock)
    assert not hasattr(clock, "doIteration")
