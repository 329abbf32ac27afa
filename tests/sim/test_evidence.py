"""What is found on disks, and in reports."""

from __future__ import annotations

from mailhub.sim import evidence
from mailhub.sim.evidence import Notice
from mailhub.sim.world import World
from tests.sim.cycle import Pair

LETTER = ("told", "ann@one.example", ("ann@one.example", "nobody@other.example"))


def test_from_the_spool_to_the_mailbox() -> None:
    """A letter is in the spool until it is durable in its mailbox, and then only there."""
    with World(1) as world:
        pair = Pair(world)
        one, other = pair.hubs
        world.network.cut(one.host, other.host)
        pair.send(one, (LETTER,))
        world.run(0.5)
        waits = {it.key[1]: it.ours for it in evidence.waiting(one)}
        assert waits == {"ann@one.example": True, "nobody@other.example": False}
        world.run(20)
        assert [it.key[1] for it in evidence.waiting(one)] == ["nobody@other.example"]
        found = [evidence.message_id_of(path.read_bytes()) for _, path in evidence.files(one)]
        assert "<told@judge.example>" in found


def test_reports() -> None:
    """Of what, and what became of whom."""
    with World(1) as world:
        pair = Pair(world)
        pair.send(pair.hubs[0], (LETTER,))
        world.run(60)
        octets = [path.read_bytes() for _, path in evidence.files(pair.hubs[0])]
        found = [notice for each in octets if (notice := evidence.notice(each)) is not None]
        assert Notice("<told@judge.example>", (), ("ann@one.example",)) in found
        assert Notice("<told@judge.example>", ("nobody@other.example",), ()) in found
        assert len(octets) == len(found) + 1
