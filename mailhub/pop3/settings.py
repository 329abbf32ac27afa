"""What a POP3 session puts up with, and what it says of itself; the configuration fills it in."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Sizes are octets, durations seconds.

    Attributes:
        line: Of a command line, CR LF included. RFC 2449 §4 has 255; a password
            in UTF-8 may need more. Over it: -ERR.
        auth_line: Of AUTH and of a response to a challenge. Over it: -ERR.
        errors: Lines that are no commands. With the last of them the connection closes.
        logins: Failed logins, likewise.
        patience: Silence after which the connection closes: at least ten
            minutes (RFC 1939 §3).
    """

    line: int = 2048
    auth_line: int = 12288
    errors: int = 20
    logins: int = 10
    patience: float = 600.0


@dataclass(frozen=True, slots=True)
class Site:
    """One listener.

    Attributes:
        hostname: The name in the greeting.
        tls: STLS can be offered.
        plaintext_on_loopback: Clients on this machine may send passwords in the clear.
    """

    hostname: str
    tls: bool = False
    plaintext_on_loopback: bool = False
