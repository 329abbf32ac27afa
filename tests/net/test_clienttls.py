"""Handshakes with real TLS, in memory: what each kind of certificate is worth."""

from __future__ import annotations

import datetime as dt
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from OpenSSL import SSL

from mailhub.config.certificate import Authority, authority
from mailhub.config.values import CertificateFiles
from mailhub.net.clienttls import ClientTls, Promise
from mailhub.net.tls import CertificateMap
from mailhub.net.tls import facts as server_facts
from mailhub.ports.resolver import Tlsa
from mailhub.smtp.wire import Secured

NOW = 1_780_000_000.0
NAMES = ["mx.example.net", "*.wild.example.net", "192.0.2.1"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return authority(str(tmp_path_factory.mktemp("tls")), NOW, NAMES)


def write(directory: Path, key: Any, days: tuple[int, int] = (-1, 30)) -> CertificateFiles:
    """A self-signed certificate for mx.example.net."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.example.net")])
    today = dt.datetime.now(dt.UTC)
    first, last = (today + dt.timedelta(days=number) for number in days)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(first)
        .not_valid_after(last)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("mx.example.net")]), False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    chain, secret = directory / "own.pem", directory / "own.key"
    chain.write_bytes(certificate.public_bytes(Encoding.PEM))
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return CertificateFiles(str(chain), str(secret))


def shake(
    trusting: ClientTls,
    host: str,
    files: CertificateFiles,
    *,
    old: bool = False,
    promise: Promise | None = None,
) -> tuple[Secured, SSL.Connection]:
    """A whole handshake; the verdict, and the server's end."""
    protocol: Any = None
    handshake = trusting.handshake(host, promise)
    client = handshake.clientConnectionForTLS(protocol)
    server = CertificateMap([files]).serverConnectionForTLS(protocol)
    if old:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate_chain_file(files.chain)
        context.use_privatekey_file(files.key)
        server = SSL.Connection(context, None)
    client.set_connect_state()
    server.set_accept_state()
    done = {client: False, server: False}
    for _ in range(10):
        for one, other in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                one.do_handshake()
                done[one] = True
            with suppress(SSL.WantReadError):
                other.bio_write(one.bio_read(65536))
    assert all(done.values())
    return handshake.judge(), server


class TestVerdicts:
    @pytest.mark.parametrize("host", ["mx.example.net", "a.wild.example.net", "192.0.2.1"])
    def test_verified(self, made: Authority, host: str) -> None:
        """A trusted authority, and the name that was meant, wildcards and addresses included."""
        secured, _ = shake(ClientTls(authorities=made.ca), host, made.files)
        assert secured.certificate == "verified"
        assert secured.tls.version == "TLSv1.3"
        assert secured.tls.cipher

    @pytest.mark.parametrize("host", ["mx.example.org", "a.b.wild.example.net", "192.0.2.2", "a_b"])
    def test_other_name(self, made: Authority, host: str) -> None:
        """Another name is no verdict on encryption, only on whom we talk to."""
        secured, _ = shake(ClientTls(authorities=made.ca), host, made.files)
        assert secured.certificate == "unverified: issued for another name"

    def test_unknown_authority(self, made: Authority) -> None:
        """The machine's authorities do not know ours."""
        secured, _ = shake(ClientTls(), "mx.example.net", made.files)
        assert secured.certificate == "unverified: issued by an unknown authority"

    def test_self_signed(self, made: Authority, tmp_path: Path) -> None:
        """Nobody vouches for a self-signed certificate."""
        files = write(tmp_path, ec.generate_private_key(ec.SECP256R1()))
        secured, _ = shake(ClientTls(authorities=made.ca), "mx.example.net", files)
        assert secured.certificate == "unverified: self-signed"

    def test_expired(self, tmp_path: Path) -> None:
        """A trusted one must be valid today."""
        files = write(tmp_path, ec.generate_private_key(ec.SECP256R1()), (-10, -1))
        secured, _ = shake(ClientTls(authorities=files.chain), "mx.example.net", files)
        assert secured.certificate == "unverified: expired"


class TestBindings:
    def test_same_on_both_sides(self, made: Authority) -> None:
        """Client and server bind to the same octets (RFC 9266, RFC 5929)."""
        secured, server = shake(ClientTls(authorities=made.ca), "mx.example.net", made.files)
        theirs = server_facts(server)
        for kind in ("tls-exporter", "tls-server-end-point"):
            data = secured.tls.binding(kind)
            assert data is not None
            assert data == theirs.binding(kind)
        assert secured.tls.binding("tls-unique") is None

    def test_older_version(self, made: Authority) -> None:
        """Under TLS 1.2 there is no exporter that is surely unique."""
        trusting = ClientTls(authorities=made.ca)
        secured, _ = shake(trusting, "mx.example.net", made.files, old=True)
        assert secured.tls.version == "TLSv1.2"
        assert secured.tls.binding("tls-exporter") is None
        assert secured.tls.binding("tls-server-end-point") is not None

    def test_no_hash(self, tmp_path: Path) -> None:
        """A certificate signed with Ed25519 has no hash to bind to."""
        files = write(tmp_path, ed25519.Ed25519PrivateKey.generate())
        secured, _ = shake(ClientTls(authorities=files.chain), "mx.example.net", files)
        assert secured.certificate == "verified"
        assert secured.tls.binding("tls-server-end-point") is None


class TestAuthorities:
    def test_missing(self, tmp_path: Path) -> None:
        """A file that cannot be read says so."""
        with pytest.raises(FileNotFoundError):
            ClientTls(authorities=str(tmp_path / "none.pem"))

    def test_empty(self, tmp_path: Path) -> None:
        """So does one without certificates."""
        (tmp_path / "empty.pem").write_text("nothing\n")
        with pytest.raises(ValueError, match="no certificates"):
            ClientTls(authorities=str(tmp_path / "empty.pem"))


class TestPromise:
    """What the DNS promises takes the place of public authorities (RFC 7672 §3)."""

    def promise(self, files: CertificateFiles, usage: int) -> Promise:
        with open(files.chain, "rb") as file:
            certificate = x509.load_pem_x509_certificate(file.read())
        digest = certificate.fingerprint(hashes.SHA256())
        return Promise((Tlsa(usage, 0, 1, digest),), ("mx.example.net",), lambda: NOW)

    def test_kept(self, tmp_path: Path) -> None:
        """A self-signed certificate of any age is good if a record is about it."""
        files = write(tmp_path, ec.generate_private_key(ec.SECP256R1()), (-9, -8))
        secured, _ = shake(ClientTls(), "mx.example.net", files, promise=self.promise(files, 3))
        assert (secured.certificate, secured.verified) == ("verified by DANE", True)

    def test_broken(self, made: Authority, tmp_path: Path) -> None:
        """A certificate that public authorities vouch for is none, if the record says otherwise."""
        other = write(tmp_path, ec.generate_private_key(ec.SECP256R1()))
        trusting = ClientTls(authorities=made.ca)
        promise = self.promise(other, 3)
        secured, _ = shake(trusting, "mx.example.net", made.files, promise=promise)
        assert secured.certificate == "unverified: DANE: matches no TLSA record"
        assert not secured.verified
