"""What EHLO announces, and by which name a session's protocol goes in Received fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from mailhub.ports.conversation import Client
from mailhub.smtp.limits import Limits, Site


def keywords(site: Site, limits: Limits, mechanisms: Sequence[str], *, secure: bool) -> list[str]:
    """The EHLO keywords (RFC 5321 §4.1.1.1) of a session that is, or is not, under TLS."""
    announced = [
        "PIPELINING",  # RFC 2920
        f"SIZE {limits.size}",  # RFC 1870 §3
        "8BITMIME",  # RFC 6152 §2
        "BINARYMIME",  # RFC 3030 §3
        "CHUNKING",  # RFC 3030 §2
        "SMTPUTF8",  # RFC 6531 §3.1
        "ENHANCEDSTATUSCODES",  # RFC 2034 §3
        "DSN",  # RFC 3461 §3
    ]
    if site.tls and not secure:
        announced.append("STARTTLS")  # never within TLS (RFC 3207 §4.2)
    if mechanisms:
        announced.append("AUTH " + " ".join(mechanisms))
    if secure:
        announced.append("REQUIRETLS")  # only within TLS (RFC 8689 §2)
    if site.submission and limits.hold and site.now is not None:
        latest = datetime.fromtimestamp(site.now() + limits.hold, UTC)
        announced.append(
            f"FUTURERELEASE {int(limits.hold)} {latest:%Y-%m-%dT%H:%M:%SZ}"
        )  # RFC 4865 §4
    announced += [
        "DELIVERBY",  # RFC 2852 §2
        "MT-PRIORITY",  # RFC 6710 §3
    ]
    return [*announced, f"LIMITS RCPTMAX={limits.recipients}", "HELP"]  # RFC 9422 §4


def response(hostname: str, announced: Sequence[str]) -> bytes:
    """The reply to EHLO: ehlo-ok-rsp, without enhanced status (RFC 2034 §4)."""
    *first, last = (hostname, *announced)
    return "".join([*(f"250-{line}\r\n" for line in first), f"250 {last}\r\n"]).encode()


def protocol(client: Client, *, extended: bool, utf8: bool = False) -> str:
    """The ``with`` keyword of Received (RFC 3848, RFC 6531 §4.3)."""
    if not extended:
        return "SMTP"
    keyword = "UTF8SMTP" if utf8 else "ESMTP"
    if client.tls is not None:
        keyword += "S"
    if client.account is not None:
        keyword += "A"
    return keyword
