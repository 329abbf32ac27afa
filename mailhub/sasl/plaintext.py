"""PLAIN (RFC 4616) and LOGIN, server side: the password itself goes over the wire."""

from __future__ import annotations

import re
from typing import Final

from mailhub.ports.accounts import Account, LoginFault, LoginRefused, Logins
from mailhub.sasl.mechanism import Malformed

# message = [authzid] UTF8NUL authcid UTF8NUL passwd                         (RFC 4616 §2)
# authcid = 1*SAFE; passwd = 1*SAFE; SAFE is any character but NUL
_MESSAGE: Final = re.compile("([^\0]*)\0([^\0]+)\0([^\0]+)")

FIELD_LIMIT: Final = 1024
"""Octets of one field; RFC 4616 §2 allows 255 characters, which may take four octets each."""


class Plain:
    """One PLAIN exchange."""

    initial = True

    def __init__(self, logins: Logins) -> None:
        self.account: Account | None = None
        self._logins = logins

    async def step(self, response: bytes) -> None:
        """Take the one message there is; see `sasl.mechanism.Exchange`.

        An authorisation identity is allowed where it says who logs in anyway,
        as mutt and mbsync do.
        """
        found = _MESSAGE.fullmatch(_text(response, 3 * FIELD_LIMIT))
        if found is None:
            raise Malformed("PLAIN message")
        authzid, authcid, password = found.groups()
        account = await self._logins.password(authcid, password)
        if authzid and authzid != authcid and not _names(authzid, account):
            raise LoginRefused(LoginFault.CREDENTIALS)
        self.account = account


class Login:
    """One exchange of LOGIN, which no RFC describes and Outlook still speaks.

    A user name given as initial response is taken, too.
    """

    initial = False

    def __init__(self, logins: Logins) -> None:
        self.account: Account | None = None
        self._logins = logins
        self._asked = False
        self._username: str | None = None

    async def step(self, response: bytes) -> bytes | None:
        """Ask for the user name, for the password, then judge; see `sasl.mechanism.Exchange`."""
        text = _text(response, FIELD_LIMIT)
        if not self._asked and not text:
            self._asked = True
            return b"Username:"
        self._asked = True
        if "\0" in text or not text:
            raise Malformed("LOGIN response")
        if self._username is None:
            self._username = text
            return b"Password:"
        self.account = await self._logins.password(self._username, text)
        return None


def _names(authzid: str, account: Account) -> bool:
    return authzid.casefold() in (account.path.key, account.path.shown.casefold())


def _text(response: bytes, limit: int) -> str:
    if len(response) > limit:
        raise Malformed("too long")
    try:
        return response.decode()
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None
