"""Finds out what a domain demands of TLS as deliveries do, and keeps nothing of it.

It is `relay.protector` that asks and decides, with a memory that reads what the
hub has kept and writes nothing, and for a witness somebody who only listens.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime

from mailhub.mail.address import is_ip_address
from mailhub.mail.reply import Refusal
from mailhub.policy.dane import Standing, standing, usable
from mailhub.policy.limits import ProtectionLimits
from mailhub.policy.protection import NOTHING, Assurance, enforced, protection
from mailhub.policy.route import Exchange, TlsDemand
from mailhub.policy.rule import Rule
from mailhub.policy.sts import Mode
from mailhub.policy.tlsrpt import Contact
from mailhub.policy.verdict import Verdict
from mailhub.ports.resolver import Tlsa
from mailhub.ports.web import Web
from mailhub.queue.assurances import Kept
from mailhub.relay.names import Names
from mailhub.relay.protector import Protector

TRUST: Final = Rule("dns", "trusted")
DANE: Final = Rule("relay", "dane")
STS: Final = Rule("relay", "mta-sts")


class Recollection(Protocol):
    """What may be read of a hub's memory: see `queue.assurances`."""

    def policy(self, domain: str) -> Kept | None: ...
    def offered(self, host: str) -> float | None: ...


class _Memory:
    """Implements `protector.Memory`: what was kept on disk, and what is learnt in here alone."""

    def __init__(self, kept: Recollection | None) -> None:
        self._kept = kept
        self._fetched: dict[str, Kept] = {}

    def policy(self, domain: str) -> Kept | None:
        if domain in self._fetched or self._kept is None:
            return self._fetched.get(domain)
        return self._kept.policy(domain)

    def fresh(self, domain: str) -> bool:
        """Whether a policy was fetched just now."""
        return domain in self._fetched

    def keep(self, domain: str, kept: Kept) -> None:
        self._fetched[domain] = kept

    def offered(self, host: str) -> float | None:
        return None if self._kept is None else self._kept.offered(host)

    def offers(self, host: str, now: float) -> None:
        pass

    def forget(self, host: str) -> None:
        pass


class Scout:
    """For the deliveries of one explanation.

    Args:
        kept: What the hub has learnt before, if anything can be read of it.
        trusted: What the resolver says of DNSSEC counts.
    """

    def __init__(
        self,
        kept: Recollection | None,
        web: Web,
        clock: IReactorTime,
        now: Callable[[], float],
        limits: ProtectionLimits,
        *,
        trusted: bool,
    ) -> None:
        self._memory = _Memory(kept)
        self._now = now
        self._limits = limits
        self._trusted = trusted
        self._faults: list[str] = []
        self._protector = Protector(self._memory, web, clock, now, limits, self, lambda *_: None)

    def connected(self, contact: Contact) -> None:
        """Be told of a lookup that failed (`protector.Witness`)."""
        self._faults.append(contact.words)

    # ---- Of a domain -----------------------------------------------------------------------

    async def of_domain(
        self, hop: Exchange, names: Names, *, authentic: bool
    ) -> tuple[Assurance, list[Verdict]]:
        """What is known of a domain's exchanges, and that in words."""
        if hop.tls is TlsDemand.NONE:
            return NOTHING, []
        assurance = await self._protector.of_domain(hop.domain, names, authentic=authentic)
        return assurance, [self._dnssec(hop.domain, authentic=authentic), *self._sts(hop.domain)]

    def _dnssec(self, domain: str, *, authentic: bool) -> Verdict:
        if authentic:
            return Verdict(f"DNSSEC: the exchanges of {domain} are authentic", TRUST)
        if not self._trusted:
            text = "the resolver is not trusted to check it, and so DANE does not apply"
            return Verdict(f"DNSSEC: {text}", TRUST)
        return Verdict(f"DNSSEC: {domain} is not signed, and so DANE does not apply", TRUST)

    def _sts(self, domain: str) -> Iterator[Verdict]:
        """What there is to say of a domain's MTA-STS policy."""
        if not self._limits.sts:
            yield Verdict("MTA-STS: is not asked for", STS)
            return
        for fault in self._faults:
            yield Verdict(f"MTA-STS: the policy cannot be had: {fault}", STS)
        self._faults.clear()
        kept = self._memory.policy(domain)
        yield from self.kept(domain) if kept is not None else [Verdict("MTA-STS: no policy", STS)]

    def kept(self, domain: str) -> Iterator[Verdict]:
        """The policy that is kept, in words; nothing if there is none."""
        kept, now = self._memory.policy(domain), self._now()
        if kept is None:
            return
        policy, age = kept.policy, f"fetched {_ago(now - kept.fetched)}"
        if self._memory.fresh(domain):
            age = "fetched now, and not kept by this"
        if not kept.holds(now):
            yield Verdict(f"MTA-STS: the policy {age} has expired", STS)
            return
        left = span(kept.fetched + policy.max_age - now)
        yield Verdict(f"MTA-STS: mode {policy.mode.value}, {age}, holds for {left}", STS)
        if policy.mode is not Mode.NONE:
            yield Verdict(f"MTA-STS: permits {', '.join(policy.mx)}", STS)

    # ---- Of a host -------------------------------------------------------------------------

    async def of_host(
        self,
        host: str,
        hop: Exchange,
        configured: TlsDemand,
        names: Names,
        assurance: Assurance,
        *,
        require_tls: bool,
        optional: bool,
    ) -> list[Verdict]:
        """What will be demanded of one exchange, and what makes it so."""
        told: list[Verdict] = []
        records: tuple[Tlsa, ...] = ()
        try:
            if configured is not TlsDemand.NONE and not optional:
                records = await self._protector.records(host, hop, names, assurance)
                told += self._dane(host, records, assurance)
            needed = protection(
                configured, host, assurance, records, require_tls=require_tls, optional=optional
            )
        except Refusal as refusal:
            self._faults.clear()
            told.append(Verdict(f"{host}: is not used: {refusal.reply.text}"))
            return told
        told.append(Verdict(f"{host}: {needed.demand.value}, as {needed.by.value} demands"))
        testing = assurance.sts is not None and not enforced(assurance.sts)
        if testing and assurance.sts is not None and not assurance.sts.allows(host):
            told.append(Verdict(f"{host}: not permitted by MTA-STS, which is only reported", STS))
        offered = self._memory.offered(host)
        if offered is not None and not needed.demand.mandatory:
            seen = _ago(self._now() - offered)
            words = "has offered TLS, seen"
            told.append(Verdict(f"{host}: {words} {seen}: if not, the postmaster is told"))
        return told

    def _dane(
        self, host: str, records: tuple[Tlsa, ...], assurance: Assurance
    ) -> Iterator[Verdict]:
        if not self._limits.dane:
            yield Verdict("DANE: is not asked for", DANE)
        elif assurance.authentic and not is_ip_address(host):
            match standing(records):
                case Standing.USABLE:
                    amount = len(usable(records))
                    words = f"{amount} usable TLSA record{'' if amount == 1 else 's'}"
                    yield Verdict(f"DANE: {host} has {words}", DANE)
                case Standing.UNUSABLE:
                    yield Verdict(f"DANE: {host} has TLSA records, none of them usable", DANE)
                case Standing.ABSENT:
                    yield Verdict(f"DANE: {host} has no authentic TLSA records", DANE)


def span(seconds: float) -> str:
    """A span of time, roughly: ``3 days``."""
    for unit, length in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(seconds, 0.0):.0f} seconds"


def _ago(seconds: float) -> str:
    return f"{span(seconds)} ago"
