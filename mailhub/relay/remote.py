"""Remote delivery: one attempt to hand a message on to its next hop, wherever that can be reached.

From the hop to its hosts, from these to the provider that runs them, through that
provider's gate (`relay.traffic`), and from host to host (`relay.walk`). What is
refused because the provider blocks us goes through its detour at once, if it has
one, so that the sender hears nothing of it.

Nothing is raised but bugs and cancellation.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import value
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier
from mailhub.policy.limits import RemoteLimits
from mailhub.policy.protection import NOTHING, Assurance
from mailhub.policy.provider import Provider, Providers, Source
from mailhub.policy.repute import Way
from mailhub.policy.route import (
    Exchange,
    Hop,
    Shuffle,
    Smarthost,
    TlsDemand,
    candidates,
    literal_host,
)
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Outcome
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain, Resolver
from mailhub.relay import blame
from mailhub.relay.approach import Means
from mailhub.relay.names import Names
from mailhub.relay.pool import Peer, Pool
from mailhub.relay.progress import Excuse, Progress
from mailhub.relay.protector import Protector
from mailhub.relay.reach import UnnamedAddresses
from mailhub.relay.traffic import Gate, PutOff, Stopping, Traffic, Turn
from mailhub.relay.walk import Walk
from mailhub.smtp.wire import Broken

REMOTE_LIMITS: Final = RemoteLimits()
DOMAINS: Final = 50_000
"""Domains of which it is remembered who runs their exchanges."""
WAITING: Final = 1000
"""Domains remembered for each provider whose mail was put off; others come at their moment."""


PUT_OFF: Final = 10_000
"""Providers for whose sake mail was put off, and whose domains are remembered; the oldest go."""


@value(frozen=True, slots=True)
class Directions:
    """What the configuration says of where mail goes, and from where.

    Attributes:
        sources: By name.
        usual: Names of those that a provider uses which names none.
        detours: Smarthosts, by the names of their routes.
    """

    providers: Providers = field(default_factory=Providers)
    classifier: Classifier = field(default_factory=Classifier)
    sources: Mapping[str, Source] = field(default_factory=dict)
    usual: tuple[str, ...] = ()
    detours: Mapping[str, Smarthost] = field(default_factory=dict)

    def sources_of(self, provider: Provider) -> tuple[Source, ...]:
        """Where mail for a provider may come from; none leaves it to the system."""
        names = provider.sources or self.usual
        if not names:
            return ()
        return tuple(self.sources[name] for name in names if name in self.sources)


@value(frozen=True, slots=True)
class _Plan:
    """Where to go.

    Attributes:
        hosts: In order.
        provider: Who runs them.
        assurance: What is known of them.
    """

    hosts: tuple[Mx, ...]
    provider: Provider
    assurance: Assurance = NOTHING


class Remote:
    """Delivers to hosts that are not us.

    Attributes:
        resolver: May be replaced.
        traffic: Who may send where just now.
    """

    def __init__(
        self,
        resolver: Resolver,
        pool: Pool,
        traffic: Traffic,
        *,
        shuffle: Shuffle,
        time: Callable[[], float],
        ourselves: Collection[str] = (),
        listening: Collection[tuple[str, int]] = (),
        limits: RemoteLimits = REMOTE_LIMITS,
        directions: Directions | None = None,
        protector: Protector | None = None,
    ) -> None:
        """`time` gives seconds since the epoch.

        `ourselves` are the names we receive mail under, `listening` the addresses
        and ports where we do, ``""`` for all addresses: exchanges that are us are
        not tried (RFC 5321 §5.1).
        """
        self.resolver = resolver
        self.traffic = traffic
        self.limits = limits
        self.directions = directions or Directions()
        self._pool = pool
        self._protector = protector
        self._shuffle = shuffle
        self._time = time
        self._ourselves = frozenset(ourselves)
        self._listening = frozenset(listening)
        self._unnamed = UnnamedAddresses()
        self._put_off: dict[str, dict[str, None]] = {}  # domains, by their providers
        self._providers: OrderedDict[str, Provider] = OrderedDict()  # of domains, as last found
        self._runners: dict[str, Provider] = {}  # all of them, by their names
        self._smarthosts: dict[tuple[str, str], Provider] = {}  # of hosts, by name and host
        self._means = self._make_means()

    def obey(self, limits: RemoteLimits, directions: Directions) -> None:
        """Go by other limits and directions from here on."""
        self.limits = limits
        self.directions = directions
        self._providers.clear()
        self._runners.clear()
        self._smarthosts.clear()
        self._means = self._make_means()

    def _make_means(self) -> Means:
        return Means(
            self._pool,
            self._shuffle,
            self._time,
            self._listening,
            self.limits,
            self.directions.classifier,
            self._unnamed,
            self._protector,
        )

    async def deliver(self, hop: Hop, envelope: Envelope, content: Content) -> Outcome:
        """One attempt to hand a message on to all of the envelope's recipients.

        The content is read, perhaps several times, and not closed.
        """
        progress = Progress.of(envelope, Names(self.resolver, self._time))
        put_off = None
        try:
            await self._go(hop, progress, content)
        except Refusal as refusal:
            progress.excuse(Excuse(refusal.reply, blame.of_lookup(refusal.reply)))
        except PutOff as later:
            progress.excuse(Excuse(later.reply, Cause.LOCAL))
            put_off = later.until
            self._note_put_off(progress)
        except Stopping:
            reply = Reply(451, "3.2", ("We are shutting down",))
            progress.excuse(Excuse(reply, Cause.LOCAL))
        return progress.outcome(put_off)

    def provider_of(self, hop: Hop) -> Provider | None:
        """Who runs the hosts of a hop, if that is known already."""
        if isinstance(hop, Smarthost):
            return self._runner(hop)
        return self._providers.get(hop.domain)

    def lane(self, hop: Hop) -> Hashable:
        """Implements `agents.Outbound`: the name of whoever runs the hop's hosts, if known."""
        provider = self.provider_of(hop)
        return hop if provider is None else provider.name

    async def find(self, hop: Hop) -> None:
        """Implements `agents.Outbound`: look the hop's exchanges up."""
        if isinstance(hop, Smarthost) or hop.domain in self._providers:
            return
        with suppress(Refusal):  # the attempt will tell
            await self._exchanges(hop, Names(self.resolver, self._time))

    def places(self, lane: Hashable) -> int | None:
        """Implements `agents.Outbound`: as many as find a place at the provider's gates."""
        provider = self._runners.get(lane) if isinstance(lane, str) else None
        if provider is None:
            return None
        detour = self.directions.detours.get(provider.detour)
        sources = self.directions.sources_of(provider)
        if detour is not None and self.traffic.blocked(provider, sources):
            provider = self._runner(detour)
            sources = self.directions.sources_of(provider)
        return self.traffic.room(provider, sources)

    def domains_of(self, name: str) -> list[str]:
        """Domains of which it is known that this provider runs their hosts."""
        return [domain for domain, it in self._providers.items() if it.name == name]

    def waiting(self, name: str) -> list[str]:
        """Domains whose mail was put off for a provider's sake; they are forgotten with this."""
        return list(self._put_off.pop(name, ()))

    def _note_put_off(self, progress: Progress) -> None:
        domains = self._put_off.setdefault(progress.provider, {})
        if len(self._put_off) > PUT_OFF:
            del self._put_off[next(iter(self._put_off))]
        if len(domains) < WAITING:
            domains.update((it.path.domain, None) for it in progress.envelope.recipients)

    async def probe(self, hop: Hop, path: Path) -> Reply:
        """What the hosts of a hop, of those that come before us, say to RCPT.

        4yz where none of them says anything. Not through the provider's gate: it is no message.
        """
        names = Names(self.resolver, self._time)
        reply = Reply(451, "4.1", (f"No host of {hop.name} answers",))
        try:
            plan = await self._plan(hop, names, optional=True)
        except Refusal as refusal:
            return refusal.reply
        for mx in plan.hosts:
            try:
                addresses = (await names.addresses(mx.host)).records
            except (NoSuchDomain, LookupFailed):
                continue
            peer = Peer(mx.host, hop.port, plan.provider.demand(hop.tls), group=plan.provider.name)
            for address in addresses[: self.limits.addresses]:
                if (address, hop.port) in self._listening:
                    continue
                try:
                    return await self._pool.ask(
                        peer, address, path, here=("", hop.port) not in self._listening
                    )
                except Broken as fault:
                    reply = reply if fault.reply.permanent else fault.reply
        return reply

    async def stop(self) -> None:
        """Let messages on their way finish for a while, then close all connections."""
        await self.traffic.stop()
        await self._pool.stop()

    # ---- Where to go -----------------------------------------------------------------------

    async def _plan(self, hop: Hop, names: Names, *, optional: bool = False) -> _Plan:
        """The hosts of a hop, and who runs them; what they demand of TLS may be `optional`.

        Raises:
            Refusal: It has none, wants no mail, or cannot be looked up.
        """
        if isinstance(hop, Smarthost):
            return _Plan((Mx(0, hop.host),), self._runner(hop))
        hosts, provider, authentic = await self._exchanges(hop, names)
        if literal_host(hop) is not None:
            return _Plan(hosts, provider)
        assurance = Assurance(authentic)
        wanted = hop.tls is not TlsDemand.NONE and not optional
        if self._protector is not None and wanted:
            found = self._protector.of_domain(hop.domain, names, authentic=authentic)
            assurance = await found
        return _Plan(hosts[: self.limits.hosts], provider, assurance)

    async def _exchanges(
        self, hop: Exchange, names: Names
    ) -> tuple[tuple[Mx, ...], Provider, bool]:
        """The exchanges of a domain in order, who runs them, and whether that came authenticated.

        Raises:
            Refusal: It has none, wants no mail, or cannot be looked up.
        """
        address = literal_host(hop)
        if address is not None:
            provider = Provider(hop.domain, listed=False)
            self._remember(hop.domain, provider)
            return (Mx(0, address),), provider, False
        answer = await names.exchanges(hop.domain)
        hosts = candidates(hop.domain, answer.records, self._shuffle, self._ourselves)
        provider = self.directions.providers.of(hosts)
        self._remember(hop.domain, provider)
        return hosts, provider, answer.authentic

    def _remember(self, domain: str, provider: Provider) -> None:
        self._run_by(provider)
        self._providers[domain] = provider
        self._providers.move_to_end(domain)
        if len(self._providers) > DOMAINS:
            self._providers.popitem(last=False)

    def _runner(self, hop: Smarthost) -> Provider:
        key = hop.name, hop.host
        found = self._smarthosts.get(key)
        if found is None:
            found = self.directions.providers.running(hop.host)
            if found is None:
                name = f"route {hop.name}"
                found = self._runners.get(name) or Provider(name, listed=False)
            self._smarthosts[key] = found
        self._run_by(found)
        return found

    def _run_by(self, provider: Provider) -> None:
        """Remember whom the name of a lane means."""
        if self._runners.get(provider.name) is not provider:
            self._runners[provider.name] = provider
            if len(self._runners) > DOMAINS:
                del self._runners[next(iter(self._runners))]

    def _gate(self, provider: Provider) -> Gate:
        return self.traffic.gate(provider, self.directions.sources_of(provider))

    # ---- Going there -----------------------------------------------------------------------

    async def _go(self, hop: Hop, progress: Progress, content: Content) -> None:
        """Go where the plan says, or where its provider's detour leads.

        Raises:
            Refusal: There is nowhere to go, or nobody is there.
            PutOff: It is not the time.
            Stopping: It is too late.
        """
        optional = progress.envelope.tls_optional
        plan = await self._plan(hop, progress.names, optional=optional)
        provider = plan.provider
        progress.provider = provider.name
        detour = self.directions.detours.get(provider.detour)
        if detour == hop:
            detour = None
        gate = self._gate(provider)
        if detour is not None and self.traffic.way(gate) is Way.DETOUR:
            await self._round(detour, progress, content)
            return
        async with self.traffic.turn(gate) as turn:
            await self._walk(hop, plan, gate, turn, progress, content)
        if detour is not None and (blocked := progress.blocked()):
            progress.reopen(blocked)
            await self._round(detour, progress, content)

    async def _round(self, detour: Smarthost, progress: Progress, content: Content) -> None:
        """Take the detour. Raises as `_go` does."""
        plan = await self._plan(detour, progress.names)
        gate = self._gate(plan.provider)
        async with self.traffic.turn(gate) as turn:
            await self._walk(detour, plan, gate, turn, progress, content)

    async def _walk(
        self,
        hop: Hop,
        plan: _Plan,
        gate: Gate,
        turn: Turn,
        progress: Progress,
        content: Content,
    ) -> None:
        await Walk(
            self._means, hop, plan.hosts, gate, turn, progress, content, plan.assurance
        ).run()
