"""STARTTLS, AUTHENTICATE and LOGIN (RFC 3501 §6.2)."""

from __future__ import annotations

import binascii
from collections.abc import AsyncGenerator
from typing import Final

from mailhub.imap.capability import capabilities, login_allowed
from mailhub.imap.command import Authenticate, Login, StartTls, Unauthenticate
from mailhub.imap.reader import Reader
from mailhub.imap.response import Bad, Bye, No, Ok
from mailhub.imap.state import Output, Phase, State
from mailhub.ports.accounts import Account, LoginFault, LoginRefused
from mailhub.sasl.mechanism import Exchange, Malformed

_REFUSALS: Final = {
    LoginFault.CREDENTIALS: ("Invalid credentials", "AUTHENTICATIONFAILED"),
    LoginFault.THROTTLED: ("Too many failed logins, try again later", "UNAVAILABLE"),
    LoginFault.UNAVAILABLE: ("Logins cannot be checked now, try again later", "UNAVAILABLE"),
}
"""Response codes of RFC 5530 §3."""


async def start_tls(state: State, _command: StartTls) -> AsyncGenerator[Output, None]:
    """STARTTLS (RFC 3501 §6.2.1). The driver upgrades once the OK has left."""
    if state.tls is not None:
        raise Bad("TLS is active already")
    if not state.settings.tls:
        raise No("There is no certificate here", "UNAVAILABLE")
    state.wants_tls = True
    yield Ok("Begin TLS negotiation now")


async def login(state: State, command: Login) -> AsyncGenerator[Output, None]:
    """LOGIN (RFC 3501 §6.2.3)."""
    if not login_allowed(state):
        raise No("Not without TLS", "PRIVACYREQUIRED")  # RFC 5530 §3
    try:
        user, password = command.user.decode(), command.password.decode()
    except UnicodeDecodeError:
        raise refused(state, LoginFault.CREDENTIALS) from None
    try:
        account = await state.logins.password(user, password)
    except LoginRefused as why:
        raise refused(state, why.fault) from None
    yield await logged_in(state, account)


async def authenticate(state: State, command: Authenticate) -> AsyncGenerator[Output, None]:
    """AUTHENTICATE (RFC 3501 §6.2.2), perhaps with an initial response (RFC 4959)."""
    name = command.mechanism
    exchange = None
    if name in state.mechanisms.offered(state.tls, state.client.address):
        exchange = state.mechanisms.begin(name, state.logins, state.tls)
    if exchange is None:
        if state.tls is None and name in {"PLAIN", "LOGIN"}:
            raise No("Not without TLS", "PRIVACYREQUIRED")
        raise No("No such mechanism", "CANNOT")
    begun = Authenticating(state, exchange)
    if command.initial is not None:
        if not exchange.initial:
            if name != "LOGIN":
                raise Bad("This mechanism has no initial response")  # RFC 4959 §3
            await begun.step(b"")  # curl sends the user name at once
        output = await begun.step(b"" if command.initial == b"=" else _decoded(command.initial))
    elif exchange.initial:
        output = b"+ \r\n"
    else:
        output = await begun.step(b"")
    yield output
    if isinstance(output, bytes):
        yield begun


class Authenticating:
    """An exchange that waits for the client's next response."""

    __slots__ = ("_exchange", "_state")

    def __init__(self, state: State, exchange: Exchange) -> None:
        self._state = state
        self._exchange = exchange

    async def proceed(self, reader: Reader) -> AsyncGenerator[Output, None]:
        """Take responses, one a line; a lone ``*`` cancels (RFC 3501 §6.2.2)."""
        while (line := reader.line()) is not None:
            if line == b"*":
                raise Bad("Authentication cancelled")
            output = await self.step(_decoded(line))
            yield output
            if isinstance(output, Ok):
                return

    async def step(self, response: bytes) -> bytes | Ok:
        """The next challenge as a continuation request, or the end.

        Raises:
            No, Bad: No login.
        """
        try:
            challenge = await self._exchange.step(response)
        except Malformed:
            raise Bad("Malformed response") from None
        except LoginRefused as why:
            raise refused(self._state, why.fault) from None
        if challenge is not None:
            return b"+ %b\r\n" % binascii.b2a_base64(challenge, newline=False)
        assert self._exchange.account is not None
        return await logged_in(self._state, self._exchange.account)

    async def abandon(self) -> None:
        """Nothing is held."""


async def logged_in(state: State, account: Account) -> Ok:
    """Enter the authenticated state; the end of the command.

    Raises:
        No: LIMIT (RFC 5530 §3): too many connections have logged in to it.
        StoreRefused: The account's mail is not to be had.
    """
    if state.census.full(account.id, state.limits.connections):
        raise No("Too many connections of this account", "LIMIT")
    state.mail = await state.stores.of(account)
    state.census.enter(account.id)
    state.account = account
    state.phase = Phase.AUTHENTICATED
    return Ok("Logged in", f"CAPABILITY {capabilities(state)}")


async def unauthenticate(state: State, _command: Unauthenticate) -> AsyncGenerator[Output, None]:
    """UNAUTHENTICATE: as if nobody had ever logged in; TLS stays (RFC 8437 §2).

    The selected mailbox is left without expunging anything.
    """
    if not state.limits.unauthenticate:
        raise Bad("That cannot be undone here")
    if state.deflated:
        # It may not be refused, and compression cannot be taken back       (RFC 8437 §2)
        raise Bye("Connect again: this connection is compressed")
    await state.log_out()
    yield Ok("Unauthenticate completed", f"CAPABILITY {capabilities(state)}")


def refused(state: State, fault: LoginFault) -> No:
    """What to say to a failed login, which is counted."""
    state.refused_logins += 1
    return No(*_REFUSALS[fault])


def _decoded(line: bytes) -> bytes:
    try:
        return binascii.a2b_base64(line, strict_mode=True)
    except binascii.Error:
        raise Bad("Not base64") from None
