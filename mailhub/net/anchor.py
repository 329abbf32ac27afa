"""Whether a certificate chain meets a host's TLSA records: signatures, dates and names included.

What records say is `policy.dane`'s; here are the certificates, by `cryptography`.

Invariants:

1. Only certificates that lead from the host's own to an anchor count, and each
   of them was signed by the next.
2. However long a chain is and whatever is in it, the work is bounded by `CHAIN_LIMIT`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from service_identity import CertificateError, VerificationError
from service_identity.cryptography import verify_certificate_hostname

from mailhub.policy import dane
from mailhub.ports.resolver import Tlsa

CHAIN_LIMIT: Final = 20
"""Certificates of a handshake that are looked at."""
UNREADABLE: Final = (
    ValueError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)
"""What `cryptography` raises at certificates that OpenSSL takes: a host may show any."""


def fault(
    records: Sequence[Tlsa], chain: Sequence[x509.Certificate], names: Sequence[str], now: float
) -> str:
    """Why a chain does not meet usable records, in a few words; ``""`` if it does.

    Args:
        records: Usable ones.
        chain: The host's own certificate first.
        names: Any one of them must be the certificate's, where an anchor vouches for it.
        now: Seconds since the epoch.
    """
    if not chain:
        return "no certificate"
    own = [each for each in chain[:CHAIN_LIMIT] if _readable(each)]
    if not own or own[0] is not chain[0]:
        return "a certificate that cannot be read"
    if dane.entity(records, _shown(own[0])):
        return ""
    known = [*own, *filter(_readable, _in_full(records))]
    numbers = dane.anchors(records, [_shown(each) for each in known])
    trusted = [known[number] for number in numbers]
    if not trusted:
        return "matches no TLSA record"
    if not _valid(own[0], now) and own[0] not in trusted:
        return "expired, or not valid yet"
    if not _vouched(own[0], known, trusted, now):
        return "not issued by the trust anchor of a TLSA record"
    if not any(_named(own[0], name) for name in names):
        return "issued for another name"
    return ""


def _readable(certificate: x509.Certificate) -> bool:
    """Whether all that is asked of a certificate below has an answer."""
    try:
        _shown(certificate)
        _ = certificate.extensions, certificate.not_valid_before_utc
    except UNREADABLE:
        return False
    return True


def _shown(certificate: x509.Certificate) -> dane.Shown:
    key = certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return dane.Shown(certificate.public_bytes(Encoding.DER), key)


def _in_full(records: Sequence[Tlsa]) -> Iterator[x509.Certificate]:
    """Anchors that stand in the records: a server need not send those (RFC 7671 §5.2.2)."""
    for record in records:
        whole = record.selector == dane.Selector.CERT and record.matching == dane.Matching.FULL
        if record.usage == dane.Usage.DANE_TA and whole:
            try:
                yield x509.load_der_x509_certificate(record.data)
            except ValueError:
                continue


def _vouched(
    leaf: x509.Certificate,
    known: Sequence[x509.Certificate],
    trusted: Sequence[x509.Certificate],
    now: float,
) -> bool:
    """Whether signatures lead from a certificate to a trusted one; the anchor's dates do not count.

    Each certificate is looked at once: a chain may be made to have a great many paths.
    """
    reached, todo = [leaf], [leaf]
    while todo:
        certificate = todo.pop()
        if certificate in trusted:
            return True
        for other in known:
            good = other in trusted or _valid(other, now)
            if good and other not in reached and _issued(certificate, other):
                reached.append(other)
                todo.append(other)
    return False


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    if not _authority(issuer):
        return False
    try:
        certificate.verify_directly_issued_by(issuer)
    except (*UNREADABLE, TypeError, InvalidSignature):
        return False
    return True


def _authority(certificate: x509.Certificate) -> bool:
    try:
        extension = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return extension.value.ca


def _valid(certificate: x509.Certificate, now: float) -> bool:
    moment = dt.datetime.fromtimestamp(now, dt.UTC)
    return certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc


def _named(certificate: x509.Certificate, name: str) -> bool:
    try:
        verify_certificate_hostname(certificate, name)
    except (VerificationError, CertificateError, *UNREADABLE):
        return False
    return True
