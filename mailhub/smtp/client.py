"""The sending side of ESMTP, without a socket: opens a session and hands messages on.

A `ClientSession` speaks through a `Wire` and waits for nothing else. It knows
nothing of DNS, of other hosts, or of what became of earlier attempts; whoever
drives it reads the facts (`stage`, `features`, `secured`, `said`) off it.

Invariants (`smtp.dialogue` and `smtp.handover` keep more):

1. No octet that arrived before a TLS handshake is read after it, and nothing
   learnt before is remembered (RFC 3207 §4.2): a hole of stock Twisted.
2. What is demanded of TLS is settled before a message or a password is sent.

When the world fails: `Broken` says how, with a reply that fits a DSN, and the
connection is of no further use.
"""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from collections.abc import Callable
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import replace
from mailhub.policy.route import TlsDemand
from mailhub.ports.message import Content
from mailhub.smtp.dialogue import Dialogue, why
from mailhub.smtp.features import NOTHING, Features, parse_features
from mailhub.smtp.handover import CLIENT_LIMITS, ClientLimits, Handing
from mailhub.smtp.job import Handover, Job, May, always
from mailhub.smtp.suiting import bare, misled, suited
from mailhub.smtp.wire import (
    TIMEOUTS,
    Broken,
    Incomprehensible,
    Login,
    LoginFailed,
    Mechanism,
    Secured,
    Timeouts,
    Untrusted,
    Unwelcome,
    Wire,
)

INITIAL_RESPONSE_LIMIT: Final = 480
"""Octets of an initial response in base64 that fit the AUTH line of 512 (RFC 4954 §4)."""


class ClientSession:
    """One connection's conversation, from the greeting to QUIT.

    Attributes:
        secured: What the TLS handshake came to; None in the clear.
    """

    def __init__(
        self,
        wire: Wire,
        name: str,
        *,
        tls: TlsDemand = TlsDemand.OPPORTUNISTIC,
        login: Login | None = None,
        timeouts: Timeouts = TIMEOUTS,
        limits: ClientLimits = CLIENT_LIMITS,
        by: str = "",
        helo: bool = True,
        together: bool = True,
        record: Callable[[str], None] | None = None,
        seconds: Callable[[], float] | None = None,
    ) -> None:
        """Nothing is said before `open`.

        `name` is ours, for EHLO: a domain or an address literal (RFC 5321
        §4.1.1.1). `by` says whose demand `tls` is. With `login` we must log in. A
        server that refuses EHLO may be spoken to with HELO if `helo` says so. Without
        `together` it gets one command at a time, and no chunks where DATA will do, whatever it
        announces.
        `record` is told each line of the dialogue, without secrets and content.
        `seconds` is a clock by which the line is measured; without one it is taken for short.
        """
        self.secured: Secured | None = None
        self._dialogue = Dialogue(wire, record=record)
        self._seconds = seconds or float  # which is 0.0 at all times
        self._handing = Handing(self._dialogue, timeouts, limits, self._seconds)
        self._name = name
        self._tls = tls
        self._by = by
        self._login = login
        self._timeouts = timeouts
        self._helo = helo
        self._together = together
        self.feed = self._dialogue.feed

    # ---- Facts -----------------------------------------------------------------------------

    @property
    def stage(self) -> str:
        """How far it has got, as in `ports.outgoing.Attempt`."""
        return self._dialogue.stage

    @property
    def said(self) -> Reply | None:
        """The server's last reply."""
        return self._dialogue.said

    @property
    def features(self) -> Features:
        """What the server announced last."""
        return self._handing.features

    @property
    def surprised(self) -> bool:
        """Whether the server said something unasked: a farewell, most likely."""
        return self._dialogue.surprised

    @property
    def exhausted(self) -> bool:
        """Whether the server wants no more messages on this connection (RFC 9422 §4.1)."""
        return self._handing.exhausted

    # ---- Opening ---------------------------------------------------------------------------

    async def open(self, *, implicit: bool = False) -> None:
        """Bring the session to where MAIL may be sent.

        Args:
            implicit: TLS begins before the greeting (RFC 8314 §3.3).

        Raises:
            Broken: The server will not have us, cannot be understood, or does
                not meet our demands.
        """
        if implicit:
            await self._secure()
        greeting = await self._dialogue.reply("banner", self._timeouts.banner)
        if greeting.code != 220:
            raise Unwelcome(greeting)
        await self._greet()
        if not implicit and self._tls is not TlsDemand.NONE:
            await self._upgrade()
        if self._login is not None:
            await self._authenticate(self._login)

    async def _greet(self) -> None:
        began = self._seconds()
        reply = await self._dialogue.ask(
            f"EHLO {self._name}\r\n".encode(), "ehlo", self._timeouts.ehlo
        )
        self._handing.round_trip = self._seconds() - began
        if reply.positive:
            features = parse_features(reply.lines)
            self._handing.together = self._together
            if not self._together:
                features = replace(features, pipelining=False)
            self._handing.features = features
            return
        self._handing.features = NOTHING
        demands = self._login is not None or (self._tls.mandatory and self.secured is None)
        if not reply.permanent or not self._helo or demands:
            raise Broken(reply, "ehlo", heard=True)
        # Any 5yz: they use 500, 501, 502, 504 and 550 (RFC 5321 §4.1.4).
        reply = await self._dialogue.ask(
            f"HELO {self._name}\r\n".encode(), "ehlo", self._timeouts.ehlo
        )
        if not reply.positive:
            raise Broken(reply, "ehlo", heard=True)

    async def _upgrade(self) -> None:
        if not self.features.starttls:
            if self._tls.mandatory:
                raise Untrusted(Reply(454, "7.4", (self._demanded("not offered"),)), "ehlo")
            return
        reply = await self._dialogue.ask(b"STARTTLS\r\n", "starttls", self._timeouts.starttls)
        if reply.code != 220:
            if self._tls.mandatory:
                words = self._demanded(f"was refused: {reply.text}")
                raise Untrusted(Reply(454, "7.4", (words,)), "starttls")
            return
        if self._dialogue.surprised:
            # Somebody answers in the clear what we shall ask under TLS (RFC 3207 §4.2).
            # Nothing of it is read; a connection without TLS is as good as that server gives.
            words = "The server said more than it was asked before the TLS handshake"
            raise Incomprehensible(Reply(451, "7.5", (words,)), "starttls", handshake=True)
        await self._secure()
        await self._greet()

    async def _secure(self) -> None:
        self._dialogue.stage = "starttls"
        self._dialogue.wire.allow(self._timeouts.handshake)
        try:
            self.secured = await self._dialogue.wire.secure()
        except (ConnectionError, TimeoutError) as error:
            words = f"TLS handshake failed: {why(error)}"
            raise Broken(Reply(454, "7.5", (words,)), "starttls", handshake=True) from None
        self._handing.verified = self.secured.verified
        self._dialogue.note(f"TLS {self.secured.tls.version}, {self.secured.certificate}")
        if self._tls is TlsDemand.VERIFIED and not self.secured.verified:
            words = f"Certificate not trusted ({self.secured.certificate})"
            words += f"; {self._by} demands a good one" if self._by else ""
            raise Untrusted(Reply(454, "7.5", (words,)), "starttls")

    def _demanded(self, what: str) -> str:
        """Words for TLS that is not to be had."""
        return f"TLS is demanded{f' by {self._by}' if self._by else ''}, and {what}"

    # ---- Logging in ------------------------------------------------------------------------

    async def _authenticate(self, login: Login) -> None:
        """AUTH, to whatever end (RFC 4954 §4)."""
        self._dialogue.stage = "auth"
        tls = self.secured.tls if self.secured is not None else None
        mechanism = login(self.features.auth, tls)
        if mechanism is None:
            offered = " ".join(self.features.auth) or "none at all"
            refused = Reply(504, "7.4", (f"No usable mechanism: {offered}",))
            raise LoginFailed(refused, usable=False)
        reply = await self._begin_auth(mechanism)
        while reply.code == 334:
            reply = await self._continue_auth(mechanism, reply)
        if not reply.positive:
            raise LoginFailed(reply)
        if not mechanism.complete:
            raise LoginFailed(Reply(535, "7.0", ("The server did not prove itself",)))

    async def _begin_auth(self, mechanism: Mechanism) -> Reply:
        initial = mechanism.begin()
        encoded = b64encode(initial) if initial is not None else b""
        if initial is None or len(encoded) > INITIAL_RESPONSE_LIMIT:
            line = f"AUTH {mechanism.name}\r\n".encode()
            reply = await self._dialogue.ask(line, "auth", self._timeouts.auth)
            if initial is None or reply.code != 334:
                return reply
            return await self._whisper(encoded + b"\r\n")
        # An empty response must not look like a missing one (RFC 4954 §4).
        line = b"AUTH %b %b\r\n" % (mechanism.name.encode(), encoded or b"=")
        return await self._whisper(line, f"AUTH {mechanism.name} ***")

    async def _continue_auth(self, mechanism: Mechanism, reply: Reply) -> Reply:
        try:
            response = mechanism.respond(b64decode(reply.lines[0].strip(), validate=True))
        except (binascii.Error, ValueError) as error:
            await self._dialogue.ask(b"*\r\n", "auth", self._timeouts.auth)
            raise LoginFailed(Reply(501, "7.0", (f"Bad challenge: {error}",))) from None
        return await self._whisper(b64encode(response) + b"\r\n")

    async def _whisper(self, line: bytes, shown: str = "***") -> Reply:
        self._dialogue.note(f">>> {shown}")
        self._dialogue.wire.send(line)
        return await self._dialogue.reply("auth", self._timeouts.auth)

    # ---- Messages, and the end -------------------------------------------------------------

    async def deliver(self, envelope: Envelope, content: Content, may: May = always) -> Handover:
        """Hand a message on to as many of the recipients as the server takes it for.

        A server that refuses the parameters that it had announced is asked without them.
        Nothing is raised: see `Handover`.
        """
        handover = await self._deliver(envelope, content, may)
        plain = bare(self.features)
        if plain == self.features or not misled(handover):
            return handover
        self._dialogue.note("(once more without parameters: what was announced was refused)")
        self._handing.features = plain
        again = await self._deliver(envelope, content, may)
        return handover if again.ours else again  # their own words, where it cannot be said plainly

    async def _deliver(self, envelope: Envelope, content: Content, may: May) -> Handover:
        return await self._handing.deliver(*await self._suited(envelope, content), may)

    async def _suited(self, envelope: Envelope, content: Content) -> tuple[Envelope, Content]:
        return await suited(envelope, content, self.features, self._dialogue.note)

    async def probe(self, path: Path) -> Reply:
        """What the server says to a recipient of a bounce, which is not sent.

        Raises:
            Broken: It says nothing, or wants no bounces.
        """
        utf8 = " SMTPUTF8" if path.needs_utf8 and self.features.utf8 else ""
        mail = f"MAIL FROM:<>{utf8}\r\n".encode()
        reply = await self._dialogue.ask(mail, "mail", self._timeouts.mail)
        if not reply.positive:
            raise Broken(reply, "mail", heard=True)
        rcpt = f"RCPT TO:<{path}>\r\n".encode("utf-8", "surrogateescape")
        return await self._dialogue.ask(rcpt, "rcpt", self._timeouts.rcpt)

    async def prepare(self, envelope: Envelope, content: Content, may: May = always) -> Job:
        """Get a message ready while another is under way. Raises `smtp.wire.Unreadable`."""
        return await self._handing.prepare(*await self._suited(envelope, content), may)

    @property
    def messages(self) -> int:
        """Transactions begun so far."""
        return self._handing.messages

    @property
    def followers(self) -> int:
        """How many messages may follow the one whose turn it is (RFC 2920, RFC 3030 §4.2)."""
        return self._handing.followers

    def follow(self, job: Job) -> None:
        """Announce this message as soon as the server allows; see `hand_over`."""
        self._handing.follow(job)

    def forget(self, job: Job) -> bool:
        """Announce it no more; false if that was done already."""
        return self._handing.forget(job)

    @property
    def announced(self) -> bool:
        """Whether something was announced whose turn has not come."""
        return self._handing.announced

    def sent(self, job: Job) -> bool:
        """Whether a message was sent whole before its turn: its turn must be taken in any case."""
        return self._handing.sent(job)

    async def hand_over(self, job: Job) -> Handover:
        """Hand on a message that is ready, as `deliver` does; the one before has been answered."""
        return await self._handing.hand_over(job)

    async def quit(self) -> None:
        """Say goodbye and wait a little for the answer (RFC 5321 §4.1.1.10). Never raises."""
        try:
            self._dialogue.fresh()
            await self._dialogue.ask(b"QUIT\r\n", self._dialogue.stage, self._timeouts.quit)
        except Broken:
            pass
