"""HTTPS requests over real TLS, on a network in memory."""

from __future__ import annotations

import gc
import time
from collections.abc import Coroutine
from typing import Any

import pytest
from cryptography import x509
from OpenSSL import crypto
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone

from mailhub.config.certificate import Authority, authority
from mailhub.net.tls import CertificateMap
from mailhub.net.web import HEAD_LIMIT, PATIENCE, HttpsClient, _Body
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.ports.web import FetchFailed
from tests.network import Network

NOW = 1_780_000_000.0
HOST = "mta-sts.far.example"
ADDRESS = "192.0.2.9"
PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
)


def plain(text: bytes) -> bytes:
    """A good answer."""
    return PLAIN % (len(text), text)


class Names:
    """The DNS of this world."""

    async def mx(self, domain: str) -> Answer[Mx]:
        raise AssertionError

    async def addresses(self, host: str) -> Answer[str]:
        if host == "gone.example":
            raise NoSuchDomain
        if host == "slow.example":
            raise LookupFailed("timed out")
        known: dict[str, tuple[str, ...]] = {
            "empty.example": (),
            "inside.example": ("127.0.0.1", "10.1.2.3", "fd00::1", "::1", "::ffff:192.168.1.1"),
        }
        return Answer(known.get(host, ("2001:db8::9", ADDRESS)))

    async def txt(self, name: str) -> Answer[bytes]:
        raise AssertionError

    async def ptr(self, address: str) -> Answer[str]:
        raise AssertionError

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        raise AssertionError


class World:
    """A web server that says what it is told to."""

    def __init__(self, made: Authority) -> None:
        self.network = Network()
        self.answer: bytes | None = plain(b"policy")
        self.asked = b""
        self.hang_up = True
        self.lost = 0
        world = self

        class Canned(Protocol):
            def dataReceived(self, data: bytes) -> None:
                world.asked += data
                if world.answer is not None and b"\r\n\r\n" in world.asked:
                    assert self.transport is not None
                    self.transport.write(world.answer)
                    if world.hang_up:
                        self.transport.loseConnection()

            def connectionLost(self, reason: Failure = connectionDone) -> None:
                world.lost += 1

        factory = TLSMemoryBIOFactory(
            CertificateMap([made.files]), False, Factory.forProtocol(Canned), self.network
        )
        self.network.hosts[ADDRESS, 443] = factory.buildProtocol
        with open(made.ca, "rb") as file:
            ca = crypto.X509.from_cryptography(x509.load_pem_x509_certificate(file.read()))
        trust = trustRootFromCertificates([Certificate(ca)])
        self.client = HttpsClient(self.network, Names(), trust)

    def outcome(self, work: Coroutine[Any, Any, Any], seconds: float = 5) -> Any:
        """What comes of it, in so many seconds."""
        found: list[Any] = []
        done = Deferred.fromCoroutine(work)
        done.addCallbacks(found.append, lambda failure: found.append(failure.value))
        for _ in range(200):
            self.network.advance(seconds / 200)
        [result] = found
        return result

    def get(self, host: str = HOST, limit: int = 100, seconds: float = 5) -> Any:
        path = "/.well-known/mta-sts.txt"
        return self.outcome(self.client.get(host, path, limit), seconds)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(str(tmp_path_factory.mktemp("web")), NOW, [HOST])


@pytest.fixture
def world(made: Authority) -> World:
    return World(made)


class TestGet:
    """A text, or why there is none."""

    def test_text(self, world: World) -> None:
        """What was asked for, of whom, and what came."""
        assert world.get() == b"policy"
        first, *headers = world.asked.split(b"\r\n")
        assert first == b"GET /.well-known/mta-sts.txt HTTP/1.1"
        assert b"Host: mta-sts.far.example" in headers
        assert world.network.attempts == [(ADDRESS, 443)]

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", "404"),
            (b"HTTP/1.1 301 Moved\r\nLocation: https://x/\r\nContent-Length: 0\r\n\r\n", "301"),
            (b"HTTP/1.1 204 Nothing\r\n\r\n", "204"),
            (plain(b"x" * 101), "longer than 100 octets"),
            (plain(b"policy").replace(b"plain", b"html"), "text/html"),
            (plain(b"policy").replace(b"Content-Type", b"X-Type"), "unnamed"),
            (plain(b"policy")[:-3], "lost"),
            (b"no HTTP\r\n\r\n", ""),
        ],
    )
    def test_other_answers(self, world: World, answer: bytes, why: str) -> None:
        """Whatever is not a whole plain text with status 200 is a failure that says so."""
        world.answer = answer
        error = world.get()
        assert isinstance(error, FetchFailed)
        assert why in str(error)
        assert not error.untrusted

    @pytest.mark.parametrize("answer", [b"HTTP/1.1 404 No\r\n\r\nNot found", plain(b"x" * 101)])
    def test_unwanted_body(self, world: World, answer: bytes) -> None:
        """What is not wanted is not waited for, whoever goes on; and nothing is logged of it."""
        world.answer, world.hang_up = answer, False
        with capturedLogs() as logged:
            assert isinstance(world.get(), FetchFailed)
            gc.collect()
        assert world.lost == 1
        assert logged == []

    def test_endless_head(self, world: World) -> None:
        """A server may have header fields, but not for ever."""
        world.answer = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * (HEAD_LIMIT // 4)
        world.hang_up = False
        assert isinstance(world.get(), FetchFailed)
        assert world.lost == 1

    def test_many_pieces(self, world: World) -> None:
        """A text that trickles in costs what it is long, and no more."""
        pieces, limit = [b"x"] * 60_000, 64 << 10
        body = _Body(limit)
        began = time.process_time()
        for piece in pieces:
            body.dataReceived(piece)
        body.connectionLost(Failure(ResponseDone()))
        assert time.process_time() - began < 1
        assert body.whole.result == b"x" * 60_000

    @pytest.mark.parametrize("host", ["exa mple.example", "-.example", "x" * 64 + ".example"])
    def test_no_name(self, world: World, host: str) -> None:
        """Strangers' records may name what is no host."""
        assert isinstance(world.get(host), FetchFailed)

    def test_patience(self, world: World) -> None:
        """A server that says nothing is left after a minute (RFC 8461 §3.3)."""
        world.answer = None
        assert "60 seconds" in str(world.get(seconds=PATIENCE + 1))

    def test_another_name(self, world: World) -> None:
        """A certificate for another host is told apart from other failures."""
        error = world.get("mta-sts.other.example")
        assert isinstance(error, FetchFailed)
        assert error.untrusted

    def test_unknown_authority(self, world: World) -> None:
        """So is one that nobody vouches for."""
        world.client = HttpsClient(world.network, Names())
        error = world.get()
        assert isinstance(error, FetchFailed)
        assert error.untrusted

    def test_unreachable(self, world: World) -> None:
        """Nobody listens there."""
        del world.network.hosts[ADDRESS, 443]
        assert "refused" in str(world.get()).lower()

    @pytest.mark.parametrize("host", ["gone.example", "slow.example", "empty.example"])
    def test_no_address(self, world: World, host: str) -> None:
        """The DNS leads nowhere."""
        assert isinstance(world.get(host), FetchFailed)
        assert world.network.attempts == []


class TestPost:
    """Handing something over."""

    def test_taken(self, world: World) -> None:
        """The octets, with their media type; any 2yz will do."""
        world.answer = b"HTTP/1.1 204 Thanks\r\n\r\n"
        sent = world.client.post(HOST, "/reports", "application/tlsrpt+gzip", b"\x1f\x8b")
        assert world.outcome(sent) is None
        head, _, body = world.asked.partition(b"\r\n\r\n")
        assert b"Content-Type: application/tlsrpt+gzip" in head
        assert b"Content-Length: 2" in head
        assert body == b"\x1f\x8b"

    @pytest.mark.parametrize("path", ["/a b", "/a\r\nX: y", "/é"])
    def test_no_address(self, world: World, path: str) -> None:
        """A path that HTTP has no octets for is not asked for."""
        error = world.outcome(world.client.post(HOST, path, "x/y", b"x"))
        assert isinstance(error, FetchFailed)
        assert world.asked == b""

    def test_inside(self, world: World) -> None:
        """A stranger cannot have us post to the machines beside us."""
        error = world.outcome(world.client.post("inside.example", "/", "x/y", b"x"))
        assert "not a public address" in str(error)
        assert world.network.attempts == []

    def test_refused(self, world: World) -> None:
        """Another status is a failure."""
        world.answer = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
        error = world.outcome(world.client.post(HOST, "/reports", "x/y", b"x"))
        assert "500" in str(error)
