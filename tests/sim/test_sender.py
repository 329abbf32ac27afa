"""The client that hands mail in."""

from __future__ import annotations

from typing import Any

from mailhub.sim.manners import Rate, Stage
from mailhub.sim.sender import Errand, SenderFactory
from tests.sim.post import Post


class Errands:
    """A list of errands, and what came of each."""

    def __init__(self, *recipients: tuple[str, ...]) -> None:
        self.todo: list[Any] = [
            Errand("s@here.example", each, b"Subject: x\r\n\r\nx\r\n", self.done)
            for each in recipients
        ]
        self.codes: list[tuple[int, tuple[int, ...]]] = []
        self.gone = 0

    def done(self, code: int, codes: tuple[int, ...]) -> None:
        self.codes.append((code, codes))

    def next(self) -> Any:
        return self.todo.pop(0) if self.todo else None

    def leave(self) -> None:
        self.gone += 1


def run(post: Post, *recipients: tuple[str, ...], wait: float = 5) -> Errands:
    errands = Errands(*recipients)
    factory = SenderFactory(post.client, errands.next, errands.leave)
    address = post.receiver.hosts[0].addresses[0]
    post.client.reactor.connectTCP(address, 25, factory)
    post.world.run(wait)
    return errands


ANN, BOB = "ann@far.example", "bob@far.example"


def test_errands() -> None:
    """Messages are handed in over one connection, which then ends."""
    post = Post()
    errands = run(post, (ANN,), (ANN, BOB))
    assert errands.codes == [(250, (250,)), (250, (250, 250))]
    assert errands.gone == 1
    assert len(post.books.taken) == 2
    assert post.books.open == [1, 0]


def test_refusals() -> None:
    """A refusal is told with its code, and the next message goes on."""
    post = Post(rate=Rate(1, 3600.0), recipients=1)
    errands = run(post, (ANN, BOB), (ANN,))
    assert errands.codes == [(250, (250, 452)), (451, (503,))]


def test_a_lost_connection() -> None:
    """A connection that is lost leaves the message with its sender."""
    errands = run(Post(drops=((Stage.REPLY, 1.0),)), (ANN,))
    assert errands.codes == [(0, (250,))]
    assert errands.gone == 1


def test_nobody_there() -> None:
    """A call that is refused is told."""
    post = Post()
    errands = Errands((ANN,))
    factory = SenderFactory(post.client, errands.next, errands.leave)
    post.client.reactor.connectTCP(post.client.addresses[0], 26, factory)
    post.world.run(1)
    assert (errands.codes, errands.gone) == ([], 1)


def test_a_busy_server() -> None:
    """A server that greets with 421 ends the connection."""
    post = Post(connections=1)
    first = post.call()
    assert run(post, (ANN,)).gone == 1
    assert first.lost is None


def test_waiting_for_the_next() -> None:
    """Where the next message is not due yet the connection waits for it."""
    post = Post()
    errands = Errands((ANN,), (ANN,))
    errands.todo.insert(1, 30.0)
    factory = SenderFactory(post.client, errands.next, errands.leave)
    post.client.reactor.connectTCP(post.receiver.hosts[0].addresses[0], 25, factory)
    post.world.run(20)
    assert len(errands.codes) == 1
    post.world.run(20)
    assert len(errands.codes) == 2


def test_a_connection_that_ends_while_nothing_is_due() -> None:
    """No message is taken up for a connection that is no more."""
    post = Post()
    errands = Errands((ANN,))
    errands.todo.insert(0, 30.0)
    factory = SenderFactory(post.client, errands.next, errands.leave)
    post.client.reactor.connectTCP(post.receiver.hosts[0].addresses[0], 25, factory)
    post.world.run(5)
    for end in list(post.world.network.connections):
        end.reset()
    post.world.run(60)
    assert len(errands.todo) == 1
    assert errands.gone == 1
