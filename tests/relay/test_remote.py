"""One attempt, wherever it leads: to hosts that are down, or break at each stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path as FilePath
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.hashes import SHA256
from twisted.internet.defer import CancelledError, Deferred

from mailhub.config.certificate import Authority, authority, read_chain
from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.net.clienttls import ClientTls
from mailhub.net.tls import CertificateMap
from mailhub.policy.limits import Family, PoolLimits, ProtectionLimits, RemoteLimits
from mailhub.policy.route import Exchange, Hop, Smarthost, TlsDemand
from mailhub.policy.tlsrpt import Contact, Fault
from mailhub.ports.outgoing import Outcome
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.queue.assurances import Assurances
from mailhub.relay.pool import Pool
from mailhub.relay.protector import Protector
from mailhub.relay.remote import Remote
from mailhub.relay.traffic import Traffic
from tests.network import Network, scripted
from tests.relay.sending import SMALL, Host, Names, content, envelope, pool, start, told, traffic
from tests.smtp.model import DROP, EVERYTHING, SILENCE, Model, Octets
from tests.stockserver import Delivery, stock

HOP = Exchange("example.org")
ONE, TWO, SIX = "192.0.2.1", "192.0.2.2", "2001:db8::1"
TLS = (*EVERYTHING, "STARTTLS")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    names = ["a.example", "b.example", "smtp.example"]
    return authority(str(tmp_path_factory.mktemp("tls")), 1_780_000_000.0, names)


class World:
    """Two exchanges of example.org, and us."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.mx: dict[str, Any] = {"example.org": [Mx(10, "a.example"), Mx(20, "b.example")]}
        self.addresses: dict[str, Any] = {
            "a.example": [ONE],
            "b.example": [TWO],
            "smtp.example": [ONE],
        }
        self.one, self.two = Host(), Host()
        network.hosts[ONE, 25] = self.one
        network.hosts[TWO, 25] = self.two
        self.pool: Pool = pool(network)
        self.traffic: Traffic = traffic(network)
        self.options: dict[str, Any] = {}
        self.promises: dict[str, Any] = {}
        self.texts: dict[str, Any] = {}
        self.authentic = False

    def trust(self, made: Authority) -> CertificateMap:
        """Use TLS with an authority; what servers need is returned."""
        self.pool = pool(self.network, ClientTls(authorities=made.ca))
        return CertificateMap([made.files])

    def put(self, address: str, what: Any, port: int = 25) -> None:
        self.network.hosts[address, port] = what

    def remote(self) -> Remote:
        names = Names(self.mx, self.addresses)
        names.promises, names.authentic, names.texts = self.promises, self.authentic, self.texts
        return Remote(
            names,
            self.pool,
            self.traffic,
            shuffle=Random(1).shuffle,
            time=lambda: 1000 + self.network.seconds(),
            **self.options,
        )

    def deliver(
        self,
        what: Envelope | None = None,
        hop: Hop = HOP,
        octets: bytes = SMALL,
        seconds: float = 0,
    ) -> Outcome:
        results = start(self.remote().deliver(hop, what or envelope(), content(octets)))
        self.network.pass_time(seconds)
        [outcome] = results
        assert isinstance(outcome, Outcome), outcome
        number = len((what or envelope()).recipients)
        assert len(outcome.replies) == len(outcome.hosts) == len(outcome.dsn) == number
        return outcome


@pytest.fixture
def world() -> Iterator[World]:
    network = Network()
    world = World(network)
    yield world
    stopped = start(world.pool.stop())
    network.pass_time(60)
    assert stopped == [None]
    assert not network.calls, "a call was left behind"
    assert not any(end.connected for end in network.made), "a connection was left open"


def stages(outcome: Outcome) -> list[tuple[str, str, str]]:
    return [(it.host, it.stage, f"{it.reply.code}") for it in outcome.attempts]


class TestDelivered:
    def test_facts(self, world: World) -> None:
        """The best host takes it, and every fact of the attempt is there."""
        world.network.advance(5)
        outcome = world.deliver(envelope("ann", "bea"))
        assert told(outcome) == ["250 2.0.0"] * 2
        assert outcome.hosts == ("a.example",) * 2
        assert outcome.dsn == (True, True)
        [attempt] = outcome.attempts
        assert (attempt.host, attempt.address, attempt.port) == ("a.example", ONE, 25)
        assert (attempt.tls, attempt.certificate, attempt.reused) == ("", "", False)
        assert (attempt.started, attempt.ended, attempt.stage) == (1005, 1005, "done")
        assert attempt.reply == outcome.replies[0]
        assert not attempt.in_doubt
        assert world.one.models[0].taken[0].content == SMALL

    def test_stock_server(self, world: World) -> None:
        """Against Twisted's own server, several messages over one connection."""
        delivery = Delivery()
        world.put(ONE, stock(delivery))
        for _ in range(3):
            assert world.deliver().replies[0].code == 250
        assert len(world.network.attempts) == 1
        assert {message[2] for message in delivery.messages} == {b"Received: here\r\n" + SMALL}

    def test_recipients_apart(self, world: World) -> None:
        """Each recipient has its own reply, and the host that gave it; 4yz goes nowhere else."""
        answers: dict[str, Any] = {"RCPT": ["250 Ok", "550 5.1.1 Who?", "450 4.2.0 Greylisted"]}
        world.put(ONE, Host(lambda: Model(answers=answers)))
        outcome = world.deliver(envelope("ann", "bea", "cid"))
        assert told(outcome) == ["250 2.0.0", "550 5.1.1", "450 4.2.0"]
        assert outcome.hosts == ("a.example",) * 3
        assert outcome.dsn == (True, False, False)
        assert not world.two.models

    def test_no_dsn(self, world: World) -> None:
        """A host without DSN leaves the reporting to us."""
        world.put(ONE, Host(lambda: Model(("PIPELINING",))))
        assert world.deliver().dsn == (False,)

    def test_large(self, world: World) -> None:
        """Large content, through real buffers."""
        octets = b"".join(b".%d\r\n" % number for number in range(150_000))
        assert told(world.deliver(octets=octets)) == ["250 2.0.0"]
        assert world.one.models[0].taken[0].content == octets


class TestNames:
    @pytest.mark.parametrize(
        ("mx", "status"),
        [
            (NoSuchDomain(), "550 5.1.2"),
            (LookupFailed("SERVFAIL"), "451 4.4.3"),
            ([Mx(0, "")], "556 5.1.10"),
            ([Mx(10, "hub.example")], "554 5.4.6"),
        ],
    )
    def test_no_exchange(self, world: World, mx: Any, status: str) -> None:
        """A domain that does not exist, cannot be asked, wants no mail, or is ourselves."""
        world.mx["example.org"] = mx
        world.options["ourselves"] = ("hub.example",)
        outcome = world.deliver(envelope("ann", "bea"))
        assert told(outcome) == [status] * 2
        assert outcome.hosts == ("", "")
        assert outcome.attempts == ()

    @pytest.mark.parametrize(
        ("addresses", "status"),
        [
            (NoSuchDomain(), "550 5.4.4"),
            ([], "550 5.4.4"),
            (LookupFailed("no answer"), "451 4.4.3"),
        ],
    )
    def test_no_address(self, world: World, addresses: Any, status: str) -> None:
        """Exchanges without addresses are noted, and the next one is tried."""
        world.addresses["a.example"] = addresses
        outcome = world.deliver()
        assert stages(outcome) == [
            ("a.example", "connect", status[:3]),
            ("b.example", "done", "250"),
        ]
        assert outcome.attempts[0].address == ""
        world.addresses["b.example"] = addresses
        world.pool = pool(world.network)
        assert told(world.deliver()) == [status]

    def test_all_without_address(self, world: World) -> None:
        """If none has one, a temporary reason goes before a permanent one."""
        world.addresses = {"a.example": LookupFailed("x"), "b.example": NoSuchDomain()}
        assert told(world.deliver()) == ["451 4.4.3"]
        world.addresses = {"a.example": NoSuchDomain(), "b.example": LookupFailed("x")}
        assert told(world.deliver()) == ["451 4.4.3"]
        world.addresses = {}
        assert told(world.deliver()) == ["550 5.4.4"]

    def test_implicit(self, world: World) -> None:
        """A domain without MX records is its own exchange."""
        world.mx = {}
        world.addresses["example.org"] = [TWO]
        assert stages(world.deliver()) == [("example.org", "done", "250")]

    def test_literal(self, world: World) -> None:
        """An address literal is gone to directly."""
        outcome = world.deliver(hop=Exchange(f"[{ONE}]"))
        assert stages(outcome) == [(ONE, "done", "250")]

    def test_families(self, world: World) -> None:
        """IPv6 and IPv4 alternate; one of them can be left out."""
        world.mx["example.org"] = [Mx(10, "a.example")]
        world.addresses["a.example"] = [ONE, TWO, SIX, "2001:db8::2"]
        for address in (ONE, TWO):
            world.put(address, "refuse")
        outcome = world.deliver()
        assert [":" in it.address for it in outcome.attempts] == [True, False, True, False]
        for family, count in ((Family.IPV4, 2), (Family.IPV6, 2)):
            world.options["limits"] = RemoteLimits(family=family)
            found = world.deliver()
            assert len(found.attempts) == count
            assert {":" in it.address for it in found.attempts} == {family is Family.IPV6}

    def test_limits(self, world: World) -> None:
        """There is an end to the hosts and addresses of one attempt."""
        world.mx["example.org"] = [Mx(number, f"mx{number}.example") for number in range(9)]
        world.addresses = {
            f"mx{number}.example": [f"198.51.100.{number}"] * 3 for number in range(9)
        }
        world.options["limits"] = RemoteLimits(hosts=3, addresses=5)
        outcome = world.deliver()
        assert len(outcome.attempts) == 5
        assert told(outcome) == ["451 4.4.1"]

    def test_no_hosts(self, world: World) -> None:
        """Without any address allowed there is no host to try."""
        world.options["limits"] = RemoteLimits(addresses=0)
        assert told(world.deliver()) == ["451 4.4.1"]

    def test_listening(self, world: World) -> None:
        """An exchange at an address of ours is us under another name: a loop."""
        world.options["listening"] = [(ONE, 25)]
        assert told(world.deliver()) == ["554 5.4.6"]
        assert not world.network.attempts
        assert told(world.deliver(hop=Smarthost("s", ONE, 25, TlsDemand.NONE))) == ["250 2.0.0"]

    def test_listening_everywhere(self, world: World) -> None:
        """So is one that a connection of ours reaches without leaving the machine."""
        world.options["listening"] = [("", 25)]
        assert told(world.deliver()) == ["250 2.0.0"]
        for address in ("127.0.0.9", "127.0.0.1", "127.0.0.2", "::1", "0.0.0.0"):
            host = world.network.hosts[address, 25] = Host()
            world.addresses["a.example"] = [address]
            world.pool = pool(world.network)
            assert told(world.deliver()) == ["554 5.4.6"]
            assert host.commands == []
        world.options["listening"] = [("", 2525)]
        assert told(world.deliver()) == ["250 2.0.0"]


class TestNextHost:
    @pytest.mark.parametrize(
        ("what", "stage"),
        [
            ("refuse", "connect"),
            ("silent", "connect"),
            (scripted("450 4.3.2 Later"), "banner"),
            (scripted("554 5.3.2 No"), "banner"),
            (scripted("421 4.3.2 Busy"), "banner"),
            (scripted(None), "banner"),
            (scripted(...), "banner"),
            (scripted("HTTP/1.0 400 Bad Request"), "banner"),
            (scripted("220-" + "x" * 5000), "banner"),
            (scripted("\n".join(["220-x"] * 1000)), "banner"),
            (scripted("220 mx", "550 No", "550 No"), "ehlo"),
            (scripted("220 mx", "450 Later"), "ehlo"),
            (scripted("220 mx", None), "ehlo"),
            (scripted("220 mx", "250 mx\n250 mx"), "ehlo"),
            (scripted("220 mx", "250 mx", None), "mail"),
            (scripted("220 mx", "250 mx", ...), "mail"),
            (scripted("220 mx", "250 mx", "421 Bye"), "mail"),
            (scripted("220 mx", "250 mx", "250 Ok", None), "rcpt"),
            (scripted("220 mx", "250 mx", "250 Ok", "421 Bye"), "rcpt"),
            (scripted("220 mx", "250 mx", "250 Ok", "250 Ok", None), "data"),
            (scripted("220 mx", "250 mx", "250 Ok", "250 Ok", "354 Go", "421 Bye"), "content"),
        ],
    )
    def test_useless(self, world: World, what: Any, stage: str) -> None:
        """A host that is of no use, at whatever stage, leaves the message to the next."""
        world.put(ONE, what)
        outcome = world.deliver(seconds=1000)
        assert told(outcome) == ["250 2.0.0"]
        assert outcome.hosts == ("b.example",)
        first, second = outcome.attempts
        # Replies that nobody asked for show when the next command is to be sent.
        assert first.stage in (stage, "mail")
        assert not first.in_doubt
        assert (second.host, second.stage) == ("b.example", "done")
        assert world.two.taken == 1
        assert first.ended <= second.started

    def test_all_useless(self, world: World) -> None:
        """If none is of use, a host that may come back keeps the message alive."""
        world.put(ONE, scripted("450 4.3.2 Later"))
        world.put(TWO, scripted("521 No mail here"))
        outcome = world.deliver()
        assert told(outcome) == ["450 4.3.2"]
        assert outcome.hosts == ("a.example",)
        world.put(ONE, scripted("220 mx", "554 5.3.2 Never", "554 5.3.2 Never"))
        assert told(world.deliver()) == ["521 5.0.0"]
        world.put(TWO, "refuse")
        outcome = world.deliver()
        assert told(outcome) == ["451 4.4.1"]
        assert outcome.hosts == ("",)

    def test_our_words(self, world: World) -> None:
        """Words of ours say which host they are about: they are all that a sender is told."""
        for what, words in (
            ("refuse", "Connection refused"),
            (
                scripted("220 mx", "250-mx\n250 8BITMIME", None),
                "Connection lost after MAIL: closed by the server",
            ),
            (Host(partial(Model, extensions=())), "The next host does not take 8-bit content"),
        ):
            world.put(ONE, what)
            world.put(TWO, what)
            outcome = world.deliver(octets=b"\xff\r\n")
            assert outcome.replies[0].lines == (f"b.example [{TWO}]: {words}",)

    def test_greeting(self, world: World) -> None:
        """A block at the greeting bounces nothing, and is on record as it was said."""
        for address in (ONE, TWO):
            world.put(address, scripted("554 5.7.1 Blocked"))
        outcome = world.deliver()
        assert told(outcome) == ["451 4.3.2"]
        assert "554 5.7.1 Blocked" in outcome.replies[0].text
        assert [it.reply.code for it in outcome.attempts] == [554, 554]

    def test_some_settled(self, world: World) -> None:
        """Recipients that were answered before the connection broke are not asked again."""
        world.put(ONE, Host(lambda: Model(answers={"RCPT": ["550 5.1.1 Who?", "250 Ok", DROP]})))
        outcome = world.deliver(envelope("ann", "bea", "cid"))
        assert told(outcome) == ["550 5.1.1", "250 2.0.0", "250 2.0.0"]
        assert outcome.hosts == ("a.example", "b.example", "b.example")
        assert [it.split(":")[1] for it in world.two.commands if it.startswith("RCPT")] == [
            "<bea@example.org>",
            "<cid@example.org>",
        ]

    def test_permanent(self, world: World) -> None:
        """A refusal is a refusal."""
        for verb in ("MAIL", "RCPT", "DATA", "."):
            world.put(ONE, Host(partial(Model, answers={verb: "550 5.7.1 No"})))
            world.pool = pool(world.network)
            assert told(world.deliver()) == ["550 5.7.1"]
            start(world.pool.stop())
        assert not world.two.models

    def test_in_doubt(self, world: World) -> None:
        """What may have been accepted is not sent elsewhere."""
        for how, seconds in ((DROP, 0), (SILENCE, 700)):
            world.put(ONE, Host(partial(Model, answers={".": how})))
            outcome = world.deliver(seconds=seconds)
            assert told(outcome) == ["451 4.4.2"]
            [attempt] = outcome.attempts
            assert attempt.in_doubt
            assert attempt.stage == "content"
        assert not world.two.models

    def test_lacking(self, world: World) -> None:
        """A host that cannot take the message at all leaves it to one that can."""
        world.put(ONE, Host(lambda: Model(("PIPELINING",))))
        octets = b"Subject: \xff\r\n\r\nx\r\n"
        outcome = world.deliver(octets=octets)
        assert told(outcome) == ["250 2.0.0"]
        assert stages(outcome) == [("a.example", "mail", "554"), ("b.example", "done", "250")]
        world.put(TWO, Host(lambda: Model(("PIPELINING",))))
        world.pool = pool(world.network)
        outcome = world.deliver(octets=octets)
        assert told(outcome) == ["554 5.6.3"]
        assert outcome.hosts == ("",)

    def test_lacking_once(self, world: World) -> None:
        """It is not asked again at its other addresses, nor on other connections."""
        world.addresses["a.example"] = [ONE, "192.0.2.9"]
        for address in (ONE, "192.0.2.9"):
            world.put(address, Host(lambda: Model(("PIPELINING",))))
        assert told(world.deliver()) == ["250 2.0.0"]
        outcome = world.deliver(octets=b"X: \xff\r\n\r\n")
        assert [it.host for it in outcome.attempts] == ["a.example", "b.example"]

    def test_one_lacking(self, world: World) -> None:
        """Only the recipients that need it go to the next host."""
        world.put(ONE, Host(lambda: Model(("PIPELINING",))))
        what = envelope("ann", "\u00e9va")
        outcome = world.deliver(what)
        assert told(outcome) == ["250 2.0.0"] * 2
        assert outcome.hosts == ("a.example", "b.example")

    def test_unreadable(self, world: World) -> None:
        """Content of ours that cannot be read will not be readable for the next host."""
        remote = world.remote()
        results = start(remote.deliver(HOP, envelope(), Octets(SMALL, short=len(SMALL))))
        world.network.settle()
        [outcome] = results
        assert told(outcome) == ["451 4.3.0"]
        assert len(outcome.attempts) == 1

    def test_one_message_each(self, world: World) -> None:
        """A host that wants one transaction on each connection gets the rest on others."""
        world.put(ONE, Host(lambda: Model((*EVERYTHING, "LIMITS MAILMAX=1 RCPTMAX=1"))))
        outcome = world.deliver(envelope("ann", "bea", "cid"))
        assert told(outcome) == ["250 2.0.0"] * 3
        assert [it.host for it in outcome.attempts] == ["a.example"] * 3


class TestTls:
    def host(self, context: Any, **options: Any) -> Host:
        return Host(lambda: Model(TLS, **options), context)

    def test_opportunistic(self, world: World, made: Authority) -> None:
        """TLS is used where it is offered, whatever the certificate; the verdict is recorded."""
        context = world.trust(made)
        world.put(ONE, self.host(context))
        [attempt] = world.deliver().attempts
        assert attempt.tls.startswith("TLSv1.3 TLS_")
        assert attempt.certificate == "verified"
        world.addresses["c.example"] = [ONE]
        world.mx["example.org"] = [Mx(10, "c.example")]
        [attempt] = world.deliver().attempts
        assert attempt.certificate == "unverified: issued for another name"
        assert attempt.stage == "done"

    @pytest.mark.parametrize("how", ["this is not TLS", None, ...])
    def test_clear(self, world: World, made: Authority, how: Any) -> None:
        """A handshake that fails is followed by a connection in the clear, to the same host."""
        world.trust(made)
        broken = scripted("220 mx", "250-mx\n250 STARTTLS", "220 Go", how)
        good = Host(lambda: Model(TLS))
        turns: Iterator[Callable[[Any], Any]] = iter([broken, good])
        world.put(ONE, lambda addr: next(turns)(addr))  # noqa: PLW0108  # another each time
        outcome = world.deliver(seconds=100)
        assert stages(outcome) == [("a.example", "starttls", "454"), ("a.example", "done", "250")]
        assert "STARTTLS" not in good.commands
        assert outcome.attempts[1].tls == ""

    def test_more_than_was_asked(self, world: World, made: Authority) -> None:
        """Nothing that came before the handshake is read behind it: there is none, to that host."""
        world.trust(made)
        eager = scripted("220 mx", "250-mx\n250 STARTTLS", "220 Go\n250 injected", None)
        good = Host(lambda: Model(TLS))
        turns: Iterator[Callable[[Any], Any]] = iter([eager, good])
        world.put(ONE, lambda addr: next(turns)(addr))  # noqa: PLW0108  # another each time
        outcome = world.deliver(seconds=100)
        assert stages(outcome) == [("a.example", "starttls", "451"), ("a.example", "done", "250")]
        assert "STARTTLS" not in good.commands

    def test_required(self, world: World, made: Authority) -> None:
        """Where TLS is demanded nothing goes in the clear."""
        world.trust(made)
        hop = replace(HOP, tls=TlsDemand.REQUIRED)
        world.put(ONE, scripted("220 mx", "250-mx\n250 STARTTLS", "220 Go", "this is not TLS"))
        outcome = world.deliver(hop=hop)
        assert told(outcome) == ["454 4.7.4"]
        assert stages(outcome) == [("a.example", "starttls", "454"), ("b.example", "ehlo", "454")]
        assert not world.two.taken

    def test_verified(self, world: World, made: Authority) -> None:
        """A certificate for another name, or of nobody, is not good enough for some."""
        context = world.trust(made)
        hop = replace(HOP, tls=TlsDemand.VERIFIED)
        world.put(ONE, self.host(context))
        assert told(world.deliver(hop=hop)) == ["250 2.0.0"]
        start(world.pool.stop())
        world.pool = pool(world.network)  # trusts the machine's authorities only
        world.mx["example.org"] = [Mx(10, "a.example")]
        outcome = world.deliver(hop=hop)
        assert told(outcome) == ["454 4.7.5"]
        assert outcome.attempts[0].certificate == "unverified: issued by an unknown authority"

    def test_require_tls(self, world: World, made: Authority) -> None:
        """REQUIRETLS goes to hosts that announce it and prove who they are (RFC 8689 §4.2.1)."""
        context = world.trust(made)
        world.put(ONE, self.host(context))
        world.put(TWO, Host(lambda: Model((*TLS, "REQUIRETLS")), context))
        what = envelope(require_tls=True)
        assert told(world.deliver(what)) == ["550 5.7.30"]
        assert not world.network.attempts, "nobody vouches for these exchanges"
        world.authentic = True
        outcome = world.deliver(what)
        assert told(outcome) == ["250 2.0.0"]
        assert stages(outcome) == [("a.example", "mail", "550"), ("b.example", "done", "250")]
        assert "REQUIRETLS" in world.network.hosts[TWO, 25].models[0].taken[0].mail


class Web:
    """Has one policy."""

    def __init__(self, text: bytes) -> None:
        self.text = text

    async def get(self, host: str, path: str, limit: int) -> bytes:
        return self.text

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        raise AssertionError


class TestProtection:
    """What domains demand of the encryption to them."""

    @pytest.fixture
    def kept(self, tmp_path: FilePath) -> Iterator[Assurances]:
        kept = Assurances(str(tmp_path), lambda _: None)
        yield kept
        kept.close()

    def protect(self, world: World, kept: Assurances, policy: bytes = b"") -> None:
        clock = world.network
        world.options["protector"] = Protector(
            kept, Web(policy), clock, clock.seconds, ProtectionLimits(), self, self.tell
        )
        self.seen: list[tuple[str, str, Fault | None]] = []
        self.news: list[str] = []
        world.texts = {"_mta-sts.example.org": [b"v=STSv1; id=1;"]} if policy else {}

    def tell(self, subject: str, text: str) -> None:
        self.news.append(subject)

    def connected(self, contact: Contact) -> None:
        self.seen.append((contact.host, contact.certificate, contact.fault))

    def record(self, made: Authority, usage: int) -> Tlsa:
        certificate = read_chain(made.files.chain)[0]
        return Tlsa(usage, 0, 1, certificate.fingerprint(SHA256()))

    def test_dane(self, world: World, made: Authority, kept: Assurances) -> None:
        """A certificate that no authority vouches for is good if the DNS promised it."""
        context = CertificateMap([made.files])  # and nobody trusts its authority
        world.put(ONE, Host(lambda: Model(TLS), context))
        self.protect(world, kept)
        world.authentic = True
        world.promises["_25._tcp.a.example"] = [self.record(made, 3)]
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert outcome.attempts[0].certificate == "verified by DANE"
        [again] = world.deliver().attempts
        assert again.reused, "the same terms, the same connection"
        assert self.seen == [("a.example", "verified by DANE", None)], "a connection counts once"

    def test_dane_broken(self, world: World, made: Authority, kept: Assurances) -> None:
        """A host with another certificate, or without TLS, or without an answer, is passed by."""
        context = world.trust(made)
        world.put(ONE, Host(lambda: Model(TLS), context))
        self.protect(world, kept)
        world.authentic = True
        world.promises["_25._tcp.a.example"] = [Tlsa(3, 1, 1, bytes(32))]
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert stages(outcome) == [("a.example", "starttls", "454"), ("b.example", "done", "250")]
        assert "DANE" in outcome.attempts[0].certificate
        world.promises["_25._tcp.b.example"] = [Tlsa(0, 1, 1, bytes(32))]
        outcome = world.deliver()
        assert told(outcome) == ["454 4.7.4"], "useless records, but TLS is a must"
        assert [(host, fault) for host, _, fault in self.seen[-2:]] == [
            ("a.example", None),
            ("b.example", Fault.NOT_OFFERED),
        ]
        world.promises["_25._tcp.a.example"] = LookupFailed("SERVFAIL")
        world.promises["_25._tcp.b.example"] = LookupFailed("SERVFAIL")
        world.network.attempts.clear()
        assert told(world.deliver()) == ["451 4.7.5"]
        assert not world.network.attempts

    def test_dane_not_signed(self, world: World, made: Authority, kept: Assurances) -> None:
        """Without DNSSEC records count for nothing."""
        context = world.trust(made)
        world.put(ONE, Host(lambda: Model(TLS), context))
        self.protect(world, kept)
        world.promises["_25._tcp.a.example"] = [Tlsa(3, 1, 1, bytes(32))]
        assert world.deliver().attempts[0].certificate == "verified"

    def test_sts(self, world: World, made: Authority, kept: Assurances) -> None:
        """An enforced policy: its hosts alone, and only with a good certificate."""
        policy = b"version: STSv1\nmode: enforce\nmx: b.example\nmax_age: 9999\n"
        context = world.trust(made)
        world.put(ONE, Host(lambda: Model(TLS), context))
        world.put(TWO, Host(lambda: Model(TLS), context))
        self.protect(world, kept, policy)
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert stages(outcome) == [("a.example", "connect", "451"), ("b.example", "done", "250")]
        world.put(TWO, Host(lambda: Model(EVERYTHING)))
        start(world.pool.stop())
        world.trust(made)
        assert told(world.deliver()) == ["454 4.7.4"], "no TLS where it is demanded"
        assert self.news == ["b.example offers no TLS any more"]

    def test_waived(self, world: World, made: Authority, kept: Assurances) -> None:
        """TLS-Required: No gets a message past all that; the operator's demand stays (RFC 8689)."""
        policy = b"version: STSv1\nmode: enforce\nmx: c.example\nmax_age: 9999\n"
        world.trust(made)
        world.put(ONE, Host(lambda: Model(EVERYTHING)))
        self.protect(world, kept, policy)
        world.authentic = True
        world.promises["_25._tcp.a.example"] = [Tlsa(3, 1, 1, bytes(32))]
        waived = replace(envelope("ann"), tls_optional=True)
        outcome = world.deliver(waived)
        assert told(outcome) == ["250 2.0.0"]
        assert [it.question for it in outcome.lookups] == ["MX example.org", "A/AAAA a.example"]
        assert self.seen == [], "nothing is reported of a domain that nobody asked"
        required = Exchange("example.org", tls=TlsDemand.REQUIRED)
        world.put(TWO, Host(lambda: Model(EVERYTHING)))
        assert told(world.deliver(waived, hop=required)) == ["454 4.7.4"]


class TestSmarthost:
    def test_login(self, world: World, made: Authority) -> None:
        """A smarthost is logged in at, over verified TLS, without a look at MX records."""
        context = world.trust(made)
        world.mx = {}
        host = Host(lambda: Model((*TLS, "AUTH PLAIN"), answers={"AUTH": "235 Ok"}), context)
        world.put(ONE, host, 587)
        hop = Smarthost("s", "smtp.example", username="ann", password="secret")
        outcome = world.deliver(hop=hop)
        assert told(outcome) == ["250 2.0.0"]
        assert outcome.attempts[0].certificate == "verified"
        assert any(command.startswith("AUTH PLAIN") for command in host.commands)

    def test_dialogue(self, world: World, made: Authority) -> None:
        """The dialogue is a fact of the attempt, and no secret is in it (RFC 5802 §9)."""
        context = world.trust(made)
        answers: dict[str, Any] = {"AUTH": "334 cj1ub25jZTEyMyxzPUFBQUEsaT00MDk2", "*": "501 Ok"}
        host = Host(lambda: Model((*TLS, "AUTH SCRAM-SHA-256"), answers=answers), context)
        world.put(ONE, host, 587)
        hop = Smarthost("s", "smtp.example", username="ann", password="secret")
        [attempt] = world.deliver(hop=hop).attempts
        assert attempt.stage == "auth"
        said = attempt.dialogue
        assert said[0].startswith("<<< 220")
        assert ">>> AUTH SCRAM-SHA-256 ***" in said
        assert "<<< 334 ***" in said
        assert not any("cj1ub25j" in line or "secret" in line for line in said)

    def test_implicit(self, world: World, made: Authority) -> None:
        """With TLS from the first octet."""
        context = world.trust(made)
        host = Host(lambda: Model(EVERYTHING), context, implicit=True)
        world.put(ONE, host, 465)
        hop = Smarthost("s", "smtp.example", 465, TlsDemand.VERIFIED, implicit=True)
        assert told(world.deliver(hop=hop)) == ["250 2.0.0"]
        assert "STARTTLS" not in host.commands
        world.put(ONE, scripted("220 this is no TLS"), 465)
        start(world.pool.stop())
        world.trust(made)
        outcome = world.deliver(hop=replace(hop, tls=TlsDemand.OPPORTUNISTIC))
        assert told(outcome) == ["454 4.7.5"]

    def test_wrong_password(self, world: World, made: Authority) -> None:
        """A wrong password loses no mail, and is not tried at each address."""
        context = world.trust(made)
        host = Host(lambda: Model((*TLS, "AUTH PLAIN"), answers={"AUTH": "535 5.7.8 No"}), context)
        world.put(ONE, host, 587)
        world.put(TWO, host, 587)
        world.addresses["smtp.example"] = [ONE, TWO]
        hop = Smarthost("s", "smtp.example", username="ann", password="wrong")
        outcome = world.deliver(hop=hop)
        assert told(outcome) == ["454 4.7.8"]
        assert [attempt.stage for attempt in outcome.attempts] == ["auth"]

    def test_not_there(self, world: World) -> None:
        """Nor does a wrong name of it."""
        nowhere: list[Any] = [NoSuchDomain(), []]
        for addresses in nowhere:
            world.addresses["smtp.example"] = addresses
            assert told(world.deliver(hop=Smarthost("s", "smtp.example"))) == ["451 4.4.4"]


class TestReuse:
    def test_connection(self, world: World) -> None:
        """The next message uses the connection of the last, and says so."""
        first, second = world.deliver().attempts[0], world.deliver().attempts[0]
        assert not first.reused
        assert second.reused
        assert first.dialogue[0].startswith("<<< 220")
        assert second.dialogue[0].startswith(">>> MAIL FROM:<bob@example.com>")
        assert second.dialogue[-1].startswith("<<< 250")
        assert world.one.taken == 2
        assert len(world.network.attempts) == 1

    def test_equals(self, world: World) -> None:
        """An open connection to an equal is as good as a new one; to a worse host it is not."""
        world.mx["example.org"] = [Mx(10, "a.example"), Mx(10, "b.example")]
        for _ in range(6):
            world.deliver()
        assert len(world.network.attempts) == 1
        world.network.pass_time(20)
        world.mx["example.org"] = [Mx(10, "a.example"), Mx(20, "b.example")]
        world.put(ONE, "refuse")
        world.deliver()
        world.put(ONE, world.one)
        before = world.one.taken
        world.deliver()
        assert world.one.taken == before + 1

    @pytest.mark.parametrize("how", [DROP, "421 4.4.2 Idle"])
    def test_stale(self, world: World, how: str) -> None:
        """A connection that the server gave up unnoticed is replaced, at the same host."""
        turns: Iterator[Any] = iter([["250 Ok", how], ["250 Ok"]])
        world.put(ONE, Host(lambda: Model(("8BITMIME",), answers={"MAIL": next(turns)})))
        world.deliver()
        outcome = world.deliver()
        assert told(outcome) == ["250 2.0.0"]
        assert [(it.host, it.reused, it.stage) for it in outcome.attempts] == [
            ("a.example", True, "mail"),
            ("a.example", False, "done"),
        ]

    def test_poison(self, world: World) -> None:
        """A message that breaks connections does not break all that are open."""
        world.put(ONE, Host(lambda: Model(answers={"DATA": ["354 Go", DROP]})))
        world.put(TWO, "refuse")
        starts = [start(world.remote().deliver(HOP, envelope(), content())) for _ in range(3)]
        world.network.settle()
        assert all(results for results in starts)
        assert len(world.network.made) == 3
        outcome = world.deliver()
        assert sum(attempt.reused for attempt in outcome.attempts) == 1

    def test_lacking(self, world: World) -> None:
        """A refusal of ours on an open connection is not repeated on it for ever."""
        world.put(ONE, Host(lambda: Model(("PIPELINING",))))
        world.put(TWO, "refuse")
        world.deliver()
        outcome = world.deliver(octets=b"X: \xff\r\n\r\n")
        assert stages(outcome) == [("a.example", "mail", "554"), ("b.example", "connect", "451")]
        assert told(outcome) == ["451 4.4.1"]


class TestTogether:
    def test_concurrency(self, world: World) -> None:
        """At most so many connections to a destination; the rest wait, and all arrive."""
        world.traffic = traffic(world.network, limits=PoolLimits(destination=3))
        remote = world.remote()
        results = [start(remote.deliver(HOP, envelope(), content())) for _ in range(10)]
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.network.attempts) == 3
        assert world.one.taken == 10

    def test_same_exchanges(self, world: World) -> None:
        """Domains with the same exchanges are one destination."""
        world.mx["example.net"] = world.mx["example.org"]
        world.traffic = traffic(world.network, limits=PoolLimits(destination=1))
        remote = world.remote()
        other = Envelope(recipients=(Recipient(Path("ann", "example.net")),))
        results = [
            start(remote.deliver(HOP, envelope(), content())),
            start(remote.deliver(Exchange("example.net"), other, content())),
        ]
        world.network.settle()
        assert all(told(outcome) == ["250 2.0.0"] for [outcome] in results)
        assert len(world.network.attempts) == 1

    def test_stop(self, world: World) -> None:
        """After the end there are no attempts, and no mail is lost for it."""
        remote = world.remote()
        start(remote.stop())
        [outcome] = start(remote.deliver(HOP, envelope(), content()))
        assert told(outcome) == ["451 4.3.2"]
        assert outcome.attempts == ()

    def test_cancelled(self, world: World) -> None:
        """An attempt that is called off ends its connection before the content is whole."""
        world.network.deaf_after = 100_000
        work = Deferred.fromCoroutine(
            world.remote().deliver(HOP, envelope(), content(b"a" * 1_000_000))
        )
        work.addErrback(lambda failure: failure.trap(CancelledError))
        world.network.settle()
        work.cancel()
        world.network.settle()
        assert not world.network.made[0].connected
        assert not world.one.taken
        world.network.deaf_after = 0
