"""Cycles of mail between two hubs, with a judge beside them, and one thing that goes wrong.

What goes wrong, at which call of which disk or at which word on the wire, is the caller's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from mailhub.queue.change import Select
from mailhub.sim.disk import FaultyDisk, Operation
from mailhub.sim.hub import SimHub
from mailhub.sim.judge import HOPS, Judge
from mailhub.sim.manners import Manners
from mailhub.sim.providers import Providers
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.wire import End
from mailhub.sim.world import World
from tests.sim.machines import hub
from tests.sim.operator import Operator
from tests.sim.user import User

CLIENT = "198.19.255.1"
"""Whoever is there may relay through the hubs."""

Letter = tuple[str, str, tuple[str, ...]]

LETTERS: tuple[Letter, ...] = (
    ("small", "ann@one.example", ("ann@one.example", "ann@other.example", "nobody@other.example")),
    ("large", "ann@one.example", ("ann@one.example", "ann@other.example")),
    ("alone", "ann@other.example", ("ann@one.example",)),
    ("from nobody", "", ("ann@other.example", "nobody@other.example")),
    ("told", "ann@one.example", ("ann@one.example", "ann@other.example")),
)
"""Names, senders and recipients of what is handed in to the first hub."""
_SIZES = {"large": 70_000}
"""Beyond what lies in the database: see `JournalLimits.inline`."""
_DAY = 86400.0
_LOOKED = 100.0
"""Seconds between two looks whether all is over."""
_TOLD = ("told",)
"""Letters whose senders want to know of their delivery."""


class Pair:
    """Two hubs, a client, and the judge of what they do.

    Attributes:
        well: The moment when whatever goes wrong is over, and all has been done.
    """

    def __init__(
        self, world: World, text: str = "", other: str = "", trusted: str = "", hops: int = HOPS
    ) -> None:
        self.world = world
        trusted = trusted or f"127.0.0.1/32, {CLIENT}/32"
        self.hubs = [
            hub(world, f"{name}.example", faulty=True, trusted=trusted, text=more)
            for name, more in (("one", text), ("other", other or text))
        ]
        self.client = world.host("client.example", CLIENT)
        self.judge = Judge(self.hubs, hops=hops)
        self.well = world.now
        self.start()
        world.run(1)

    def send(self, hub: SimHub, letters: tuple[Letter, ...] = LETTERS) -> None:
        """Hand letters in, one after the other over one connection, as far as it stands."""
        errands = [self._errand(*letter) for letter in letters]
        factory = SenderFactory(
            self.client, lambda: errands.pop(0) if errands else None, lambda: None
        )
        self.client.reactor.connectTCP(hub.host.addresses[0], 25, factory)

    def submit(self, hub: SimHub, letters: tuple[Letter, ...]) -> None:
        """Likewise, from the hub's own machine, behind a login of its account."""
        errands = [self._errand(*letter) for letter in letters]
        factory = SenderFactory(
            hub.host,
            lambda: errands.pop(0) if errands else None,
            lambda: None,
            next(iter(hub.passwords.items())),
        )
        hub.host.reactor.connectTCP("127.0.0.1", 587, factory)

    def _errand(self, name: str, sender: str, recipients: tuple[str, ...]) -> Errand:
        told = name.split(maxsplit=1)[0] in _TOLD
        size = _SIZES.get(name, 0)
        content = self.judge.letter(name, sender, recipients, size, notify=told)

        def done(code: int, codes: tuple[int, ...]) -> None:
            if code == 250:
                self.judge.heard(name, codes)

        return Errand(sender, recipients, content, done, "SUCCESS,FAILURE" if told else "")

    def settle(self) -> None:
        """Let time pass until all is well again and nothing waits, and a little; a day at most."""
        end = self.world.now + _DAY
        while self.world.now < end:
            self.start()
            self.world.run(_LOOKED)
            if self.world.now > self.well and not self.judge.waits:
                break
        for seconds in (_LOOKED, 10.0):
            self.start()
            self.world.run(seconds)

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


# ---- What is done --------------------------------------------------------------------------


class Story(Protocol):
    """What people do in a cycle: `begin` when all is ready, and `verdict` about it."""

    def begin(self) -> None:
        """Do it."""

    def verdict(self) -> list[str]:
        """What the judge does not know of."""

    def undone(self) -> int:
        """How much of it did not come to its end."""


class Mail:
    """Mail is accepted, filed, relayed, settled, reported."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair

    def begin(self) -> None:
        self._pair.send(self._pair.hubs[0])

    def verdict(self) -> list[str]:
        return []

    def undone(self) -> int:
        return 0


class Reading:
    """Somebody arranges his mailboxes while mail comes in."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        hub = pair.hubs[0]
        letters = (
            (name, "ann@other.example", ("ann@one.example",)) for name in ("first", "second")
        )
        pair.send(hub, tuple(letters))
        pair.world.run(10)
        self.user = User(pair.judge, hub, "ann@one.example")

    def begin(self) -> None:
        self._pair.send(self._pair.hubs[0], (("third", "ann@other.example", ("ann@one.example",)),))
        user = self.user
        user.begin(
            lambda: user.append("own", "Sent"),
            lambda: user.append("draft", "Drafts"),
            lambda: user.move("first", "INBOX", "Archive"),
            lambda: user.copy("own", "Sent", "Archive"),
            lambda: user.flag("second", "INBOX", "\\Flagged"),
            lambda: user.flag("own", "Archive", "$Label1"),
            lambda: user.expunge("draft", "Drafts"),
            lambda: user.move("second", "INBOX", "Archive"),
            lambda: user.move("first", "Archive", "INBOX"),
            lambda: user.expunge("own", "Sent"),
        )

    def verdict(self) -> list[str]:
        return self.user.verdict()

    def undone(self) -> int:
        return self.user.undone


class Marking(Reading):
    """Somebody flags messages, and moves, copies and removes them before their names follow."""

    def begin(self) -> None:
        self._pair.send(self._pair.hubs[0], (("third", "ann@other.example", ("ann@one.example",)),))
        user = self.user
        user.begin(
            lambda: user.append("own", "Sent"),
            lambda: user.flag("first", "INBOX", "\\Flagged"),
            lambda: user.flag("own", "Sent", "$Label1"),
            lambda: user.move("first", "INBOX", "Archive"),
            lambda: user.flag("first", "Archive", "\\Answered"),
            lambda: user.copy("own", "Sent", "Drafts"),
            lambda: user.expunge("own", "Sent"),
            lambda: user.unflag("first", "Archive", "\\Flagged"),
            lambda: user.flag("own", "Drafts", "\\Flagged"),
            lambda: user.move("first", "Archive", "INBOX"),
            lambda: user.move("own", "Drafts", "Archive"),
        )


ROUTE = "[route relay]\nhost = mx.relay.example:25\nspare = yes\ntls = opportunistic\n"
_HELD = 200.0
_FAR = ("expunged", "taken back", "dropped", "held", "edited", "rerouted", "left alone")


class Recalling:
    """Mail that waits is cancelled by its sender, and dropped, held, corrected by an operator."""

    def __init__(self, pair: Pair) -> None:
        self._pair = pair
        self._hub = pair.hubs[0]
        providers = Providers(pair.world, pair.judge)
        providers.add(Manners("Far", domains=("far.example",), greylist=900.0))
        manners = Manners("Relay", domains=("relay.example",), exchanges=("mx.relay.example",))
        providers.add(manners)
        sender = "ann@one.example"
        pair.submit(
            self._hub,
            tuple((name, sender, (f"{name.replace(' ', '.')}@far.example",)) for name in _FAR),
        )
        pair.world.run(30)
        self.user = User(pair.judge, self._hub, sender)
        self.operator = Operator(pair.judge, self._hub)

    def begin(self) -> None:
        user, operator, at = self.user, self.operator, self._pair.world.at
        user.begin(
            lambda: user.cancel("expunged"),
            lambda: user.take_back("taken back"),
        )
        age = self._pair.world.age
        at(age + 2, operator.drop, "dropped")
        at(age + 3, operator.hold, "held")
        at(age + 4, operator.edit, "edited", "edited@far.example", "corrected@far.example")
        at(age + 5, operator.reroute, "rerouted", "relay")
        at(age + _HELD, operator.release, Select())
        self._pair.well = self._pair.world.now + _HELD

    def verdict(self) -> list[str]:
        return self.user.verdict()

    def undone(self) -> int:
        return self.user.undone


STORIES: dict[str, Callable[[Pair], Story]] = {
    "mail": Mail,
    "reading": Reading,
    "marking": Marking,
    "recalling": Recalling,
}
HARMED = {"mail": (0, 1), "reading": (0,), "marking": (0,), "recalling": (0,)}
"""The hubs in which something can go wrong, by story."""


# ---- What goes wrong -----------------------------------------------------------------------

Harm = Callable[[Pair, SimHub, Operation | End], None]
"""What happens at the moment chosen."""


@dataclass(frozen=True, slots=True)
class Cycle:
    """What came of one.

    Attributes:
        wrong: The judge's verdict, and the story's own.
        calls: All that was called on the disk of the harmed hub.
        words: How often something was said between machines.
        undone: How much of the story did not come to its end.
    """

    wrong: list[str]
    calls: list[Operation]
    words: int
    undone: int
    judge: Judge


def cycle(story: str, which: int, number: int, harm: Harm, *, wire: bool = False) -> Cycle:
    """Let a story happen, and harm one of its hubs at one of its disk's calls, 0 for none.

    `wire` harms it when something is said between machines for the so manieth time.
    """
    with World(f"{story} {which} {number}") as world:
        pair = Pair(world, ROUTE)
        harmed = pair.hubs[which]
        calls: list[Operation] = []
        words = 0
        told = STORIES[story](pair)

        def called(operation: Operation) -> None:
            calls.append(operation)
            if len(calls) == number and not wire:
                harm(pair, harmed, operation)

        def said(end: End) -> None:
            nonlocal words
            words += 1
            if words == number and wire:
                harm(pair, harmed, end)

        disk_of(harmed).watch = called
        pair.judge.witness.watch = said
        told.begin()
        world.run(20)
        pair.settle()
        disk_of(harmed).watch = None  # what reading the mailboxes calls is no part of the cycle
        pair.judge.witness.watch = None
        stuck = ["a day later something waits"] if pair.judge.waits else []
        found = [*pair.judge.verdict(), *told.verdict(), *stuck]
        return Cycle(found, calls, words, told.undone(), pair.judge)
