"""Conversations: who is at the other end, and the half of the protocol that answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import field
from typing import Protocol

from mailhub.mail.value import value
from mailhub.ports.accounts import Account


@value(frozen=True, slots=True)
class Tls:
    """What a finished handshake agreed on.

    Attributes:
        version: As OpenSSL names it, ``TLSv1.3``.
        cipher: The cipher suite's name.
        binding: Gives channel binding data for ``tls-exporter`` (RFC 9266) or
            ``tls-server-end-point`` (RFC 5929 §4); None for a type it has not.
    """

    version: str
    cipher: str
    binding: Callable[[str], bytes | None] = field(compare=False)


@value(frozen=True, slots=True)
class Client:
    """Who is at the other end of a conversation: the facts that policies judge.

    Attributes:
        address: IP address in canonical text form, without brackets.
        port: The client's port.
        helo: What it called itself in EHLO or HELO, verbatim; ``""`` before.
        protocol: The ``with`` keyword of Received (RFC 3848): ``ESMTPSA`` …
        account: Who has logged in, if anybody.
        submission: It speaks to a submission port (RFC 6409).
    """

    address: str
    port: int
    tls: Tls | None = None
    helo: str = ""
    protocol: str = "SMTP"
    account: Account | None = None
    submission: bool = False


class Session(Protocol):
    """One protocol's half of a conversation, without a socket: `net.conversation` drives it.

    Attributes:
        patience: Seconds of silence after which the peer is told `timed_out`.
        closed: Nothing more will be said.
        wants_tls: The answer just given agreed to STARTTLS (or STLS): once it
            has left, the transport must be upgraded and `secured` called. A
            session sets it only when it has read every octet that arrived.
        wake: Set by the driver; the session calls it when it has something to
            say unasked (IMAP's untagged responses while idling). The driver
            then calls `respond` again. Must be safe to call at any time.
    """

    patience: float
    closed: bool
    wants_tls: bool
    wake: Callable[[], None]

    async def greet(self) -> bytes:
        """The greeting; asked for once, under implicit TLS after `secured`."""

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived. Only stores them."""

    def respond(self) -> AsyncGenerator[bytes, None]:
        """Answer all that can be answered now, then return.

        The driver sends what is yielded in order, and waits for a slow peer
        between two pieces (at most 64 KiB each). An empty piece asks that others
        have their turn before more is computed.
        """

    def secured(self, tls: Tls) -> None:
        """The handshake has succeeded: forget what was learnt in the clear (RFC 3207 §4.2)."""

    def timed_out(self) -> bytes:
        """The farewell to a peer that was silent for `patience` seconds."""

    def going_down(self) -> bytes:
        """The farewell of a hub that stops: 421, BYE, or nothing."""

    async def close(self) -> None:
        """The conversation has ended, however: abort drafts, release mailboxes. Called once."""
