"""One cycle of mail between two hubs: accepted, filed, relayed, settled; with a judge beside it.

What goes wrong meanwhile, at which call of which disk, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

from mailhub.sim.disk import FaultyDisk, Operation
from mailhub.sim.hub import SimHub
from mailhub.sim.judge import Judge
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.world import World
from tests.sim.machines import hub

CLIENT = "198.19.255.1"
"""Whoever is there may relay through the hubs."""

Letter = tuple[str, str, tuple[str, ...]]

LETTERS: tuple[Letter, ...] = (
    ("small", "ann@one.example", ("ann@one.example", "ann@other.example", "nobody@other.example")),
    ("large", "ann@one.example", ("ann@one.example", "ann@other.example")),
    ("alone", "ann@other.example", ("ann@one.example",)),
    ("from nobody", "", ("ann@other.example", "nobody@other.example")),
)
"""Names, senders and recipients of what is handed in to the first hub."""
_SIZES = {"large": 70_000}
"""Beyond what lies in the database: see `JournalLimits.inline`."""


class Pair:
    """Two hubs, a client, and the judge of what they do."""

    def __init__(self, world: World, text: str = "") -> None:
        self.world = world
        self.hubs = [
            hub(world, f"{name}.example", faulty=True, trusted=f"{CLIENT}/32", text=text)
            for name in ("one", "other")
        ]
        self.client = world.host("client.example", CLIENT)
        self.judge = Judge(self.hubs)
        self.start()
        world.run(1)

    def send(self, hub: SimHub, letters: tuple[Letter, ...] = LETTERS) -> None:
        """Hand letters in, one after the other over one connection, as far as it stands."""
        errands = [self._errand(*letter) for letter in letters]
        factory = SenderFactory(
            self.client, lambda: errands.pop(0) if errands else None, lambda: None
        )
        self.client.reactor.connectTCP(hub.host.addresses[0], 25, factory)

    def _errand(self, name: str, sender: str, recipients: tuple[str, ...]) -> Errand:
        content = self.judge.letter(name, sender, recipients, _SIZES.get(name, 0))

        def done(code: int, codes: tuple[int, ...]) -> None:
            if code == 250:
                self.judge.heard(name, codes)

        return Errand(sender, recipients, content, done)

    def start(self) -> None:
        """Start what is down, and see what a reader sees at once."""
        for each in self.hubs:
            if each.hub is None:
                self.judge.disturbed()  # what was on its way when it crashed has come meanwhile
                each.start()
                if each.starts > 1:
                    self.judge.look(each)


def disk_of(hub: SimHub) -> FaultyDisk:
    """Its disk, which can fail."""
    assert isinstance(hub.disk, FaultyDisk)
    return hub.disk


Harm = Callable[[Pair, SimHub, Operation], None]
"""What happens at the call chosen."""


def cycle(which: int, call: int, harm: Harm) -> tuple[list[str], list[Operation], Judge]:
    """Let a cycle run, and harm one of its hubs at one of its disk's calls, 0 for none.

    Returns the judge's verdict, all that was called on that disk, and the judge.
    """
    with World(f"{which} {call}") as world:
        pair = Pair(world)
        harmed = pair.hubs[which]
        told: list[Operation] = []

        def watch(operation: Operation) -> None:
            told.append(operation)
            if len(told) == call:
                harm(pair, harmed, operation)

        disk_of(harmed).watch = watch
        pair.send(pair.hubs[0])
        world.run(20)
        pair.start()
        world.run(3 * 3600)
        disk_of(harmed).watch = None  # what reading the mailboxes calls is no part of the cycle
        found = pair.judge.verdict()
        return found, told, pair.judge
