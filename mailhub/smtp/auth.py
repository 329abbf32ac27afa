"""AUTH: SASL's challenges and responses as lines of SMTP (RFC 4954 §4).

What is inside them, mechanisms know; who may log in, `ports.accounts.Logins` knows.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from mailhub.mail.reply import Refusal
from mailhub.ports.accounts import LoginFault, LoginRefused
from mailhub.sasl.mechanism import Exchange, Malformed

_REFUSALS: Final = {
    LoginFault.CREDENTIALS: (535, "7.8", "Authentication credentials invalid"),
    LoginFault.THROTTLED: (454, "7.0", "Too many failed logins, try again later"),
    LoginFault.UNAVAILABLE: (454, "7.0", "Temporary authentication failure"),
}
"""Replies to a login that came to nothing (RFC 4954 §6)."""


def challenge(octets: bytes) -> bytes:
    """The line of a challenge: continue-req = "334" SP [base64] CRLF (RFC 4954 §8)."""
    return b"334 " + base64.b64encode(octets) + b"\r\n"


def decoded(text: bytes) -> bytes:
    """The response that a line holds.

    Raises:
        Refusal: 501 5.5.2 for what is not base64; 501 5.7.0 for ``*``, by which
            the client gives up (RFC 4954 §4).
    """
    if text == b"*":
        raise Refusal(501, "7.0", "Authentication aborted")
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise Refusal(501, "5.2", "Not base64") from None


def initial(text: str | None) -> bytes | None:
    """The initial response that AUTH came with; ``=`` is an empty one (RFC 4954 §4).

    Raises:
        Refusal: as `decoded`.
    """
    if text is None:
        return None
    return b"" if text == "=" else decoded(text.encode())


async def begin(exchange: Exchange, mechanism: str, response: bytes | None) -> bytes | None:
    """The first challenge to send, or None if nothing more needs saying.

    Raises:
        Refusal: No login; or 501 5.7.0 for an initial response where the server
            speaks first (RFC 4954 §4).
    """
    if response is None:
        return b"" if exchange.initial else await step(exchange, b"")
    if not exchange.initial:
        # LOGIN has no RFC, and smtplib and others send the user name at once.
        if mechanism != "LOGIN":
            raise Refusal(501, "7.0", "This mechanism takes no initial response")
        await step(exchange, b"")
    return await step(exchange, response)


async def step(exchange: Exchange, response: bytes) -> bytes | None:
    """The next challenge, or None once somebody has logged in.

    Raises:
        Refusal: No login.
    """
    try:
        return await exchange.step(response)
    except LoginRefused as refused:
        raise Refusal(*_REFUSALS[refused.fault]) from None
    except Malformed:
        raise Refusal(501, "5.2", "Malformed authentication response") from None
