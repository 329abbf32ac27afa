"""Who may use a URL, and until when: URLAUTH's end of an IMAP URL, and its signature (RFC 4467).

``;EXPIRE=2027-01-01T00:00:00Z;URLAUTH=submit+ann%40hub.example:INTERNAL:5b1c…``

Invariants:

1. A signature covers all octets of the URL before it, as they were signed.
2. Two signatures are compared in a time that tells nothing of where they differ.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote_to_bytes

from mailhub.mail.date import parse_timestamp

MECHANISM: Final = "INTERNAL"
"""The one mechanism there is, which every server has (RFC 4467 §4)."""

# iurlauth = iurlauth-rump ":" uauth-mechanism ":" urlauth
# iurlauth-rump = [";EXPIRE=" date-time] ";URLAUTH=" access
# access = ("submit+" enc-user) / ("user+" enc-user) / "authuser" / "anonymous"
# urlauth = 32*HEXDIG                                                      (RFC 4467 §9)
_ACCESS: Final = re.compile(
    rb"(?:;EXPIRE=(?P<expire>[^;]{1,40}))?;URLAUTH="
    rb"(?P<access>(?:submit|user)\+(?P<user>[^;:/]+)|authuser|anonymous)"
    rb"(?P<signed>:(?P<mechanism>[A-Za-z0-9.-]+):(?P<signature>[0-9A-Fa-f]{32,256}))?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Access:
    """What a URL says of its use.

    Attributes:
        kind: ``submit+ user+ authuser anonymous``.
        user: Whom the first two name.
        expires: Seconds since the epoch; None for never.
        mechanism: In capitals; empty for a rump, which has yet to be signed.
        signature: In lower case.
        tail: Octets from the mechanism's colon on.
    """

    kind: str
    user: str
    expires: int | None
    mechanism: str
    signature: str
    tail: int


def parse(rest: bytes) -> Access | None:
    """What stands behind the message of a URL; None if it is no such thing."""
    found = _ACCESS.fullmatch(rest)
    if found is None:
        return None
    expires = None
    if found["expire"] is not None:
        expires = parse_timestamp(unquote_to_bytes(found["expire"]).decode("latin-1"))
        if expires is None:
            return None
    try:
        user = unquote_to_bytes(found["user"] or b"").decode()
    except UnicodeDecodeError:
        return None
    kind = found["access"].lower().decode()
    return Access(
        kind.partition("+")[0] + "+" if found["user"] else kind,
        user,
        expires,
        (found["mechanism"] or b"").decode().upper(),
        (found["signature"] or b"").decode().lower(),
        len(found["signed"] or b""),
    )


def signed(rump: bytes, key: bytes) -> bytes:
    """A URL with its signature."""
    return b"%b:%b:%b" % (rump, MECHANISM.encode(), _signature(rump, key).encode())


def genuine(octets: bytes, access: Access, key: bytes) -> bool:
    """Whether the signature of a URL, all of which is `octets`, was made with this key."""
    rump = octets[: len(octets) - access.tail]
    return hmac.compare_digest(_signature(rump, key), access.signature)


def _signature(rump: bytes, key: bytes) -> str:
    return hmac.digest(key, rump, "sha256").hex()
