"""The resolver: names to records, with a cache, for everybody in the hub.

It asks recursive servers and believes them; whether an answer was signed is
believed only of servers that the operator declares trusted, because the AD bit
crosses the network unprotected (RFC 3655 §3).

Invariants:

1. NXDOMAIN, no such records, and no answer are three different things
   (`NoSuchDomain`, an empty `Answer`, `LookupFailed`): a bounce, an implicit
   MX, or another attempt follow from them.
2. The same question asked by many at once is asked once; whoever stops waiting
   takes nothing away from the others.
3. The cache holds no more than `DnsLimits.entries`, and nothing longer than
   its records allow.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.reversename
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from mailhub.mail.address import is_ip_address
from mailhub.net.dnswire import PATIENCE, PORT, DnsWire, Message, Server
from mailhub.policy.limits import DnsLimits, DnsPatience
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa

CHAIN_LIMIT: Final = 8
"""CNAMEs that we follow by asking again; dnspython follows 16 inside one answer."""


DNS_LIMITS: Final = DnsLimits()


@dataclass(frozen=True, slots=True)
class _Found:
    """What a question came to.

    Attributes:
        records: As `_READERS` read them; None for NXDOMAIN.
        problem: Why there is no answer; ``""`` if there is.
    """

    records: tuple[Any, ...] | None
    authentic: bool = False
    problem: str = ""


@dataclass(slots=True)
class _Entry:
    found: _Found
    expires: float


@dataclass(frozen=True, slots=True)
class Overrides:
    """Names that are not looked up, for the demo and for tests.

    Attributes:
        hosts: Addresses by host name.
        exchanges: MX records by domain; ``*`` for every domain that is in
            neither mapping.
    """

    hosts: Mapping[str, Sequence[str]] = field(default_factory=dict)
    exchanges: Mapping[str, Sequence[Mx]] = field(default_factory=dict)

    def mx(self, domain: str) -> tuple[Mx, ...] | None:
        """The domain's exchanges; None if they must be looked up."""
        if domain in self.exchanges:
            return tuple(self.exchanges[domain])
        if domain in self.hosts:
            return ()
        every = self.exchanges.get("*")
        return None if every is None else tuple(every)


NO_OVERRIDES: Final = Overrides()

_LOCALHOST: Final = ("127.0.0.1", "::1")


class DnsResolver:
    """Implements `ports.resolver.Resolver`."""

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[Server],
        random_id: Callable[[], int],
        *,
        trusted: bool = False,
        overrides: Overrides = NO_OVERRIDES,
        limits: DnsLimits = DNS_LIMITS,
        patience: DnsPatience = PATIENCE,
    ) -> None:
        """Nothing is asked before somebody asks.

        `random_id` gives numbers below 65536 that nobody can guess, such as
        ``lambda: secrets.randbelow(65536)``. `trusted` says that the servers
        validate DNSSEC and that nobody sits between them and us.
        """
        self._clock: IReactorTime = reactor
        self._wire = DnsWire(reactor, servers, random_id, patience)
        self._trusted = trusted
        self._overrides = overrides
        self._limits = limits
        self._cache: OrderedDict[_Key, _Entry] = OrderedDict()
        self._asked: dict[_Key, list[Deferred[_Found]]] = {}

    async def mx(self, domain: str) -> Answer[Mx]:
        """The MX records of a domain. Raises as `ports.resolver.Resolver` says."""
        given = self._overrides.mx(domain)
        if given is not None:
            return Answer(given)
        found = await self._find(domain, dns.rdatatype.MX)
        return _answer(found)

    async def addresses(self, host: str) -> Answer[str]:
        """The IPv4 and IPv6 addresses of a host; an address is its own.

        Raises:
            NoSuchDomain: Neither family knows the name.
            LookupFailed: One family cannot be asked, and the other has none.
        """
        if is_ip_address(host):
            return Answer((host,))
        if host in self._overrides.hosts:
            return Answer(tuple(self._overrides.hosts[host]))
        if host == "localhost" or host.endswith(".localhost"):
            return Answer(_LOCALHOST)  # RFC 6761 §6.3
        kinds = (dns.rdatatype.AAAA, dns.rdatatype.A)
        return _merged(await self._both(*(self._find(host, kind) for kind in kinds)))

    async def txt(self, name: str) -> Answer[bytes]:
        """The TXT records of a name, each with its strings joined."""
        found = await self._find(name, dns.rdatatype.TXT)
        return _answer(found)

    async def ptr(self, address: str) -> Answer[str]:
        """The host names of an IP address."""
        name = dns.reversename.from_address(address)
        found = await self._find(name.to_text(omit_final_dot=True), dns.rdatatype.PTR)
        return _answer(found)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """The TLSA records of a name."""
        found = await self._find(name, dns.rdatatype.TLSA)
        return _answer(found)

    # ---- Questions -------------------------------------------------------------------------

    async def _both(self, *work: Coroutine[Any, Any, _Found]) -> list[_Found]:
        """Ask several things at once; whoever is called off meanwhile is told nothing."""
        asked = [Deferred.fromCoroutine(each) for each in work]
        return [await each for each in asked]

    async def _find(self, name: str, kind: dns.rdatatype.RdataType) -> _Found:
        key = (name.lower().rstrip("."), kind)
        entry = self._cache.get(key)
        if entry is not None:
            if entry.expires > self._clock.seconds():
                return entry.found
            del self._cache[key]
        waiting: Deferred[_Found] = Deferred()
        others = self._asked.get(key)
        if others is not None:
            others.append(waiting)
        else:
            self._asked[key] = [waiting]
            Deferred.fromCoroutine(self._settle(key))
        return await waiting

    async def _settle(self, key: _Key) -> None:
        """Answer everybody who waits for this question. Never raises."""
        try:
            found, ttl = await self._ask(*key)
        except LookupFailed as failure:
            found, ttl = _Found((), problem=str(failure)), self._limits.failure
        except Exception as error:  # a message that trips dnspython: nobody may wait for ever
            found, ttl = _Found((), problem=f"unreadable: {error!r}"), self._limits.failure
        self._remember(key, found, ttl)
        for waiting in self._asked.pop(key):
            if not waiting.called:
                waiting.callback(found)

    async def _ask(self, name: str, kind: dns.rdatatype.RdataType) -> tuple[_Found, float]:
        """Ask, following CNAMEs that lead out of an answer; return what was found, and its TTL.

        Raises:
            LookupFailed: No answer, or a chain that does not end.
        """
        try:
            target = dns.name.from_text(name)
        except dns.exception.DNSException:
            return _Found(None), 0  # no name can be like this: an empty or too long label
        authentic, longest = True, self._limits.longest
        for _ in range(CHAIN_LIMIT):
            message = await self._wire.ask(target, kind)
            try:
                chain = message.resolve_chaining()  # type: ignore[attr-defined]  # a QueryMessage
            except dns.exception.DNSException as error:
                raise LookupFailed(f"unusable answer: {error}") from None
            authentic &= self._trusted and bool(message.flags & dns.flags.AD)
            longest = min(longest, chain.minimum_ttl)
            if chain.answer is not None:
                records = tuple(_READERS[kind](record) for record in chain.answer)
                return _Found(records, authentic), longest
            if message.rcode() == dns.rcode.NXDOMAIN:
                return _Found(None, authentic), self._negative(message, longest)
            if chain.canonical_name == target or _has_soa(message):
                return _Found((), authentic), self._negative(message, longest)
            target = chain.canonical_name  # the server did not follow the alias: we do
        raise LookupFailed("a chain of aliases without end")

    def _negative(self, message: Message, ttl: float) -> float:
        """How long "no" may be remembered: not at all without SOA (RFC 2308 §5)."""
        return min(ttl, self._limits.negative) if _has_soa(message) else 0

    def _remember(self, key: _Key, found: _Found, ttl: float) -> None:
        if ttl <= 0:
            return
        self._cache[key] = _Entry(found, self._clock.seconds() + ttl)
        if len(self._cache) > self._limits.entries:
            self._cache.popitem(last=False)  # the oldest: it would expire first, more or less


_Key = tuple[str, dns.rdatatype.RdataType]


def _answer(found: _Found) -> Answer[Any]:
    if found.problem:
        raise LookupFailed(found.problem)
    if found.records is None:
        raise NoSuchDomain
    return Answer(found.records, found.authentic)


def _merged(families: Sequence[_Found]) -> Answer[str]:
    records = [address for found in families for address in found.records or ()]
    if not records:
        problems = [found.problem for found in families if found.problem]
        if problems:
            raise LookupFailed(problems[0])
        if all(found.records is None for found in families):
            raise NoSuchDomain
    # A family that cannot be asked gives no records to doubt. Were the others doubted for it,
    # whoever suppresses one answer could suppress DANE with it (RFC 7672 §2.1.2).
    authentic = all(found.authentic for found in families if not found.problem)
    return Answer(tuple(records), authentic)


def _has_soa(message: Message) -> bool:
    return any(rrset.rdtype == dns.rdatatype.SOA for rrset in message.authority)


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if len(name) > 1 else ""


_READERS: Final[Mapping[dns.rdatatype.RdataType, Callable[[Any], Any]]] = {
    dns.rdatatype.A: lambda it: it.address,
    dns.rdatatype.AAAA: lambda it: it.address,
    dns.rdatatype.MX: lambda it: Mx(it.preference, _host(it.exchange)),
    dns.rdatatype.TXT: lambda it: b"".join(it.strings),
    dns.rdatatype.PTR: lambda it: _host(it.target),
    dns.rdatatype.TLSA: lambda it: Tlsa(it.usage, it.selector, it.mtype, it.cert),
}
"""From dnspython's record data to ours, done once for each answer."""


def name_servers(text: str) -> tuple[Server, ...]:
    """The servers that the text of an ``/etc/resolv.conf`` names; this machine if it names none."""
    found = tuple((address, PORT) for address in _nameserver_lines(text.splitlines()))
    return found or (("127.0.0.1", PORT),)


def _nameserver_lines(lines: Iterable[str]) -> Iterable[str]:
    for line in lines:
        words = line.split()
        if (
            len(words) >= 2
            and words[0] == "nameserver"
            and is_ip_address(words[1].partition("%")[0])
        ):
            yield words[1]
