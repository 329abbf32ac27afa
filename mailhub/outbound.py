"""What reaches other hosts: names, connections, paces, and the encryption that they demand."""

from __future__ import annotations

from typing import Final

from twisted.logger import Logger

from mailhub.config.settings import Settings
from mailhub.mail.address import NULL, Path
from mailhub.mail.reply import Reply
from mailhub.net.clienttls import ClientTls
from mailhub.net.recurring import Recurring
from mailhub.net.web import HttpsClient
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier
from mailhub.policy.provider import Provider, Providers, Source
from mailhub.policy.repute import News
from mailhub.policy.route import Hop, Smarthost
from mailhub.ports.disk import Disk
from mailhub.ports.resolver import Resolver
from mailhub.queue.assurances import Assurances
from mailhub.queue.reputes import Reputes
from mailhub.relay.operator import Operator
from mailhub.relay.pool import Pool
from mailhub.relay.protector import Protector
from mailhub.relay.remote import Directions, Remote
from mailhub.relay.tlsreporter import TlsReporter
from mailhub.relay.traffic import Traffic
from mailhub.relay.verifier import Verifier
from mailhub.surroundings import Surroundings, resolver_of

REPORT_EVERY: Final = 7200.0
"""Seconds between two rounds of TLS reports, at least; twice as many at most."""


class Outbound:
    """The way out of a hub.

    Args:
        files: For what is remembered of providers.
        operator: Is told what a person should know.

    Raises:
        OSError: What is remembered cannot be read.
    """

    _log = Logger()

    def __init__(
        self, settings: Settings, world: Surroundings, files: Disk, operator: Operator
    ) -> None:
        self._settings = settings
        self._world = world
        self._operator = operator
        hub, relay = settings.hub, settings.relay
        self.pool = Pool(
            world.reactor,
            hub.hostname,
            ClientTls(authorities=relay.authorities or None),
            world.nonce,
            limits=relay.pool,
            timeouts=relay.patience,
        )
        reputes = Reputes(hub.state, world.system.connect)
        self.traffic = Traffic(
            world.reactor,
            world.now,
            world.chance.random,
            self._provider_news,
            relay.pool,
            memory=reputes,
            disk=files,
            known=reputes.load(),
        )
        resolver = world.resolver or resolver_of(settings, world)
        self._open_protection(resolver)
        self.remote = Remote(
            resolver,
            self.pool,
            self.traffic,
            shuffle=world.chance.shuffle,
            time=world.now,
            ourselves=(hub.hostname,),
            listening=_listening(settings),
            limits=relay.reach,
            directions=directions(settings),
            protector=self.protector,
        )

        self.verifier = Verifier(self._probed, self._assurances, world.reactor, world.now)

    async def _probed(self, path: Path) -> Reply:
        """What the hosts of a domain that we back up say to a recipient."""
        return await self.remote.probe(self._settings.ways().hop(NULL, path), path)

    def _open_protection(self, resolver: Resolver) -> None:
        """What knows of the encryption that other domains demand."""
        settings, world, operator = self._settings, self._world, self._operator
        self.web = world.web or HttpsClient(world.reactor, resolver)
        self._assurances = Assurances(
            settings.hub.spool,
            lambda line: self._log.warn("{line}", line=line),
            world.system.connect,
        )
        self.tls_reporter = TlsReporter(
            self._assurances,
            lambda: self.remote.resolver,
            self.web,
            operator.post,
            settings.hub.hostname,
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
            operator.tell,
        )

    # ---- What is known there ---------------------------------------------------------------

    def cause(self, reply: Reply) -> Cause:
        """What stands behind a reply, whoever gave it."""
        return self.remote.directions.classifier.verdict(reply, "").cause

    def provider(self, hop: Hop) -> str:
        """Who runs a next hop, if that is known; else ``""``."""
        found = self.remote.provider_of(hop)
        return "" if found is None else found.name

    def detour(self, hop: Hop) -> str:
        """The name of the route that mail for a hop may take instead; ``""`` for none."""
        found = None if isinstance(hop, Smarthost) else self.remote.provider_of(hop)
        return "" if found is None else found.detour

    def _provider_news(self, provider: Provider, source: Source, news: News) -> None:
        """Something about a provider that the operator should know."""
        whence = f" (from {source.name})" if source.name else ""
        self._log.warn("{who}{whence} {news}", who=provider.name, whence=whence, news=news.text)
        if news.urgent:
            subject = f"{provider.name}{whence} {news.text}"
            advice = f"mailhub provider show {provider.name} tells more."
            self._operator.tell(subject, f"{subject}\n\n{advice}")

    # ---- Life ------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin what recurs."""
        # Hubs that start together do not report together (RFC 8460 §4.1).
        self._reporting.start(REPORT_EVERY * (1 + self._world.chance.random()))

    def obey(self, settings: Settings) -> None:
        """Obey other settings, all but those whose keys wait for a restart."""
        before, self._settings = self._settings, settings
        relay = settings.relay
        self.pool.obey(relay.pool, relay.patience)
        self.traffic.obey(relay.pool)
        self.remote.obey(relay.reach, directions(settings))
        self.protector.limits = relay.protection
        self.tls_reporter.sending = relay.tls_reports
        if settings.dns != before.dns and self._world.resolver is None:
            # What the other one knows is forgotten.
            self.remote.resolver = resolver_of(settings, self._world)
            if isinstance(self.web, HttpsClient):
                self.web.resolver = self.remote.resolver

    async def stop(self) -> None:
        """Hang up, and write down what is remembered."""
        self._reporting.stop()
        await self.remote.stop()

    def close(self) -> None:
        """Let go of the files, once nothing is under way any more."""
        self._assurances.close()


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
