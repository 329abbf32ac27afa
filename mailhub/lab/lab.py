"""The lab: a world on this machine, a hub that sends into it, and everybody's inboxes.

    lab = Lab(prepared, atlas, real_world())
    lab.start()
    ...
    await lab.reset()    # as on the first day
    await lab.stop()

Only an application's side is real: its sockets. Between the hub and the world's hosts all is
in memory and in the world's time, so that hours pass as quickly as they can be computed.
"""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.web.server import Site

from mailhub.assembly import Parts
from mailhub.config.settings import Settings
from mailhub.hub import Hub
from mailhub.lab.clock import PacedClock
from mailhub.lab.inboxes import Inboxes
from mailhub.lab.prepared import ADDRESS, Prepared, again
from mailhub.lab.reactor import LabReactor
from mailhub.lab.web import Root
from mailhub.net.shield import shielded
from mailhub.sim import worldfile
from mailhub.sim.disk import QuickDisk
from mailhub.sim.manners import Manners
from mailhub.sim.names import SimResolver
from mailhub.sim.providers import PORT, Providers
from mailhub.sim.threads import SimThreads
from mailhub.sim.web import SimWeb
from mailhub.sim.wire import Link
from mailhub.sim.world import World
from mailhub.sim.worldfile import Atlas
from mailhub.store.lock import StateLock
from mailhub.surroundings import Surroundings

OWN_WORLD: Final = "lab"
REFUGE: Final = "inbox.test"
"""A domain that takes all mail, whatever the world is like."""
PATIENCE: Final = 3600.0
"""Seconds of the world's time in which a hub has stopped."""
LOOK: Final = 3600.0
"""Seconds between looks at maildirs that nobody else writes into."""


def world_named(name: str) -> Atlas:
    """The lab's own world, one that is shipped with `mailhub simulate`, or a file's.

    In each of them `REFUGE` takes all mail, and so does any domain that is nobody's.

    Raises:
        ConfigError: With every mistake that was found.
        OSError: The file cannot be read.
    """
    if name == OWN_WORLD:
        text = files(__package__).joinpath("lab.ini").read_text("utf-8")
        return _peopled(worldfile.parsed(name, text))
    return _peopled(worldfile.load(name))


def _peopled(atlas: Atlas) -> Atlas:
    """A world where senders, who may be anywhere, get what comes back."""
    taken = {domain for it in atlas.providers for domain in it.domains}
    free = tuple(domain for domain in (REFUGE, "*") if domain not in taken)
    if not free:
        return atlas
    refuge = Manners("Inboxes of the lab", free, (f"mx.{REFUGE}",), latency=0.001, jitter=0.0)
    return replace(atlas, providers=(*atlas.providers, refuge))


class Lab:
    """All of it.

    Args:
        machine: What there really is: its reactor, date and chance.
        lock: On the state directory, if it was taken already.

    Attributes:
        clock: Everybody's.
        inboxes: Everybody's.
        age: How often it was begun anew.
    """

    def __init__(
        self,
        prepared: Prepared,
        atlas: Atlas,
        machine: Surroundings,
        lock: StateLock | None = None,
    ) -> None:
        self.prepared = prepared
        self.atlas = atlas
        self.age = 0
        self._machine = machine
        self._lock = lock
        self._site: Any = None
        self._waiting: list[Deferred[None]] | None = None  # for a reset that is under way
        self._make()

    def _make(self) -> None:
        """A world, and the hubs in it, as the state directory is."""
        prepared, atlas, machine = self.prepared, self.atlas, self._machine
        self.clock = PacedClock(machine.reactor, machine.now() + prepared.ahead)
        self.world = World(0, clock=self.clock)
        self._inner: Hub
        self.inboxes = Inboxes(lambda: _parts(self._inner), prepared.secret)
        self.providers = Providers(self.world, self.inboxes)
        for manners in atlas.providers:
            self.providers.add(manners)
        sending, reading = prepared.settings()
        relay = replace(sending.relay, authorities=self.providers.authorities)
        store = replace(sending.store, look=LOOK, index_every=LOOK)
        self._hub = self._made(replace(sending, relay=relay, store=store), self._lock)
        self._inner = self._made(replace(reading, store=store), None)

    def _made(self, settings: Settings, lock: StateLock | None) -> Hub:
        surface = self.atlas.surface
        link = Link(surface.latency, surface.jitter, surface.bandwidth)
        host = self.world.host(settings.hub.hostname, link=link)
        for domain in settings.suppression.return_domains:
            self.world.names.mail(domain, host.name)
        ports = self.prepared.ports
        # What comes back comes from the world.
        also = {ports["smtp"]: PORT} if settings.listen.smtp else {}
        reactor = LabReactor(host, self._machine.reactor, also)
        around = replace(
            self._machine,
            reactor=reactor,
            now=self.clock.seconds,
            threads=lambda number, _: SimThreads(host, number, 0.0),
            resolver=SimResolver(host, self.world.names, trusted=settings.dns.trusted),
            web=SimWeb(host, self.world.pages),
            system=QuickDisk(),
        )
        return Hub(settings, around, lock=lock)

    @property
    def machine(self) -> Any:
        """The machine's reactor."""
        return self._machine.reactor

    @property
    def parts(self) -> Parts:
        """The working parts of the hub that sends."""
        return _parts(self._hub)

    def start(self) -> None:
        """Listen.

        Raises:
            CannotStart: A port, or the state directory, cannot be had.
        """
        self._begin()
        reactor, port = self._machine.reactor, self.prepared.ports["http"]
        self._site = reactor.listenTCP(port, Site(Root(self)), interface=ADDRESS)

    def _begin(self) -> None:
        for hub in (self._inner, self._hub):
            hub.privilegedStartService()
            hub.startService()

    async def move(self, seconds: float) -> None:
        """Let so much time pass, with all that happens in it; a lab with this state goes on then.

        Raises:
            ValueError: Back is no way.
        """
        moved = self.clock.move(seconds)
        self.prepared.remember(self.ahead)
        await moved

    @property
    def ahead(self) -> float:
        """Seconds that the world is ahead of the machine."""
        ahead: float = self.clock.goal() - self._machine.now()
        return ahead

    async def reset(self) -> None:
        """Begin anew: nobody has mail, nothing waits, nothing was ever sent, and it is today."""
        if self._waiting is None:
            await shielded(self._anew())
        else:
            await self._reset()  # that of somebody else will do

    async def _anew(self) -> None:
        self._waiting = []
        self.age += 1
        try:
            await self._end()
            self.prepared = again(self.prepared)
            self._make()
            self._begin()
        finally:
            waiting, self._waiting = self._waiting, None
            for each in waiting:
                if not each.called:
                    each.callback(None)

    async def _reset(self) -> None:
        """Wait for the end of a reset, if one is under way."""
        if self._waiting is not None:
            done: Deferred[None] = Deferred()
            self._waiting.append(done)
            await done

    async def stop(self) -> None:
        """Close everything, at once."""
        if self._site is not None:
            await self._site.stopListening()
        await self._reset()
        await self._end()

    async def _end(self) -> None:
        for hub in (self._hub, self._inner):
            stopping = hub.stopService()
            self.clock.move(PATIENCE)  # nobody waits for hosts that take their time
            await stopping
        self.clock.stop()
        self.world.close()


def _parts(hub: Hub) -> Parts:
    assert hub.parts is not None, "it runs"
    return hub.parts
