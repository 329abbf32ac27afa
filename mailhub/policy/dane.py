"""DANE for SMTP: whether the certificate that a host shows is the one its DNS promises (RFC 7672).

Pure: records and certificates are octets here. Building the chain that a trust
anchor needs, with signatures and dates, is `net.anchor`'s.

Invariants:

1. Only records that came authenticated may be given to these functions; whoever
   asked the DNS sees to that.
2. Usages that need a public authority (PKIX-TA, PKIX-EE) are unusable for SMTP
   (RFC 7672 §3.1.3), as is what this module does not know.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum

from mailhub.ports.resolver import Tlsa


class Usage(IntEnum):
    """What a record's data is about (RFC 6698 §2.1.1, RFC 7218 §2.1)."""

    PKIX_TA = 0
    PKIX_EE = 1
    DANE_TA = 2
    DANE_EE = 3


class Selector(IntEnum):
    """Which part of the certificate (RFC 6698 §2.1.2)."""

    CERT = 0
    SPKI = 1


class Matching(IntEnum):
    """How that part is presented (RFC 6698 §2.1.3)."""

    FULL = 0
    SHA256 = 1
    SHA512 = 2


_OCTETS = {Matching.SHA256: 32, Matching.SHA512: 64}


@dataclass(frozen=True, slots=True)
class Shown:
    """A certificate of a handshake, as records speak of it.

    Attributes:
        whole: The certificate, DER.
        key: Its SubjectPublicKeyInfo, DER.
    """

    whole: bytes
    key: bytes


class Standing(Enum):
    """What a host's TLSA records ask of us (RFC 7672 §2.2)."""

    ABSENT = "no records"
    """DANE has nothing to say."""
    UNUSABLE = "no usable records"
    """TLS is a must, any certificate will do: the records say at least that much."""
    USABLE = "usable records"
    """One of the records must match."""


def standing(records: Sequence[Tlsa]) -> Standing:
    """What these authenticated records ask of us."""
    if not records:
        return Standing.ABSENT
    return Standing.USABLE if usable(records) else Standing.UNUSABLE


def usable(records: Iterable[Tlsa]) -> tuple[Tlsa, ...]:
    """Those that can be met: known in all three fields, and of the right length."""
    return tuple(record for record in records if _usable(record))


def _usable(record: Tlsa) -> bool:
    known = (
        record.usage in (Usage.DANE_TA, Usage.DANE_EE)
        and record.selector in tuple(Selector)
        and record.matching in tuple(Matching)
    )
    return known and len(record.data) == _OCTETS.get(Matching(record.matching), len(record.data))


def matches(record: Tlsa, shown: Shown) -> bool:
    """Whether a usable record is about this certificate."""
    part = shown.whole if record.selector == Selector.CERT else shown.key
    match Matching(record.matching):
        case Matching.FULL:
            return record.data == part
        case Matching.SHA256:
            return record.data == hashlib.sha256(part).digest()
        case Matching.SHA512:
            return record.data == hashlib.sha512(part).digest()


def entity(records: Iterable[Tlsa], leaf: Shown) -> bool:
    """Whether a DANE-EE record matches the host's own certificate.

    Names and dates in it do not count then (RFC 7672 §3.1.1).
    """
    return any(record.usage == Usage.DANE_EE and matches(record, leaf) for record in records)


def anchors(records: Iterable[Tlsa], chain: Sequence[Shown]) -> tuple[int, ...]:
    """Which certificates of a chain are trust anchors by a DANE-TA record (RFC 7672 §3.1.2).

    The host's own, at 0, may be one: a self-signed certificate can be its own anchor.
    """
    authorities = [record for record in records if record.usage == Usage.DANE_TA]
    return tuple(
        number
        for number, shown in enumerate(chain)
        if any(matches(record, shown) for record in authorities)
    )
