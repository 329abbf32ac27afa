"""Whether recipients in backed-up domains exist."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path as Directory
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.backup import EXPIRE, REFRESH, Known
from mailhub.queue.assurances import Assurances
from mailhub.relay.verifier import PATIENCE, Verifier
from tests.relay.sending import start

ANN = Path("Ann", "friend.example")
YES = Reply(250, "1.5", ("Ok",))
NO = Reply(550, "1.1", ("No such user",))
DOWN = Reply(451, "4.1", ("Connection refused",))
BLOCKED = Reply(550, "7.1", ("You are blocked",))


class World:
    """Hosts that say what the test wants, at once or later."""

    def __init__(self, directory: Directory) -> None:
        self.clock = Clock()
        self.says: Any = YES
        self.asked = 0
        self.kept = Assurances(str(directory), lambda _: None)
        self.verifier = Verifier(self.probe, self.kept, self.clock, self.clock.seconds)

    async def probe(self, path: Path) -> Reply:
        self.asked += 1
        says = self.says
        if isinstance(says, Deferred):
            says = await says
        assert isinstance(says, Reply)
        return says

    def check(self, path: Path = ANN) -> str:
        """What RCPT is answered; ``""`` while that is not known."""
        return told(start(self.verifier.check(path)))


def told(results: list[Any]) -> str:
    if not results:
        return ""
    [result] = results
    if result is None:
        return "ok"
    refusal = result.value
    assert isinstance(refusal, Refusal)
    return refusal.reply.text


@pytest.fixture
def world(tmp_path: Directory) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.kept.close()


def test_asked_once(world: World) -> None:
    """One who exists passes, and is not asked about again for a while."""
    assert [world.check(), world.check(Path("ann", "friend.example"))] == ["ok", "ok"]
    assert world.asked == 1
    world.clock.advance(REFRESH[True])
    assert world.check() == "ok"
    assert world.asked == 2


def test_nobody(world: World) -> None:
    """One who does not exist is refused with their words, and may exist some hours later."""
    world.says = NO
    assert world.check() == "550 5.1.1 No such mailbox there: 550 5.1.1 No such user"
    world.says = YES
    assert world.check().startswith("550")
    world.clock.advance(REFRESH[False])
    assert world.check() == "ok"


@pytest.mark.parametrize("says", [DOWN, BLOCKED])
def test_while_they_are_down(world: World, says: Reply) -> None:
    """What they said lately counts; who is not known is asked to come again."""
    assert world.check() == "ok"
    world.says = NO
    assert world.check(Path("bob", "friend.example")).startswith("550")
    world.says = says
    world.clock.advance(REFRESH[True])
    assert world.check() == "ok"
    assert world.check(Path("new", "friend.example")).startswith("450 4.1.1")
    assert world.check(Path("bob", "friend.example")).startswith("450 4.1.1"), "too long ago"
    world.clock.advance(EXPIRE[True])
    assert world.check().startswith("450 4.1.1")


def test_together(world: World) -> None:
    """Many who want to know ask once."""
    world.says = Deferred()
    waiting = [start(world.verifier.check(ANN)) for _ in range(3)]
    assert [told(it) for it in waiting] == ["", "", ""]
    world.says.callback(YES)
    assert [told(it) for it in waiting] == ["ok"] * 3
    assert world.asked == 1
    assert world.clock.getDelayedCalls() == []


def test_patience(world: World) -> None:
    """Nobody waits for long for hosts that say nothing."""
    world.says = Deferred()
    waiting = start(world.verifier.check(ANN))
    world.clock.advance(PATIENCE)
    assert told(waiting).startswith("450 4.1.1")
    world.says = YES
    assert world.check() == "ok"


class Broken:
    """A memory that fails."""

    def recipient(self, path: str) -> Known | None:
        raise OSError(5, "Input/output error")

    def remember(self, path: str, known: Known) -> None:
        raise OSError(5, "Input/output error")


def test_a_bad_disk(world: World) -> None:
    """Where nothing can be remembered nobody is known."""
    world.verifier = Verifier(world.probe, Broken(), world.clock, world.clock.seconds)
    assert world.check().startswith("450 4.1.1")
