"""The hub's certificates on the wire: one context for each, chosen by the name a client asks for.

Also what a handshake came to (`facts`), whoever began it. Not here: what we demand
of other hosts (`net.clienttls`), and the making of certificates (`config.certificate`).

Invariants:

1. All connections share the contexts; a connection costs OpenSSL's own state
   and nothing else.
2. A reload takes effect as a whole or not at all, and never touches a
   connection that exists.
3. Whoever asks for an unknown name, or for none, gets the first certificate:
   the client decides whether that will do (RFC 6066 §3).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.interfaces import (
    IOpenSSLServerConnectionCreator,
    IProtocolFactory,
    IReactorTime,
)
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from zope.interface import implementer

from mailhub.config.certificate import BadCertificate, Certificate, read
from mailhub.config.values import CertificateFiles
from mailhub.ports.conversation import Tls

VERSIONS: Final = {"1.2": SSL.TLS1_2_VERSION, "1.3": SSL.TLS1_3_VERSION}

CIPHERS: Final = "ECDHE+AESGCM:ECDHE+CHACHA20:ECDHE+AES"
"""Of TLS 1.2; all of TLS 1.3's are good. Forward secrecy always. CBC comes last, for mail
servers of 2012 that would otherwise fall back to no encryption at all."""

EXPORTER_LABEL: Final = b"EXPORTER-Channel-Binding"
EXPORTER_LENGTH: Final = 32
"""Label and octets of ``tls-exporter`` (RFC 9266 §2)."""

_OPTIONS: Final = (
    SSL.OP_NO_COMPRESSION  # CRIME
    | SSL.OP_CIPHER_SERVER_PREFERENCE
    | SSL.OP_NO_RENEGOTIATION  # costs us more than it costs them (RFC 7457 §2.10)
    | SSL.OP_SINGLE_ECDH_USE
)


@dataclass(frozen=True, slots=True)
class _Chosen:
    """What the names of one set of files lead to."""

    certificates: tuple[Certificate, ...]
    default: SSL.Context
    by_name: dict[str, SSL.Context]

    def context(self, name: str) -> SSL.Context | None:
        """The context for a name: its own, or a wildcard's one level up (RFC 9525 §6.3)."""
        found = self.by_name.get(name)
        if found is None:
            found = self.by_name.get("*." + name.partition(".")[2])
        return found


@implementer(IOpenSSLServerConnectionCreator)
class CertificateMap:
    """Gives ``transport.startTLS`` and TLS listeners their contexts."""

    def __init__(
        self, files: Sequence[CertificateFiles], *, minimum: str = "1.2", ciphers: str = CIPHERS
    ) -> None:
        """Read the files; the first certificate is the default.

        Raises:
            BadCertificate: One of them cannot be used.
        """
        self._minimum = minimum
        self._ciphers = ciphers
        self._chosen = self._load(files)

    @property
    def certificates(self) -> tuple[Certificate, ...]:
        """What is in use now."""
        return self._chosen.certificates

    def reload(
        self,
        files: Sequence[CertificateFiles] | None = None,
        *,
        minimum: str | None = None,
        ciphers: str | None = None,
    ) -> None:
        """Read the files again, or others; connections from now on use them.

        Raises:
            BadCertificate: One cannot be used: all that was in use stays so.
        """
        before = self._minimum, self._ciphers
        self._minimum, self._ciphers = minimum or before[0], ciphers or before[1]
        try:
            self._chosen = self._load(files or [it.files for it in self._chosen.certificates])
        except BadCertificate:
            self._minimum, self._ciphers = before
            raise

    def serverConnectionForTLS(self, protocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002
        """A connection with the default certificate, until the client names another."""
        return SSL.Connection(self._chosen.default, None)

    def wrap(self, factory: IProtocolFactory, clock: IReactorTime) -> TLSMemoryBIOFactory:
        """The factory of a port that speaks TLS from the first octet (RFC 8314 §3)."""
        return TLSMemoryBIOFactory(self, False, factory, clock)

    def _load(self, files: Iterable[CertificateFiles]) -> _Chosen:
        certificates = tuple(read(pair) for pair in files)
        if not certificates:
            raise BadCertificate("no certificate was given")
        by_name: dict[str, SSL.Context] = {}
        contexts = [self._context(certificate) for certificate in certificates]
        for certificate, context in zip(certificates, contexts, strict=True):
            for name in certificate.names:
                by_name.setdefault(name, context)
        chosen = _Chosen(certificates, contexts[0], by_name)
        # A handshake begins in the default context: its callback decides.
        contexts[0].set_tlsext_servername_callback(lambda connection: _switch(connection, chosen))
        return chosen

    def _context(self, certificate: Certificate) -> SSL.Context:
        context = SSL.Context(SSL.TLS_SERVER_METHOD)
        try:
            context.set_cipher_list(self._ciphers.encode())
            first, *above = certificate.chain
            context.use_certificate(first)
            for signer in above:
                context.add_extra_chain_cert(signer)
            context.use_privatekey(certificate.key)  # type: ignore[arg-type]  # any kind will do
            context.check_privatekey()
        except (SSL.Error, TypeError) as error:
            raise BadCertificate(f"{certificate.files.chain}: OpenSSL: {reason(error)}") from None
        context.set_min_proto_version(VERSIONS[self._minimum])
        context.set_options(_OPTIONS)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 32 KiB less for an idle connection
        # Tickets resume sessions without memory of ours (RFC 5077 §1, RFC 8446 §4.6.1).
        context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
        context.set_session_id(b"mailhub")
        return context


def facts(connection: SSL.Connection, *, client: bool = False) -> Tls:
    """What a finished handshake agreed on; `client` says that it was we who called."""

    def binding(kind: str) -> bytes | None:
        if kind == "tls-exporter":
            return _exported(connection)
        if kind == "tls-server-end-point":
            return _end_point(connection, client=client)
        return None

    version, cipher = connection.get_protocol_version_name(), connection.get_cipher_name()
    return Tls(version, cipher or "", binding)


def _exported(connection: SSL.Connection) -> bytes | None:
    # Unique under TLS 1.2 only with the extended master secret (RFC 9266 §4.2), which OpenSSL's
    # Python face does not tell us of.
    if connection.get_protocol_version_name() != "TLSv1.3":
        return None
    return connection.export_keying_material(EXPORTER_LABEL, EXPORTER_LENGTH, b"")


def _end_point(connection: SSL.Connection, *, client: bool) -> bytes | None:
    """The hash of the server's certificate, as its signature is hashed (RFC 5929 §4.1)."""
    if client:
        certificate = connection.get_peer_certificate(as_cryptography=True)
    else:
        certificate = connection.get_certificate(as_cryptography=True)
    if certificate is None:
        return None
    # Imported late: hashes is heavy, and most clients never bind a channel.
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    algorithm: Any = certificate.signature_hash_algorithm
    if algorithm is None:  # Ed25519 and Ed448 have none: undefined by the RFC
        return None
    if algorithm.name in ("md5", "sha1"):
        algorithm = hashes.SHA256()
    return certificate.fingerprint(algorithm)


def _switch(connection: SSL.Connection, chosen: _Chosen) -> None:
    name = connection.get_servername()
    if name is None:
        return
    context = chosen.context(name.decode("ascii", "replace").lower().rstrip("."))
    if context is not None and context is not chosen.default:
        connection.set_context(context)


def reason(error: BaseException) -> str:
    """What ended a connection, in a few words."""
    queue = error.args[0] if isinstance(error, SSL.Error) and error.args else None
    if isinstance(queue, list) and queue:
        return str(queue[-1][-1])
    text = getattr(error, "osError", None) or error
    return str(text).rstrip(".") or type(error).__name__
