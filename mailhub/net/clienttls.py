"""TLS towards other hosts: one shared context, and what each handshake was worth.

A handshake is never refused while it runs. The verify callback records what
OpenSSL objects to, and when it is done `Handshake.judge` says what that means;
whether it is good enough is for others to say (`policy.route.TlsDemand`). So
encryption without a good certificate stays possible, which is better than none
(RFC 7435 §3), and the verdict is known for every connection.

Invariant: all connections share one context. Making one for each costs a
thousand times as much, and reading the authorities' certificates most of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final
from weakref import WeakKeyDictionary

from cryptography import x509
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from mailhub.mail.address import is_ip_address
from mailhub.net import anchor
from mailhub.net.tls import VERSIONS, facts
from mailhub.policy.protection import BY_DANE, VERIFIED
from mailhub.ports.resolver import Tlsa
from mailhub.smtp.wire import Secured

_FAULTS: Final = {
    9: "not valid yet",
    10: "expired",
    18: "self-signed",
    19: "issued by an unknown authority",
    20: "issued by an unknown authority",
    21: "issued by an unknown authority",
    23: "revoked",
    26: "not for a server",
}
"""X509_V_ERR_* in the words of a person; the rest by number."""


class ClientTls:
    """The context of every connection we make."""

    def __init__(self, *, authorities: str | None = None, minimum: str = "1.2") -> None:
        """Trust the machine's authorities, and those in a PEM file.

        Raises:
            OSError: The file cannot be read.
            ValueError: It holds no certificate.
        """
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(VERSIONS[minimum])
        context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
        context.set_mode(SSL.MODE_RELEASE_BUFFERS)  # 32 KiB less for an idle connection
        context.set_verify(SSL.VERIFY_PEER, self._record)
        context.set_default_verify_paths()
        if authorities is not None:
            _trust(context, authorities)
        self._context = context
        # Not the connections' app data, which is Twisted's.
        self._faults: WeakKeyDictionary[SSL.Connection, list[int]] = WeakKeyDictionary()

    def handshake(self, host: str, promise: Promise | None = None) -> Handshake:
        """What ``transport.startTLS`` wants, for a connection to this host name or IP address.

        A `promise` of the DNS takes the place of public authorities.
        """
        return Handshake(self._begin, host, promise)

    def _begin(self, faults: list[int]) -> SSL.Connection:
        connection = SSL.Connection(self._context, None)
        self._faults[connection] = faults
        return connection

    def _record(
        self, connection: SSL.Connection, _: object, number: int, __: int, good: int
    ) -> bool:
        if not good:
            self._faults[connection].append(number)
        return True


@dataclass(frozen=True, slots=True)
class Promise:
    """What the DNS says of a host's certificate (RFC 7672 §3).

    Attributes:
        records: Usable ones, authenticated.
        names: The host's, and the domain's whose mail it takes (RFC 7672 §3.2.2).
        now: When the handshake takes place, seconds since the epoch.
    """

    records: tuple[Tlsa, ...]
    names: tuple[str, ...]
    now: Callable[[], float] = field(compare=False)

    def verdict(self, chain: Sequence[x509.Certificate]) -> str:
        """What a chain is worth, as in `Secured`."""
        fault = anchor.fault(self.records, chain, self.names, self.now())
        return f"unverified: DANE: {fault}" if fault else BY_DANE


@implementer(IOpenSSLClientConnectionCreator)
class Handshake:
    """One handshake, from its beginning to the verdict."""

    def __init__(
        self,
        begin: Callable[[list[int]], SSL.Connection],
        host: str,
        promise: Promise | None = None,
    ) -> None:
        """`begin` makes a connection that records OpenSSL's objections in the list it is given."""
        self._begin = begin
        self._host = host
        self._promise = promise
        self._connection: SSL.Connection | None = None
        self.faults: list[int] = []

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: ARG002
        """Begin; for Twisted."""
        connection = self._begin(self.faults)
        if not is_ip_address(self._host):  # those are not to be named (RFC 6066 §3)
            connection.set_tlsext_host_name(self._host.encode("ascii", "ignore"))
        self._connection = connection
        return connection

    def judge(self) -> Secured:
        """What the finished handshake is worth."""
        assert self._connection is not None
        return Secured(facts(self._connection, client=True), self._verdict(self._connection))

    def _verdict(self, connection: SSL.Connection) -> str:
        try:
            return self._judged(connection)
        except anchor.UNREADABLE:
            return "unverified: a certificate that cannot be read"

    def _judged(self, connection: SSL.Connection) -> str:
        if self._promise is not None:
            return self._promise.verdict(connection.get_peer_cert_chain(as_cryptography=True) or ())
        if self.faults:
            number = self.faults[0]
            return f"unverified: {_FAULTS.get(number, f'OpenSSL says {number}')}"
        try:
            # The name must be the certificate's own words (RFC 9525 §6).
            if is_ip_address(self._host):
                verify_ip_address(connection, self._host)
            else:
                verify_hostname(connection, self._host)
        except (VerificationError, CertificateError, ValueError):
            return "unverified: issued for another name"
        return VERIFIED


def _trust(context: SSL.Context, authorities: str) -> None:
    with open(authorities, "rb") as file:
        file.read(1)  # OpenSSL does not say why it cannot
    try:
        context.load_verify_locations(authorities)
    except SSL.Error:
        raise ValueError(f"{authorities}: no certificates in it") from None
