"""Trace fields: Received of every hop, Return-Path and Delivered-To of the last one.

Invariants:

1. A client cannot add to them: a name that is no domain and no address literal
   is left out, and a path is printed by `Path`, which knows no controls.
2. Who else gets a message is not told: ``for`` stands where there is one recipient.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.date import format_date
from mailhub.mail.value import value

# ehlo = "EHLO" SP ( Domain / address-literal ) CRLF                          (RFC 5321 §4.1.1.1)
_NAME: Final = re.compile(r"\w[\w-]*(?:\.\w[\w-]*)*\.?|\[(?:IPv6:)?[0-9A-Fa-f:.]+\]", re.ASCII)
_NAME_LIMIT: Final = 255
"""Characters of a domain (RFC 5321 §4.5.3.1.2)."""
_KEYWORD: Final = re.compile(r"[A-Z0-9]+")


@value(frozen=True, slots=True)
class Hop:
    """What a Received field tells of how a message came to us.

    Attributes:
        helo: What the client called itself.
        address: Its IP address; ``""`` for none, or none that is told.
        protocol: The ``with`` keyword (RFC 3848): SMTP, ESMTPSA …
        tls: Version and cipher suite; ``""`` in the clear.
        utf8: The transaction had SMTPUTF8.
        priority: MT-PRIORITY; None for none.
    """

    helo: str
    address: str
    protocol: str
    tls: str = ""
    utf8: bool = False
    priority: int | None = None


def received(
    hop: Hop, host: str, queue_id: str, now: float, recipient: Path | None = None
) -> bytes:
    """A Received field (RFC 5321 §4.4), with CR LF."""
    # Time-stamp-line = "Received:" FWS Stamp; Stamp = From-domain By-domain Opt-info ";" FWS
    # date-time; Opt-info = [Via] [With] [ID] [For]                             (RFC 5321 §4.4)
    lines = [f"by {host} (mailhub) with {keyword(hop)} id {queue_id}"]
    if hop.address:
        lines.insert(0, _from(hop.helo, hop.address))
    if hop.tls:
        lines.append(f"({hop.tls})")
    if hop.priority is not None:
        lines.append(f"PRIORITY {hop.priority}")  # RFC 6710 §7
    if recipient is not None and (hop.utf8 or not recipient.needs_utf8):
        lines.append(f"for <{recipient}>")
    return ("Received: " + "\r\n\t".join(lines) + f";\r\n\t{_date(int(now))}\r\n").encode(
        "utf-8", "surrogateescape"
    )


def keyword(hop: Hop) -> str:
    """The ``with`` keyword: UTF8SMTP… instead of ESMTP… with SMTPUTF8 (RFC 6531 §4.3)."""
    name = hop.protocol.upper()
    if hop.utf8 and name.startswith("ESMTP"):
        name = "UTF8SMTP" + name[len("ESMTP") :]
    return name if _KEYWORD.fullmatch(name) else "SMTP"


def return_path(reverse_path: Path) -> bytes:
    """The Return-Path field of final delivery (RFC 5321 §4.4), with CR LF."""
    return f"Return-Path: <{reverse_path}>\r\n".encode("utf-8", "surrogateescape")


def delivered_to(path: Path) -> bytes:
    """A Delivered-To field, by which `policy.loop` knows that mail was here before."""
    return f"Delivered-To: {path}\r\n".encode("utf-8", "surrogateescape")


def delivery(reverse_path: Path, recipient: Path) -> bytes:
    """The trace fields of final delivery, which stand before all others (RFC 5321 §4.4)."""
    return return_path(reverse_path) + delivered_to(recipient)


def _from(helo: str, address: str) -> str:
    # Extended-Domain = Domain / ( Domain FWS "(" TCP-info ")" ) / ( address-literal … )
    literal = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
    named = len(helo) <= _NAME_LIMIT and _NAME.fullmatch(helo)
    return f"from {helo if named else literal} ({literal})"


@lru_cache(maxsize=4)
def _date(seconds: int) -> str:
    return format_date(seconds)
