"""Certificates of providers, as our relay judges them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mailhub.net.clienttls import ClientTls
from mailhub.sim.certificates import Certificates
from mailhub.sim.manners import Certificate
from tests.sim.machines import Client, Pair, Talker


class Secured(Talker):
    """A client that begins TLS at once, and judges it."""

    verdict = ""

    def begin(self, authority: str) -> None:
        self.handshake = ClientTls(authorities=authority).handshake("mx.far.example")
        self.transport.startTLS(self.handshake)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(str(tmp_path_factory.mktemp("authority")))


@pytest.mark.parametrize(
    ("kind", "verdict"),
    [
        (Certificate.GOOD, "verified"),
        (Certificate.SELF_SIGNED, "unverified: self-signed"),
        (Certificate.EXPIRED, "unverified: expired"),
        (Certificate.WRONG_NAME, "unverified: issued for another name"),
    ],
)
def test_kinds(certificates: Certificates, kind: Certificate, verdict: str) -> None:
    """Each kind is what it says."""
    pair = Pair()
    context = certificates.context(["mx.far.example"], kind)
    talker = Secured(pair.world)
    pair.server.make = lambda: talker_that_secures(pair, context)
    pair.near.reactor.connectTCP(pair.far.addresses[0], 25, Client(talker))
    pair.world.run(0.1)
    talker.begin(certificates.authority)
    talker.transport.write(b"hello")
    pair.world.run(1)
    assert talker.handshake.judge().certificate == verdict
    assert pair.server.made[-1].octets == b"hello"


def talker_that_secures(pair: Pair, context: object) -> Talker:
    class Server(Talker):
        def connectionMade(self) -> None:
            self.transport.startTLS(context)

    return Server(pair.world)


def test_the_file(certificates: Certificates) -> None:
    """The authority's certificate can be handed to a relay."""
    assert Path(certificates.authority).read_bytes().startswith(b"-----BEGIN CERTIFICATE-----")
