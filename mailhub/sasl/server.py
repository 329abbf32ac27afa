"""The mechanisms a hub offers, and when."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv6Address, ip_address

from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Tls
from mailhub.sasl.mechanism import Exchange
from mailhub.sasl.plaintext import Login, Plain
from mailhub.sasl.scram import Scram, bindable


class ServerMechanisms:
    """Implements `sasl.mechanism.Mechanisms`.

    Invariant: PLAIN and LOGIN are offered under TLS only, except on loopback
    where the operator allows it (RFC 4954 §4, RFC 8314 §4.1).

    `begin` is not told the client's address: a session asks it only for names
    that `offered` gave for this connection.

    Args:
        nonce: Gives printable text without commas that nobody can guess, at
            least 16 characters: SCRAM's s-nonce (RFC 5802 §5.1).

    Attributes:
        plaintext_on_loopback: Clients on this machine may send passwords in the clear;
            may be replaced.
    """

    def __init__(self, nonce: Callable[[], str], *, plaintext_on_loopback: bool = False) -> None:
        self._nonce = nonce
        self.plaintext_on_loopback = plaintext_on_loopback

    def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
        """Names allowed on this connection now, in order of preference."""
        names = ["SCRAM-SHA-256-PLUS"] if bindable(tls) else []
        names.append("SCRAM-SHA-256")
        if tls is not None or (self.plaintext_on_loopback and on_loopback(address)):
            names += ["PLAIN", "LOGIN"]
        return tuple(names)

    def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange | None:
        """A new exchange; None if there is no such mechanism, or it is not allowed now."""
        match name.upper():
            case "SCRAM-SHA-256-PLUS" if bindable(tls):
                return Scram(logins, tls, self._nonce, plus=True)
            case "SCRAM-SHA-256":
                return Scram(logins, tls, self._nonce, plus=False)
            case "PLAIN" if tls is not None or self.plaintext_on_loopback:
                return Plain(logins)
            case "LOGIN" if tls is not None or self.plaintext_on_loopback:
                return Login(logins)
        return None


def on_loopback(address: str) -> bool:
    """Whether a client's address is this machine's own; a Unix socket's empty one is not."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback
