"""Havoc: two hubs and a receiver, and whatever may happen to them, drawn by lot.

A run is a list of deeds, so that one that fails can be made shorter: `shrunk`.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from mailhub.queue.change import Select
from mailhub.sim import evidence
from mailhub.sim.disk import Operation
from mailhub.sim.manners import Manners, Stage
from mailhub.sim.providers import Providers
from mailhub.sim.world import World
from tests.sim.cycle import ROUTE, Letter, Pair, disk_of
from tests.sim.operator import Operator
from tests.sim.user import User

FIRST_KINDS: Final = ("send", "send", "send", "power", "kill", "cut", "reset", "disk", "look")
SECOND_KINDS: Final = (
    *FIRST_KINDS,
    *("send", "submit", "submit", "cancel", "drop", "hold", "release", "edit"),
    *("clock", "sleep", "double"),
)
KINDS: Final = (*SECOND_KINDS, "reroute")
"""The first and the second are kept for the seeds that were found with them."""
_DOWN: Final = 900.0
"""Seconds that a hub is down, or a cable cut, at most."""
HOUR: Final = 3600.0
EXPIRY: Final = 6 * 86400.0
"""Seconds after which everything is settled, the notices of what expired included."""
_FAR: Final = "ann@far.example"
_PATHS: Final = ("ann@one.example", "ann@other.example", "nobody@other.example", "ann@far.example")


@dataclass(frozen=True, slots=True)
class Deed:
    """Something happens to one of the hubs, and then `wait` seconds pass."""

    kind: str
    which: int
    lot: float
    wait: float


def deeds(seed: str, number: int = 12, kinds: Sequence[str] = KINDS) -> list[Deed]:
    """What happens in the run of a seed."""
    with World(seed) as world:
        chance = world.chance("deeds")
    return [
        Deed(
            chance.choice(kinds),
            chance.randrange(2),
            chance.random(),
            10.0 ** chance.uniform(-2, 2.5),  # often amid what goes on, and sometimes much later
        )
        for _ in range(number)
    ]


class Havoc:
    """One run."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.pair = Pair(world, ROUTE)
        self._number = 0
        self._operators = [Operator(self.pair.judge, hub) for hub in self.pair.hubs]
        far = Manners(
            "Far",
            domains=("far.example",),
            greylist=300.0,
            lost_replies=0.2,
            drops=((Stage.CONTENT, 0.1), (Stage.REPLY, 0.1), (Stage.RCPT, 0.1)),
        )
        providers = Providers(world, self.pair.judge)
        providers.add(far)
        providers.add(Manners("Relay", domains=("relay.example",), exchanges=("mx.relay.example",)))

    def do(self, deed: Deed) -> None:
        """Let a deed happen, and time pass."""
        hub = self.pair.hubs[deed.which]
        if hub.hub is not None:
            getattr(self, f"_{deed.kind}")(deed)
        self.world.run(deed.wait)

    def _send(self, deed: Deed) -> None:
        self.pair.send(self.pair.hubs[deed.which], (self._letter(deed),))

    def _submit(self, deed: Deed) -> None:
        self.pair.submit(self.pair.hubs[deed.which], (self._letter(deed),))

    def _letter(self, deed: Deed) -> Letter:
        self._number += 1
        recipients = tuple(
            path for bit, path in enumerate(_PATHS) if int(deed.lot * 15 + 1) >> bit & 1
        )
        return f"letter {self._number}", _PATHS[deed.which], recipients

    # ---- What people do to mail that waits -------------------------------------------------

    def _waiting(self, deed: Deed) -> str:
        """One of the letters that wait in a hub; "" where none does."""
        judge = self.pair.judge
        waits = {it.key[0] for it in evidence.waiting(self.pair.hubs[deed.which])}
        names = [sent.name for message_id, sent in judge.sent.items() if message_id in waits]
        return names[int(deed.lot * len(names))] if names else ""

    def _cancel(self, deed: Deed) -> None:
        name = self._waiting(deed)
        user = User(self.pair.judge, self.pair.hubs[deed.which], _PATHS[deed.which])
        if name:
            user.begin(lambda: user.cancel(name))

    def _drop(self, deed: Deed) -> None:
        self._operators[deed.which].drop(self._waiting(deed))

    def _hold(self, deed: Deed) -> None:
        self._operators[deed.which].hold(self._waiting(deed))

    def _release(self, deed: Deed) -> None:
        self._operators[deed.which].release(Select())

    def _edit(self, deed: Deed) -> None:
        self._operators[deed.which].edit(self._waiting(deed), _FAR, "bea@far.example")

    def _reroute(self, deed: Deed) -> None:
        """To the relay, or back to where it was going."""
        route = "relay" if deed.lot * 10 % 1 < 0.7 else ""
        self._operators[deed.which].reroute(self._waiting(deed), route)

    # ---- What goes wrong -------------------------------------------------------------------

    def _clock(self, deed: Deed) -> None:
        """The machine's clock is set, by an hour at most, until the end."""
        host = self.pair.hubs[deed.which].host
        host.ahead = HOUR * (2 * deed.lot - 1)
        self.pair.judge.witness.rates.forget(host.name)

    def _sleep(self, deed: Deed) -> None:
        self.pair.judge.disturbed()
        seconds = 1 + deed.lot * _DOWN
        self.pair.hubs[deed.which].host.sleep(seconds)
        self._doubts(seconds)

    def _double(self, deed: Deed) -> None:
        """A middlebox makes connections twice for a while."""
        host = self.pair.hubs[deed.which].host
        host.link.doubled = 0.5
        self.world.at(self.world.age + 1 + deed.lot * _DOWN, setattr, host.link, "doubled", 0.0)

    def _doubts(self, after: float) -> None:
        """Look for doubts at a moment and soon after: what was begun before it ends then."""
        for soon in (0.0, 0.1, 1.0, 10.0):
            self.world.at(self.world.age + after + soon, self.pair.judge.disturbed)

    def _power(self, deed: Deed) -> None:
        coin = self.world.chance(f"coin {self.world.age}")
        self._later(deed, lambda: self._crash(deed, True, lambda: coin.random() < deed.lot))

    def _kill(self, deed: Deed) -> None:
        self._later(deed, lambda: self._crash(deed, False, lambda: True))

    def _later(self, deed: Deed, harm: Callable[[], None]) -> None:
        """Do harm amid the disk's operations to come, at one of the next forty."""
        disk = disk_of(self.pair.hubs[deed.which])
        at = disk.operations + 1 + int(deed.lot * 40)

        def watch(operation: Operation) -> None:
            if operation.number >= at:
                disk.watch = None
                harm()

        disk.watch = watch

    def _crash(self, deed: Deed, power: bool, keep: Callable[[], bool]) -> None:
        hub = self.pair.hubs[deed.which]
        hub.crash(power=power, keep=keep)
        self.pair.judge.disturbed()
        self.world.at(self.world.age + 1 + deed.lot * _DOWN, self._start, deed.which)

    def _start(self, which: int) -> None:
        hub = self.pair.hubs[which]
        if hub.hub is None:
            self.pair.judge.disturbed()
            hub.start()

    def _disk(self, deed: Deed) -> None:
        """The next operations fail."""
        disk = disk_of(self.pair.hubs[deed.which])
        last = disk.operations + 1 + int(deed.lot * 20)
        code = errno.EIO if deed.lot < 0.5 else errno.ENOSPC

        def watch(operation: Operation) -> None:
            self.pair.judge.disturbed()
            if operation.number >= last:
                disk.watch = None
            raise OSError(code, f"{operation.name} fails")

        disk.watch = watch

    def _cut(self, deed: Deed) -> None:
        one, other = (hub.host for hub in self.pair.hubs)
        both = deed.lot < 0.5
        network = self.world.network
        self.pair.judge.disturbed()
        first, second = (one, other) if deed.which else (other, one)
        network.cut(first, second, both=both)

        def mend() -> None:
            self.pair.judge.disturbed()
            network.mend(first, second)
            network.mend(second, first)

        self.world.at(self.world.age + 1 + deed.lot * _DOWN, mend)

    def _reset(self, deed: Deed) -> None:
        """All connections of a hub are lost; a reply may be amid one."""
        self._doubts(0.0)
        for end in list(self.pair.hubs[deed.which].host.ends):
            end.reset()

    def _look(self, deed: Deed) -> None:
        hub = self.pair.hubs[deed.which]
        if hub.host.life.wakes > self.world.now:
            return  # nobody reads on a machine that sleeps
        self.pair.judge.look(hub, may_fail=disk_of(hub).watch is not None)

    def end(self, life: float) -> list[str]:
        """All is well again, for so long; then the verdict."""
        self.world.run(2 * _DOWN)
        for hub in self.pair.hubs:
            if hub.hub is not None:
                disk_of(hub).watch = None
            hub.host.ahead = 0.0
        self.world.run(2 * _DOWN)
        self.pair.start()
        for operator in self._operators:
            operator.release(Select())
        self.world.run(life)
        return self.pair.judge.verdict()


def havoc(seed: str, these: Sequence[Deed], life: float = 8 * HOUR) -> list[str]:
    """Let these deeds happen; what is wrong in the end, after a quiet `life`."""
    with World(seed) as world:
        run = Havoc(world)
        for deed in these:
            run.do(deed)
        return run.end(life)


def shrunk(seed: str, these: Sequence[Deed], life: float = 8 * HOUR) -> list[Deed]:
    """A failing run without the deeds that it fails without."""
    kept = list(these)
    for deed in these:
        fewer = [each for each in kept if each is not deed]
        if havoc(seed, fewer, life):
            kept = fewer
    return kept
