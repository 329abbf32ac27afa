"""A world: one clock, one network, one DNS, and whoever lives there.

    with World(seed=7) as world:
        host = world.host("mx.example.net")
        host.reactor.listenTCP(25, factory)     # any Twisted program
        world.names.mail("example.net", "mx.example.net")
        world.run(3600)                         # an hour, in no time
        print(world.digest)

Invariant: what happens is a function of the seed and of what was put into the world. Each
part draws from a `chance` of its own, so that one that is added changes nothing for the rest.
"""

from __future__ import annotations

import gc
import random
import shutil
import tempfile
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final, Self

from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from zope.interface import implementer

from mailhub.sim.clock import TURN, Clock, Ground
from mailhub.sim.names import Names
from mailhub.sim.network import Host, Network
from mailhub.sim.remains import closed_down
from mailhub.sim.trace import Trace
from mailhub.sim.web import Pages
from mailhub.sim.wire import Link

START: Final = datetime(2026, 3, 2, 6, tzinfo=UTC).timestamp()
"""A Monday morning: when a world begins, unless it is told otherwise."""
_FIRST_ADDRESS: Final = (198 << 24) + (18 << 16)
"""198.18.0.0/15, which IANA has set aside for tests of networks."""


@implementer(ILogObserver)
class _Errors:
    """Keeps what programs of a world log as an error.

    Not what Python's collector has to say: when it runs, and in whose turn, is no affair
    of the world.
    """

    def __init__(self, errors: list[str], clock: Clock) -> None:
        self._errors = errors
        self._clock = weakref.ref(clock)  # the log does not keep a world
        self._collecting = False
        gc.callbacks.append(self.collecting)

    def collecting(self, phase: str, _: object) -> None:
        """The collector begins, or ends."""
        self._collecting = phase == "start"

    def __call__(self, event: Any) -> None:
        life = TURN.get()
        if life is None or life.over or self._collecting or life.clock is not self._clock():
            return
        if event.get("log_level") in (LogLevel.error, LogLevel.critical):
            failure = event.get("log_failure")
            trace = f"\n{failure.getTraceback()}" if failure is not None else ""
            self._errors.append(formatEvent(event) + trace)


def _ended(root: str, observer: _Errors) -> None:
    """Leave nothing of a world behind."""
    globalLogPublisher.removeObserver(observer)
    gc.callbacks.remove(observer.collecting)
    shutil.rmtree(root, ignore_errors=True)


class World(Ground):
    """All there is.

    Args:
        seed: Of everything that happens by chance.
        start: The first moment, seconds since the epoch.
        clock: In place of one that begins then.
        listen: Called with each line of the trace.

    Attributes:
        root: A directory for its disks; it goes with the world.
        errors: What programs in it have logged as an error, in order.
    """

    def __init__(
        self,
        seed: int | str = 0,
        *,
        start: float = START,
        clock: Clock | None = None,
        listen: Callable[[str], object] | None = None,
    ) -> None:
        self.seed = str(seed)
        self.clock = clock or Clock(start)
        self.start = self.clock.seconds()
        self.trace = Trace(self.start, listen)
        self.names = Names()
        self.pages = Pages()
        self.network = Network(self.clock, self.trace, self.chance("network"))
        self.hosts: dict[str, Host] = {}
        self.root = tempfile.mkdtemp(prefix="mailhub-world-")
        self.errors: list[str] = []
        self._address = _FIRST_ADDRESS
        observer = _Errors(self.errors, self.clock)
        globalLogPublisher.addObserver(observer)
        self._end = weakref.finalize(self, _ended, self.root, observer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End all that lives in it, and remove its disks.

        (Who forgets to: its disks go when nobody knows it any more.)
        """
        hosts, self.hosts = self.hosts, {}
        closed_down(self.clock, dict.fromkeys(host.end() for host in hosts.values()))
        self._end()

    # ---- What is in it ---------------------------------------------------------------------

    def chance(self, name: str) -> random.Random:
        """Where one part of the world draws its lots."""
        return random.Random(f"{self.seed}/{name}")  # noqa: S311  # it is to be repeatable

    def address(self) -> str:
        """An IPv4 address that nobody has."""
        self._address += 1
        return ".".join(str(self._address >> shift & 255) for shift in (24, 16, 8, 0))

    def host(self, name: str, *addresses: str, link: Link | None = None) -> Host:
        """A machine with a name and addresses: one of the world's, unless some are given."""
        found = addresses or (self.address(),)
        made = self.hosts[name] = Host(self.network, name, found, link or Link())
        self.names.host(name, *found)
        return made

    # ---- Its time --------------------------------------------------------------------------

    @property
    def now(self) -> float:
        """The moment, seconds since the epoch."""
        return self.clock.seconds()

    @property
    def digest(self) -> str:
        """What happened so far, as a number: the trace, and what passed on open connections."""
        total = sha256(self.trace.digest.encode())
        for end in self.network.connections:
            total.update(f"{end} {end.sums}\n".encode())
        return total.hexdigest()

    @property
    def age(self) -> float:
        """Seconds since it began."""
        return self.clock.seconds() - self.start

    def at(self, age: float, function: Callable[..., object], *arguments: object) -> None:
        """Do something at an age of the world: cut a cable, crash a host."""
        self.clock.at(self.start + age, function, *arguments)

    def run(self, seconds: float) -> None:
        """Let so many seconds pass."""
        self.clock.run(self.clock.seconds() + seconds)

    def run_until(self, done: Callable[[], object], limit: float) -> bool:
        """Let time pass until something is true, or so many seconds have passed; which it was."""
        end = self.clock.seconds() + limit
        while not done():
            if not self.clock.step(end):
                self.clock.run(end)
                return bool(done())
        return True
