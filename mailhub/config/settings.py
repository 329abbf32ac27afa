"""What a configuration says: frozen values, each with its default.

Whatever a package obeys is a value of that package, with that package's
defaults (`smtp.limits.Limits`, `policy.retry.Schedule` …); what belongs to the
hub as a whole is here. ``Settings()`` is the hub that an empty file describes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mailhub.accounts.login import LoginLimits
from mailhub.config import provider, replies, words
from mailhub.config.endpoint import Endpoint
from mailhub.config.origin import Origins
from mailhub.config.values import CertificateFiles, Network
from mailhub.imap.settings import Limits as Imap
from mailhub.mail.address import Path
from mailhub.policy.access import Rules as Access
from mailhub.policy.alias import Rules as Aliases
from mailhub.policy.allowance import SHIPPED as ALLOWANCES
from mailhub.policy.allowance import Allowance
from mailhub.policy.classify import Rule
from mailhub.policy.limits import (
    DnsLimits,
    DnsPatience,
    IntakeLimits,
    JournalLimits,
    JourneyLimits,
    LocalLimits,
    PoolLimits,
    ProtectionLimits,
    RemoteLimits,
    RunnerLimits,
)
from mailhub.policy.provider import Provider, Source
from mailhub.policy.queueclass import Classes, Schedules
from mailhub.policy.retry import Schedule
from mailhub.policy.route import SMTP_PORT, Route, TlsDemand
from mailhub.policy.suppression import Suppression
from mailhub.policy.ways import BACKUP_PREFIX, Ways
from mailhub.pop3.settings import Limits as Pop3
from mailhub.queue.dsn import Limits as Bounce
from mailhub.queue.words import Words
from mailhub.smtp.limits import Limits as Smtp
from mailhub.smtp.wire import Timeouts
from mailhub.store.limits import Limits as Store

STATE: Final = "/var/lib/mailhub"
"""Where systemd's StateDirectory= puts it too."""


@dataclass(frozen=True, slots=True)
class Hub:
    """The hub itself, and the places in its state directory.

    Attributes:
        hostname: Its name in greetings, EHLO, Received and certificates;
            ``""`` only in `Settings()`, before the machine was asked.
        state: The state directory.
        postmaster: Whom bounces name for help; nobody, if None.
    """

    hostname: str = ""
    state: str = STATE
    postmaster: Path | None = None

    @property
    def accounts(self) -> str:
        """The database of domains, accounts and aliases."""
        return f"{self.state}/accounts.db"

    @property
    def spool(self) -> str:
        """The directory of accepted mail that is not settled."""
        return f"{self.state}/spool"

    @property
    def tls(self) -> str:
        """The directory of certificates that the hub made itself."""
        return f"{self.state}/tls"

    @property
    def control(self) -> str:
        """The Unix socket on which the command line speaks to the running hub."""
        return f"{self.state}/control"


@dataclass(frozen=True, slots=True)
class Listen:
    """Where each service listens; nowhere is allowed.

    Attributes:
        smtp: Mail from other hosts.
        submission: Mail from our own users, STARTTLS (RFC 6409).
        submissions: The same under TLS from the first octet (RFC 8314).
        connections: Of all services together.
        connections_per_address: Of one IP address, or IPv6 /64.
        backlog: Connections that may wait for us to accept them.
    """

    smtp: tuple[Endpoint, ...] = (Endpoint("", 25),)
    submission: tuple[Endpoint, ...] = (Endpoint("", 587),)
    submissions: tuple[Endpoint, ...] = (Endpoint("", 465),)
    imap: tuple[Endpoint, ...] = (Endpoint("", 143),)
    imaps: tuple[Endpoint, ...] = (Endpoint("", 993),)
    pop3: tuple[Endpoint, ...] = (Endpoint("", 110),)
    pop3s: tuple[Endpoint, ...] = (Endpoint("", 995),)
    connections: int = 20_000
    connections_per_address: int = 100
    backlog: int = 1024

    def all(self) -> dict[str, tuple[Endpoint, ...]]:
        """Every service with its endpoints."""
        return {name: getattr(self, name) for name in SERVICES}


SERVICES: Final = ("smtp", "submission", "submissions", "imap", "imaps", "pop3", "pop3s")
IMPLICIT: Final = frozenset({"submissions", "imaps", "pop3s"})
"""Services that speak TLS from the first octet (RFC 8314 §3)."""
LOGINS: Final = tuple(name for name in SERVICES if name != "smtp")
"""Services that somebody must log in to."""


@dataclass(frozen=True, slots=True)
class Tls:
    """Our certificates, and what we speak with them.

    Attributes:
        certificates: The first is for clients that name no host; empty for one
            that signs itself.
        minimum: ``1.2`` or ``1.3``.
        ciphers: Of TLS 1.2, as OpenSSL names them; ``""`` for the hub's choice.
        offered: Whether there is TLS at all.
    """

    certificates: tuple[CertificateFiles, ...] = ()
    minimum: str = "1.2"
    ciphers: str = ""
    offered: bool = True


@dataclass(frozen=True, slots=True)
class Relay:
    """Handing mail on to other hosts.

    Attributes:
        tls: What exchanges must offer; a route may say otherwise.
        port: Where exchanges listen.
        authorities: A file of certificates that are trusted besides the
            machine's own authorities; ``""`` for none.
        sources: Names of those to send from, where a provider has none of its own.
        known: Large providers are known without a section.
        replies: A file with a table of replies; ``""`` for none.
        tls_reports: Domains that want it hear what came of the TLS to them.
    """

    tls: TlsDemand = TlsDemand.OPPORTUNISTIC
    port: int = SMTP_PORT
    authorities: str = ""
    sources: tuple[str, ...] = ()
    known: bool = True
    replies: str = ""
    tls_reports: bool = False
    pool: PoolLimits = field(default_factory=PoolLimits)
    reach: RemoteLimits = field(default_factory=RemoteLimits)
    protection: ProtectionLimits = field(default_factory=ProtectionLimits)
    patience: Timeouts = field(default_factory=Timeouts)


@dataclass(frozen=True, slots=True)
class Dns:
    """Where names are looked up.

    Attributes:
        servers: Address and port of each; empty for the machine's own.
        trusted: They validate DNSSEC, and nobody sits between them and us.
    """

    servers: tuple[tuple[str, int], ...] = ()
    trusted: bool = False
    cache: DnsLimits = field(default_factory=DnsLimits)
    patience: DnsPatience = field(default_factory=DnsPatience)


@dataclass(frozen=True, slots=True)
class Settings:
    """All of it.

    Attributes:
        normalise: Peers whose bare CR and LF are mended (`smtp.limits.Site`).
        others: What the names of other users' mailboxes begin with, to those with whom they are
            shared; empty shares nothing.
        plaintext_on_loopback: Clients on this machine may send passwords in the clear.
        origins: Where each value stands in the file.
        replies: What other hosts mean by their replies, in order: the first rule that fits.
        double_bounces: The postmaster is told of failures whose sender cannot be.
        bounce_language: Of notices to senders of whom nothing is known.
        bounce_words: A directory of files for further languages; ``""`` for none.
        words: The languages that there are, by their tags.
    """

    hub: Hub = Hub()
    listen: Listen = Listen()
    tls: Tls = Tls()
    auth: LoginLimits = field(default_factory=LoginLimits)
    plaintext_on_loopback: bool = False
    access: Access = field(default_factory=Access)
    smtp: Smtp = field(default_factory=Smtp)
    submission: Smtp = field(default_factory=Smtp)
    normalise: tuple[Network, ...] = ()
    intake: IntakeLimits = field(default_factory=IntakeLimits)
    journal: JournalLimits = field(default_factory=JournalLimits)
    journey: JourneyLimits = field(default_factory=JourneyLimits)
    local: LocalLimits = field(default_factory=LocalLimits)
    imap: Imap = field(default_factory=Imap)
    pop3: Pop3 = field(default_factory=Pop3)
    store: Store = field(default_factory=Store)
    others: str = "Other Users"
    schedule: Schedule = field(default_factory=Schedule)
    runner: RunnerLimits = field(default_factory=RunnerLimits)
    bounce: Bounce = field(default_factory=Bounce)
    relay: Relay = field(default_factory=Relay)
    dns: Dns = Dns()
    routes: tuple[Route, ...] = ()
    classes: Classes = field(default_factory=Classes)
    allowances: tuple[Allowance, ...] = ALLOWANCES
    suppression: Suppression = field(default_factory=Suppression)
    origins: Origins = field(default_factory=Origins, compare=False)
    providers: tuple[Provider, ...] = field(default_factory=provider.known)
    sources: tuple[Source, ...] = ()
    replies: tuple[Rule, ...] = field(default_factory=replies.known)
    double_bounces: bool = False
    bounce_language: str = words.USUAL
    bounce_words: str = ""
    words: Mapping[str, Words] = field(default_factory=words.shipped)

    def schedules(self) -> Schedules:
        """How long and how often mail is tried, by class, provider and route."""
        ways = {it.name: it.wishes for it in self.routes}
        ways |= {f"{BACKUP_PREFIX}{it.name}": it.wishes for it in self.access.backups}
        providers = {it.name: it.wishes for it in self.providers if it.wishes.values}
        return Schedules(self.schedule, self.classes, ways, providers)

    def ways(self) -> Ways:
        """Where mail goes, and why."""
        return Ways(self.routes, self.access.backups, self.relay.port, self.relay.tls)

    @property
    def told_of_double_bounces(self) -> Path | None:
        """Who is told of failures whose sender cannot be, if somebody is."""
        return self.hub.postmaster if self.double_bounces else None

    @property
    def aliases(self) -> Aliases:
        """How addresses are expanded."""
        return self.access.aliases
