"""Finds out what domains and hosts demand of the TLS to them: DANE's records, MTA-STS policies.

A policy is fetched when its domain's record shows another id than the one we
have, by one for all who wait. Who waits too long goes on with the policy that is
kept, if it holds; a policy that cannot be fetched is none (RFC 8461 §5.1), unless
one was kept: that holds until it expires, so that an attacker gains nothing by
blocking the web.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailhub.mail.address import is_ip_address
from mailhub.mail.reply import Refusal
from mailhub.policy.limits import ProtectionLimits
from mailhub.policy.protection import NOTHING, Assurance, Protection
from mailhub.policy.route import Exchange, TlsDemand
from mailhub.policy.sts import SIZE_LIMIT, BadPolicy, Mode, parse_policy, record_id
from mailhub.policy.tlsrpt import Contact, Fault
from mailhub.ports.resolver import LookupFailed, NoSuchDomain, Tlsa
from mailhub.ports.web import FetchFailed, Web
from mailhub.queue.assurances import Kept
from mailhub.relay.names import Names

WELL_KNOWN: Final = "/.well-known/mta-sts.txt"
RENEWAL: Final = 0.5
"""Share of its life after which a policy is fetched again though its id is the same."""
RETRY: Final = 300.0
"""Seconds before a policy that could not be fetched is asked for again (RFC 8461 §3.3)."""
OFFER_KEPT: Final = 86_400.0
"""Seconds for which it is not written again that a host offers TLS."""


class Witness(Protocol):
    """Wants to know what came of each connection; `relay.tlsreporter` is one."""

    def connected(self, contact: Contact) -> None:
        """See `relay.tlsreporter`."""


class Memory(Protocol):
    """What was learnt before; `queue.assurances` is one. Each method may raise `OSError`."""

    def policy(self, domain: str) -> Kept | None: ...
    def keep(self, domain: str, kept: Kept) -> None: ...
    def offered(self, host: str) -> float | None: ...
    def offers(self, host: str, now: float) -> None: ...
    def forget(self, host: str) -> None: ...


@dataclass(slots=True)
class _Fetch:
    """A policy on its way, or the failure to get it.

    Attributes:
        waiting: Those who wait for it; None once it has ended.
        failed: When, in seconds since the epoch.
    """

    id: str
    waiting: list[Deferred[None]] | None
    failed: float = 0.0
    fault: str = ""


class Protector:
    """For all of a hub's deliveries.

    Attributes:
        limits: May be replaced.
    """

    _log = Logger()

    def __init__(
        self,
        memory: Memory,
        web: Web,
        clock: IReactorTime,
        time: Callable[[], float],
        limits: ProtectionLimits,
        reporter: Witness,
        news: Callable[[str, str], None],
    ) -> None:
        self.limits = limits
        self._reporter = reporter
        self._news = news
        self._kept = memory
        self._web = web
        self._clock = clock
        self._time = time
        self._fetches: dict[str, _Fetch] = {}

    # ---- Of a domain -----------------------------------------------------------------------

    async def of_domain(self, domain: str, names: Names, *, authentic: bool) -> Assurance:
        """What is known of a domain's exchanges, whose names came `authentic` or not."""
        sts = await self._policy(domain, names) if self.limits.sts else None
        policy = None if sts is None or sts.policy.mode is Mode.NONE else sts.policy
        return Assurance(authentic, policy) if authentic or policy else NOTHING

    async def _policy(self, domain: str, names: Names) -> Kept | None:
        kept = self._read(domain)
        if kept is not None and not kept.holds(self._time()):
            kept = None
        try:
            found = record_id((await names.txt(f"_mta-sts.{domain}")).records)
        except NoSuchDomain:
            found = None
        except LookupFailed:
            return kept
        if found is None:
            # No record is no reason to drop a policy that holds (RFC 8461 §5.1).
            return kept
        if kept is None or kept.id != found:
            await self._fetched(domain, found)
            return self._read(domain) or kept
        if self._time() > kept.fetched + kept.policy.max_age * RENEWAL:
            self._begin(domain, found)
        return kept

    async def _fetched(self, domain: str, record: str) -> None:
        """Wait until a policy was fetched, or for as long as our patience lasts."""
        fetch = self._begin(domain, record)
        if fetch.waiting is None:
            return
        turn: Deferred[None] = Deferred()
        turn.addTimeout(self.limits.patience, self._clock, lambda *_: None)
        fetch.waiting.append(turn)
        await turn

    def _begin(self, domain: str, record: str) -> _Fetch:
        """Have a policy fetched, unless that is being done or has failed a moment ago."""
        fetch = self._fetches.get(domain)
        if fetch is not None and (
            fetch.waiting is not None
            or (fetch.id == record and self._time() < fetch.failed + RETRY)
        ):
            return fetch
        fetch = self._fetches[domain] = _Fetch(record, [])
        work = Deferred.fromCoroutine(self._fetch(domain, fetch))
        work.addErrback(lambda why: self._log.failure("fetching an MTA-STS policy failed", why))
        return fetch

    async def _fetch(self, domain: str, fetch: _Fetch) -> None:
        try:
            text = await self._web.get(f"mta-sts.{domain}", WELL_KNOWN, SIZE_LIMIT)
            self._keep(domain, Kept(fetch.id, parse_policy(text), self._time()))
            self._forget(domain, fetch)
        except (FetchFailed, BadPolicy) as error:
            fetch.failed, fetch.fault = self._time(), str(error)
            self._missed(domain, _sts_fault(error), fetch.fault)
            self._log.info("no MTA-STS policy of {domain}: {why}", domain=domain, why=fetch.fault)
        finally:
            waiting, fetch.waiting = fetch.waiting or [], None
            for turn in waiting:
                if not turn.called:
                    turn.callback(None)
        if len(self._fetches) > self.limits.failures:
            self._fetches.pop(next(iter(self._fetches)))

    def _forget(self, domain: str, fetch: _Fetch) -> None:
        """It has ended well; another may have taken its place, where there were too many."""
        if self._fetches.get(domain) is fetch:
            del self._fetches[domain]

    def _read(self, domain: str) -> Kept | None:
        try:
            return self._kept.policy(domain)
        except OSError as error:
            self._log.error("MTA-STS policies cannot be read: {why}", why=error)
            return None

    def _keep(self, domain: str, kept: Kept) -> None:
        try:
            self._kept.keep(domain, kept)
        except OSError as error:
            self._log.error("an MTA-STS policy cannot be kept: {why}", why=error)

    # ---- Of a host -------------------------------------------------------------------------

    async def records(
        self, host: str, hop: Exchange, names: Names, assurance: Assurance
    ) -> tuple[Tlsa, ...]:
        """An exchange's TLSA records, where they can be believed (RFC 7672 §2.2).

        Raises:
            Refusal: They cannot be had, and so the host cannot be used now: somebody
                may be suppressing them (RFC 7672 §2.1.2).
        """
        if not self.limits.dane or not assurance.authentic or is_ip_address(host):
            return ()
        try:
            addresses = await names.addresses(host)
        except NoSuchDomain:
            return ()  # whoever wants to connect finds out
        except LookupFailed as failure:
            # Not to be left to whoever asks next: an answer then would be one without records.
            words = f"Looking up {host} failed: {failure}"
            raise Refusal(451, "4.3", words) from None
        if not addresses.authentic:
            return ()
        try:
            answer = await names.tlsa(f"_{hop.port}._tcp.{host}")
        except NoSuchDomain:
            return ()
        except LookupFailed as failure:
            self._missed(hop.domain, Fault.DNSSEC, str(failure), host)
            words = f"Looking up the TLSA records of {host} failed: {failure}"
            raise Refusal(451, "7.5", words) from None
        return answer.records if answer.authentic else ()

    # ---- What came of it -------------------------------------------------------------------

    def connected(self, contact: Contact) -> None:
        """A connection has come as far as TLS, or failed to."""
        self._reporter.connected(contact)
        host = contact.host
        if contact.certificate:
            self._offers(host)
        elif contact.fault is Fault.NOT_OFFERED and self._offered(host):
            self._news(
                f"{host} offers no TLS any more",
                f"{host} [{contact.address}] used to offer TLS, and now it does not. Mail to"
                f" {contact.domain} goes there in the clear, unless you demand TLS of it. Somebody"
                " on the way may be hiding the offer.",
            )

    def _missed(self, domain: str, fault: Fault, words: str, host: str = "") -> None:
        """There was no finding out what a domain demands."""
        needed = Protection(TlsDemand.OPPORTUNISTIC)
        contact = Contact(domain, NOTHING, needed, fault=fault, host=host, words=words)
        self._reporter.connected(contact)

    def _offers(self, host: str) -> None:
        """Expect TLS of a host from now on."""
        try:
            seen = self._kept.offered(host)
            if seen is None or self._time() > seen + OFFER_KEPT:
                self._kept.offers(host, self._time())
        except OSError as error:
            self._log.error("what hosts offer cannot be kept: {why}", why=error)

    def _offered(self, host: str) -> bool:
        """Whether TLS was expected of a host, which it is no more."""
        try:
            seen = self._kept.offered(host)
            if seen is not None:
                self._kept.forget(host)
        except OSError as error:
            self._log.error("what hosts offered cannot be read: {why}", why=error)
            return False
        return seen is not None


def _sts_fault(error: FetchFailed | BadPolicy) -> Fault:
    if isinstance(error, BadPolicy):
        return Fault.STS_INVALID
    return Fault.STS_WEBPKI if error.untrusted else Fault.STS_FETCH
