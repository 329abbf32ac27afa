"""SCRAM-SHA-256 and SCRAM-SHA-256-PLUS, server side (RFC 5802, RFC 7677), and their arithmetic.

Invariants:

1. The server learns whether the client knows the password, never the password.
2. What a client binds to the channel is compared with the channel it came
   through: a proof cannot be carried over from another connection.
3. A client that can bind but was made to believe that we cannot (flag ``y``)
   is refused: somebody has taken PLUS off our list (RFC 5802 §6).
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mailhub.ports.accounts import Account, LoginFault, LoginRefused, Logins, ScramKeys, ScramProof
from mailhub.ports.conversation import Tls
from mailhub.sasl.mechanism import Malformed

BINDINGS: Final = ("tls-exporter", "tls-server-end-point")
"""Channel binding types we check (RFC 9266; RFC 5929 §4). tls-unique is undefined in TLS 1.3."""

RESPONSE_LIMIT: Final = 4096
"""Octets of a client's message: a few hundred are usual, bindings are at most a hash long."""

# gs2-header = gs2-cbind-flag "," [ authzid ] ","                            (RFC 5802 §7)
# gs2-cbind-flag = ("p=" cb-name) / "n" / "y"
# client-first-message-bare = [reserved-mext ","] username "," nonce ["," extensions]
# username = "n=" saslname; saslname = 1*(value-safe-char / "=2C" / "=3D")
# nonce = "r=" c-nonce; printable = %x21-2B / %x2D-7E
_SASLNAME: Final = r"(?:[^,=\0]|=2C|=3D)+"
_CLIENT_FIRST: Final = re.compile(
    rf"(?P<header>(?:p=(?P<type>[A-Za-z0-9.-]+)|(?P<flag>[ny])),(?:a=(?P<authzid>{_SASLNAME}))?,)"
    rf"(?P<bare>n=(?P<name>{_SASLNAME}),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*)"
)
# client-final-message-without-proof = channel-binding "," nonce ["," extensions]
# client-final-message = client-final-message-without-proof "," proof       (RFC 5802 §7)
_BASE64: Final = r"[A-Za-z0-9+/]+={0,2}"
_CLIENT_FINAL: Final = re.compile(
    rf"(?P<bare>c=(?P<binding>{_BASE64}),r=(?P<nonce>[!-+\--~]+)(?:,[A-Za-z]=[^,\0]+)*)"
    rf",p=(?P<proof>{_BASE64})"
)


def derived(password: str, salt: bytes, iterations: int) -> ScramKeys:
    """The keys of a prepared password (RFC 5802 §3). Takes milliseconds."""
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, iterations)
    client_key = _hmac(salted, b"Client Key")
    stored_key = hashlib.sha256(client_key).digest()
    return ScramKeys(salt, iterations, stored_key, _hmac(salted, b"Server Key"))


def fits(keys: ScramKeys, proof: ScramProof) -> bool:
    """Whether the proof was made with the password of these keys (RFC 5802 §3)."""
    signature = _hmac(keys.stored_key, proof.auth_message)
    if len(proof.proof) != len(signature):
        return False
    client_key = bytes(a ^ b for a, b in zip(proof.proof, signature, strict=True))
    return hmac.compare_digest(hashlib.sha256(client_key).digest(), keys.stored_key)


@dataclass(frozen=True, slots=True)
class _First:
    """What the client's first message settled."""

    name: str
    header: bytes
    bound: bytes
    nonce: str
    keys: ScramKeys
    before: bytes
    """client-first-message-bare "," server-first-message ",": AuthMessage's beginning."""


class Scram:
    """One SCRAM-SHA-256 exchange.

    Args:
        nonce: Gives printable text without commas that nobody can guess.
        plus: This is the -PLUS mechanism.
    """

    initial = True

    def __init__(
        self, logins: Logins, tls: Tls | None, nonce: Callable[[], str], *, plus: bool
    ) -> None:
        self.account: Account | None = None
        self._logins = logins
        self._tls = tls
        self._nonce = nonce
        self._plus = plus
        self._first: _First | None = None
        self._opened: Account | None = None

    async def step(self, response: bytes) -> bytes | None:
        """Take client-first, client-final, then the empty response; see `sasl.mechanism.Exchange`.

        Raises:
            LoginRefused: The proof or the channel binding does not fit, or the
                client asks for another identity than its own.
            Malformed: The response does not parse (RFC 5802 §7).
        """
        if self._opened is not None:
            if response:
                raise Malformed("nothing was to follow")
            self.account = self._opened
            return None
        if self._first is None:
            self._first, challenge = await self._begin(response)
            return challenge
        return await self._finish(self._first, response)

    async def _begin(self, response: bytes) -> tuple[_First, bytes]:
        found = _CLIENT_FIRST.fullmatch(_text(response))
        if found is None:
            raise Malformed("client-first-message")
        bound = self._binding(found["type"], found["flag"])
        name = _unescaped(found["name"])
        authzid = found["authzid"]
        if authzid is not None and _unescaped(authzid) != name:
            raise LoginRefused(LoginFault.CREDENTIALS)
        keys = await self._logins.scram_keys(name)
        nonce = found["nonce"] + self._nonce()
        challenge = f"r={nonce},s={b64encode(keys.salt).decode()},i={keys.iterations}"
        before = f"{found['bare']},{challenge},".encode()
        return _First(name, found["header"].encode(), bound, nonce, keys, before), (
            challenge.encode()
        )

    async def _finish(self, first: _First, response: bytes) -> bytes:
        found = _CLIENT_FINAL.fullmatch(_text(response))
        if found is None:
            raise Malformed("client-final-message")
        # cbind-input = gs2-header [ cbind-data ]                             (RFC 5802 §7)
        binding = hmac.compare_digest(_octets(found["binding"]), first.header + first.bound)
        if not binding or found["nonce"] != first.nonce:
            raise LoginRefused(LoginFault.CREDENTIALS)
        auth_message = first.before + found["bare"].encode()
        proof = ScramProof(auth_message, _octets(found["proof"]))
        self._opened = await self._logins.scram(first.name, proof)
        return b"v=" + b64encode(_hmac(first.keys.server_key, auth_message))

    def _binding(self, kind: str | None, flag: str | None) -> bytes:
        """The channel's binding data that the client must repeat; empty where it does not bind.

        Raises:
            Malformed: The flag contradicts the mechanism (RFC 5802 §6).
            LoginRefused: A type that this channel has not, or a downgrade.
        """
        if self._plus != (kind is not None):
            raise Malformed("channel binding flag")
        if kind is None:
            if flag == "y" and bindable(self._tls):
                raise LoginRefused(LoginFault.CREDENTIALS)
            return b""
        data = self._tls.binding(kind) if self._tls is not None and kind in BINDINGS else None
        if data is None:
            raise LoginRefused(LoginFault.CREDENTIALS)
        return data


def bindable(tls: Tls | None) -> bool:
    """Whether this connection has something to bind to, so that PLUS can be offered."""
    return tls is not None and any(tls.binding(kind) is not None for kind in BINDINGS)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _text(response: bytes) -> str:
    if len(response) > RESPONSE_LIMIT:
        raise Malformed("too long")
    try:
        return response.decode()
    except UnicodeDecodeError:
        raise Malformed("not UTF-8") from None


def _octets(base64: str) -> bytes:
    try:
        return b64decode(base64, validate=True)
    except binascii.Error:
        raise Malformed("base64") from None


def _unescaped(saslname: str) -> str:
    return saslname.replace("=2C", ",").replace("=3D", "=")
