"""Twisted's ESMTP on our wire path: the hub's way, and what was written for Twisted."""

from __future__ import annotations

from io import BytesIO
from typing import Any, cast

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, Cooperator
from twisted.mail import imap4
from twisted.mail.interfaces import IMessageDelivery, IMessageDeliveryFactory
from zope.interface import implementer

from mailhub.net.conversation import Terms
from mailhub.net.esmtp import EsmtpFactory, EsmtpServer, farewells
from mailhub.net.stock import smtp
from mailhub.net.turnstile import Turnstile
from mailhub.ports.conversation import Client
from mailhub.smtp.session import Limits, Site
from tests.net.test_delivery import Hooks
from tests.net.wires import ClientContext, Collector, Pair, server_context
from tests.smtp.fakes import FakeIntake, FakeLogins, FakeMechanisms

PEER = IPv4Address("TCP", "192.0.2.1", 4711)


class Hub:
    """A factory on a clock."""

    def __init__(self, portal: Any = None, **options: Any) -> None:
        self.clock = Clock()
        terms = Terms(
            self.clock, farewells("hub.example"), tls=options.pop("tls", server_context())
        )
        options.setdefault("site", Site("hub.example"))
        self.factory = EsmtpFactory(portal, terms=terms, **options)
        self.hooks = Hooks()

    def server(self) -> EsmtpServer:
        return cast("EsmtpServer", self.factory.buildProtocol(PEER))

    def visit(self, server: EsmtpServer | None = None) -> tuple[Pair, Collector]:
        client = Collector()
        return Pair(server or self.server(), client), client


def say(visit: tuple[Pair, Collector], octets: bytes) -> list[str]:
    visit[0].say(octets)
    return visit[1].lines()


@implementer(IRealm)
class Realm:
    """Gives everybody the same delivery, and counts who leaves."""

    def __init__(self, hooks: Hooks) -> None:
        self.hooks = hooks
        self.who: list[Any] = []
        self.left = 0

    def requestAvatar(self, avatarId: Any, mind: Any, *interfaces: Any) -> Any:
        self.who.append(avatarId)
        return IMessageDelivery, self.hooks, self._leave

    def _leave(self) -> None:
        self.left += 1


def portal_for(realm: Realm) -> Portal:
    return Portal(realm, [InMemoryUsernamePasswordDatabaseDontUse(ann=b"secret")])


class TestNative:
    def test_message(self) -> None:
        """Given an intake, mail goes there, with STARTTLS and a login on the way."""
        intake = FakeIntake()
        hub = Hub(
            intake=intake,
            logins=lambda _client: FakeLogins(),
            mechanisms=FakeMechanisms(),
            site=Site("hub.example", submission=True),
        )
        visit = hub.visit()
        greeting, *announced = say(visit, b"EHLO c\r\n")
        assert greeting == "220 hub.example ESMTP mailhub"
        assert "250-STARTTLS" in announced
        assert say(visit, b"STARTTLS\r\n") == ["220 2.0.0 Ready to start TLS"]
        visit[0].far.startTLS(ClientContext())
        visit[0].carry()
        assert "250-AUTH PLAIN LOGIN SECOND" in say(visit, b"EHLO c\r\n")
        answers = say(
            visit,
            b"AUTH PLAIN cmlnaHQ=\r\nMAIL FROM:<ann@hub.example>\r\nRCPT TO:<b@c.example>\r\n"
            b"DATA\r\nx\r\n.\r\nQUIT\r\n",
        )
        assert [line[:3] for line in answers] == ["235", "250", "250", "354", "250", "221"]
        [client] = intake.clients
        assert (client.protocol, client.submission, client.address) == (
            "ESMTPSA",
            True,
            "192.0.2.1",
        )
        assert intake.contents == [b"x\r\n"]
        assert not hub.clock.getDelayedCalls()

    def test_no_logins(self) -> None:
        """Without logins there is no AUTH; without a context no STARTTLS."""
        hub = Hub(intake=FakeIntake(), tls=None)
        answers = say(hub.visit(), b"EHLO c\r\n")
        assert not any("AUTH" in line or "STARTTLS" in line for line in answers)

    def test_limits(self) -> None:
        """Limits and site may be replaced while the hub runs; they count from then on."""
        hub = Hub(intake=FakeIntake())
        first = hub.visit()
        hub.factory.limits = Limits(size=7)
        hub.factory.site = Site("new.example")
        second = hub.visit()
        assert "250-SIZE 52428800" in say(first, b"EHLO c\r\n")
        greeting, *answers = say(second, b"EHLO c\r\n")
        assert greeting.startswith("220 new.example ")
        assert "250-SIZE 7" in answers

    def test_too_many(self) -> None:
        """One connection too many gets 421 (RFC 5321 §3.8)."""
        hub = Hub(intake=FakeIntake(), turnstile=Turnstile(per_address=1))
        hub.visit()
        [line] = hub.visit()[1].lines()
        assert line.startswith("421 4.7.0 hub.example ")

    def test_time_limit(self) -> None:
        """Five minutes of silence end the conversation with 421 (RFC 5321 §4.5.3.2.7)."""
        hub = Hub(intake=FakeIntake())
        pair, client = hub.visit()
        client.lines()
        hub.clock.advance(299)
        assert client.lost is None
        hub.clock.advance(1)
        pair.carry()
        assert client.lines() == ["421 4.4.2 hub.example Too slow, closing"]
        assert client.lost is not None


class TestStock:
    def test_delivery(self) -> None:
        """A delivery set on the protocol is used, as Twisted's examples do."""
        hub = Hub()
        server = hub.server()
        server.delivery = hub.hooks
        visit = hub.visit(server)
        answers = say(
            visit,
            b"HELO c\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<ann@hub.example>\r\n"
            b"DATA\r\nA: b\r\n\r\n..x\r\n.\r\nQUIT\r\n",
        )
        assert answers[-2] == "250 2.0.0 Delivery in progress"
        [message] = hub.hooks.messages
        assert message.lines[-3:] == [b"A: b", b"", b".x"]

    def test_subclass(self) -> None:
        """So are validations that a subclass overrides, and its timeout."""

        class Mine(EsmtpServer):
            timeout = 30

            def validateFrom(self, helo: Any, origin: Any) -> Any:
                raise smtp.SMTPBadSender(origin, 550, "Not from you")

        hub = Hub()
        hub.factory.protocol = Mine  # as Twisted's users do
        visit = hub.visit()
        assert say(visit, b"HELO c\r\nMAIL FROM:<a@b.example>\r\n")[-1] == (
            "550 5.7.1 Not from you"
        )
        hub.clock.advance(30)
        visit[0].carry()
        assert visit[1].lines()[-1].startswith("421 ")

    def test_factory_timeout(self) -> None:
        """A timeout may be the factory's."""
        hub = Hub()
        hub.factory.timeout = 20
        visit = hub.visit()
        hub.clock.advance(20)
        visit[0].carry()
        assert visit[1].lines()[-1].startswith("421 ")

    def test_delivery_factory(self) -> None:
        """Each message gets a delivery of its own where there is a factory for them."""
        hub = Hub()
        made: list[Hooks] = []

        @implementer(IMessageDeliveryFactory)
        class Factory:
            def getMessageDelivery(self) -> Hooks:
                made.append(Hooks())
                return made[-1]

        server = hub.server()
        server.deliveryFactory = Factory()
        say(hub.visit(server), b"HELO c\r\n" + 2 * b"MAIL FROM:<a@b.example>\r\nRSET\r\n")
        assert len(made) == 2

    def test_nobody(self) -> None:
        """Without delivery and portal no mail is taken, and logins are not possible."""
        hub = Hub(plaintext=True)
        server = hub.server()
        server.challengers = {b"PLAIN": imap4.PLAINCredentials}
        visit = hub.visit(server)
        assert say(visit, b"EHLO c\r\nMAIL FROM:<a@b.example>\r\n")[-1].startswith("550 5.7.1 ")
        assert say(visit, b"AUTH PLAIN AGFubgBzZWNyZXQ=\r\n")[-1].startswith("454 4.7.0 ")

    def test_portal(self) -> None:
        """Challengers and a portal log a client in; its avatar takes its mail, and leaves."""
        hub = Hub(plaintext=True)
        realm = Realm(hub.hooks)
        hub.factory.portal = portal_for(realm)
        server = hub.server()
        server.challengers = {b"LOGIN": smtp.LOGINCredentials, "PLAIN": imap4.PLAINCredentials}
        visit = hub.visit(server)
        assert "250-AUTH LOGIN PLAIN" in say(visit, b"EHLO c\r\n")
        assert say(visit, b"AUTH PLAIN AGFubgB3cm9uZw==\r\n")[-1].startswith("535 5.7.8 ")
        answers = say(visit, b"AUTH LOGIN\r\nYW5u\r\nc2VjcmV0\r\nMAIL FROM:<a@b.example>\r\n")
        assert [line[:3] for line in answers] == ["334", "334", "235", "250"]
        assert server.authenticated
        assert realm.who == [b"ann"]
        visit[0].near.lose()
        assert realm.left == 1

    def test_bad_plugin(self) -> None:
        """A delivery that breaks is answered 451, and the session goes on."""
        hub = Hub()
        server = hub.server()
        server.delivery = Hooks(ZeroDivisionError("secret"))
        answers = say(hub.visit(server), b"HELO c\r\nMAIL FROM:<a@b.example>\r\nNOOP\r\n")
        assert answers[-2:] == [
            "451 4.3.0 Requested action aborted: local error in processing",
            "250 2.0.0 Ok",
        ]

    def test_defaults(self) -> None:
        """Without a site the factory's domain is the name, as in Twisted."""

        class Mine(EsmtpFactory):
            domain = b"mine.example"

        factory = Mine(terms=Terms(Clock(), farewells("mine.example")))
        assert factory.site == Site("mine.example")


class TestStockClients:
    """Twisted's own clients against our server."""

    @pytest.mark.parametrize("security", [False, True])
    def test_sender(self, security: bool, monkeypatch: pytest.MonkeyPatch) -> None:
        """`ESMTPSender` sends a message, under TLS and with a login if it is told so."""
        hub = Hub(plaintext=True, tls=server_context() if security else None)
        realm = Realm(hub.hooks)
        hub.factory.portal = portal_for(realm)
        server = hub.server()
        server.challengers = {b"LOGIN": smtp.LOGINCredentials}
        sent: Deferred[Any] = Deferred()
        factory = smtp.ESMTPSenderFactory(
            b"ann",
            b"secret",
            "ann@hub.example",
            ["bob@hub.example", "eve@hub.example"],
            BytesIO(b"Subject: x\n\n.dot\n"),
            sent,
            contextFactory=ClientContext(),
            requireTransportSecurity=security,
            heloFallback=not security,
            hostname="hub.example",
        )
        client = factory.buildProtocol(PEER)
        client.setTimeout = lambda _seconds: None  # it would use the global reactor
        clock = Clock()
        turns = Cooperator(scheduler=lambda work: clock.callLater(0, work))
        monkeypatch.setattr("twisted.internet._producer_helpers.cooperate", turns.cooperate)
        pair = Pair(server, client)
        for _ in range(3):
            clock.advance(0)
            pair.carry()
        assert [len(message.lines) for message in hub.hooks.messages] == [4, 4]
        assert hub.hooks.messages[0].lines[-1] == b".dot"
        assert realm.who == [b"ann"]
        results: list[Any] = []
        sent.addCallback(results.append)
        assert results[0][0] == 2
        assert not hub.clock.getDelayedCalls()


def test_farewells() -> None:
    """SMTP's last words are all 421 with a status (RFC 5321 §3.8)."""
    words = farewells("hub.example")
    for farewell in (words.crowded, words.greedy, words.fault):
        assert farewell.startswith(b"421 4.")
        assert farewell.endswith(b"\r\n")


def test_client_seen() -> None:
    """What logins are asked for is the client as it came."""
    seen: list[Client] = []

    def logins(client: Client) -> FakeLogins:
        seen.append(client)
        return FakeLogins()

    Hub(intake=FakeIntake(), logins=logins, mechanisms=FakeMechanisms()).visit()
    assert seen == [Client("192.0.2.1", 4711)]
