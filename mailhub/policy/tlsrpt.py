"""TLS reports: what came of the encryption to a domain in one day, for its operator (RFC 8460).

Pure. Sessions are connections, not messages: one over which several messages went counts once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any, Final
from urllib.parse import unquote, urlsplit

from mailhub.mail.address import Path, parse_address
from mailhub.mail.reply import Refusal
from mailhub.policy.protection import BY_DANE, VERIFIED, Assurance, Protection
from mailhub.policy.sts import StsPolicy
from mailhub.ports.resolver import Tlsa

DAY: Final = 86_400
"""Seconds of a report's day, which is UTC's (RFC 8460 §4.1)."""
DESTINATIONS: Final = 5
"""Places that one report is sent to; a domain may name any number."""
DETAILS: Final = 100
"""Kinds of failure that one report tells of."""


class Kind(Enum):
    """The policy that a session was held to (RFC 8460 §4.2)."""

    TLSA = "tlsa"
    STS = "sts"
    NONE = "no-policy-found"


class Fault(Enum):
    """What went wrong with a session (RFC 8460 §4.3)."""

    NOT_OFFERED = "starttls-not-supported"
    MISMATCH = "certificate-host-mismatch"
    EXPIRED = "certificate-expired"
    NOT_TRUSTED = "certificate-not-trusted"
    VALIDATION = "validation-failure"
    TLSA = "tlsa-invalid"
    DNSSEC = "dnssec-invalid"
    STS_FETCH = "sts-policy-fetch-error"
    STS_INVALID = "sts-policy-invalid"
    STS_WEBPKI = "sts-webpki-invalid"


@dataclass(frozen=True, slots=True)
class Session:
    """A kind of session of one day: equal ones are counted together.

    Attributes:
        domain: Whose mail it was for.
        lines: The policy: TLSA records, or the lines of an MTA-STS policy.
        patterns: The exchanges that an MTA-STS policy names.
        fault: None of one that came to what was demanded.
        host: The exchange, and its ``address``, of a failure.
        words: More about a failure.
    """

    domain: str
    kind: Kind = Kind.NONE
    lines: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    fault: Fault | None = None
    host: str = ""
    address: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class Contact:
    """A connection that has come as far as TLS, or failed to.

    Attributes:
        domain: Whose mail it was for.
        assurance: What the domain's policy was.
        needed: What was demanded of the host.
        certificate: As in `smtp.wire.Secured`; ``""`` if there was none.
        fault: What is known to have gone wrong besides the certificate.
        words: About the fault.
    """

    domain: str
    assurance: Assurance
    needed: Protection
    certificate: str = ""
    fault: Fault | None = None
    host: str = ""
    address: str = ""
    words: str = ""


def session(contact: Contact) -> Session:
    """What is reported of a connection."""
    domain, needed, sts = contact.domain, contact.needed, contact.assurance.sts
    certificate, fault, words = contact.certificate, contact.fault, contact.words
    kind = Kind.NONE
    lines: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    if needed.records:
        kind, lines = Kind.TLSA, tuple(map(_shown, needed.records))
    elif sts is not None:
        kind, lines, patterns = Kind.STS, _lines(sts), sts.mx
    if fault is None and certificate and kind is not Kind.NONE:
        fault = of_certificate(certificate)
        words = words or (certificate if fault is not None else "")
    if fault is None:
        return Session(domain, kind, lines, patterns)
    return Session(domain, kind, lines, patterns, fault, contact.host, contact.address, words)


def _shown(record: Tlsa) -> str:
    return f"{record.usage} {record.selector} {record.matching} {record.data.hex()}"


def _lines(policy: StsPolicy) -> tuple[str, ...]:
    exchanges = (f"mx: {pattern}" for pattern in policy.mx)
    mode, age = f"mode: {policy.mode.value}", f"max_age: {policy.max_age}"
    return ("version: STSv1", mode, *exchanges, age)


def of_certificate(certificate: str) -> Fault | None:
    """What is wrong with a certificate, by the verdict on it."""
    if certificate in (VERIFIED, BY_DANE):
        return None
    for words, fault in (
        ("DANE", Fault.TLSA),
        ("expired", Fault.EXPIRED),
        ("another name", Fault.MISMATCH),
        ("authority", Fault.NOT_TRUSTED),
        ("self-signed", Fault.NOT_TRUSTED),
    ):
        if words in certificate:
            return fault
    return Fault.VALIDATION


# ---- Where to --------------------------------------------------------------------------------


#   tlsrpt-record = tlsrpt-version 1*(field-delim tlsrpt-field) [field-delim]  (RFC 8460 §3)
_RECORD = re.compile(r"v=TLSRPTv1[ \t]*;(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ByMail:
    """A report goes to an address."""

    path: Path


@dataclass(frozen=True, slots=True)
class ByPost:
    """A report is posted over HTTPS."""

    host: str
    path: str


def destinations(texts: Sequence[bytes]) -> tuple[ByMail | ByPost, ...]:
    """Where a domain wants its reports, by the TXT records at ``_smtp._tls``.

    Several records, or none that we can read, are none (RFC 8460 §3).
    """
    matched = (_RECORD.match(text.decode("utf-8", "replace")) for text in texts)
    records = [match.group(1) for match in matched if match is not None]
    if len(records) != 1:
        return ()
    fields = (field.partition("=") for field in records[0].split(";"))
    uris = [value for name, _, value in fields if name.strip() == "rua"]
    found = [_destination(uri.strip()) for value in uris[:1] for uri in value.split(",")]
    return tuple(each for each in found if each is not None)[:DESTINATIONS]


def _destination(uri: str) -> ByMail | ByPost | None:
    if uri.lower().startswith("mailto:"):
        try:
            address = parse_address(unquote(uri[7:].partition("?")[0]))
        except Refusal:
            return None
        return ByMail(address) if address.domain else None
    try:
        parts = urlsplit(uri)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme.lower() != "https" or not parts.hostname or port not in (None, 443):
        return None
    path = parts.path or "/"
    return ByPost(parts.hostname, f"{path}?{parts.query}" if parts.query else path)


# ---- The report ------------------------------------------------------------------------------


def report(
    day: int, submitter: str, contact: str, report_id: str, counted: Mapping[Session, int]
) -> dict[str, Any]:
    """One domain's report of a day, as JSON's values (RFC 8460 §4.4).

    `day` is its number since the epoch.
    """
    groups: dict[tuple[Any, ...], dict[Session, int]] = {}
    for kind, count in counted.items():
        groups.setdefault((kind.kind, kind.lines, kind.patterns, kind.domain), {})[kind] = count
    return {
        "organization-name": submitter,
        "date-range": {
            "start-datetime": _moment(day * DAY),
            "end-datetime": _moment(day * DAY + DAY - 1),
        },
        "contact-info": contact,
        "report-id": report_id,
        "policies": [_policy(group) for group in groups.values()],
    }


def _policy(counted: Mapping[Session, int]) -> dict[str, Any]:
    sample = next(iter(counted))
    policy: dict[str, Any] = {"policy-type": sample.kind.value, "policy-domain": sample.domain}
    if sample.lines:
        policy["policy-string"] = list(sample.lines)
    if sample.patterns:
        policy["mx-host"] = list(sample.patterns)
    failed = {kind: count for kind, count in counted.items() if kind.fault is not None}
    found: dict[str, Any] = {
        "policy": policy,
        "summary": {
            "total-successful-session-count": sum(counted.values()) - sum(failed.values()),
            "total-failure-session-count": sum(failed.values()),
        },
    }
    if failed:
        found["failure-details"] = list(_details(failed.items()))
    return found


def _details(failed: Iterable[tuple[Session, int]]) -> Iterable[dict[str, Any]]:
    for kind, count in sorted(failed, key=lambda each: -each[1])[:DETAILS]:
        assert kind.fault is not None
        more = {
            "receiving-mx-hostname": kind.host,
            "receiving-ip": kind.address,
            "additional-information": kind.words,
        }
        detail: dict[str, Any] = {"result-type": kind.fault.value, "failed-session-count": count}
        detail.update({name: value for name, value in more.items() if value})
        yield detail


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
