"""The server side of SASL as a session sees it: exchanges, and the mechanisms that begin them.

A session knows how its protocol wraps challenges and responses (SMTP: RFC 4954
§4, IMAP: RFC 3501 §6.2.2, POP3: RFC 5034 §4) and nothing of what is inside
them; a mechanism knows the opposite (RFC 4422 §4).

Invariants:

1. A challenge or response here is octets, never base64.
2. What the server says last (SCRAM's server-final) is a challenge like any
   other: the client answers it with an empty response, which ends the exchange.
"""

from __future__ import annotations

from typing import Protocol

from mailhub.ports.accounts import Account, Logins
from mailhub.ports.conversation import Tls


class Malformed(Exception):
    """A response that does not parse: the client is broken, its password was not judged."""


class Exchange(Protocol):
    """One authentication under way, server side.

    Attributes:
        initial: Whether the client speaks first: without an initial response
            the server must send an empty challenge (RFC 4422 §5).
        account: Who has logged in, once `step` has returned None.
    """

    initial: bool
    account: Account | None

    async def step(self, response: bytes) -> bytes | None:
        """Take a response; return the next challenge, or None once `account` is set.

        Where `initial` is false, the exchange begins with ``step(b"")``, which
        gives the first challenge.

        Raises:
            LoginRefused: No login.
            Malformed: The response does not parse.
        """


class Mechanisms(Protocol):
    """The mechanisms a hub has, and its rules for offering them."""

    def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
        """Names allowed on this connection now, in order of preference."""

    def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange | None:
        """A new exchange; None if there is no such mechanism, or it is not allowed now."""
