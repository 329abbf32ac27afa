"""The world's DNS: records, what is wrong with them, and the resolver that a host is handed.

Invariants:

1. Answers are a function of the records and the moment: nothing is drawn by lot.
2. A resolver keeps what it was told for the record's time to live, as a real one does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from twisted.internet.task import deferLater

from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.sim.clock import Ground

if TYPE_CHECKING:
    from mailhub.sim.network import Host

T = TypeVar("T")

TTL: Final = 3600.0
"""Seconds that an answer is kept."""
NEGATIVE_TTL: Final = 300.0
FAILED_TTL: Final = 5.0
"""Seconds before the same is asked again after a failure (RFC 2308 §7)."""
TIMEOUT: Final = 12.0
"""Seconds that a resolver waits for servers that say nothing: as `DnsPatience` says."""


class Fault(Enum):
    """What may be wrong with a zone."""

    TIMEOUT = "timeout"
    """Its servers say nothing."""
    SERVFAIL = "servfail"
    """Its servers, or the validating resolver, cannot answer."""
    NXDOMAIN = "nxdomain"
    """Its servers say that there is no such name, whatever the zone holds."""
    EMPTY = "empty"
    """They say that there are no such records."""
    BOGUS = "bogus"
    """Its signatures do not fit: a validating resolver says SERVFAIL, another believes it."""


@dataclass(slots=True)
class Zone:
    """How a domain, and the names below it that have no zone of their own, are answered for.

    Attributes:
        secure: Signed, with an unbroken chain of trust.
        faults: What is wrong with it, and from when to when.
        lies: Records that somebody on the way puts in place of those that are true.
        ttl: Seconds for which its answers may be kept.
    """

    secure: bool = False
    faults: list[tuple[Fault, float, float]] = field(default_factory=list)
    lies: dict[tuple[str, str], list[Any]] = field(default_factory=dict)
    ttl: float = TTL

    def fault(self, now: float) -> Fault | None:
        """What is wrong with it now."""
        return next((what for what, start, end in self.faults if start <= now < end), None)


class Names(Ground):
    """All names of a world, and what they stand for."""

    def __init__(self) -> None:
        self._zones: dict[str, Zone] = {}
        self._records: dict[tuple[str, str], list[Any]] = {}
        self._names: set[str] = set()
        self._wild: dict[str, list[Mx]] = {}

    def zone(self, domain: str) -> Zone:
        """The zone of a domain, made if need be."""
        return self._zones.setdefault(domain, Zone())

    def mail(self, domain: str, *hosts: str, preference: int = 10) -> None:
        """Let these hosts take a domain's mail, each preferred less than the one before.

        ``*.example`` is every name below it that is not there, ``*`` every name of all.
        """
        found = [Mx(preference * (place + 1), host) for place, host in enumerate(hosts)]
        if domain.startswith("*"):
            self._wild[domain.removeprefix("*").removeprefix(".")] = found
        else:
            self.add("mx", domain, *found)

    def host(self, name: str, *addresses: str) -> None:
        """Give a host a name, both ways."""
        self.add("addresses", name, *addresses)
        for address in addresses:
            self.add("ptr", address, name)

    def add(self, kind: str, name: str, *records: Any) -> None:
        """Add records; the kind is the resolver's method: ``mx addresses txt ptr tlsa``."""
        self._names.add(name)
        self._records.setdefault((kind, name), []).extend(records)

    def records(self, kind: str, name: str) -> list[Any] | None:
        """The records of a name; None if it does not exist."""
        if name in self._names:
            return list(self._records.get((kind, name), ()))
        return self._wildcard(name) if kind == "mx" else None

    def _wildcard(self, name: str) -> list[Any] | None:
        while name:
            name = name.partition(".")[2]
            if name in self._wild:
                return list(self._wild[name])
        return None

    def holder(self, name: str) -> Zone:
        """The zone that a name is in."""
        while name:
            if name in self._zones:
                return self._zones[name]
            name = name.partition(".")[2]
        return _ORDINARY


_ORDINARY: Final = Zone()
"""The zone of names about which there is nothing to say."""


class SimResolver:
    """A `ports.resolver.Resolver` for one host.

    `trusted` makes it a validating one, whose word on authenticity is believed.
    """

    def __init__(self, host: Host, names: Names, *, trusted: bool = False) -> None:
        self._host = host
        self._names = names
        self._trusted = trusted
        self._cache: dict[tuple[str, str], tuple[float, Any]] = {}
        self._reactor = host.reactor

    async def mx(self, domain: str) -> Answer[Mx]:
        """See `ports.resolver.Resolver`, here and below."""
        return await self._ask("mx", domain)

    async def addresses(self, host: str) -> Answer[str]:
        return await self._ask("addresses", host)

    async def txt(self, name: str) -> Answer[bytes]:
        return await self._ask("txt", name)

    async def ptr(self, address: str) -> Answer[str]:
        return await self._ask("ptr", address)

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return await self._ask("tlsa", name)

    async def _ask(self, kind: str, name: str) -> Answer[Any]:
        name = name.lower().rstrip(".")
        now = self._reactor.seconds()
        kept = self._cache.get((kind, name))
        if kept is None or kept[0] <= now:
            kept = await self._look(kind, name)
        answer: Answer[Any] | Exception = kept[1]
        if isinstance(answer, Exception):
            raise type(answer)(*answer.args)
        return answer

    async def _look(self, kind: str, name: str) -> tuple[float, Any]:
        zone = self._names.holder(name)
        fault = zone.fault(self._reactor.seconds())
        wait = TIMEOUT if fault is Fault.TIMEOUT else 2 * self._host.link.latency
        await deferLater(self._reactor, wait)
        answer, kept = self._answer(kind, name, zone, fault)
        now = self._reactor.seconds()
        told = type(answer).__name__ if isinstance(answer, Exception) else len(answer.records)
        self._host.network.trace.note(now, f"{self._host.name} looked up {kind} {name}: {told}")
        self._cache[kind, name] = found = (now + kept, answer)
        return found

    def _answer(
        self, kind: str, name: str, zone: Zone, fault: Fault | None
    ) -> tuple[Answer[Any] | Exception, float]:
        """An answer, or why there is none; and the seconds to keep that."""
        if fault is Fault.TIMEOUT:
            return LookupFailed("no answer"), FAILED_TTL
        lie = zone.lies.get((kind, name))
        authentic = self._trusted and zone.secure
        # A validating resolver does not pass on what its signature does not fit.
        bogus = (fault is Fault.BOGUS and self._trusted) or (authentic and lie is not None)
        if fault is Fault.SERVFAIL or bogus:
            return LookupFailed("the name server failed"), FAILED_TTL
        records = self._names.records(kind, name) if lie is None else lie
        if fault is Fault.NXDOMAIN or records is None:
            return NoSuchDomain(name), NEGATIVE_TTL
        return Answer(() if fault is Fault.EMPTY else tuple(records), authentic), zone.ttl
