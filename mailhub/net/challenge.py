"""SASL by what was written for Twisted: `challengers`, and a cred portal behind them.

A challenger makes an `IChallengeResponse`: credentials that ask for themselves.
Here they look like the mechanisms of `sasl.mechanism`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final

from twisted.cred.error import LoginDenied, UnauthorizedLogin
from twisted.internet.defer import CancelledError
from twisted.logger import Logger
from twisted.mail.interfaces import IChallengeResponse

from mailhub.mail.address import Path
from mailhub.ports.accounts import (
    Account,
    AccountId,
    LoginFault,
    LoginRefused,
    Logins,
    ScramKeys,
    ScramProof,
)
from mailhub.ports.conversation import Tls
from mailhub.sasl.mechanism import Exchange, Malformed

_log = Logger()

_PLAINTEXT: Final = frozenset({"PLAIN", "LOGIN"})
"""Mechanisms that tell the password to whoever listens."""

Login = Callable[[Any], Awaitable[None]]
"""Logs in with credentials, or raises what a portal raises."""


class Challengers:
    """A `sasl.mechanism.Mechanisms` over a mapping like ``ESMTP.challengers``.

    Plaintext mechanisms are offered under TLS, and in the clear if `plaintext`.
    """

    def __init__(
        self, challengers: Mapping[Any, Callable[[], Any]], login: Login, *, plaintext: bool
    ) -> None:
        self._makers = {_name(name): make for name, make in challengers.items()}
        self._login = login
        self._plaintext = plaintext

    def offered(self, tls: Tls | None, address: str) -> tuple[str, ...]:
        """Names allowed on this connection now."""
        del address
        if tls is not None or self._plaintext:
            return tuple(self._makers)
        return tuple(name for name in self._makers if name not in _PLAINTEXT)

    def begin(self, name: str, logins: Logins, tls: Tls | None) -> Exchange | None:
        """A new exchange; None if there is no such mechanism."""
        del logins
        if name not in self.offered(tls, ""):
            return None
        return ChallengeExchange(self._makers[name](), self._login)


class ChallengeExchange:
    """A `sasl.mechanism.Exchange` over an `IChallengeResponse`."""

    def __init__(self, credentials: Any, login: Login) -> None:
        self._credentials = credentials
        self._login = login
        self._first: bytes | None = credentials.getChallenge()
        self.initial = not self._first
        self.account: Account | None = None
        if self.initial:
            self._first = None

    async def step(self, response: bytes) -> bytes | None:
        """The next challenge; None once the portal has let the client in.

        Raises:
            LoginRefused: It did not.
            Malformed: The credentials cannot read the response.
        """
        if self._first is not None:
            first, self._first = self._first, None
            return first
        credentials = self._credentials
        try:
            credentials.setResponse(response)
        except Exception as error:
            raise Malformed(str(error)) from None
        if credentials.moreChallenges():
            challenge: bytes = credentials.getChallenge()
            return challenge
        try:
            await self._login(credentials)
        except CancelledError:
            raise
        except (UnauthorizedLogin, LoginDenied):
            raise LoginRefused(LoginFault.CREDENTIALS) from None
        except Exception:
            _log.failure("the portal failed")
            raise LoginRefused(LoginFault.UNAVAILABLE) from None
        self.account = _account(credentials)
        return None


class NoLogins:
    """`ports.accounts.Logins` for those whose portal is asked by other ways."""

    async def password(self, username: str, password: str) -> Account:
        """Nobody."""
        del username, password
        raise LoginRefused(LoginFault.UNAVAILABLE)

    async def scram_keys(self, username: str) -> ScramKeys:
        """None."""
        del username
        raise LoginRefused(LoginFault.UNAVAILABLE)

    async def scram(self, username: str, proof: ScramProof) -> Account:
        """Nobody."""
        del username, proof
        raise LoginRefused(LoginFault.UNAVAILABLE)


def _name(name: str | bytes) -> str:
    return (name.decode() if isinstance(name, bytes) else name).upper()


def _account(credentials: Any) -> Account:
    """A name for whom the portal has let in: the avatar is known to the protocol alone."""
    username = getattr(credentials, "username", "") or ""
    if isinstance(username, bytes):
        username = username.decode(errors="replace")
    return Account(AccountId(0), Path(username, ""), "")


__all__ = ["ChallengeExchange", "Challengers", "IChallengeResponse", "NoLogins"]
