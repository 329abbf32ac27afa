"""Builds a hub's working parts out of its settings: who is given what.

Nothing here listens, and nothing is global: everything that a part needs of the
world (reactor, dates, randomness, the machine's boot) comes in `Surroundings`,
so that the same parts run in production, in tests and in a simulation.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Protocol

from twisted.cred.portal import Portal
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailhub.accounts.database import Accounts
from mailhub.accounts.principals import Principals
from mailhub.config.settings import Settings
from mailhub.imap.structure import summary
from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.clienttls import ClientTls
from mailhub.net.dns import DnsResolver, name_servers
from mailhub.net.journal import Journal
from mailhub.net.portal import AccountChecker, AccountRealm, PortalLogins
from mailhub.net.recurring import Recurring
from mailhub.net.scribe import Scribe
from mailhub.net.web import HttpsClient
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier
from mailhub.policy.provider import Provider, Providers, Source
from mailhub.policy.repute import News
from mailhub.policy.retry import Schedule
from mailhub.policy.route import Hop
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Client
from mailhub.ports.disk import Disk
from mailhub.ports.message import Content
from mailhub.ports.resolver import Resolver
from mailhub.ports.web import Web
from mailhub.queue.assurances import Assurances
from mailhub.queue.change import Select
from mailhub.queue.flow import Flow
from mailhub.queue.ids import QueueIds
from mailhub.queue.item import Item
from mailhub.queue.journeys import Journeys
from mailhub.queue.reputes import Reputes
from mailhub.queue.spool import Spool
from mailhub.relay import maillog
from mailhub.relay.addressees import members
from mailhub.relay.allowances import Allowances
from mailhub.relay.intake import HubIntake
from mailhub.relay.ledger import SpoolLedger
from mailhub.relay.local import LocalDelivery
from mailhub.relay.operator import Operator
from mailhub.relay.pool import Pool
from mailhub.relay.protector import Protector
from mailhub.relay.providerdesk import ProviderDesk
from mailhub.relay.queuedesk import QueueDesk
from mailhub.relay.recall import forgotten
from mailhub.relay.remote import Directions, Remote
from mailhub.relay.report import Languages, Reporter
from mailhub.relay.runner import Runner
from mailhub.relay.tlsreporter import TlsReporter
from mailhub.relay.traffic import Traffic
from mailhub.sasl.server import ServerMechanisms
from mailhub.store.files import Files
from mailhub.store.reach import SharedReaches
from mailhub.store.sharing import Sharing
from mailhub.store.stores import Stores

FILE_THREADS: Final = 4
"""Threads for work on files; more would wait for the same disk."""
NONCE_OCTETS: Final = 18
"""Random octets of a SCRAM nonce."""
TOKEN_OCTETS: Final = 4
"""Random octets that tell this run's file names from those of others."""
REPORT_EVERY: Final = 7200.0
"""Seconds between two rounds of TLS reports, at least; twice as many at most."""
RESOLV_CONF: Final = "/etc/resolv.conf"


class Threads(Disk, Protocol):
    """A `ports.disk.Disk` that can be stopped."""

    async def stop(self) -> None:
        """Finish what is under way."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a hub needs of the world.

    Attributes:
        now: The date, seconds since the epoch.
        entropy: Gives so many octets that nobody can guess.
        chance: For what may be guessed: jitter, the order of equals.
        boot_id: Differs from one start of the machine to the next.
        threads: Makes a pool of so many threads, with a name.
        resolver: In place of the DNS, if there is one; ``web`` likewise, of HTTPS.
        system: The calls by which spool and store change the disk.
        both_families: Whether a socket on ``::`` takes IPv6 and IPv4.
    """

    reactor: Any
    now: Callable[[], float]
    entropy: Callable[[int], bytes]
    chance: random.Random
    boot_id: str
    threads: Callable[[int, str], Threads]
    resolver: Resolver | None = None
    web: Web | None = None
    system: Files = field(default_factory=Files)
    both_families: bool = False

    def nonce(self) -> str:
        """A nonce for SCRAM (RFC 5802 §5.1: printable, no comma)."""
        return self.entropy(NONCE_OCTETS).hex()

    def number(self, bits: int) -> int:
        """A number of so many bits that nobody can guess."""
        return int.from_bytes(self.entropy((bits + 7) // 8), "big") >> (-bits % 8)


class Parts:
    """The working parts of a hub, opened on its state directory.

    Raises:
        OSError: The state directory cannot be used.
        AccountsError: The accounts cannot be opened.
    """

    _log = Logger()

    def __init__(self, settings: Settings, world: Surroundings) -> None:
        self.settings = settings
        self.world = world
        reactor, hub = world.reactor, settings.hub
        self.accounts = Accounts(hub.accounts, settings.aliases, world.entropy, reactor.seconds)
        self.files = world.threads(FILE_THREADS, "files")
        self.writer = world.threads(1, "writer")
        self.telling = world.threads(1, "journeys")
        self.hashing = world.threads(settings.auth.hashing, "hashing")
        spool = Spool(hub.spool, connect=world.system.connect, system=world.system)
        spool.recover(world.boot_id)
        self.ids = QueueIds(world.now, world.number, spool.floor())
        self.journal = Journal(
            spool, self.writer, self.files, settings.journal, lambda: deferLater(reactor, 0)
        )
        self._presence = spool.another()  # for the thread of the journeys
        self.scribe = Scribe(
            Journeys(hub.state, now=world.now(), alive=self._presence.present),
            self.telling,
            reactor,
            world.now,
            settings.journey,
            settings.origins.told,
        )
        self.stores = Stores(
            hub.state,
            self.files,
            clock=world.now,
            host=hub.hostname,
            token=world.entropy(TOKEN_OCTETS).hex(),
            boot=world.boot_id,
            summarise=summary,
            log=lambda line: self._log.warn("{line}", line=line),
            limits=replace(settings.store, reserved=_reserved(settings)),
            files=world.system,
        )
        self.sharing = Sharing(
            self.stores,
            Principals(self.accounts),
            os.fsencode(hub.state),
            settings.others,
        )
        self.reaches = SharedReaches(self.sharing)
        self._looking = Recurring("looking at maildirs", self.sharing.look, reactor)
        self._learning = Recurring("indexing", self.stores.learn, reactor)
        self.checker = AccountChecker(
            self.accounts, self.hashing, reactor, world.entropy, settings.auth
        )
        self.portal = Portal(AccountRealm(self.accounts), [self.checker])
        self.mechanisms = ServerMechanisms(
            world.nonce, plaintext_on_loopback=settings.plaintext_on_loopback
        )
        self._open_notices()
        self._open_way_out()
        self._open_deliveries()
        self._open_intake()

    def _open_notices(self) -> None:
        """What writes to senders and to the postmaster."""
        settings, world, hub = self.settings, self.world, self.settings.hub
        self._schedules, self._ways = settings.schedules(), settings.ways()
        self.reporter = Reporter(
            hub.hostname,
            self.ids,
            world.now,
            world.number,
            lambda recipient: members(recipient, self.accounts, self.settings.aliases),
            self._schedule,
            Languages(settings.words, settings.bounce_language),
            self._cause,
            settings.bounce,
            hub.postmaster,
        )
        self.operator = Operator(
            self.journal,
            hub.hostname,
            self.ids,
            world.now,
            lambda recipient: members(recipient, self.accounts, self.settings.aliases),
            self.announce,
            hub.postmaster,
        )

    def _open_way_out(self) -> None:
        """What reaches other hosts."""
        settings, world, hub = self.settings, self.world, self.settings.hub
        self.pool = Pool(
            world.reactor,
            hub.hostname,
            ClientTls(authorities=settings.relay.authorities or None),
            world.nonce,
            limits=settings.relay.pool,
            timeouts=settings.relay.patience,
        )
        reputes = Reputes(hub.state, world.system.connect)
        self.traffic = Traffic(
            world.reactor,
            world.now,
            world.chance.random,
            self._provider_news,
            settings.relay.pool,
            memory=reputes,
            disk=self.files,
            known=reputes.load(),
        )
        resolver = world.resolver or self._resolver()
        self._open_protection(resolver)
        self.remote = Remote(
            resolver,
            self.pool,
            self.traffic,
            shuffle=world.chance.shuffle,
            time=world.now,
            ourselves=(hub.hostname,),
            listening=_listening(settings),
            limits=settings.relay.reach,
            directions=directions(settings),
            protector=self.protector,
        )

    def _open_protection(self, resolver: Resolver) -> None:
        """What knows of the encryption that other domains demand."""
        settings, world, hub = self.settings, self.world, self.settings.hub
        self.web = world.web or HttpsClient(world.reactor, resolver)
        self._assurances = Assurances(
            hub.spool, lambda line: self._log.warn("{line}", line=line), world.system.connect
        )
        self.tls_reporter = TlsReporter(
            self._assurances,
            lambda: self.remote.resolver,
            self.web,
            self.operator.post,
            hub.hostname,
            world.now,
            sending=settings.relay.tls_reports,
        )
        self._reporting = Recurring("TLS reports", self.tls_reporter.report, world.reactor)
        self.protector = Protector(
            self._assurances,
            self.web,
            world.reactor,
            world.now,
            settings.relay.protection,
            self.tls_reporter,
            self.operator.tell,
        )

    def _open_deliveries(self) -> None:
        """What brings mail into mailboxes, and out."""
        settings, world = self.settings, self.world
        filer = self.stores.filer()
        self.local = LocalDelivery(
            self.journal,
            filer,
            self.accounts.by_id,
            self.reporter,
            self.announce,
            self._wake_runner,
            world.reactor,
            world.now,
            world.chance.random,
            self._schedule,
            settings.local,
            self.scribe,
        )
        self.ledger = SpoolLedger(
            self.journal, filer, self.accounts.by_id, self.ids, world.reactor, settings.local
        )
        self.stores.ledger = self.ledger
        self.runner = Runner(
            self.journal,
            self.remote,
            self.local,
            self._route,
            self.reporter,
            self.announce,
            world.reactor,
            world.now,
            world.chance.random,
            self._schedule,
            settings.runner,
            self.scribe,
            self._verdicts,
            self._weigh,
            self._schedules.longest,
        )

    def _open_intake(self) -> None:
        """What takes mail in, and what shows where it is."""
        settings, world, hub = self.settings, self.world, self.settings.hub
        self.intake = HubIntake(
            self.journal,
            self.accounts,
            self.announce,
            self.reporter,
            hub.hostname,
            self.ids,
            world.now,
            settings.access,
            settings.intake,
            over_quota=self.stores.over_quota,
            posting=self.sharing.posting,
            patience=self.local.room,
            recorder=self.scribe,
            classes=settings.classes,
            allowances=Allowances(
                settings.allowances, self.journal.reads, world.now, self.operator.tell
            ),
        )
        self.mail = QueueDesk(
            self.reaches,
            self.scribe,
            self.journal,
            self.runner.withheld,
            world.now,
            hub.hostname,
            settings.journey,
        )
        self.desk = ProviderDesk(self.remote, world.now, self._flush)

    # ---- What parts call -------------------------------------------------------------------

    def announce(self, item: Item, content: Content) -> None:
        """An item was committed: local delivery and the runner take up their work."""
        maillog.accepted(item)
        self.local.accepted(item, content)
        if item.remote or item.release > item.arrived:
            self.runner.accepted(item, content)

    def logins(self, client: Client) -> Logins:
        """The door for one client's credentials."""
        return PortalLogins(self.portal, self.checker, client.address)

    async def look(self) -> None:
        """The command line has changed the queue: act on it, and tell senders who watch."""
        self.runner.wake()
        await self.mail.look()

    def _flush(self, domains: Sequence[str]) -> None:
        """Their mail may go now: have it looked at."""

        async def flushed() -> None:
            for domain in domains:
                await self.runner.flush(Select(domain=domain))

        done = Deferred.fromCoroutine(flushed())
        done.addErrback(lambda failure: self._log.failure("not attempted now", failure))

    def _provider_news(self, provider: Provider, source: Source, news: News) -> None:
        """Something about a provider that the operator should know."""
        whence = f" (from {source.name})" if source.name else ""
        self._log.warn("{who}{whence} {news}", who=provider.name, whence=whence, news=news.text)
        if news.urgent:
            subject = f"{provider.name}{whence} {news.text}"
            advice = f"mailhub provider show {provider.name} tells more."
            self.operator.tell(subject, f"{subject}\n\n{advice}")

    def _cause(self, reply: Reply) -> Cause:
        """What stands behind a reply, whoever gave it."""
        return self.remote.directions.classifier.verdict(reply, "").cause

    def _wake_runner(self) -> None:
        """The runner is built after those who wake it."""
        self.runner.wake()

    def _route(self, reverse_path: Path, path: Path, way: str = "") -> Hop:
        return self._ways.hop(reverse_path, path, way)

    def _verdicts(self, reverse_path: Path, path: Path, way: str) -> tuple[Verdict, ...]:
        """Why mail goes where `_route` says."""
        return self._ways.verdicts(reverse_path, path, way)

    def _schedule(self, item: Item, place: int) -> Schedule:
        """How long and how often a recipient is tried."""
        path, fate = item.envelope.recipients[place].path, item.fates[place]
        way = getattr(fate, "route", "")
        name = self._ways.schedule(item.envelope.reverse_path, path, way)
        provider = "" if item.places[place] else self._provider(item, path, way)
        return self._schedules.find(item.flow.name, name, provider)

    def _provider(self, item: Item, path: Path, way: str) -> str:
        """Who is to take a recipient's mail, if that is known and matters to its schedule."""
        if not self._schedules.by_provider:
            return ""
        try:
            found = self.remote.provider_of(self._route(item.envelope.reverse_path, path, way))
        except Refusal:
            return ""
        return "" if found is None else found.name

    def _weigh(self, flow: Flow) -> float:
        return self.settings.classes.weight(flow.name, flow.priority)

    def _resolver(self) -> Resolver:
        return resolver_of(self.settings, self.world)

    # ---- Life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier run left: queue and unfiled mail."""
        until = self.ids()
        await self._recall()
        self.runner.start()
        self._looking.start(self.settings.store.look)
        self._learning.start(self.settings.store.index_every)
        # Hubs that start together do not report together (RFC 8460 §4.1).
        self._reporting.start(REPORT_EVERY * (1 + self.world.chance.random()))
        await self.local.recover(until)
        await self.ledger.recover(until)

    async def _recall(self) -> None:
        """Tell journeys what they lost in a crash."""
        if not self.settings.journey.keep:
            return
        try:
            for queue_id, events in await self.scribe.ask(forgotten, self._presence):
                self.scribe.note(queue_id, *events)
        except OSError as error:
            self._log.error("journeys were not looked at: {why}", why=error)

    def obey(self, settings: Settings) -> None:
        """Obey other settings, all but those whose keys wait for a restart."""
        before, self.settings = self.settings, settings
        self.accounts.rules = settings.aliases
        self.checker.obey(settings.auth)
        self.mechanisms.plaintext_on_loopback = settings.plaintext_on_loopback
        self.intake.rules = settings.access
        self.intake.limits = settings.intake
        self.intake.classes = settings.classes
        if self.intake.allowances is not None:
            self.intake.allowances.all = settings.allowances
        self.journal.limits = settings.journal
        self.scribe.obey(settings.journey, settings.origins.told)
        self.mail.limits = settings.journey
        self._schedules, self._ways = settings.schedules(), settings.ways()
        languages = Languages(settings.words, settings.bounce_language)
        self.reporter.obey(languages, settings.bounce, settings.hub.postmaster)
        self.local.obey(settings.local)
        self.ledger.limits = settings.local
        self.pool.obey(settings.relay.pool, settings.relay.patience)
        self.traffic.obey(settings.relay.pool)
        self.operator.postmaster = settings.hub.postmaster
        self.remote.obey(settings.relay.reach, directions(settings))
        self.protector.limits = settings.relay.protection
        self.tls_reporter.sending = settings.relay.tls_reports
        if settings.dns != before.dns and self.world.resolver is None:
            self.remote.resolver = self._resolver()  # what the other one knows is forgotten
            if isinstance(self.web, HttpsClient):
                self.web.resolver = self.remote.resolver
        self.runner.obey(settings.runner, self._schedules.longest)

    async def stop(self) -> None:
        """Finish what is under way, write it down, and let go of everything."""
        for recurring in (self._looking, self._learning, self._reporting):
            recurring.stop()
        await self.runner.stop()
        await self.remote.stop()
        await self.local.stop()
        await self.ledger.stop()
        await self.journal.close()
        await self.scribe.stop()
        self._assurances.close()
        self._presence.close()
        self.stores.close()
        for disk in (self.hashing, self.writer, self.telling, self.files):
            await disk.stop()
        self.accounts.close()


def resolver_of(settings: Settings, world: Surroundings) -> Resolver:
    """Asks the DNS as it is configured."""
    dns = settings.dns
    return DnsResolver(
        world.reactor,
        dns.servers or name_servers(_read(RESOLV_CONF)),
        lambda: world.number(16),
        trusted=dns.trusted,
        limits=dns.cache,
        patience=dns.patience,
    )


def _reserved(settings: Settings) -> str:
    """The name of the mailbox of what was sent; ``""`` if there is none."""
    return settings.journey.mailbox if settings.journey.keep else ""


def directions(settings: Settings) -> Directions:
    """What the settings say of where mail goes, and from where."""
    return Directions(
        Providers(settings.providers),
        Classifier(settings.replies),
        {source.name: source for source in settings.sources},
        settings.relay.sources,
        {route.name: route.hop for route in settings.routes if route.hop is not None},
    )


def _listening(settings: Settings) -> list[tuple[str, int]]:
    """Addresses and ports where mail comes in; ``""`` stands for all addresses."""
    everywhere = {"::": "", "0.0.0.0": ""}  # noqa: S104  # how they are written
    return [
        (everywhere.get(it.interface, it.interface), it.port)
        for it in settings.listen.smtp
        if it.port
    ]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
