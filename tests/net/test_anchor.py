"""Certificate chains against TLSA records: real certificates, made here."""

from __future__ import annotations

import datetime as dt
import hashlib
from functools import cache

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import NameOID

from mailhub.net.anchor import CHAIN_LIMIT, fault
from mailhub.ports.resolver import Tlsa

NOW = 1_780_000_000.0
HOST = "mx.example.net"
Key = ec.EllipticCurvePrivateKey


@cache
def key(name: str) -> Key:
    """The key of somebody."""
    assert name
    return ec.generate_private_key(ec.SECP256R1())


def certificate(
    subject: str,
    issuer: str,
    *,
    ca: bool = True,
    days: tuple[int, int] = (-1, 30),
    signer: str = "",
    names: tuple[str, ...] = (HOST,),
) -> x509.Certificate:
    """A certificate; `signer` signs in place of the issuer."""

    def named(text: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])

    today = dt.datetime.fromtimestamp(NOW, dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(named(subject))
        .issuer_name(named(issuer))
        .public_key(key(subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today + dt.timedelta(days=days[0]))
        .not_valid_after(today + dt.timedelta(days=days[1]))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), False)
    )
    if ca:
        builder = builder.add_extension(x509.BasicConstraints(True, None), True)
    return builder.sign(key(signer or issuer), hashes.SHA256())


def broken(subject: str, issuer: str) -> x509.Certificate:
    """A certificate that says something twice, which OpenSSL lets pass."""
    one, other = (x509.ObjectIdentifier(f"1.3.9999.{number}") for number in (1, 2))
    day = dt.timedelta(days=1)
    today = dt.datetime.fromtimestamp(NOW, dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key(subject).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - day)
        .not_valid_after(today + day)
        .add_extension(x509.UnrecognizedExtension(one, b"\x05\x00"), False)
        .add_extension(x509.UnrecognizedExtension(other, b"\x05\x00"), False)
        .sign(key(issuer), hashes.SHA256())
    )
    octets = made.public_bytes(Encoding.DER)
    assert octets.count(b"\xce\x0f\x02") == 1
    return x509.load_der_x509_certificate(octets.replace(b"\xce\x0f\x02", b"\xce\x0f\x01"))


LEAF = certificate("leaf", "middle", ca=False)
MIDDLE = certificate("middle", "root")
ROOT = certificate("root", "root")
CHAIN = [LEAF, MIDDLE, ROOT]


def promised(usage: int, of: x509.Certificate) -> Tlsa:
    """The usual record of a certificate: SHA-256 of its key."""
    spki = of.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return Tlsa(usage, 1, 1, hashlib.sha256(spki).digest())


def in_full(of: x509.Certificate) -> Tlsa:
    return Tlsa(2, 0, 0, of.public_bytes(Encoding.DER))


def judged(
    records: list[Tlsa], chain: list[x509.Certificate], names: tuple[str, ...] = (HOST,)
) -> str:
    return fault(records, chain, names, NOW)


class TestEntity:
    """DANE-EE: the key alone counts (RFC 7672 §3.1.1)."""

    def test_matches(self) -> None:
        """Whatever its dates, its names and its issuer."""
        old = certificate("leaf", "nobody", ca=False, days=(-9, -8), names=("other.example",))
        assert judged([promised(3, LEAF)], [old]) == ""

    def test_another_key(self) -> None:
        """A certificate that nothing matches is refused."""
        assert judged([promised(3, ROOT)], [LEAF]) == "matches no TLSA record"

    def test_one_of_several(self) -> None:
        """During a change of keys there are records of both (RFC 7671 §8.1)."""
        assert judged([promised(3, ROOT), promised(3, LEAF)], [LEAF]) == ""


class TestAnchor:
    """DANE-TA: an anchor vouches, as an authority would (RFC 7672 §3.1.2)."""

    @pytest.mark.parametrize("anchor", [ROOT, MIDDLE])
    def test_vouches(self, anchor: x509.Certificate) -> None:
        """The root, or an authority below it."""
        assert judged([promised(2, anchor)], CHAIN) == ""

    def test_any_order(self) -> None:
        """Servers send chains in odd orders, and with certificates that do not belong."""
        stray = certificate("stray", "stray")
        assert judged([promised(2, ROOT)], [LEAF, stray, ROOT, MIDDLE]) == ""

    def test_not_sent(self) -> None:
        """An anchor that stands in the record itself need not be sent; one in digest must."""
        assert judged([in_full(ROOT)], [LEAF, MIDDLE]) == ""
        assert judged([promised(2, ROOT)], [LEAF, MIDDLE]) == "matches no TLSA record"
        assert judged([Tlsa(2, 0, 0, b"no certificate")], CHAIN) == "matches no TLSA record"

    def test_broken(self) -> None:
        """A certificate that cannot be read fails, or is passed over where it does not matter."""
        odd = broken("leaf", "middle")
        assert judged([promised(2, ROOT)], [odd, MIDDLE, ROOT]) == (
            "a certificate that cannot be read"
        )
        assert judged([promised(2, ROOT)], [LEAF, odd, MIDDLE, ROOT]) == ""
        assert judged([promised(2, ROOT), in_full(odd)], CHAIN) == ""

    def test_names(self) -> None:
        """The host's name, or the domain's whose mail it takes (RFC 7672 §3.2.2)."""
        records = [promised(2, ROOT)]
        assert judged(records, CHAIN, ("mx.other.example", HOST)) == ""
        assert judged(records, CHAIN, ("mx.other.example",)) == "issued for another name"

    def test_dates(self) -> None:
        """Those of the host and of those between count, the anchor's do not."""
        late = certificate("leaf", "middle", ca=False, days=(-9, -8))
        assert "expired" in judged([promised(2, ROOT)], [late, MIDDLE, ROOT])
        between = certificate("middle", "root", days=(1, 5))
        assert "not issued" in judged([promised(2, ROOT)], [LEAF, between, ROOT])
        old_root = certificate("root", "root", days=(-9, -8))
        assert judged([promised(2, old_root)], [LEAF, MIDDLE, old_root]) == ""

    def test_forged(self) -> None:
        """A name proves nothing: the anchor's key must have signed."""
        forged = certificate("leaf", "middle", ca=False, signer="villain")
        assert "not issued" in judged([promised(2, ROOT)], [forged, MIDDLE, ROOT])

    def test_no_authority(self) -> None:
        """A host's certificate cannot vouch for another's."""
        host = certificate("middle", "root", ca=False)
        assert "not issued" in judged([promised(2, ROOT)], [LEAF, host, ROOT])

    def test_its_own_anchor(self) -> None:
        """A self-signed certificate may be promised as its own anchor."""
        own = certificate("own", "own")
        assert judged([promised(2, own)], [own]) == ""

    def test_no_certificate(self) -> None:
        """A handshake without one meets nothing."""
        assert judged([promised(2, ROOT)], []) == "no certificate"

    def test_many_paths(self) -> None:
        """Authorities that all issue each other cost no more than any chain of that length."""
        crowd = [certificate("middle", "middle") for _ in range(3 * CHAIN_LIMIT)]
        assert judged([promised(2, ROOT)], [LEAF, *crowd]) == "matches no TLSA record"
        assert "not issued" in judged([in_full(ROOT)], [LEAF, *crowd])
