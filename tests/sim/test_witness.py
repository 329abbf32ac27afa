"""Who listens in hears all that is said, at the right end."""

from __future__ import annotations

from dataclasses import replace

from mailhub.sim.dialogue import Transaction
from mailhub.sim.network import Host
from mailhub.sim.witness import Witness
from tests.sim.machines import hub
from tests.sim.post import Post

Heard = list[tuple[str, Transaction, bool]]


def listening(post: Post) -> tuple[Witness, Heard]:
    """A witness of a world, and what it tells."""
    heard: Heard = []

    def taken(host: Host, transaction: Transaction, copied: bool) -> None:
        heard.append((host.name, transaction, copied))

    return Witness(post.world.network, {}, taken), heard


def test_a_message() -> None:
    """Its final reply is told, by whom, and what it answers."""
    post = Post()
    witness, heard = listening(post)
    assert post.send("ann@far.example")[-1] == "250"
    [(name, transaction, copied)] = heard
    assert (name, transaction.accepted, transaction.code, copied) == (
        "mx.far.example", ["ann@far.example"], 250, False,
    )  # fmt: skip
    assert witness.faults == []


def test_what_is_out_of_order() -> None:
    """The server's doing is told, unless it is known to be rude."""
    post = Post()
    witness, _ = listening(post)
    talker = post.call()
    post.receiver.hosts[0].ends.copy().popitem()[0].write(b"250 2.0.0 Ok\r\n")
    post.world.run(1)
    assert witness.faults == ["mx.far.example: 250 2.0.0 Ok answers nothing"]
    witness.rude.add("mx.far.example")
    post.say(talker, "QUIT\n")
    assert len(witness.faults) == 1


def test_what_a_middlebox_says_again() -> None:
    """The second message is known for one that nobody sent."""
    post = Post()
    _, heard = listening(post)
    post.client.link = replace(post.client.link, doubled=1.0)
    assert post.send("ann@far.example")[-1] == "250"
    post.world.run(60)
    assert sorted(copied for _, _, copied in heard) == [False, True]
    assert post.receiver.count == 2
    [first, second] = [transaction for _, transaction, _ in heard]
    assert first.content == second.content


def test_connections_of_a_hub() -> None:
    """They count from their beginning to their goodbye, at the end that makes them."""
    post = Post()
    caller = hub(post.world, "one.example", text="[relay]\nconnections per host = 1\n")
    witness = Witness(post.world.network, {caller.host.name: caller}, lambda *_: None)
    first = post.call(caller.host)
    assert witness.faults == []
    assert not witness.quiet(caller)
    post.say(first, "QUIT\n")
    assert witness.quiet(caller)
    post.call(caller.host)
    assert witness.faults == []
    post.call(caller.host)
    assert len(witness.faults) == 1
    assert "connections: 2, where 1 may be" in witness.faults[0]
