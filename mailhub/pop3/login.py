"""Who logs in: USER and PASS, and SASL's challenges and responses as lines (RFC 5034 §4).

What is inside challenges, mechanisms know; who may log in, `ports.accounts.Logins` knows.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Final

from mailhub.pop3.command import Auth, Err, Garbled
from mailhub.pop3.settings import Site
from mailhub.ports.accounts import Account, LoginFault, LoginRefused, Logins
from mailhub.ports.conversation import Client
from mailhub.sasl.mechanism import Exchange, Malformed, Mechanisms
from mailhub.sasl.server import on_loopback

# AUTH-RESP-CODE: the client's credentials are at fault, or it is not the client's fault
#                                                                          (RFC 3206 §4)
_REFUSALS: Final[Mapping[LoginFault, tuple[str, str]]] = {
    LoginFault.CREDENTIALS: ("Authentication failed", "AUTH"),
    LoginFault.THROTTLED: ("Too many failed logins, try again later", "SYS/TEMP"),
    LoginFault.UNAVAILABLE: ("Logins cannot be checked now, try again later", "SYS/TEMP"),
}
_LOGIN: Final = "LOGIN"


class Door:
    """One connection's attempts to log in, until one succeeds.

    Attributes:
        failures: Logins refused so far.
        waiting: A challenge was sent: the next line is a response.
    """

    __slots__ = ("_client", "_exchange", "_logins", "_mechanisms", "_site", "_username", "failures")

    def __init__(self, client: Client, site: Site, logins: Logins, mechanisms: Mechanisms) -> None:
        self._client = client
        self._site = site
        self._logins = logins
        self._mechanisms = mechanisms
        self._exchange: Exchange | None = None
        self._username: str | None = None
        self.failures = 0

    @property
    def waiting(self) -> bool:
        return self._exchange is not None

    @property
    def plaintext(self) -> bool:
        """Whether passwords may be sent as they are (RFC 8314 §4.1)."""
        if self._client.tls is not None:
            return True
        return self._site.plaintext_on_loopback and on_loopback(self._client.address)

    @property
    def mechanisms(self) -> tuple[str, ...]:
        """The SASL mechanisms on offer now."""
        return self._mechanisms.offered(self._client.tls, self._client.address)

    def forget(self) -> None:
        """Give up what is under way: a name without its password, an exchange."""
        self._exchange = None
        self._username = None

    def user(self, name: str) -> None:
        """Take a name; whether there is such a one nobody learns (RFC 1939 §7).

        Raises:
            Err: Its password would go over the wire as it is.
        """
        if not self.plaintext:
            raise Err("Passwords are taken under TLS only", "AUTH")
        self._username = name

    async def password(self, password: str) -> Account:
        """The account that this password opens, with the name taken before.

        Raises:
            Err: There was no name, or no login comes of it; the name is forgotten.
        """
        username, self._username = self._username, None
        if username is None:
            raise Err("USER must come first")
        try:
            return await self._logins.password(username, password)
        except LoginRefused as refused:
            raise self._refused(refused) from None

    async def begin(self, command: Auth) -> Account | bytes:
        """Begin an authentication: an account, or the line of a challenge.

        Raises:
            Err: No login comes of it.
        """
        exchange = None
        if command.mechanism in self.mechanisms:
            exchange = self._mechanisms.begin(command.mechanism, self._logins, self._client.tls)
        if exchange is None:
            raise Err("No such mechanism here")
        if command.response is None and exchange.initial:
            self._exchange = exchange
            return _line(b"")
        if command.response is None:
            return await self._step(exchange, b"")
        response = b"" if command.response == b"=" else _decoded(command.response)
        if not exchange.initial:
            if command.mechanism != _LOGIN:
                raise Garbled("This mechanism takes no initial response")
            # LOGIN has no RFC, and some send the user name at once.
            await self._step(exchange, b"")
        return await self._step(exchange, response)

    async def respond(self, line: bytes) -> Account | bytes:
        """Take a response, likewise; ``*`` gives up (RFC 5034 §4).

        Raises:
            Err: No login comes of it.
        """
        exchange, self._exchange = self._exchange, None
        assert exchange is not None
        if line == b"*":
            raise Err("Authentication cancelled")
        return await self._step(exchange, _decoded(line))

    async def _step(self, exchange: Exchange, response: bytes) -> Account | bytes:
        self._exchange = None
        try:
            challenge = await exchange.step(response)
        except LoginRefused as refused:
            raise self._refused(refused) from None
        except Malformed:
            raise Garbled("Malformed authentication response") from None
        if challenge is not None:
            self._exchange = exchange
            return _line(challenge)
        assert exchange.account is not None
        return exchange.account

    def _refused(self, refused: LoginRefused) -> Err:
        self.failures += 1
        return Err(*_REFUSALS[refused.fault])


def _line(challenge: bytes) -> bytes:
    """continue-req = "+" SP [base64] CRLF (RFC 5034 §8)."""
    return b"+ " + base64.b64encode(challenge) + b"\r\n"


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Garbled("Not base64") from None
