"""Twisted's ESMTP server and its factory, with a wire path of ours.

`EsmtpServer` is a `twisted.mail.smtp.ESMTP`, and `EsmtpFactory` a
`twisted.mail.smtp.SMTPFactory`: what was written for them plugs in. There are
two ways to take mail:

- The factory is given a `ports.intake.Intake`: the hub's way.
- It is not: then mail goes to ``delivery`` or ``deliveryFactory``, found
  through ``portal`` where neither is set, and logins through ``challengers``,
  all of them as Twisted documents them. So do overridden ``validateFrom``,
  ``validateTo`` and ``receivedHeader``. What is not called any more: ``do_*``,
  ``ext_*``, ``state_*``, ``lineReceived``, ``sendCode``, ``greeting``.

Importing this imports `twisted.mail`, and so installs the global reactor
(which nothing here uses): the twistd plugin must not. DNS is not asked for the
host's name (`net.stock`); the name is `Site.hostname`, or ``domain``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.interfaces import ITLSTransport
from twisted.internet.protocol import connectionDone
from twisted.mail.interfaces import IMessageDelivery, IMessageDeliveryFactory
from twisted.python.failure import Failure

from mailhub.net.challenge import Challengers, NoLogins
from mailhub.net.conversation import Conversation, Farewells, Terms
from mailhub.net.delivery import DeliveryIntake
from mailhub.net.reception import Reception
from mailhub.net.stock import smtp
from mailhub.net.turnstile import Turnstile
from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Client
from mailhub.ports.intake import Intake
from mailhub.sasl.mechanism import Mechanisms
from mailhub.smtp.answer import ready
from mailhub.smtp.session import Limits, Session, Site


def farewells(hostname: str) -> Farewells:
    """SMTP's last words where there is no session: 421 (RFC 5321 §3.8)."""
    return Farewells(
        crowded=ready(421, "3.2", f"{hostname} Too many connections, try again later"),
        greedy=ready(421, "7.0", f"{hostname} Too many connections from your address"),
        fault=ready(421, "3.0", f"{hostname} Local error, closing"),
    )


class EsmtpServer(Conversation, smtp.ESMTP):
    """One SMTP connection.

    Attributes:
        timeout: Seconds of silence, in place of what the limits say; None in general.
    """

    __slots__ = ()
    factory: EsmtpFactory
    timeout: float | None = None  # type: ignore[assignment]  # there it is 600

    def __init__(self, chal: Any = None, contextFactory: Any = None) -> None:
        smtp.ESMTP.__init__(self, chal, contextFactory)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The peer has gone; so has, if there was one, the avatar."""
        Conversation.connectionLost(self, reason)
        logout, self._onLogout = self._onLogout, None
        if logout is not None:
            logout()

    def tls_context(self) -> Any:
        """The context of this connection, or its listener's."""
        return Conversation.tls_context(self) if self.ctx is None else self.ctx

    async def log_in(self, credentials: Any) -> None:
        """Ask the portal for a delivery, and use it from now on (`IMessageDelivery`).

        Raises:
            LoginRefused: There is no portal; else, what the portal raises.
        """
        if self.portal is None:
            raise RuntimeError("challengers without a portal")
        found = await self.portal.login(
            credentials, None, IMessageDeliveryFactory, IMessageDelivery
        )
        self._cbAuthenticated(found)


class EsmtpFactory(Reception, smtp.SMTPFactory):
    """Builds `EsmtpServer`s.

    Attributes:
        limits: May be replaced: they count for connections to come.
        plaintext: ``challengers`` PLAIN and LOGIN are offered without TLS, too.
    """

    protocol = EsmtpServer
    noisy = False
    timeout: float | None = None  # type: ignore[assignment]  # there it is 600

    def __init__(
        self,
        portal: Any = None,
        *,
        terms: Terms,
        site: Site | None = None,
        limits: Limits | None = None,
        intake: Intake | None = None,
        logins: Callable[[Client], Logins] | None = None,
        mechanisms: Mechanisms | None = None,
        turnstile: Turnstile | None = None,
        plaintext: bool = False,
    ) -> None:
        """Take mail for `intake`, or, without it, as Twisted's factory does."""
        smtp.SMTPFactory.__init__(self, portal)
        self.open(terms, turnstile)
        self.limits = limits or Limits()
        self.plaintext = plaintext
        self.site = site or Site(_text(self.domain))
        self._intake = intake
        self._logins = logins
        self._mechanisms = mechanisms

    @property
    def site(self) -> Site:
        """What we are. May be replaced: it counts for connections to come."""
        return self._site

    @site.setter
    def site(self, site: Site) -> None:
        self._site = site
        self.domain = site.hostname.encode()

    def session_for(self, conversation: Conversation) -> Session:
        """A session with this conversation's client."""
        assert isinstance(conversation, EsmtpServer)
        site = self._site_for(conversation)
        client = conversation.client
        if site.submission:
            client = replace(client, submission=True)
        if self._intake is None:
            return self._delivering(conversation, client, site)
        logins = self._logins(client) if self._logins is not None else None
        return Session(client, site, self.limits, self._intake, logins, self._mechanisms)

    def _site_for(self, conversation: EsmtpServer) -> Site:
        """Our site, as this connection shows it."""
        hostname = _text(conversation.host)
        upgradable = ITLSTransport.providedBy(conversation.transport)
        tls = upgradable and conversation.tls_context() is not None
        site = self.site
        if hostname == site.hostname and tls == site.tls:
            return site
        return replace(site, hostname=hostname, tls=tls)

    def _delivering(self, server: EsmtpServer, client: Client, site: Site) -> Session:
        """A session over what Twisted's server has: delivery, portal, challengers, timeout."""
        limits, timeout = self.limits, server.timeout or self.timeout
        if timeout is not None:
            limits = replace(
                limits, command_patience=timeout, content_patience=timeout, auth_patience=timeout
            )
        mechanisms = Challengers(server.challengers, server.log_in, plaintext=self.plaintext)
        intake = DeliveryIntake(server, server.host, server)
        return Session(client, site, limits, intake, NoLogins(), mechanisms)


def _text(hostname: bytes | str) -> str:
    return hostname.decode("ascii") if isinstance(hostname, bytes) else hostname
