"""Certificates of providers: good ones, and each kind of bad one.

Valid by the machine's own clock, which is what OpenSSL looks at, and with RSA keys: their
signatures always have the same length.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface import implementer

from mailhub.sim.manners import Certificate

_BITS: Final = 2048
_FROM: Final = datetime(2000, 1, 1, tzinfo=UTC)
_UNTIL: Final = datetime(2049, 12, 31, tzinfo=UTC)
_EXPIRED: Final = datetime(2020, 1, 1, tzinfo=UTC)


@cache
def _keys() -> tuple[rsa.RSAPrivateKey, rsa.RSAPrivateKey]:
    """An authority's and a server's, the same for all worlds of a process: they take their time."""
    return rsa.generate_private_key(65537, _BITS), rsa.generate_private_key(65537, _BITS)


@implementer(IOpenSSLServerConnectionCreator)
class _Context:
    """What ``startTLS`` wants of a server."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context

    def serverConnectionForTLS(self, tlsProtocol: object) -> SSL.Connection:  # noqa: ARG002
        """Begin a handshake."""
        return SSL.Connection(self._context, None)


class Certificates:
    """An authority of a world, and what it signs.

    Attributes:
        authority: The file of its own certificate.
    """

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, 0o700, exist_ok=True)
        self.authority = f"{directory}/ca.pem"
        self._key, self._server = _keys()
        self._serial = 1
        name = _name("the authority of this world")
        self._issuer = name
        certificate = self._signed(name, ["ca"], authority=True, key=self._key)
        with open(self.authority, "wb") as file:
            file.write(certificate.public_bytes(Encoding.PEM))

    def context(self, hosts: Sequence[str], kind: Certificate) -> Any:
        """What a provider's ``startTLS`` is given."""
        names = ["somebody-else.example"] if kind is Certificate.WRONG_NAME else list(hosts)
        alone = kind is Certificate.SELF_SIGNED
        until = _EXPIRED if kind is Certificate.EXPIRED else _UNTIL
        certificate = self._signed(_name(names[0]), names, until=until, alone=alone)
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        context.set_min_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate(certificate)
        context.use_privatekey(self._server)
        return _Context(context)

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the public key of all servers: the data of a TLSA record ``3 1 1``."""
        public = self._server.public_key()
        return sha256(public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()

    def _signed(
        self,
        subject: x509.Name,
        names: Sequence[str],
        *,
        until: datetime = _UNTIL,
        authority: bool = False,
        alone: bool = False,
        key: rsa.RSAPrivateKey | None = None,
    ) -> x509.Certificate:
        self._serial += 1
        public = (key or self._server).public_key()
        alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(subject if alone else self._issuer)
            .public_key(public)
            .serial_number(self._serial)
            .not_valid_before(_FROM)
            .not_valid_after(until)
            .add_extension(
                x509.BasicConstraints(ca=authority, path_length=0 if authority else None),
                critical=True,
            )
            .add_extension(alternatives, critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )
        if not authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH])
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(self._server if alone else self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])
