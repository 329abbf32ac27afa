"""The client side of SASL: how we log in at a smarthost.

Pure; nonces and channel bindings are handed in. `smtp.client` wraps what is
said here in AUTH and base64.

Invariants:

1. The strongest mechanism that both sides have is taken, and a password goes
   out readable only over TLS, unless the operator allowed it.
2. SCRAM is complete only when the server has proved that it knows the password
   too (RFC 5802 §3); a server that shows weak parameters gets no proof.
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final, Protocol

from mailhub.ports.conversation import Tls
from mailhub.sasl.prep import prepared
from mailhub.sasl.scram import BINDINGS

MINIMUM_ITERATIONS: Final = 4096
"""Fewer make a stolen exchange cheap to search (RFC 7677 §4)."""
MAXIMUM_ITERATIONS: Final = 1_000_000
"""More are a server that wants to keep us busy: this many take half a second, once."""

# server-first-message = [reserved-mext ","] nonce "," salt "," iteration-count ["," extensions]
# nonce = "r=" c-nonce [s-nonce] ; salt = "s=" base64 ; iteration-count = "i=" posit-number
#                                                                           (RFC 5802 §7)
_SERVER_FIRST: Final = re.compile(
    r"r=(?P<nonce>[!-+\--~]+),s=(?P<salt>[A-Za-z0-9+/]+={0,2}),i=(?P<count>[1-9][0-9]{0,8})"
    r"(?:,[A-Za-z]=[^,\0]*)*"
)
# server-final-message = (server-error / verifier) ["," extensions]          (RFC 5802 §7)
_SERVER_FINAL: Final = re.compile(r"(?P<kind>[ev])=(?P<value>[^,]+)(?:,[A-Za-z]=[^,\0]*)*")


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are at a server."""

    username: str
    password: str = field(repr=False)


class ClientMechanism(Protocol):
    """One authentication; see `smtp.wire.Mechanism`, which it is."""

    name: str
    complete: bool

    def begin(self) -> bytes | None:
        """The initial response; None where the server speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge. Raises ValueError for one that cannot be answered."""


class Plain:
    """PLAIN (RFC 4616)."""

    name = "PLAIN"

    def __init__(self, credentials: Credentials) -> None:
        self.complete = True  # the server proves nothing
        self._credentials = credentials

    def begin(self) -> bytes:
        # message = [authzid] UTF8NUL authcid UTF8NUL passwd                 (RFC 4616 §2)
        me = self._credentials
        return f"\0{_prepared(me.username)}\0{_prepared(me.password)}".encode()

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002  # there is no challenge in it
        raise ValueError("PLAIN has no challenges")


class LoginMechanism:
    """LOGIN (draft-murchison-sasl-login): the server asks for two things, in whatever words."""

    name = "LOGIN"

    def __init__(self, credentials: Credentials) -> None:
        self.complete = False
        self._answers = [credentials.password, credentials.username]

    def begin(self) -> bytes | None:
        return None

    def respond(self, challenge: bytes) -> bytes:  # noqa: ARG002  # the words differ everywhere
        if not self._answers:
            raise ValueError("LOGIN has two challenges")
        answer = self._answers.pop()
        self.complete = not self._answers
        return _prepared(answer).encode()


class ScramSha256:
    """SCRAM-SHA-256 and, with a binding, SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677)."""

    def __init__(
        self, credentials: Credentials, nonce: str, binding: tuple[str, bytes] | None, flag: str
    ) -> None:
        """`binding` is a type and its data; without one, `flag` is ``n`` or ``y`` (RFC 5802 §6)."""
        self.name = "SCRAM-SHA-256-PLUS" if binding else "SCRAM-SHA-256"
        self.complete = False
        self._password = _prepared(credentials.password)
        self._header = f"p={binding[0]},," if binding else f"{flag},,"
        self._bound = binding[1] if binding else b""
        self._nonce = nonce
        self._bare = f"n={_escaped(_prepared(credentials.username))},r={nonce}"
        self._signature: bytes | None = None  # what the server has to show

    def begin(self) -> bytes:
        # client-first-message = gs2-header client-first-message-bare        (RFC 5802 §7)
        return (self._header + self._bare).encode()

    def respond(self, challenge: bytes) -> bytes:
        text = challenge.decode()  # UnicodeDecodeError is a ValueError
        if self._signature is None:
            return self._prove(text)
        self._check(text, self._signature)
        return b""

    def _prove(self, server_first: str) -> bytes:
        found = _SERVER_FIRST.fullmatch(server_first)
        if found is None:
            raise ValueError("not a server-first-message")
        nonce, count = found["nonce"], int(found["count"])
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ValueError("the nonce is not ours with theirs added")
        if not MINIMUM_ITERATIONS <= count <= MAXIMUM_ITERATIONS:
            raise ValueError(f"{count} iterations")
        salted = _salted(self._password, _octets(found["salt"]), count)
        binding = b64encode(self._header.encode() + self._bound).decode()
        without_proof = f"c={binding},r={nonce}"
        auth_message = f"{self._bare},{server_first},{without_proof}".encode()
        client_key = _hmac(salted, b"Client Key")
        signature = _hmac(hashlib.sha256(client_key).digest(), auth_message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._signature = _hmac(_hmac(salted, b"Server Key"), auth_message)
        return f"{without_proof},p={b64encode(proof).decode()}".encode()

    def _check(self, server_final: str, signature: bytes) -> None:
        found = _SERVER_FINAL.fullmatch(server_final)
        if found is None:
            raise ValueError("not a server-final-message")
        if found["kind"] == "e":
            raise ValueError(found["value"])
        if not hmac.compare_digest(_octets(found["value"]), signature):
            raise ValueError("the server does not know the password")
        self.complete = True


def choose(
    credentials: Credentials,
    offered: Sequence[str],
    tls: Tls | None,
    nonce: Callable[[], str],
    *,
    plaintext: bool = False,
) -> ClientMechanism | None:
    """The strongest mechanism of those offered; None if there is none that may be used.

    `nonce` gives printable text without commas that nobody can guess;
    `plaintext` lets a password go out readable without TLS.
    """
    binding = _binding(tls)
    if binding is not None and "SCRAM-SHA-256-PLUS" in offered:
        return ScramSha256(credentials, nonce(), binding, "")
    if "SCRAM-SHA-256" in offered:
        # "y": we could bind and believe that you cannot. If you can, somebody
        # has changed the list on its way to us (RFC 5802 §6).
        return ScramSha256(credentials, nonce(), None, "y" if binding else "n")
    if tls is None and not plaintext:
        return None
    if "PLAIN" in offered:
        return Plain(credentials)
    if "LOGIN" in offered:
        return LoginMechanism(credentials)
    return None


def chooser(
    credentials: Credentials, nonce: Callable[[], str], *, plaintext: bool = False
) -> Callable[[Sequence[str], Tls | None], ClientMechanism | None]:
    """`choose` for one server, as `smtp.client` wants it."""

    def login(offered: Sequence[str], tls: Tls | None) -> ClientMechanism | None:
        return choose(credentials, offered, tls, nonce, plaintext=plaintext)

    return login


def _binding(tls: Tls | None) -> tuple[str, bytes] | None:
    for kind in BINDINGS:
        data = tls.binding(kind) if tls is not None else None
        if data is not None:
            return kind, data
    return None


def _prepared(text: str) -> str:
    try:
        return prepared(text)
    except ValueError:
        return text  # the server set it, and knows better what it takes


@lru_cache(maxsize=32)
def _salted(password: str, salt: bytes, count: int) -> bytes:
    """Hi() of RFC 5802 §2.2; remembered, because a smarthost's salt is the same each time."""
    return hashlib.pbkdf2_hmac("sha256", password.encode(), salt, count)


def _hmac(key: bytes, message: bytes) -> bytes:
    return hmac.digest(key, message, "sha256")


def _octets(base64: str) -> bytes:
    try:
        return b64decode(base64, validate=True)
    except binascii.Error:
        raise ValueError("not base64") from None


def _escaped(name: str) -> str:
    # saslname: "=" and "," are not value-safe-char                          (RFC 5802 §7)
    return name.replace("=", "=3D").replace(",", "=2C")
