"""The client as Twisted knows it: what was written for Twisted's works unchanged on ours."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path as File
from typing import Any

import pytest
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.protocol import ClientFactory
from twisted.internet.ssl import Certificate as TwistedCertificate
from twisted.internet.ssl import optionsForClientTLS, trustRootFromCertificates
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.mail import smtp
from twisted.python.failure import Failure

from mailhub.config.certificate import Authority, authority
from mailhub.net.clienttls import ClientTls
from mailhub.net.esmtpclient import UNHEARD_LIMIT, RelayClient, RelayClientFactory
from mailhub.net.tls import CertificateMap
from mailhub.policy.route import TlsDemand
from mailhub.smtp.wire import Timeouts
from tests.network import Network, scripted
from tests.stockserver import Delivery, stock

SERVER = ("192.0.2.1", 25)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate for mx.example.net."""
    return authority(str(tmp_path_factory.mktemp("tls")), 1_780_000_000.0, ["mx.example.net"])


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.settle()
    assert not network.calls, "a call was left behind"


# ---- A client as one writes it for Twisted -------------------------------------------------


class Contract:
    """What a user of `twisted.mail.smtp` writes: the same methods on either base class."""

    messages: list[tuple[Any, list[Any], Any]]
    results: list[Any]

    def getMailFrom(self) -> Any:
        return self.messages[0][0] if self.messages else None

    def getMailTo(self) -> Any:
        return self.messages[0][1]

    def getMailData(self) -> Any:
        return self.messages[0][2]

    def sentMail(self, code: int, resp: bytes, numOk: int, addresses: Any, log: Any) -> None:
        self.results.append((code, numOk, [(address, code) for address, code, _ in addresses]))
        self.messages.pop(0)

    def sendError(self, exc: Exception) -> None:
        self.results.append(exc)
        super().sendError(exc)  # type: ignore[misc]


class OnOurs(Contract, RelayClient):
    pass


class OnTheirs(Contract, smtp.ESMTPClient):
    pass


def connect(network: Network, client: Any) -> Any:
    client.callLater = network.callLater
    factory = ClientFactory()
    factory.buildProtocol = lambda addr: client  # type: ignore[method-assign]
    network.connectTCP(*SERVER, factory)
    network.settle()
    return client


def client(kind: type[Any], *messages: tuple[Any, list[Any], bytes], **attributes: Any) -> Any:
    made = kind(attributes.pop("secret", None), attributes.pop("context", None), b"hub.example")
    made.messages = [(sender, to, io.BytesIO(data)) for sender, to, data in messages]
    made.results = []
    vars(made).update(attributes)
    return made


MAIL = ("bob@example.com", ["ann@example.org"], b"Subject: hello\n\n.Hello.\n")


class TestContract:
    @pytest.mark.parametrize("kind", [OnOurs, OnTheirs])
    def test_same(self, network: Network, kind: type[Any]) -> None:
        """One subclass, two bases: stock's server sees and says the same, message after message."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery)
        second = ("", ["nobody@example.org", b"bea@example.org"], b"again\n")
        it = connect(network, client(kind, MAIL, second))
        assert it.results == [
            (250, 1, [("ann@example.org", 250) if kind is OnTheirs else (b"ann@example.org", 250)]),
            (
                250,
                1,
                [
                    ("nobody@example.org" if kind is OnTheirs else b"nobody@example.org", 550),
                    (b"bea@example.org", 250),
                ],
            ),
        ]
        assert [(sender, to) for sender, to, _ in delivery.messages] == [
            ("bob@example.com", ["ann@example.org"]),
            ("", ["bea@example.org"]),
        ]
        assert delivery.messages[0][2] == b"Received: here\r\nSubject: hello\r\n\r\n.Hello.\r\n"
        assert not network.made[0].connected

    def test_smuggling(self, network: Network) -> None:
        """Content with dots wherever pieces end arrives as it is: stock's client loses here."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery)
        dots = b"".join(b".%d\r\n" % number for number in range(40_000))
        data = b"Subject: x\r\n\r\n.\r\n" + dots
        connect(network, client(OnOurs, ("bob@example.com", ["ann@example.org"], data)))
        [(_, _, content)] = delivery.messages
        assert content == b"Received: here\r\n" + data

    def test_all_refused(self, network: Network) -> None:
        """Nobody accepted is told as stock tells it."""
        network.hosts[SERVER] = stock(Delivery())
        it = connect(network, client(OnOurs, ("bob@example.com", ["nobody@example.org"], b"x\n")))
        assert it.results == [(550, 0, [(b"nobody@example.org", 550)])]

    def test_bad_addresses(self, network: Network) -> None:
        """An address that is none is refused by us, and cannot become a second command."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery)
        to = ["ann@example.org\r\nRCPT TO:<eve@example.org>", "<ann@example.org>"]
        it = connect(network, client(OnOurs, ("bob@example.com", to, b"x\n")))
        assert it.results[0][2][0][1] == 501
        assert delivery.messages[0][1] == ["ann@example.org"]
        it = connect(network, client(OnOurs, ("bob@\r\nx", ["ann@example.org"], b"x\n")))
        assert it.results[0][:2] == (501, 0)

    def test_local_recipient(self, network: Network) -> None:
        """A name without a domain goes out as it is."""
        network.hosts[SERVER] = scripted(
            "220 mx", "250 mx", "250 Ok", "250 Ok", "354 Go", "250 Ok", "221 Bye", None
        )
        it = connect(network, client(OnOurs, ("bob@example.com", [b"root"], b"x\n")))
        assert it.results == [(250, 1, [(b"root", 250)])]

    def test_log(self, network: Network) -> None:
        """The log has the dialogue, as stock's has."""
        network.hosts[SERVER] = stock(Delivery())
        it = connect(network, client(OnOurs, MAIL))
        assert b"<<< 221" in it.log.str()

    def test_broken_subclass(self, network: Network) -> None:
        """A bug in a subclass ends the connection and is logged; nothing hangs."""
        network.hosts[SERVER] = stock(Delivery())

        class Broken(OnOurs):
            def getMailTo(self) -> Any:
                raise RuntimeError("a bug")

        connect(network, client(Broken, MAIL))
        assert not network.made[0].connected


class TestErrors:
    """Failures come as the exceptions that Twisted's users catch."""

    def fail(self, network: Network, *script: Any, **attributes: Any) -> Any:
        network.hosts[SERVER] = scripted(*script)
        it = connect(network, client(OnOurs, MAIL, **attributes))
        network.pass_time(3600)
        [result] = it.results
        assert not network.made[-1].connected
        return result

    def test_connect(self, network: Network) -> None:
        """A greeting that refuses."""
        error = self.fail(network, "554 5.3.2 No")
        assert isinstance(error, smtp.SMTPConnectError)
        assert error.code == 554

    def test_protocol(self, network: Network) -> None:
        """A server that does not speak SMTP."""
        assert isinstance(self.fail(network, "hello"), smtp.SMTPProtocolError)

    @pytest.mark.parametrize("script", [(...,), ("220 mx", ...), ("220 mx", "250 mx", ...)])
    def test_timeout(self, network: Network, script: tuple[Any, ...]) -> None:
        """A server that falls silent, in the time of the stage, or in what was set for all."""
        assert isinstance(self.fail(network, *script), smtp.SMTPTimeoutError)
        network.hosts[SERVER] = scripted(*script)
        it = connect(network, client(OnOurs, MAIL, timeout=10))
        network.pass_time(9)
        assert not it.results
        network.pass_time(2)
        assert isinstance(it.results[0], smtp.SMTPTimeoutError)
        network.pass_time(10)

    def test_tls(self, network: Network) -> None:
        """TLS is required and not offered, or refused."""
        error = self.fail(network, "220 mx", "250 mx", "221 Bye", requireTransportSecurity=True)
        assert isinstance(error, smtp.TLSRequiredError)

    def test_ehlo(self, network: Network) -> None:
        """EHLO is required and not known."""
        error = self.fail(network, "220 mx", "500 What?", "221 Bye", heloFallback=False)
        assert isinstance(error, smtp.EHLORequiredError)

    def test_ehlo_later(self, network: Network) -> None:
        """EHLO is refused for now."""
        error = self.fail(network, "220 mx", "450 4.3.2 Later")
        assert isinstance(error, smtp.SMTPConnectError)
        assert error.code == 450

    def test_auth(self, network: Network) -> None:
        """AUTH is required and not to be had, or declined."""
        error = self.fail(network, "220 mx", "250 mx", "221 Bye", requireAuthentication=True)
        assert isinstance(error, smtp.AUTHRequiredError)
        network.hosts[SERVER] = scripted("220 mx", "250-mx\n250 AUTH PLAIN", "535 No", "221 Bye")
        it = client(OnOurs, MAIL, secret=b"wrong", requireAuthentication=True)
        it.registerAuthenticator(smtp.PLAINAuthenticator(b"ann"))
        connect(network, it)
        network.pass_time(10)
        assert isinstance(it.results[0], smtp.AUTHDeclinedError)
        assert it.results[0].code == 535

    def test_in_doubt(self, network: Network) -> None:
        """A message that may have been accepted is told as such, and is not to be retried."""
        script = ("220 mx", "250 mx", "250 Ok", "250 Ok", "354 Go", None)
        error = self.fail(network, *script)
        assert isinstance(error, smtp.SMTPClientError)
        assert not error.retry

    def test_lost(self, network: Network) -> None:
        """A connection that is lost is for the factory to hear of, as with stock."""
        network.hosts[SERVER] = scripted("220 mx", "250 mx", None)
        it = connect(network, client(OnOurs, MAIL))
        assert it.results == []
        assert not network.made[0].connected

    def test_closing(self, network: Network) -> None:
        """421 is the message's answer, and the end of the connection."""
        network.hosts[SERVER] = scripted("220 mx", "250 mx", "421 4.3.2 Bye")
        it = connect(network, client(OnOurs, MAIL, MAIL))
        assert [code for code, _, _ in it.results] == [421]
        assert not network.made[0].connected


class TestAuthentication:
    def test_registered(self, network: Network) -> None:
        """Registered authenticators are used in their order, against stock's server."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery, password="secret")
        it = client(OnOurs, MAIL, secret=b"secret", requireAuthentication=True)
        it.registerAuthenticator(smtp.CramMD5ClientAuthenticator(b"ann"))
        it.registerAuthenticator(smtp.PLAINAuthenticator(b"ann"))
        connect(network, it)
        assert len(delivery.messages) == 1

    def test_challenge(self, network: Network) -> None:
        """An authenticator with challenges answers them."""
        network.hosts[SERVER] = scripted(
            "220 mx",
            "250-mx\n250 AUTH LOGIN",
            "334 VXNlcm5hbWU6",
            "334 UGFzc3dvcmQ6",
            "235 Ok",
            "250 Ok",
            "250 Ok",
            "354 Go",
            "250 Ok",
            "221 Bye",
        )
        it = client(OnOurs, MAIL, secret=b"secret")
        it.registerAuthenticator(smtp.LOGINAuthenticator(b"ann"))
        connect(network, it)
        network.pass_time(10)
        assert it.results[0][0] == 250


class TestTls:
    def test_ours(self, network: Network, made: Authority) -> None:
        """Our shared context: SNI is sent, and the certificate judged."""
        delivery = Delivery()
        context = CertificateMap([made.files])
        network.hosts[SERVER] = stock(delivery, context)
        trusting = ClientTls(authorities=made.ca)
        it = client(
            OnOurs, MAIL, client_tls=trusting, server="mx.example.net", tls=TlsDemand.VERIFIED
        )
        connect(network, it)
        assert len(delivery.messages) == 1
        assert it.session.secured.verified
        assert it._tlsMode

    def test_theirs(self, network: Network, made: Authority) -> None:
        """A context of Twisted's, as its users hand it in."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery, CertificateMap([made.files]))
        roots = trustRootFromCertificates([TwistedCertificate.loadPEM(File(made.ca).read_bytes())])
        context = optionsForClientTLS("mx.example.net", roots)
        it = client(OnOurs, MAIL, context=context, requireTransportSecurity=True)
        connect(network, it)
        assert len(delivery.messages) == 1

    def test_injection(self, network: Network, made: Authority) -> None:
        """Octets that came with the 220 are not believed under TLS: the connection ends."""
        network.hosts[SERVER] = scripted("220 mx", "250-mx\n250 STARTTLS", "220 Go\n250 evil")
        it = connect(network, client(OnOurs, MAIL, client_tls=ClientTls(authorities=made.ca)))
        assert isinstance(it.results[0], smtp.SMTPProtocolError)
        assert not network.made[0].connected


class TestBackPressure:
    DATA = (b"a" * 70 + b"\n") * 100_000

    def stuck(self, network: Network) -> Any:
        """A client amid its content, to a server that has stopped reading."""
        network.deaf_after = 100_000
        it = connect(network, client(OnOurs, ("bob@example.com", ["ann@example.org"], self.DATA)))
        assert it.session.stage == "content"
        assert not it.results
        return it

    def test_slow_server(self, network: Network) -> None:
        """A server that stops reading is waited for, and not filled with the whole content."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery)
        it = self.stuck(network)
        end = network.made[0]
        waiting = len(end.dataBuffer) + sum(map(len, end._tempDataBuffer))
        assert waiting < 300_000
        network.deaf_after = 0
        end.other.deaf = False
        end.other.deliver()
        network.settle()
        assert it.results[0][0] == 250
        wanted = len(self.DATA) + 100_000 + len("Received: here\r\n\r\n")
        assert len(delivery.messages[0][2]) == wanted

    def test_deaf_server(self, network: Network) -> None:
        """One that reads nothing for too long is given up."""
        network.hosts[SERVER] = stock(Delivery())
        it = self.stuck(network)
        network.pass_time(179)
        assert not it.results
        network.pass_time(2)
        assert isinstance(it.results[0], smtp.SMTPTimeoutError)
        assert not network.made[0].connected

    def test_gone(self, network: Network) -> None:
        """One that leaves is noticed at once."""
        network.hosts[SERVER] = stock(Delivery())
        it = self.stuck(network)
        network.made[0].other.abortConnection()
        network.settle()
        assert not network.made[0].connected
        assert it.results == []

    def test_talkative_server(self, network: Network) -> None:
        """A server that talks without being asked is not read beyond a limit."""
        network.hosts[SERVER] = scripted("220 mx", "250 mx", "250 Ok")
        it = client(OnOurs)
        it.begin = lambda: None  # nobody listens
        connect(network, it)
        server = network.made[0].other
        for _ in range(10):
            server.write(b"250 a\r\n" * 10_000)
        network.settle()
        assert it._unheard <= UNHEARD_LIMIT + 70_000
        network.made[0].abortConnection()
        server.abortConnection()

    def test_no_delay(self, network: Network) -> None:
        """Small writes leave at once."""
        network.hosts[SERVER] = stock(Delivery())
        connect(network, client(OnOurs, MAIL))
        assert network.made[0].no_delay


class TestWire:
    """What `smtp.wire.Wire` promises, on a transport that only records."""

    def wire(self, clock: Clock) -> tuple[RelayClient, StringTransport]:
        it = RelayClient(None, None, b"hub.example")
        it.begin = lambda: None  # type: ignore[method-assign]
        it.callLater = clock.callLater
        transport = StringTransport()
        it.makeConnection(transport)
        it.allow(10)
        return it, transport

    def wait(self, work: Any) -> list[Any]:
        results: list[Any] = []
        Deferred.fromCoroutine(work).addBoth(results.append)
        return results

    def test_lost(self) -> None:
        """On a lost connection sending is harmless, and all that waits says so."""
        it, transport = self.wire(Clock())
        waiting = self.wait(it.listen())
        it.connectionLost(Failure(ConnectionLost("reset")))
        assert waiting[0].check(ConnectionError)
        it.send(b"x")
        assert not transport.value()
        for work in (it.listen(), it.drained(), it._wait("octets")):
            assert self.wait(work)[0].check(ConnectionError)
        it.hang_up()
        assert not transport.disconnecting

    def test_lost_while_nobody_waits(self) -> None:
        """It is remembered for whoever waits next."""
        it, _ = self.wire(Clock())
        it.connectionLost()
        [failure] = self.wait(it.listen())
        assert str(failure.value) == "closed by the server"

    def test_unheard(self) -> None:
        """Octets that nobody waits for stop the reading; waiting lets it go on."""
        it, transport = self.wire(Clock())
        it.dataReceived(b"a" * 10)
        self.wait(it.listen())
        it.dataReceived(b"b")
        it.dataReceived(b"a" * UNHEARD_LIMIT)
        assert transport.producerState == "producing"
        it.dataReceived(b"a")
        assert transport.producerState == "paused"
        waiting = self.wait(it.listen())
        assert transport.producerState == "producing"
        it.dataReceived(b"b")
        assert waiting == [None]

    def test_patience(self) -> None:
        """Time runs from `allow`, through several waits, and only while somebody waits."""
        clock = Clock()
        it, _ = self.wire(clock)
        waiting = self.wait(it.listen())
        clock.advance(6)
        it.dataReceived(b"a")
        again = self.wait(it.listen())
        clock.advance(4)
        assert waiting == [None]
        assert again[0].check(TimeoutError)
        it.allow(10)
        assert not clock.getDelayedCalls()
        self.wait(it.listen())
        it.dataReceived(b"a")
        clock.advance(10)  # nobody waits: nothing happens

    def test_room(self) -> None:
        """A transport that is full is waited for; its wish is noted even if nobody waits."""
        it, transport = self.wire(Clock())
        assert self.wait(it.drained()) == [None]
        valve: Any = transport.producer
        valve.pauseProducing()
        waiting = self.wait(it.drained())
        valve.resumeProducing()
        assert waiting == [None]
        valve.resumeProducing()
        it.handshakeCompleted()
        valve.stopProducing()
        it.hang_up()
        assert transport.producer is None

    def test_cancelled(self) -> None:
        """Whoever waits can be cancelled."""
        it, _ = self.wire(Clock())
        waiting = Deferred.fromCoroutine(it.listen())
        results: list[Any] = []
        waiting.addBoth(results.append)
        waiting.cancel()
        assert results[0].check(CancelledError)
        it.connectionLost()

    def test_no_tls_here(self) -> None:
        """A transport that cannot do TLS is a failed handshake."""
        it, _ = self.wire(Clock())
        assert self.wait(it.secure())[0].check(ConnectionError)
        assert it.handshake_failed

    def test_already_encrypted(self) -> None:
        """On a connection that is TLS already, STARTTLS is not asked for."""
        it = RelayClient(None, None, b"hub.example")
        it.requireTransportSecurity = True
        it._tlsMode = True
        assert it._demand() is TlsDemand.NONE

    def test_lingering(self) -> None:
        """A server that does not let go is cut off."""
        clock = Clock()
        it, transport = self.wire(clock)
        it.hang_up()
        assert transport.disconnecting
        clock.advance(5)
        assert transport.disconnected


def in_turn(makers: Iterator[Any]) -> Any:
    """A host that is another with each connection."""
    return lambda addr: next(makers)(addr)  # noqa: PLW0108  # another each time


class TestFactory:
    def send(self, network: Network, **options: Any) -> tuple[RelayClientFactory, list[Any]]:
        done: Deferred[Any] = Deferred()
        results: list[Any] = []
        done.addBoth(results.append)
        defaults: dict[str, Any] = {
            "requireAuthentication": False,
            "requireTransportSecurity": False,
            "retries": 0,
            "clock": network,
        }
        factory = RelayClientFactory(
            options.pop("username", None),
            options.pop("password", None),
            "bob@example.com",
            "ann@example.org",
            io.BytesIO(b"Subject: x\n\nx\n"),
            done,
            **{**defaults, **options},
        )
        network.connectTCP(*SERVER, factory)
        network.settle()
        return factory, results

    def test_sends(self, network: Network) -> None:
        """The factory's Deferred fires as stock's does."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery)
        _, results = self.send(network)
        assert results == [(1, [(b"ann@example.org", 250, b"Recipient address accepted")])]
        assert len(delivery.messages) == 1

    def test_logs_in(self, network: Network, made: Authority) -> None:
        """Name and password, over TLS, as ESMTPSenderFactory is used."""
        delivery = Delivery()
        network.hosts[SERVER] = stock(delivery, CertificateMap([made.files]), password="secret")
        _, results = self.send(
            network,
            username=b"ann",
            password=b"secret",
            requireAuthentication=True,
            requireTransportSecurity=True,
            client_tls=ClientTls(authorities=made.ca),
            hostname="mx.example.net",
            tls=TlsDemand.VERIFIED,
        )
        assert results[0][0] == 1

    def test_refused(self, network: Network) -> None:
        """A connection that cannot be made, and mail that is not wanted, are errors."""
        _, results = self.send(network)
        assert isinstance(results[0], Failure)
        network.hosts[SERVER] = scripted("220 mx", "250 mx", "550 5.7.1 No", "221 Bye")
        _, results = self.send(network)
        network.pass_time(10)
        assert results[0].check(smtp.SMTPDeliveryError)

    def test_retries(self, network: Network) -> None:
        """A lost connection is tried again, with the content from its beginning."""
        delivery = Delivery()
        good = stock(delivery)
        turns = iter([scripted("220 mx", None), good])
        network.hosts[SERVER] = in_turn(turns)
        _, results = self.send(network, retries=1)
        assert results[0][0] == 1
        assert delivery.messages[0][2].endswith(b"Subject: x\r\n\r\nx\r\n")

    def test_fallback(self, network: Network, made: Authority) -> None:
        """Opportunistic TLS whose handshake fails is followed by a connection in the clear."""
        delivery = Delivery()
        good = stock(delivery)
        broken = scripted("220 mx", "250-mx\n250 STARTTLS", "220 Go", "this is not TLS")
        turns = iter([broken, good])
        network.hosts[SERVER] = in_turn(turns)
        _, results = self.send(network, client_tls=ClientTls(authorities=made.ca))
        assert results[0][0] == 1
        assert len(network.attempts) == 2

    def test_no_fallback(self, network: Network, made: Authority) -> None:
        """Where TLS is required there is none."""
        network.hosts[SERVER] = scripted(
            "220 mx", "250-mx\n250 STARTTLS", "220 Go", "this is not TLS"
        )
        _, results = self.send(
            network, client_tls=ClientTls(authorities=made.ca), requireTransportSecurity=True
        )
        assert isinstance(results[0], Failure)
        assert len(network.attempts) == 1

    def test_timeouts(self, network: Network) -> None:
        """The stages' patience can be set."""
        network.hosts[SERVER] = scripted(...)
        _, results = self.send(network, timeouts=Timeouts(banner=3))
        network.pass_time(4)
        assert isinstance(results[0], Failure)
