"""A whole mailhub on a host of a world: `hub.Hub` as it is, with everything that it is handed.

    hub = SimHub(world, world.host("mx.example.org"), settings,
                 accounts={"ann@example.org": "secret"})
    hub.start()
    world.run(60)
    hub.crash(power=True)       # this moment: memory, connections and what was not synced are gone
    hub.start()                 # a new process, on what the disk kept

Invariant: each start finds the state directory that the end before it left, at a path of
its own; what an earlier life still holds open it cannot reach.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from twisted.internet.defer import Deferred

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Cost, secret
from mailhub.assembly import Parts
from mailhub.config.settings import Settings
from mailhub.hub import Hub
from mailhub.mail.address import parse_address
from mailhub.sim.clock import Ground
from mailhub.sim.disk import FaultyDisk, QuickDisk
from mailhub.sim.names import SimResolver
from mailhub.sim.network import Host
from mailhub.sim.threads import COSTS, SimThreads
from mailhub.sim.web import SimWeb
from mailhub.sim.world import World
from mailhub.surroundings import Surroundings

CHEAP: Final = Cost(memory=64, passes=1, iterations=4096)
"""Of hashing a password in earnest: what it takes in the world's time is `COSTS`."""
_NOT_KEPT: Final = shutil.ignore_patterns("*-shm", "lock", "control")


class SimHub(Ground):
    """One mailhub.

    Args:
        settings: As a configuration says; the state directory is replaced.
        accounts: Addresses and their passwords; their domains are hosted.
        aliases: Aliases and what they stand for.
        costs: Seconds that blocking work takes, by the name of its pool.
        faulty: Let the disk know what was synced: `disk` is a `FaultyDisk` then.

    Attributes:
        hub: The running service; None before the start and after the end.
        disk: What its spool and store change the disk by.
        state: The state directory of this life.
        starts: How many there were.
        addresses: Of the accounts; `passwords` has theirs.
    """

    def __init__(
        self,
        world: World,
        host: Host,
        settings: Settings,
        *,
        accounts: Mapping[str, str] | None = None,
        aliases: Mapping[str, Sequence[str]] | None = None,
        costs: Mapping[str, float] = COSTS,
        faulty: bool = False,
    ) -> None:
        self.world = world
        self.host = host
        self.hub: Hub | None = None
        self.starts = 0
        self.boots = 1
        self._costs = costs
        self._faulty = faulty
        self.addresses = tuple(accounts or ())
        self.passwords = dict(accounts or {})
        self._given = replace(settings, auth=replace(settings.auth, cost=CHEAP))
        self.state = self._directory()
        self.disk: QuickDisk
        self._populate(accounts or {}, aliases or {})

    def _directory(self) -> str:
        path = os.path.join(self.world.root, self.host.name, f"state-{self.starts}")
        os.makedirs(path, 0o700)
        return path

    def _populate(self, accounts: Mapping[str, str], aliases: Mapping[str, Sequence[str]]) -> None:
        entropy = self.world.chance(f"{self.host.name}/accounts").randbytes
        with Accounts(self.settings.hub.accounts, entropy=entropy) as database:
            paths = [parse_address(address) for address in (*accounts, *aliases)]
            for domain in sorted({path.domain for path in paths}):
                database.add_domain(domain)
            for address, password in accounts.items():
                database.add_account(parse_address(address), secret(password, CHEAP, entropy))
            for address, targets in aliases.items():
                database.add_alias(
                    parse_address(address), [parse_address(target) for target in targets]
                )

    @property
    def settings(self) -> Settings:
        """What it obeys, in this life."""
        return replace(self._given, hub=replace(self._given.hub, state=self.state))

    @property
    def parts(self) -> Parts:
        """The working parts of the running hub."""
        assert self.hub is not None, "it runs"
        assert self.hub.parts is not None, "it runs"
        return self.hub.parts

    # ---- Life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, on what the end before left."""
        assert self.hub is None, "one at a time"
        self.host.boot()
        self.starts += 1
        self.disk = self._new_disk()
        self.hub = Hub(self.settings, self._surroundings(), lambda: self.settings)
        self.host.life.call(self.hub.privilegedStartService)
        self.host.life.call(self.hub.startService)
        self._note("started")

    def _new_disk(self) -> QuickDisk:
        return FaultyDisk(self.state, self.world.clock.seconds) if self._faulty else QuickDisk()

    def _surroundings(self) -> Surroundings:
        name = f"{self.host.name}/{self.starts}"
        costs, host = self._costs, self.host
        return Surroundings(
            reactor=host.reactor,
            now=host.now,
            entropy=self.world.chance(f"{name}/entropy").randbytes,
            chance=self.world.chance(f"{name}/chance"),
            boot_id=f"{self.host.name} boot {self.boots}",
            threads=lambda number, pool: SimThreads(host, number, costs.get(pool, 0.0)),
            resolver=SimResolver(host, self.world.names, trusted=self.settings.dns.trusted),
            web=SimWeb(host, self.world.pages),
            system=self.disk,
            both_families=True,
        )

    def stop(self) -> Deferred[None]:
        """Stop as an operator would; fires when it has."""
        assert self.hub is not None, "it runs"
        stopping, self.hub = self.hub, None
        stopped = self.host.life.call(stopping.stopService)
        return stopped.addCallback(lambda _: self._note("stopped"))

    def crash(self, *, power: bool = False, keep: Callable[[], bool] = lambda: False) -> None:
        """End, this moment, as by SIGKILL; or as by a loss of `power`.

        After a loss of power the disk keeps what was synced, and of the rest that for
        which `keep` says so; that takes a faulty disk. It may be called in the midst of an
        operation of that disk (`FaultyDisk.watch`): what it interrupts goes nowhere.
        """
        before = self.state
        self.state = self._directory()
        if not power:
            _copy(before, self.state)
        elif isinstance(self.disk, FaultyDisk):
            self.disk.image(self.state, keep)
        else:
            raise ValueError("only a faulty disk knows what a loss of power leaves")
        if isinstance(self.disk, FaultyDisk):
            self.disk.over, self.disk.watch = True, None
        self.boots += power
        self.hub = None
        self.host.crash(silent=power)

    def _note(self, text: str) -> None:
        self.world.trace.note(self.world.now, f"{self.host.name} {text}")


def _copy(source: str, target: str) -> None:
    """A directory as it is, databases in the midst of a transaction included."""
    shutil.copytree(source, target, ignore=_NOT_KEPT, dirs_exist_ok=True)
