"""One run: an operator's configuration, a world, a campaign, a seed; and what came of it.

The hub is the operator's as far as it goes: everything that a configuration says about
queue, relaying and bounces is obeyed. Replaced are its state directory, its listeners (the
application is on the same machine, at port 25), its name servers (the world's), its
authorities, to which the world's own is added, and the domain of its return paths, if that is
the senders' own.

Invariant: the result is a function of what is handed in.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_network
from typing import Final

from mailhub.config.endpoint import Endpoint
from mailhub.config.settings import SERVICES, Listen, Settings
from mailhub.mail.address import Path
from mailhub.policy.route import Smarthost, route
from mailhub.sim.books import Ledger
from mailhub.sim.campaign import Addresses, Campaign, Posting, Stream, content
from mailhub.sim.hub import SimHub
from mailhub.sim.manners import Certificate, Manners
from mailhub.sim.providers import Providers
from mailhub.sim.receiver import Message, Receiver
from mailhub.sim.sender import Errand, SenderFactory
from mailhub.sim.wire import Link
from mailhub.sim.world import World
from mailhub.sim.worldfile import Atlas

MARGIN: Final = 6 * 3600.0
"""Seconds beyond the life of a message in which its bounce has come back."""
LOOK: Final = 3600.0
"""Seconds between looks at maildirs, of which there are none."""
STEPS: Final = 2000
"""Calls of the clock between two looks at how far things are."""
_AGAIN: Final = 60.0
"""Seconds after which an application tries again what the hub put off."""
_STOP: Final = 300.0
"""Seconds that the hub is given to stop."""
_RECONNECT: Final = 1.0
"""Seconds after which an application calls again."""
_PORT: Final = 25
_SUPPRESSED: Final = b"on the suppression list"
"""What notices say of mail that was not sent."""
COLLECTOR: Final = "the sender"
SMARTHOST: Final = "smarthost"
LOOPBACK: Final = ip_network("127.0.0.0/8")


@dataclass(frozen=True, slots=True)
class Plan:
    """What to simulate.

    Attributes:
        until: Seconds of the world's time at most; 0 for the life of the last message.
    """

    settings: Settings
    atlas: Atlas
    campaign: Campaign
    seed: str = "0"
    until: float = 0.0

    @property
    def limit(self) -> float:
        """Seconds of the world's time at most."""
        last = max(stream.start for stream in self.campaign.streams)
        return self.until or last + self.settings.schedule.lifetime + MARGIN


@dataclass(slots=True)
class Run:
    """A simulation that has ended.

    Attributes:
        ended: The age of the world.
        reputation: By provider, the worst of our addresses' there at the end, of 100.
        blocks: By provider, how often it blocked us.
        queued: Recipients that still wait in the hub.
    """

    plan: Plan
    ledger: Ledger
    ended: float
    digest: str
    events: int
    errors: list[str]
    reputation: dict[str, float]
    blocks: dict[str, int]
    queued: int


Progress = Callable[[Ledger, float], object]


class Collector(Receiver):
    """Takes what comes back to the senders of the campaign."""

    ledger: Ledger

    def take(self, message: Message, *, heard: bool) -> float:  # noqa: ARG002
        """Read bounces; the rest is counted by whoever sent it."""
        if not message.sender and b"Action: failed" in message.content:
            suppressed = _SUPPRESSED in message.content
            for path in failures(message.content):
                who, now = message.recipients[0], self.world.now
                self.ledger.bounced(who, path, now, suppressed=suppressed)
        self.note(f"took a notice for {message.recipients[0]}")
        return 0.0


def failures(report: bytes) -> Iterator[str]:
    """The recipients of which a report says ``Action: failed`` (RFC 3464 §2.3)."""
    start = report.find(b"message/delivery-status")
    if start < 0:
        start = report.find(b"message/global-delivery-status")
    for block in report[max(start, 0) :].split(b"\r\n\r\n"):
        fields = dict(
            line.partition(b":")[::2] for line in block.lower().split(b"\r\n") if b":" in line
        )
        if fields.get(b"action", b"").strip() == b"failed" and b"final-recipient" in fields:
            yield fields[b"final-recipient"].partition(b";")[2].strip().decode("utf-8", "replace")


def simulate(plan: Plan, progress: Progress | None = None) -> Run:
    """Run it to its end.

    Raises:
        CannotStart: The hub does not start with this configuration.
    """
    with World(plan.seed) as world:
        return _Simulation(world, plan).run(progress)


class _Simulation:
    """A simulation under way."""

    def __init__(self, world: World, plan: Plan) -> None:
        self.world = world
        self.plan = plan
        atlas = plan.atlas
        names = [manners.name for manners in atlas.providers]
        smarthosts = _smarthosts(plan.settings)
        self.addresses = Addresses(plan.campaign, atlas, world.seed)
        everybody = [*names, *(manners.name for manners, _ in smarthosts), COLLECTOR]
        self.ledger = Ledger(self.addresses, plan.campaign.total, everybody)
        self.ledger.start = world.start
        self.providers = Providers(world, self.ledger)
        for manners in atlas.providers:
            self.providers.add(manners)
        for manners, hop in smarthosts:
            self.providers.add(manners, port=hop.port, implicit=hop.implicit)
        self._collect()
        surface = atlas.surface
        link = Link(surface.latency, surface.jitter, surface.bandwidth)
        domains = sorted({stream.sender.domain for stream in plan.campaign.streams})
        settings = returning(plan.settings, domains)
        self.hub = hub_of(world, settings, self.providers.authorities, link)
        for domain in sorted(settings.suppression.return_domains):
            world.names.mail(domain, self.hub.host.name)
        self._whose: dict[tuple[Path, str], str] = {}

    def _collect(self) -> None:
        """Have somebody take what comes back."""
        domains = sorted({stream.sender.domain for stream in self.plan.campaign.streams})
        manners = Manners(COLLECTOR, tuple(domains), ("mx.the-sender.example",))
        collector = self.providers.add(manners, Collector)
        assert isinstance(collector, Collector), "that is its class"
        collector.ledger = self.ledger

    # ---- Handing in ------------------------------------------------------------------------

    def _feed(self, place: int, stream: Stream) -> None:
        """Hand in a stream's messages, over its connections."""
        feed = _Feed(self, stream, self.addresses.postings(place))

        def call() -> None:
            factory = SenderFactory(self.hub.host, feed.next, gone)
            self.hub.host.reactor.connectTCP("127.0.0.1", _PORT, factory)

        def gone() -> None:
            if not feed.over:  # the hub has closed it: after so many messages, or so long
                self.world.clock.callLater(_RECONNECT, call)

        for _ in range(stream.connections):
            call()

    def provider_of(self, sender: Path, address: str) -> str:
        """Who takes an address's mail: a provider, or the host that the hub relays through."""
        domain = address.rpartition("@")[2]
        found = self._whose.get((sender, domain))
        if found is None:
            found = self._whose[sender, domain] = self._found(sender, domain)
        return found

    def _found(self, sender: Path, domain: str) -> str:
        hop = route(sender, Path("x", domain), self.plan.settings.routes)
        if isinstance(hop, Smarthost):
            return f"{SMARTHOST} {hop.host}"
        manners = self.plan.atlas.provider(domain)
        return manners.name if manners is not None else self.plan.atlas.providers[-1].name

    # ---- The run ---------------------------------------------------------------------------

    def run(self, progress: Progress | None) -> Run:
        """Run until every recipient has met its fate and nothing more is to come."""
        world, ledger = self.world, self.ledger
        self.hub.start()
        for place, stream in enumerate(self.plan.campaign.streams):
            world.at(stream.start, self._feed, place, stream)
        end = world.start + self.plan.limit
        step, pending = world.clock.step, self.providers
        more = True
        while more and not (ledger.over and not pending.pending):
            for _ in range(STEPS):
                if not (more := step(end)) or (ledger.over and not pending.pending):
                    break
            if progress is not None:
                progress(ledger, world.age)
        if not more:
            world.clock.run(end)
        concluded = self._concluded()
        stopped = self.hub.stop()
        world.run_until(lambda: stopped.called, _STOP)
        return concluded

    def _concluded(self) -> Run:
        world, ledger = self.world, self.ledger
        reputation, blocks = {}, {}
        for name, receiver in self.providers.receivers.items():
            sources = receiver.memory.sources.values()
            scores = [receiver.memory.reputation(source, world.now) for source in sources]
            reputation[name] = round(min(scores, default=100.0), 1)
            blocks[name] = sum(source.blocks for source in sources)
        waiting = sum(account.waiting for account in ledger.accounts)
        return Run(
            self.plan,
            ledger,
            world.age,
            world.digest,
            world.trace.count,
            list(world.errors),
            reputation,
            blocks,
            waiting,
        )


def returning(settings: Settings, domains: Sequence[str]) -> Settings:
    """The settings with return paths of ours in domains of their own.

    What comes back to the campaign's senders goes to whoever reads their mail, and not to
    the hub; so what it is to hear of must come to another domain.
    """
    suppression = settings.suppression
    made = []
    for domain in domains:
        sending = suppression.of(domain)
        if sending.terms.returns and not sending.terms.return_domain:
            terms = replace(sending.terms, return_domain=f"bounces.{domain}")
            made.append(replace(sending, name=sending.name, senders=(domain,), terms=terms))
    sendings = (*made, *suppression.sendings)
    return replace(settings, suppression=replace(suppression, sendings=sendings))


def hub_of(world: World, given: Settings, authorities: str, link: Link | None = None) -> SimHub:
    """An operator's hub in a world: what its configuration says, but for where it is.

    It has no mailboxes to look after, and writes no journeys: nobody would read them.

    `authorities` is a file with the world's own, or ``""``.
    """
    listen = replace(
        Listen(**dict.fromkeys(SERVICES, ())),  # type: ignore[arg-type]  # services' names
        smtp=(Endpoint("", _PORT),),
        connections=given.listen.connections,
        connections_per_address=given.listen.connections_per_address,
    )
    relay = replace(given.relay, authorities=_together(world, given.relay.authorities, authorities))
    settings = replace(
        given,
        listen=listen,
        tls=replace(given.tls, offered=False, certificates=()),
        access=replace(given.access, trusted=(*given.access.trusted, LOOPBACK)),
        store=replace(given.store, look=LOOK, index_every=LOOK),
        relay=relay,
        journey=replace(given.journey, keep=0.0),
    )
    return SimHub(world, world.host(given.hub.hostname, link=link), settings)


def _together(world: World, given: str, ours: str) -> str:
    """The operator's authorities and the world's, in one file."""
    if not ours or not given:
        return ours or given
    path = f"{world.root}/authorities.pem"
    with open(path, "wb") as file:
        for name in (given, ours):
            with open(name, "rb") as source:
                file.write(source.read() + b"\n")
    return path


class _Feed:
    """Gives a stream's messages to those who hand them in, at the stream's rate."""

    def __init__(self, run: _Simulation, stream: Stream, postings: Iterator[Posting]) -> None:
        self._run = run
        self._stream = stream
        self._postings = postings
        self._again: list[tuple[float, Posting]] = []
        self._handed_out = 0
        self._out = 0
        self._began = run.world.now

    @property
    def over(self) -> bool:
        """Whether all has been handed in."""
        return self._handed_out * self._stream.together >= self._stream.count and not (
            self._again or self._out
        )

    def next(self) -> Errand | float | None:
        """See `sender.Next`."""
        now = self._run.world.now
        if self._again and self._again[0][0] <= now:
            return self._errand(self._again.pop(0)[1], now)
        rate = self._stream.rate
        if rate:
            due = self._began + self._handed_out / rate.per_second
            if due > now:
                return due - now
        posting = next(self._postings, None)
        if posting is not None:
            self._handed_out += 1
            return self._errand(posting, now)
        if self._again:
            return max(0.001, self._again[0][0] - now)
        return _AGAIN if self._out else None

    def _errand(self, posting: Posting, now: float) -> Errand:
        self._out += 1
        return Errand(
            str(self._stream.sender),
            posting.recipients,
            content(self._stream, posting, now),
            lambda code, codes: self._done(posting, code, codes),
        )

    def _done(self, posting: Posting, code: int, codes: tuple[int, ...]) -> None:
        self._out -= 1
        run, now = self._run, self._run.world.now
        if code == 0 or 400 <= code < 500:
            self._again.append((now + _AGAIN, posting))
            return
        for place, address in enumerate(posting.recipients):
            provider = run.provider_of(self._stream.sender, address)
            good = code < 400 and place < len(codes) and codes[place] < 400
            book = run.ledger.handed_in if good else run.ledger.refused_by_hub
            book(posting.first + place, provider, now)


def _smarthosts(settings: Settings) -> list[tuple[Manners, Smarthost]]:
    """The hosts that the configuration relays through: in the world they take everything."""
    hops = {route.hop.host: route.hop for route in settings.routes if route.hop is not None}
    return [
        (Manners(f"{SMARTHOST} {host}", (), (host,), tls=Certificate.GOOD), hop)
        for host, hop in hops.items()
    ]
