"""One factory for each service: which sessions a port's conversations get."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.interfaces import IProtocolFactory, IReactorTime

from mailhub.assembly import Parts
from mailhub.config.settings import IMPLICIT, SERVICES, Settings
from mailhub.imap import session as imap
from mailhub.imap.census import Census
from mailhub.imap.settings import Settings as ImapSettings
from mailhub.net import esmtp
from mailhub.net.conversation import Farewells, Terms
from mailhub.net.reception import ConversationFactory, Reception
from mailhub.net.tls import CertificateMap
from mailhub.net.turnstile import Turnstile
from mailhub.pop3 import session as pop3
from mailhub.pop3.settings import Site as PopSite
from mailhub.ports.conversation import Client
from mailhub.smtp.limits import Site

POP3_FAREWELLS = Farewells(
    crowded=b"-ERR [SYS/TEMP] Too many connections, try again later\r\n",
    greedy=b"-ERR [SYS/TEMP] Too many connections from your address\r\n",
    fault=b"-ERR [SYS/TEMP] Internal error\r\n",
)
IMAP_FAREWELLS = Farewells(
    crowded=b"* BYE [UNAVAILABLE] Too many connections, try again later\r\n",
    greedy=b"* BYE [LIMIT] Too many connections from your address\r\n",
    fault=b"* BYE [SERVERBUG] Internal error\r\n",
)


class Receptions:
    """All of a hub's factories.

    Attributes:
        factories: What stands behind each service's port, TLS included.
    """

    def __init__(
        self,
        settings: Settings,
        parts: Parts,
        turnstile: Turnstile,
        certificates: CertificateMap | None,
        reactor: IReactorTime,
    ) -> None:
        self._settings = settings
        self._parts = parts
        self._turnstile = turnstile
        self._certificates = certificates
        self._clock = reactor
        self._census = Census()
        self._plain: dict[str, Reception] = {name: self._factory(name) for name in SERVICES}
        self.factories: dict[str, IProtocolFactory] = {
            name: self._wrapped(name, factory) for name, factory in self._plain.items()
        }

    def obey(self, settings: Settings) -> None:
        """Use other settings for connections to come."""
        self._settings = settings
        for name, factory in self._plain.items():
            if isinstance(factory, esmtp.EsmtpFactory):
                factory.site = self._site(name)
                factory.limits = settings.smtp if name == "smtp" else settings.submission

    async def stop(self, patience: float) -> None:
        """End all conversations, with a farewell where there is time for one."""
        await gatherResults(
            [Deferred.fromCoroutine(it.stop(patience)) for it in self._plain.values()]
        )

    def _terms(self, farewells: Farewells) -> Terms:
        return Terms(self._clock, farewells, self._certificates)

    def _wrapped(self, name: str, factory: Any) -> IProtocolFactory:
        if name not in IMPLICIT or self._certificates is None:
            made: IProtocolFactory = factory
            return made
        return self._certificates.wrap(factory, self._clock)

    def _factory(self, name: str) -> Reception:
        if name in ("imap", "imaps"):
            return ConversationFactory(self._imap, self._terms(IMAP_FAREWELLS), self._turnstile)
        if name in ("pop3", "pop3s"):
            return ConversationFactory(self._pop3, self._terms(POP3_FAREWELLS), self._turnstile)
        settings, parts = self._settings, self._parts
        return esmtp.EsmtpFactory(
            terms=self._terms(esmtp.farewells(settings.hub.hostname)),
            site=self._site(name),
            limits=settings.smtp if name == "smtp" else settings.submission,
            intake=parts.intake,
            logins=parts.logins,
            mechanisms=parts.mechanisms,
            turnstile=self._turnstile,
        )

    def _site(self, name: str) -> Site:
        settings = self._settings
        return Site(
            settings.hub.hostname,
            submission=name != "smtp",
            tls=self._certificates is not None,
            normalise=settings.normalise,
            now=self._parts.world.now,
        )

    def _imap(self, client: Client) -> imap.Session:
        settings, parts = self._settings, self._parts
        presented = ImapSettings(
            settings.hub.hostname,
            tls=self._certificates is not None,
            limits=settings.imap,
            now=parts.world.now,
        )
        return imap.Session(
            client,
            presented,
            parts.mechanisms,
            parts.logins(client),
            parts.mail,
            self._census,
        )

    def _pop3(self, client: Client) -> pop3.Session:
        settings, parts = self._settings, self._parts
        site = PopSite(
            settings.hub.hostname,
            tls=self._certificates is not None,
            plaintext_on_loopback=settings.plaintext_on_loopback,
        )
        return pop3.Session(
            client, site, settings.pop3, parts.logins(client), parts.mechanisms, parts.stores
        )
