"""Builds a hub's working parts out of its settings: who is given what.

Nothing here listens, and nothing is global: everything that a part needs of the
world (reactor, dates, randomness, the machine's boot) comes in `Surroundings`,
so that the same parts run in production, in tests and in a simulation.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Final

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
from mailhub.net.afterwards import Afterwards
from mailhub.net.journal import Journal
from mailhub.net.portal import AccountChecker, AccountRealm, PortalLogins
from mailhub.net.recurring import Recurring
from mailhub.net.scribe import Scribe
from mailhub.outbound import Outbound
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.policy.returnpath import SECRET_OCTETS
from mailhub.policy.route import Exchange, Hop, Smarthost
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Client
from mailhub.ports.message import Content
from mailhub.queue.change import Select
from mailhub.queue.flow import Flow
from mailhub.queue.ids import QueueIds
from mailhub.queue.item import Item
from mailhub.queue.journeys import Journeys
from mailhub.queue.refusals import Refusals
from mailhub.queue.spool import Spool
from mailhub.queue.suppressions import Suppressions
from mailhub.relay import maillog
from mailhub.relay.addressees import members
from mailhub.relay.allowances import Allowances
from mailhub.relay.intake import HubIntake
from mailhub.relay.ledger import SpoolLedger
from mailhub.relay.local import LocalDelivery
from mailhub.relay.operator import Operator
from mailhub.relay.providerdesk import ProviderDesk
from mailhub.relay.queuedesk import QueueDesk
from mailhub.relay.recall import forgotten
from mailhub.relay.register import Register
from mailhub.relay.report import Languages, Reporter
from mailhub.relay.runner import Runner
from mailhub.relay.settling import Settling
from mailhub.relay.suppressing import Suppressing
from mailhub.sasl.server import ServerMechanisms
from mailhub.store.reach import SharedReaches
from mailhub.store.sharing import Sharing
from mailhub.store.stores import Stores
from mailhub.surroundings import Surroundings

FILE_THREADS: Final = 4
"""Threads for work on files; more would wait for the same disk."""
TOKEN_OCTETS: Final = 4
"""Random octets that tell this run's file names from those of others."""


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
            world.entropy,
        )
        self.reaches = SharedReaches(self.sharing)
        self._looking = Recurring("looking at maildirs", self.sharing.look, reactor)
        self._following = Afterwards("naming files", self.stores.following.follow, reactor)
        self.stores.following.wanted = self._following.ask
        self._learning = Recurring("indexing", self.stores.learn, reactor)
        self.checker = AccountChecker(
            self.accounts, self.hashing, reactor, world.entropy, settings.auth
        )
        self.portal = Portal(AccountRealm(self.accounts), [self.checker])
        self.mechanisms = ServerMechanisms(
            world.nonce, plaintext_on_loopback=settings.plaintext_on_loopback
        )
        self._open_notices()
        self.outbound = Outbound(settings, world, self.files, self.operator)
        self._open_suppression()
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
            settings.told_of_double_bounces,
            self.scribe,
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

    def _open_suppression(self) -> None:
        """What keeps mail back that nobody wants, and what hears of it."""
        settings, world = self.settings, self.world
        self.suppressing = Suppressing(
            settings.suppression,
            Suppressions(settings.hub.state, world.system.connect),
            self.files,
            lambda: world.entropy(SECRET_OCTETS),
            self.journal,
            self.accounts,
            lambda: self.settings.aliases,
            self.reporter,
            self.announce,
            self._cause,
            self._may_return,
            world.reactor,
            world.now,
            self.scribe,
        )

    def _open_deliveries(self) -> None:
        """What brings mail into mailboxes, and out."""
        settings, world = self.settings, self.world
        filer = self.stores.filer()
        settling = self._settling = Settling()
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
            settling,
        )
        self.ledger = SpoolLedger(
            self.journal,
            filer,
            self.accounts.by_id,
            self.ids,
            world.reactor,
            settings.local,
            settling,
        )
        self.stores.ledger = self.ledger
        self.stores.unsettled = settling
        self.runner = Runner(
            self.journal,
            self.outbound.remote,
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
            self.suppressing.suppressor,
        )

    def _open_intake(self) -> None:
        """What takes mail in, and what shows where it is."""
        settings, world, hub = self.settings, self.world, self.settings.hub
        self.register = Register(
            Refusals(hub.state, world.system.connect),
            self.telling,
            world.reactor,
            world.now,
            settings.journey.keep,
            settings.origins.told,
        )
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
            returns=self.suppressing.returns,
            suppressor=self.suppressing.suppressor,
            register=self.register,
            verifier=self.outbound.verifier,
            turn=lambda: deferLater(world.reactor, 0),
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
        self.desk = ProviderDesk(self.outbound.remote, world.now, self._flush)

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

    # Some parts are built after those who call them.

    def _wake_runner(self) -> None:
        self.runner.wake()

    def _cause(self, reply: Reply) -> Cause:
        return self.outbound.cause(reply)

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
            return self.outbound.provider(self._route(item.envelope.reverse_path, path, way))
        except Refusal:
            return ""

    def _may_return(self, hop: Hashable, reverse_path: Path, path: Path) -> bool:
        """Whether return paths may be ours on the way to a hop."""
        assert isinstance(hop, Exchange | Smarthost), "there are no others"
        return self._ways.may_return(hop, reverse_path, path, self.outbound.detour(hop))

    def _weigh(self, flow: Flow) -> float:
        return self.settings.classes.weight(flow.name, flow.priority)

    # ---- Life ------------------------------------------------------------------------------

    async def start(self) -> None:
        """Take up what an earlier run left: queue and unfiled mail."""
        until = self.ids()
        await self._recall()
        self.runner.start()
        self._looking.start(self.settings.store.look)
        self._learning.start(self.settings.store.index_every)
        self.outbound.start()
        self.suppressing.start()
        try:
            await self.local.recover(until)
            await self.ledger.recover(until)
        finally:
            self._settling.recovered()

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
        self.settings = settings
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
        self.register.obey(settings.journey.keep, settings.origins.told)
        self.mail.limits = settings.journey
        self._schedules, self._ways = settings.schedules(), settings.ways()
        languages = Languages(settings.words, settings.bounce_language)
        self.reporter.obey(
            languages,
            settings.bounce,
            settings.hub.postmaster,
            settings.told_of_double_bounces,
        )
        self.local.obey(settings.local)
        self.ledger.limits = settings.local
        self.outbound.obey(settings)
        self.suppressing.obey(settings.suppression)
        self.operator.postmaster = settings.hub.postmaster
        self.runner.obey(settings.runner, self._schedules.longest)

    async def stop(self) -> None:
        """Finish what is under way, write it down, and let go of everything."""
        self._looking.stop()
        await self._following.stop()
        self._learning.stop()
        await self.runner.stop()
        await self.outbound.stop()
        await self.local.stop()
        await self.ledger.stop()
        await self.stores.following.follow()
        await self.suppressing.stop()
        await self.journal.close()
        await self.register.stop()
        await self.scribe.stop()
        self.outbound.close()
        self.suppressing.close()
        self._presence.close()
        self.stores.close()
        for disk in (self.hashing, self.writer, self.telling, self.files):
            await disk.stop()
        self.accounts.close()


def _reserved(settings: Settings) -> str:
    """The name of the mailbox of what was sent; ``""`` if there is none."""
    return settings.journey.mailbox if settings.journey.keep else ""
