"""How a message for somebody elsewhere would leave: route, exchanges, provider, TLS, next slot.

The part of `relay.explain` that is about one recipient elsewhere. What decides is
what decides in deliveries: `policy.ways`, `policy.provider`, `relay.protector`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Final

from mailhub.mail.address import NULL, Path, is_ip_address
from mailhub.mail.reply import Refusal
from mailhub.policy.limits import Family
from mailhub.policy.protection import NOTHING, TLS_OPTIONAL, Assurance, tls_optional
from mailhub.policy.provider import Provider, Providers
from mailhub.policy.route import Exchange, Hop, Smarthost, candidates, literal_host
from mailhub.policy.rule import Rule
from mailhub.policy.submission import sections
from mailhub.policy.terms import terms
from mailhub.policy.verdict import Verdict
from mailhub.ports.conversation import Client
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain
from mailhub.relay.names import Names
from mailhub.relay.scout import span
from mailhub.relay.step import UNKNOWN, Letter, Step, World, decided, refused
from mailhub.relay.unwanted import returning

HOSTS: Final = 5
"""Exchanges whose addresses and records are looked up."""


async def outlook(
    letter: Letter, client: Client, path: Path, class_name: str, world: World
) -> AsyncIterator[Step]:
    """Step by step how a message of a class would leave for one recipient."""
    about, ways = str(path), world.settings.ways()
    try:
        hop = ways.hop(letter.sender, path)
    except Refusal as refusal:
        yield refused("route", about, refusal)
        return
    where, tls = ways.verdicts(letter.sender, path)
    yield decided("route", about, where)
    look = _Look(letter, path, hop, world)
    provider = None
    if world.resolver is None and isinstance(hop, Exchange):
        for verdict in look.offline(tls):
            yield decided("TLS", about, verdict)
        yield Step("lookup", about, "not looked up: provider and hosts are unknown")
    else:
        async for step in look.online(tls):
            yield step
            if step.refused:
                return
        provider = look.provider
    async for step in returning(letter, client, path, class_name, world, provider):
        yield step
    for line in () if provider is None else world.standing(provider.name) or UNKNOWN:
        yield Step("slot", about, line)
    name = "" if provider is None else provider.name
    for verdict in _schedule(letter, path, world, class_name, name):
        yield decided("retry", about, verdict)


def _schedule(
    letter: Letter, path: Path, world: World, class_name: str, provider: str
) -> Iterator[Verdict]:
    """When it is tried, how often, and when its sender is told."""
    settings = world.settings
    way = settings.ways().schedule(letter.sender, path)
    schedule = settings.schedules().find(class_name, way, provider)
    text = f"attempted at once; if that fails for a while, again after {span(schedule.delays[0])}"
    yield Verdict(text, schedule.line("delays"))
    if schedule.warning:
        text = f"its sender is told of a delay after {span(schedule.warning)}"
        yield Verdict(text, schedule.line("delay warning"))
    text = f"given up after {span(schedule.lifetime)}"
    yield Verdict(text, schedule.line("lifetime"))


class _Look:
    """What is found out about one recipient's next hop.

    Attributes:
        provider: Who runs it, once that is known.
    """

    def __init__(self, letter: Letter, path: Path, hop: Hop, world: World) -> None:
        self.provider: Provider | None = None
        self._letter = letter
        self._path = path
        self._hop = hop
        self._world = world
        self._assurance: Assurance = NOTHING
        self._optional = not letter.require_tls and tls_optional(sections(letter.header)[0])

    def offline(self, tls: Verdict) -> Iterator[Verdict]:
        """What is known of TLS without asking anybody."""
        yield tls
        yield from self._wishes()
        yield from self._world.scout.kept(self._path.domain)

    def _wishes(self) -> Iterator[Verdict]:
        """What the message itself says of TLS."""
        if self._letter.require_tls:
            yield Verdict("TLS: the message demands that it is verified, all the way (REQUIRETLS)")
        elif self._optional:
            yield TLS_OPTIONAL

    async def online(self, tls: Verdict) -> AsyncIterator[Step]:
        """What is found out by asking the DNS, and the policy's host."""
        hop, about = self._hop, str(self._path)
        if self._world.resolver is None:
            names, hosts = None, [Mx(0, hop.host)] if isinstance(hop, Smarthost) else []
        else:
            names, hosts = Names(self._world.resolver, self._world.now), []
            try:
                hosts = list(await self._hosts(names))
            except Refusal as refusal:
                for step in _looked(names, about):
                    yield step
                yield refused("lookup", about, refusal)
                return
            told = await self._demands(names, hosts)
            for step in _looked(names, about):
                yield step
        for verdict in self._terms(hosts, tls):
            yield decided("TLS" if verdict.what.startswith("TLS: ") else "terms", about, verdict)
        for verdict in [*self._wishes(), *(told if names is not None else ())]:
            yield decided("TLS", about, verdict)

    def _terms(self, hosts: Sequence[Mx], tls: Verdict) -> Iterator[Verdict]:
        """Who runs the hosts, and on which terms mail goes there."""
        settings, hop = self._world.settings, self._hop
        self.provider = self._runner(hosts)
        if isinstance(hop, Smarthost) and not self.provider.listed:
            yield tls
        else:
            found = settings.ways().found(self._letter.sender, self._path)
            yield from terms(self.provider, hop.tls, found, settings.relay.pool)
        family = self.provider.family or settings.relay.reach.family
        if family is not Family.BOTH:
            own = self.provider.family is not None
            section = f"provider {self.provider.name}" if own else "relay"
            yield Verdict(f"addresses: {family.value} only", Rule(section, "address family"))

    def _runner(self, hosts: Sequence[Mx]) -> Provider:
        providers, hop = Providers(self._world.settings.providers), self._hop
        if isinstance(hop, Smarthost):
            return providers.running(hop.host) or Provider(f"route {hop.name}", listed=False)
        address = literal_host(hop)
        return Provider(address, listed=False) if address else providers.of(hosts)

    async def _hosts(self, names: Names) -> Sequence[Mx]:
        """The hosts to try, best first.

        Raises:
            Refusal: There are none, or they cannot be found out.
        """
        hop = self._hop
        if isinstance(hop, Smarthost):
            return [Mx(0, hop.host)]
        address = literal_host(hop)
        if address is not None:
            return [Mx(0, address)]
        answer = await names.exchanges(hop.domain)
        ourselves = (self._world.settings.hub.hostname,)
        found = candidates(hop.domain, answer.records, self._world.shuffle, ourselves)
        self._assurance = Assurance(answer.authentic)
        return found

    async def _demands(self, names: Names, hosts: Sequence[Mx]) -> list[Verdict]:
        """Look the hosts up, and say what will be demanded of the TLS to them."""
        hop, scout = self._hop, self._world.scout
        told: list[Verdict] = []
        for mx in hosts[:HOSTS]:
            await _address(mx.host, names)
        if isinstance(hop, Smarthost) or literal_host(hop) is not None:
            return []
        authentic = self._assurance.authentic
        if not self._optional:
            self._assurance, told = await scout.of_domain(hop, names, authentic=authentic)
        configured = self._runner(hosts).demand(hop.tls)
        for mx in hosts[:HOSTS]:
            told += await scout.of_host(
                mx.host,
                hop,
                configured,
                names,
                self._assurance,
                require_tls=self._letter.require_tls and self._letter.sender != NULL,
                optional=self._optional,
            )
        return told


async def _address(host: str, names: Names) -> None:
    """Look a host's addresses up, for the record."""
    try:
        if not is_ip_address(host):
            await names.addresses(host)
    except (NoSuchDomain, LookupFailed):
        pass  # it is noted


def _looked(names: Names, about: str) -> Iterator[Step]:
    """What was asked of the DNS, each question once."""
    for lookup in {it.question: it for it in names.lookups}.values():
        mark = ", authentic" if lookup.authentic else ""
        yield Step("lookup", about, f"{lookup.question}: {lookup.answer}{mark}")
