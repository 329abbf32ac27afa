"""Which conversations each port has. `test_hub` holds them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOProtocol

from mailhub.assembly import Parts
from mailhub.config.certificate import self_signed
from mailhub.config.load import filled, parse
from mailhub.config.settings import IMPLICIT, SERVICES, Settings
from mailhub.net.tls import CertificateMap
from mailhub.net.turnstile import Turnstile
from mailhub.reception import Receptions
from tests.hubs import World


def settings(state: Path, more: str = "") -> Settings:
    found, mistakes = parse(f"[hub]\nhostname = hub.example\nstate = {state}\n{more}")
    assert mistakes == []
    return found


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    made = Parts(settings(tmp_path), World(tmp_path).surroundings())
    yield made
    Deferred.fromCoroutine(made.stop())


def receptions(
    parts: Parts, certificates: CertificateMap | None = None, turnstile: Turnstile | None = None
) -> Receptions:
    reactor = parts.world.reactor
    return Receptions(parts.settings, parts, turnstile or Turnstile(), certificates, reactor)


def hear(made: Receptions, service: str, *lines: bytes, host: str = "192.0.2.1") -> bytes:
    """What a client hears that connects to a service and says these lines."""
    peer = IPv4Address("TCP", host, 50000)
    protocol = made.factories[service].buildProtocol(peer)
    assert protocol is not None
    transport = StringTransport(peerAddress=peer)
    protocol.makeConnection(transport)
    for line in lines:
        protocol.dataReceived(line + b"\r\n")
    heard: bytes = transport.value()
    return heard


class TestServices:
    """What each is."""

    def test_each_protocol(self, parts: Parts) -> None:
        """Each service speaks its protocol, under the hub's name."""
        made = receptions(parts)
        assert set(made.factories) == set(SERVICES)
        for service, start in (
            *(("smtp", b"220 hub.example "), ("submission", b"220 hub.example ")),
            *(("imap", b"* OK [CAPABILITY "), ("pop3", b"+OK hub.example ")),
        ):
            assert hear(made, service).startswith(start)

    def test_implicit(self, parts: Parts, tmp_path: Path) -> None:
        """With a certificate TLS comes first where it should, and is offered elsewhere."""
        files, _ = self_signed(str(tmp_path / "tls"), ["hub.example"], parts.world.now())
        made = receptions(parts, CertificateMap((files,)))
        for service in SERVICES:
            wrapped = made.factories[service].buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
            assert isinstance(wrapped, TLSMemoryBIOProtocol) == (service in IMPLICIT)
        assert b"STARTTLS" in hear(made, "imap", b"a CAPABILITY")
        assert b"STLS" in hear(made, "pop3", b"CAPA")

    def test_without_a_certificate(self, parts: Parts) -> None:
        """None offers what it does not have."""
        made = receptions(parts)
        assert b"STARTTLS" not in hear(made, "smtp", b"EHLO client.example")
        assert b"STARTTLS" not in hear(made, "imap", b"a CAPABILITY")
        assert b"STLS" not in hear(made, "pop3", b"CAPA")

    def test_submission_wants_a_login(self, parts: Parts) -> None:
        """Port 587 is for our own users: without a login there is no MAIL (RFC 6409 §4.3)."""
        lines = b"EHLO client.example", b"MAIL FROM:<a@hub.example>"
        heard = hear(receptions(parts), "submission", *lines)
        assert heard.splitlines()[-1].startswith(b"530 5.7.0 ")

    @pytest.mark.parametrize(
        ("service", "in_all", "from_there"),
        [
            ("smtp", b"421 ", b"421 "),
            ("imap", b"* BYE [UNAVAILABLE] ", b"* BYE [LIMIT] "),
            ("pop3", b"-ERR [SYS/TEMP] ", b"-ERR [SYS/TEMP] "),
        ],
    )
    def test_too_many(self, parts: Parts, service: str, in_all: bytes, from_there: bytes) -> None:
        """All services count as one, and each sends away in its own words."""
        made = receptions(parts, turnstile=Turnstile(3, 2))
        for other in ("smtp", "imap"):
            assert not hear(made, other).startswith((in_all, from_there))
        assert hear(made, service).startswith(from_there)
        assert not hear(made, "pop3", host="192.0.2.2").startswith(in_all)
        assert hear(made, service, host="192.0.2.3").startswith(in_all)


class TestObey:
    """A reload, for connections to come."""

    def test_smtp(self, parts: Parts, tmp_path: Path) -> None:
        """Both have limits of their own."""
        made = receptions(parts)
        assert b"250-SIZE 52428800\r\n" in hear(made, "smtp", b"EHLO client.example")
        more = "[smtp]\nmessage limit = 1M\n[submission]\nmessage limit = 2M\n"
        made.obey(settings(tmp_path, more))
        assert b"250-SIZE 1048576\r\n" in hear(made, "smtp", b"EHLO client.example")
        assert b"250-SIZE 2097152\r\n" in hear(made, "submission", b"EHLO client.example")

    def test_bare_newlines(self, parts: Parts) -> None:
        """A device whose bare LF are mended from now on."""
        made = receptions(parts)
        peer = b"EHLO client.example\nNOOP"
        assert b"\r\n500 " in b"\r\n" + hear(made, "smtp", peer).partition(b"\r\n")[2]
        devices = settings(Path("/state"), "[smtp]\nbare newlines from = 192.0.2.0/24\n")
        made.obey(devices)
        assert b"250 2.0.0" in hear(made, "smtp", peer)

    @pytest.mark.parametrize(
        ("service", "target", "line"),
        [
            ("imap", "imap.line_before_login", b"a LOGIN " + b"x" * 3000),
            ("pop3", "pop3.line", b"USER " + b"x" * 300),
        ],
    )
    def test_lines(self, parts: Parts, service: str, target: str, line: bytes) -> None:
        """IMAP and POP3 take longer or shorter lines."""
        made = receptions(parts)
        made.obey(filled(parts.settings, {target: 100_000}))
        generous = hear(made, service, line)
        made.obey(filled(parts.settings, {target: 255}))
        assert hear(made, service, line) != generous

    def test_passwords_on_loopback(self, parts: Parts) -> None:
        """POP3's USER is offered on this machine, once that is allowed."""
        made = receptions(parts)
        assert b"\r\nUSER\r\n" not in hear(made, "pop3", b"CAPA", host="127.0.0.1")
        made.obey(filled(parts.settings, {"plaintext_on_loopback": True}))
        assert b"\r\nUSER\r\n" in hear(made, "pop3", b"CAPA", host="127.0.0.1")
        assert b"\r\nUSER\r\n" not in hear(made, "pop3", b"CAPA")
