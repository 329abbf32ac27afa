"""What a client session asks of the world, and how it says that the world failed it.

Apart from `smtp.client`, so that those who provide a connection (`net.esmtpclient`)
or a mechanism (`sasl.client`) need not know the session.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.protection import BY_DANE, VERIFIED
from mailhub.ports.conversation import Tls


@value(frozen=True, slots=True)
class Timeouts:
    """How long a server may take, in seconds, at each stage; the standard's minima.

    Attributes:
        banner: Initial 220 (RFC 5321 §4.5.3.2.1).
        ehlo: Nothing is said about EHLO; as long as MAIL.
        starttls: For the reply to STARTTLS.
        handshake: For the TLS handshake.
        auth: For each step of AUTH.
        mail: MAIL (RFC 5321 §4.5.3.2.2), and RSET.
        rcpt: RCPT (RFC 5321 §4.5.3.2.3).
        data: DATA (RFC 5321 §4.5.3.2.4).
        block: For each piece of content to be taken off us (RFC 5321 §4.5.3.2.5).
        end: The end of the content (RFC 5321 §4.5.3.2.6): too short a wait here
            makes duplicates (RFC 1047 §2).
        quit: QUIT; nothing depends on it.
    """

    banner: float = 300
    ehlo: float = 300
    starttls: float = 120
    handshake: float = 60
    auth: float = 120
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    end: float = 600
    quit: float = 5


TIMEOUTS: Final = Timeouts()


# ---- The connection ------------------------------------------------------------------------


@value(frozen=True, slots=True)
class Secured:
    """What a finished handshake is worth.

    Attributes:
        certificate: As in `Attempt`: ``"verified"``, `BY_DANE`, or ``"unverified: …"``.
    """

    tls: Tls
    certificate: str

    @property
    def verified(self) -> bool:
        """Whether we know whom we talk to."""
        return self.certificate in (VERIFIED, BY_DANE)


class Wire(Protocol):
    """A connection. Octets that arrive go to `ClientSession.feed`, at once."""

    def send(self, octets: bytes) -> None:
        """Send, or store to send; never waits, and is harmless on a lost connection."""

    def allow(self, seconds: float) -> None:
        """Begin to measure the server's patience: what waits raises TimeoutError after it."""

    async def listen(self) -> None:
        """Wait until octets have been fed.

        Raises:
            ConnectionError: There will be none.
            TimeoutError: None came.
        """

    async def drained(self) -> None:
        """Wait until the transport wants more to send. Raises likewise."""

    async def secure(self) -> Secured:
        """Do a TLS handshake, and judge the certificate.

        Raises:
            ConnectionError: It failed; the text says how.
            TimeoutError: It took too long.
        """


class Mechanism(Protocol):
    """One SASL authentication, client side (`sasl.client`).

    Attributes:
        name: In capitals.
        complete: The exchange has come to its end, and the server has proved
            itself if the mechanism lets it.
    """

    name: str
    complete: bool

    def begin(self) -> bytes | None:
        """The initial response; None where the server speaks first."""

    def respond(self, challenge: bytes) -> bytes:
        """The answer to a challenge.

        Raises:
            ValueError: The server is broken, or not the one that knows our password.
        """


Login = Callable[[Sequence[str], Tls | None], Mechanism | None]
"""Chooses a mechanism of those offered; None if none of them may be used here."""


# ---- Failures ------------------------------------------------------------------------------


class Broken(Exception):
    """The connection is of no further use.

    Attributes:
        reply: The server's words, or ours, for the recipients that it left without.
        stage: As in `Attempt`.
        heard: `reply` is the server's.
        in_doubt: The message may have been accepted: `smtp.handover`, invariant 3.
        handshake: TLS failed: it may work in the clear, if that is allowed.
        together: Several commands were sent at once (RFC 2920), and the server
            lost its way among them: it may do with one at a time.
    """

    together = False

    def __init__(
        self,
        reply: Reply,
        stage: str,
        *,
        heard: bool = False,
        in_doubt: bool = False,
        handshake: bool = False,
    ) -> None:
        self.reply = reply
        self.stage = stage
        self.heard = heard
        self.in_doubt = in_doubt
        self.handshake = handshake
        super().__init__(reply.text)


class TimedOut(Broken):
    """The server said nothing for too long."""


class Incomprehensible(Broken):
    """The server said what is no reply, or the reply to nothing."""


class Unwelcome(Broken):
    """The server greeted us with a refusal; `greeting` holds its words.

    Permanent it is only where the server says that it never takes mail (521,
    RFC 7504 §3). Other 5yz greetings are about us or about the moment, and not
    about the message, which they must not bounce: here we differ from the
    letter of RFC 5321 §3.1, like Postfix and Exim.
    """

    def __init__(self, greeting: Reply) -> None:
        self.greeting = greeting
        final = greeting.code == 521 or not greeting.permanent
        words = f"Refused at the greeting: {greeting.text}"
        reply = greeting if final else Reply(451, "3.2", (words,))
        super().__init__(reply, "banner", heard=final)


class Untrusted(Broken):
    """TLS is demanded and was not to be had, or not with a certificate good enough."""


class Unreadable(Broken):
    """Our own content could not be read to its end; another server would not get it either."""


class LoginFailed(Broken):
    """The server would not let us in; `refused` holds its words if it had any."""

    def __init__(self, refused: Reply, *, usable: bool = True) -> None:
        """`usable` says whether the server offered any mechanism that we may use."""
        self.refused = refused
        self.usable = usable
        # Temporary: our password is wrong, and not the message. The operator can mend it.
        super().__init__(Reply(454, "7.8", (f"Login failed: {refused.text}",)), "auth")
