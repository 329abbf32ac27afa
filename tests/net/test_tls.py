"""Certificates on the wire, with handshakes in memory."""

from __future__ import annotations

import hashlib
import os
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from mailhub.config.certificate import BadCertificate, authority, read, self_signed
from mailhub.config.values import CertificateFiles
from mailhub.net.tls import CertificateMap, facts, reason

NOW = 1_700_000_000.0


def made(directory: Path, *names: str) -> CertificateFiles:
    """A certificate for names, in a directory of its own."""
    files, _ = self_signed(str(directory / names[0].replace("*", "star")), names, NOW)
    return files


@pytest.fixture
def files(tmp_path: Path) -> list[CertificateFiles]:
    return [
        made(tmp_path, "hub.example", "mail.hub.example"),
        made(tmp_path, "*.other.example", "exact.other.example"),
        made(tmp_path, "exact.other.example"),
    ]


def client(
    name: str | None = None,
    version: int | None = None,
    session: SSL.Session | None = None,
    context: SSL.Context | None = None,
) -> SSL.Connection:
    context = context or SSL.Context(SSL.TLS_CLIENT_METHOD)
    if version is not None:
        context.set_max_proto_version(version)
    connection = SSL.Connection(context, None)
    if name is not None:
        connection.set_tlsext_host_name(name.encode())
    if session is not None:
        connection.set_session(session)
    connection.set_connect_state()
    return connection


def shake(client: SSL.Connection, server: SSL.Connection) -> int:
    """Carry octets to and fro until both are content; how many went is told."""
    server.set_accept_state()
    moved = 0
    for _ in range(6):
        for here, there in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                here.do_handshake()
            moved += move(here, there)
    return moved


def move(here: SSL.Connection, there: SSL.Connection) -> int:
    try:
        octets = here.bio_read(1 << 16)
    except SSL.WantReadError:
        return 0
    return there.bio_write(octets)


def met(
    certificates: CertificateMap, name: str | None = None, version: int | None = None
) -> SSL.Connection:
    """A client that has shaken hands."""
    connection = client(name, version)
    shake(connection, certificates.serverConnectionForTLS(None))  # type: ignore[arg-type]
    return connection


def names_of(connection: SSL.Connection) -> bytes:
    certificate = connection.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    return certificate.public_bytes(Encoding.DER)


def der(files: CertificateFiles) -> bytes:
    return read(files).chain[0].public_bytes(Encoding.DER)


@pytest.mark.parametrize(
    ("asked", "index"),
    [
        (None, 0),
        ("hub.example", 0),
        ("MAIL.Hub.Example", 0),
        ("unknown.example", 0),
        ("a.other.example", 1),
        ("a.b.other.example", 0),
        ("exact.other.example", 1),
    ],
)
def test_server_name(files: list[CertificateFiles], asked: str | None, index: int) -> None:
    """The name a client asks for picks the certificate; the first is for everybody else."""
    assert names_of(met(CertificateMap(files), asked)) == der(files[index])


def test_versions(files: list[CertificateFiles]) -> None:
    """TLS 1.2 and 1.3 are spoken, 1.1 is not, and the operator may ask for 1.3 alone."""
    every = CertificateMap(files)
    assert met(every).get_protocol_version_name() == "TLSv1.3"
    assert met(every, version=SSL.TLS1_2_VERSION).get_protocol_version_name() == "TLSv1.2"
    with pytest.raises(SSL.Error):
        met(every, version=SSL.TLS1_1_VERSION)
    with pytest.raises(SSL.Error):
        met(CertificateMap(files, minimum="1.3"), version=SSL.TLS1_2_VERSION)


def test_ciphers_of_old(files: list[CertificateFiles]) -> None:
    """Without forward secrecy there is no handshake."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_max_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(b"AES128-SHA")
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    with pytest.raises(SSL.Error):
        shake(connection, CertificateMap(files).serverConnectionForTLS(None))  # type: ignore[arg-type]


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_tickets(files: list[CertificateFiles], version: int) -> None:
    """A client that comes back resumes its session from its ticket."""
    certificates = CertificateMap(files)
    server = certificates.serverConnectionForTLS(None)  # type: ignore[arg-type]
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    first = client(version=version, context=context)
    full = shake(first, server)
    server.send(b"x")  # the tickets of TLS 1.3 travel with the first octets
    move(server, first)
    assert first.recv(1) == b"x"
    session = first.get_session()
    assert session is not None
    again = certificates.serverConnectionForTLS(None)  # type: ignore[arg-type]
    resumed = shake(client(session=session, context=context), again)
    assert resumed < full - len(der(files[0]))  # no certificate was sent


def test_reload(files: list[CertificateFiles]) -> None:
    """New files serve new connections; a connection that exists keeps what it has."""
    certificates = CertificateMap(files[:1])
    before = met(certificates)
    certificates.reload(files[1:])
    assert names_of(met(certificates)) == der(files[1])
    assert names_of(before) == der(files[0])
    assert [it.files for it in certificates.certificates] == files[1:]


def test_reload_same_files(files: list[CertificateFiles], tmp_path: Path) -> None:
    """Without arguments the same paths are read again: that is how a renewal arrives."""
    certificates = CertificateMap(files[:1])
    renewed = made(tmp_path / "renewed", "hub.example")
    shutil.copy(renewed.chain, files[0].chain)
    shutil.copy(renewed.key, files[0].key)
    certificates.reload()
    assert names_of(met(certificates)) == der(renewed)


def test_reload_of_bad_files(files: list[CertificateFiles]) -> None:
    """Bad files keep everything as it was, the minimum version too, and say which they are."""
    certificates = CertificateMap(files)
    kept = der(files[0])
    shutil.copy(files[1].key, files[0].key)
    with pytest.raises(BadCertificate, match=r"self-signed.key: is not the key of"):
        certificates.reload(minimum="1.3")
    again = met(certificates, version=SSL.TLS1_2_VERSION)
    assert names_of(again) == kept


def test_nothing_to_show(files: list[CertificateFiles]) -> None:
    """A map of no certificates, or with ciphers that do not exist, cannot be made."""
    with pytest.raises(BadCertificate, match="no certificate"):
        CertificateMap([])
    with pytest.raises(BadCertificate, match="OpenSSL: no cipher match"):
        CertificateMap(files, ciphers="NONSENSE")


def test_contexts_are_shared(files: list[CertificateFiles]) -> None:
    """A thousand connections have one context between them."""
    certificates = CertificateMap(files)
    made = {id(certificates.serverConnectionForTLS(None).get_context()) for _ in range(3)}  # type: ignore[arg-type]
    assert len(made) == 1


def test_facts(files: list[CertificateFiles]) -> None:
    """Both ends derive the same channel binding, of both types (RFC 9266 §2, RFC 5929 §4.1)."""
    server = CertificateMap(files).serverConnectionForTLS(None)  # type: ignore[arg-type]
    here = client("a.other.example")
    shake(here, server)
    tls = facts(server)
    assert (tls.version, tls.cipher) == ("TLSv1.3", here.get_cipher_name())
    exported = here.export_keying_material(b"EXPORTER-Channel-Binding", 32, b"")
    assert tls.binding("tls-exporter") == exported
    assert tls.binding("tls-server-end-point") == hashlib.sha256(der(files[1])).digest()
    assert tls.binding("tls-unique") is None


def test_facts_of_old(files: list[CertificateFiles]) -> None:
    """Under TLS 1.2 nothing is exported: it might not be unique (RFC 9266 §4.2)."""
    server = CertificateMap(files).serverConnectionForTLS(None)  # type: ignore[arg-type]
    shake(client(version=SSL.TLS1_2_VERSION), server)
    assert facts(server).binding("tls-exporter") is None
    assert facts(server).version == "TLSv1.2"


class Greeter(Protocol):
    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(b"220 hub.example ESMTP\r\n")


def test_wrap(files: list[CertificateFiles]) -> None:
    """A wrapped factory greets inside TLS, and leaves no timer behind."""
    clock = Clock()
    factory = CertificateMap(files).wrap(Factory.forProtocol(Greeter), clock)
    protocol = factory.buildProtocol(None)
    assert protocol is not None
    transport = StringTransport()
    protocol.makeConnection(transport)
    here = client("hub.example")
    heard = b""
    for _ in range(4):
        with suppress(SSL.WantReadError):
            here.do_handshake()
            heard += here.recv(100)
        with suppress(SSL.WantReadError):
            protocol.dataReceived(here.bio_read(1 << 16))
        clock.advance(0)
        if transport.value():
            here.bio_write(transport.value())
        transport.clear()
    assert heard == b"220 hub.example ESMTP\r\n"
    assert names_of(here) == der(files[0])
    assert not clock.getDelayedCalls()


def test_key_is_private(files: list[CertificateFiles]) -> None:
    """Nobody else can read the key."""
    assert os.stat(files[0].key).st_mode & 0o077 == 0


def test_chain(tmp_path: Path) -> None:
    """What stands above the certificate in its file is sent along."""
    made = authority(str(tmp_path), NOW)
    together = tmp_path / "all.pem"
    together.write_bytes(Path(made.files.chain).read_bytes() + Path(made.ca).read_bytes())
    files = CertificateFiles(str(together), made.files.key)
    chain = met(CertificateMap([files])).get_peer_cert_chain(as_cryptography=True)
    assert chain is not None
    assert len(chain) == 2


def test_end_point_without_hash(tmp_path: Path) -> None:
    """A signature that has no hash of its own binds nothing (RFC 5929 §4.1)."""
    key = ed25519.Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "hub.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2036, 1, 1, tzinfo=UTC))
        .sign(key, None)
    )
    both = tmp_path / "both.pem"
    both.write_bytes(
        certificate.public_bytes(Encoding.PEM)
        + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    server = CertificateMap([CertificateFiles(str(both), str(both))]).serverConnectionForTLS(None)  # type: ignore[arg-type]
    assert facts(server).binding("tls-server-end-point") is None
    shake(client(), server)
    assert facts(server).binding("tls-server-end-point") is None


def test_before_a_certificate() -> None:
    """A connection that has no certificate binds none either."""
    connection = SSL.Connection(SSL.Context(SSL.TLS_SERVER_METHOD), None)
    assert facts(connection).binding("tls-server-end-point") is None


def test_reasons() -> None:
    """What ended a connection, as a person would say it."""
    assert reason(SSL.Error([("SSL routines", "", "wrong version number")])) == (
        "wrong version number"
    )
    assert reason(Refused(osError=111)) == "111"
    assert reason(ValueError("no good.")) == "no good"
    assert reason(SSL.Error()) == "Error"
