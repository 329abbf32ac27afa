"""Certificates as files: read and checked, and made where the operator has none.

Making them is for a first start and for the demo; a hub that others must
trust is given the files of a public authority.

Invariants:

1. A pair that `read` returns fits together: the key is the first
   certificate's, and both parse.
2. A private key is never readable by others, not even while it is written.
3. What is made here is whole or remade: a crash between the two files leaves
   a pair that `read` refuses, and the next start makes a new one.
"""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from mailhub.config.values import CertificateFiles
from mailhub.mail.address import is_ip_address

LIFETIME: Final = timedelta(days=3650)
"""How long a certificate made here is valid: nobody renews what nobody trusts."""
DEMO_LIFETIME: Final = timedelta(days=825)
"""The longest that Apple's clients accept of any authority."""
BACKDATED: Final = timedelta(days=1)
"""Clocks of clients go wrong; a certificate is valid from yesterday."""
SPARE: Final = timedelta(days=30)
"""What we made is made anew when no more than this is left of it."""

DEMO_NAMES: Final = ("localhost", "hub.example", "127.0.0.1", "::1")


class BadCertificate(Exception):
    """A certificate or key that cannot be used; the text names the file and says why."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate, its chain and its key.

    Attributes:
        chain: The certificate first, then those above it.
        names: DNS names it is for, in lower case; ``*.example.com`` among them.
        expires: Seconds since the epoch.
    """

    files: CertificateFiles
    chain: tuple[x509.Certificate, ...]
    key: PrivateKeyTypes
    names: frozenset[str]
    expires: float


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate signed by an authority of our own.

    Attributes:
        ca: The file to be trusted by those who want to check it.
    """

    ca: str
    files: CertificateFiles


def read(files: CertificateFiles) -> Certificate:
    """Read a chain and its key.

    Raises:
        BadCertificate: A file cannot be read or parsed, or they do not fit.
    """
    chain = read_chain(files.chain)
    try:
        key = load_pem_private_key(_octets(files.key), None)
    except TypeError:
        raise BadCertificate(f"{files.key}: the key is locked with a passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise BadCertificate(f"{files.key}: holds no private key in PEM form") from None
    first = chain[0]
    if _public(first.public_key()) != _public(key.public_key()):
        raise BadCertificate(f"{files.key}: is not the key of {files.chain}")
    expires = first.not_valid_after_utc.timestamp()
    return Certificate(files, chain, key, _names(first), expires)


def read_chain(path: str) -> tuple[x509.Certificate, ...]:
    """The certificates of a file, at least one.

    Raises:
        BadCertificate: It cannot be read or parsed.
    """
    try:
        return tuple(x509.load_pem_x509_certificates(_octets(path)))
    except ValueError:
        raise BadCertificate(f"{path}: holds no certificate in PEM form") from None


def self_signed(directory: str, names: Sequence[str], now: float) -> tuple[CertificateFiles, bool]:
    """The hub's own certificate for these names, and whether it was made just now.

    Raises:
        OSError: The directory cannot be written.
    """
    files = CertificateFiles(f"{directory}/self-signed.pem", f"{directory}/self-signed.key")
    if _usable(files, names, now):
        return files, False
    os.makedirs(directory, mode=0o700, exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    builder = _builder(names[0], now, LIFETIME, key.public_key())
    certificate = (
        builder.issuer_name(_name(names[0]))
        .add_extension(_alternatives(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write(files.key, _private(key))
    _write(files.chain, certificate.public_bytes(Encoding.PEM), mode=0o644)
    return files, True


def authority(directory: str, now: float, names: Sequence[str] = DEMO_NAMES) -> Authority:
    """A certificate for `names`, signed by an authority that exists for it alone.

    The authority's key is forgotten at once: whoever trusts `Authority.ca`
    trusts this one certificate and nothing that anybody could sign later.

    Raises:
        OSError: The directory cannot be written.
    """
    made = Authority(f"{directory}/ca.pem", CertificateFiles(*_pair(directory, "hub")))
    if os.path.exists(made.ca) and _usable(made.files, names, now):
        return made
    os.makedirs(directory, mode=0o700, exist_ok=True)
    ca_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    title = "mailhub demo authority"
    signing = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    ca = (
        _builder(title, now, DEMO_LIFETIME, ca_key.public_key(), authority=True)
        .issuer_name(_name(title))
        .sign(ca_key, hashes.SHA256())
    )
    certificate = (
        _builder(names[0], now, DEMO_LIFETIME, key.public_key())
        .issuer_name(_name(title))
        .add_extension(_alternatives(names), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(signing, critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    _write(made.files.key, _private(key))
    _write(made.files.chain, certificate.public_bytes(Encoding.PEM), mode=0o644)
    _write(made.ca, ca.public_bytes(Encoding.PEM), mode=0o644)
    return made


# ---- Reading -------------------------------------------------------------------------------


def _octets(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise BadCertificate(f"{path}: {error.strerror}") from None


def _public(key: object) -> bytes:
    octets: bytes = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]  # every kind of public key has it
    return octets


def _names(certificate: x509.Certificate) -> frozenset[str]:
    """The DNS names of a certificate; its common name counts only where there are none."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = found.value.get_values_for_type(x509.DNSName)
    except (x509.ExtensionNotFound, ValueError):
        names = []
    if not names:
        common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
        names = [str(attribute.value) for attribute in common]
    return frozenset(name.lower() for name in names)


def _usable(files: CertificateFiles, names: Sequence[str], now: float) -> bool:
    try:
        found = read(files)
    except BadCertificate:
        return False
    wanted = {name for name in names if not is_ip_address(name)}
    return wanted <= found.names and found.expires - now > SPARE.total_seconds()


# ---- Making --------------------------------------------------------------------------------


def _pair(directory: str, stem: str) -> tuple[str, str]:
    return f"{directory}/{stem}.pem", f"{directory}/{stem}.key"


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])


def _alternatives(names: Sequence[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName(
        [
            x509.IPAddress(ipaddress.ip_address(name))
            if is_ip_address(name)
            else x509.DNSName(name)
            for name in names
        ]
    )


def _builder(
    common: str,
    now: float,
    lifetime: timedelta,
    key: ec.EllipticCurvePublicKey,
    *,
    authority: bool = False,
) -> x509.CertificateBuilder:
    """What all our certificates share; checkers of today insist on each of these extensions."""
    today = datetime.fromtimestamp(now, UTC)
    usage = x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(_name(common))
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - BACKDATED)
        .not_valid_after(today + lifetime)
        .add_extension(
            x509.BasicConstraints(ca=authority, path_length=0 if authority else None), critical=True
        )
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _write(path: str, octets: bytes, mode: int = 0o600) -> None:
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with open(descriptor, "wb") as file:
        file.write(octets)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
