"""The server's half of an SMTP conversation, without a socket (RFC 5321 §4).

Not here: who may send what to whom (`ports.intake.Intake`), who may log in
(`ports.accounts.Logins`), the way of a message from MAIL to its end
(`smtp.transaction`), time (the driver's).

Invariants:

1. Which command is allowed when stands in `smtp.sequence`; a handler below
   assumes that it was called in a phase that allows it.
2. Nothing a client said in the clear survives `secured` (RFC 3207 §4.2).
3. There is no ``except`` wider than `Refusal`: a driver that cancels gets through.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from typing import Any, ClassVar, Final

from mailhub.mail.reply import Refusal
from mailhub.mail.value import replace
from mailhub.ports.accounts import Logins
from mailhub.ports.conversation import Client, Tls
from mailhub.ports.intake import Intake
from mailhub.sasl.mechanism import Exchange, Mechanisms
from mailhub.smtp import auth, hello, sequence, told
from mailhub.smtp.answer import encode, ready
from mailhub.smtp.command import (
    Auth,
    Bdat,
    Command,
    Data,
    Ehlo,
    Expn,
    Foreign,
    Garbled,
    Helo,
    Help,
    Mail,
    Noop,
    Quit,
    Rcpt,
    Rset,
    StartTls,
    Vrfy,
    parse,
)
from mailhub.smtp.limits import Limits, Site
from mailhub.smtp.reader import BadLine, Reader
from mailhub.smtp.sequence import Phase
from mailhub.smtp.told import About
from mailhub.smtp.transaction import Transaction

__all__ = ["Limits", "Session", "Site"]

_OK: Final = ready(250, "0.0", "Ok")
_SENDER_OK: Final = ready(250, "1.0", "Sender ok")
_RECIPIENT_OK: Final = ready(250, "1.5", "Recipient ok")
_GO_AHEAD: Final = ready(354, "", "End data with <CR><LF>.<CR><LF>")
_TLS_READY: Final = ready(220, "0.0", "Ready to start TLS")
_LOGGED_IN: Final = ready(235, "7.0", "Authentication succeeded")
_CANNOT_VERIFY: Final = ready(252, "0.0", "Cannot VRFY, but will take mail and try to deliver it")
_UNDER_TLS: Final = frozenset({"PLAIN", "LOGIN", "SCRAM-SHA-256-PLUS"})
"""Mechanisms that may be had after STARTTLS."""
_HELP: Final = ready(
    214,
    "0.0",
    "EHLO HELO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT STARTTLS AUTH",
    "This is mailhub. RFC 5321 explains the rest.",
)
_NOT_SMTP: Final = ready(421, "7.0", "This is SMTP, closing")
_GARBLED: Final = ready(501, "5.4", "Syntax: BDAT size [LAST]; closing: its octets have no end")
_TOO_MANY_ERRORS: Final = ready(421, "7.0", "Too many errors, closing")
_TOO_MUCH_TALK: Final = ready(421, "7.0", "Too many commands without mail, closing")


def _nobody() -> None:
    """No driver has set `wake` yet."""


class Session:
    """One SMTP session: `ports.conversation.Session` over an intake.

    Attributes:
        stage: Changes whenever `patience` begins anew: after each command, and
            after each `Limits.content_block` of content.
        lifetime: Seconds after which the session is told `timed_out` whatever it does.
    """

    __slots__ = (
        "_bad_recipients",
        "_client",
        "_errors",
        "_exchange",
        "_extended",
        "_idle",
        "_intake",
        "_limits",
        "_logins",
        "_mechanisms",
        "_normalise",
        "_reader",
        "_site",
        "_transaction",
        "closed",
        "lifetime",
        "patience",
        "stage",
        "wake",
        "wants_tls",
    )

    def __init__(
        self,
        client: Client,
        site: Site,
        limits: Limits,
        intake: Intake,
        logins: Logins | None = None,
        mechanisms: Mechanisms | None = None,
    ) -> None:
        self._client = client
        self._site = site
        self._limits = limits
        self._intake = intake
        self._logins = logins
        self._mechanisms = mechanisms
        self._normalise = site.normalises(client.address)
        self.patience = limits.command_patience
        self.lifetime = limits.lifetime
        self.closed = False
        self.wants_tls = False
        self.stage = 0
        self.wake: Callable[[], None] = _nobody
        self._errors = 0
        self._bad_recipients = 0
        self._idle = 0
        self._begin()

    def _begin(self) -> None:
        """Be as before the first command."""
        longest = max(self._limits.auth_line, self._limits.command_line)
        self._reader = Reader(longest, self._limits.text_line, normalise=self._normalise)
        self._transaction = Transaction(self._site, self._limits, self._intake, self._reader)
        self._extended = False  # EHLO was said, not HELO
        self._exchange: Exchange | None = None

    # ---- What the driver calls -------------------------------------------------------------

    async def greet(self) -> bytes:
        """The greeting (RFC 5321 §4.3.1)."""
        return f"220 {self._site.hostname} {self._site.greeting}\r\n".encode()

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        self._reader.feed(octets)

    async def respond(self) -> AsyncGenerator[bytes, None]:
        """Answer all commands and content that are whole."""
        while not self.closed and not self.wants_tls:
            receiving = self._transaction.receiving
            reply = await (self._take_content() if receiving else self._take_line())
            if reply is None:
                return
            if reply:
                yield reply

    def secured(self, tls: Tls) -> None:
        """The handshake has succeeded: forget what was learnt in the clear (RFC 3207 §4.2)."""
        if self._reader.pending:
            self.closed = True  # these octets came before the handshake: who knows from whom
        client = self._client
        self._client = Client(client.address, client.port, tls=tls, submission=client.submission)
        self.wants_tls = False
        self._begin()

    def timed_out(self) -> bytes:
        """421, or what is wrong with content whose end does not come."""
        fault = self._transaction.fault
        if fault is not None:
            return encode(fault.reply)
        return ready(421, "4.2", f"{self._site.hostname} Too slow, closing")

    def going_down(self) -> bytes:
        """421: the hub stops (RFC 5321 §3.8)."""
        return ready(421, "3.2", f"{self._site.hostname} Shutting down")

    async def close(self) -> None:
        """The conversation has ended: abort what was not committed."""
        self.closed = True
        await self._transaction.abandon()

    # ---- Lines -----------------------------------------------------------------------------

    async def _take_line(self) -> bytes | None:
        """The reply to the next line; None while none is whole."""
        line: bytes | None = None
        exchange = self._exchange
        try:
            line = self._reader.line()
            if line is None:
                return None
            self.stage += 1
            if self._exchange is not None:
                return await self._respond_to(self._exchange, line)
            if len(line) + 2 > self._limits.command_line and line[:5].upper() != b"AUTH ":
                raise BadLine(line, "Line too long", too_long=True)
            return await self._obey(parse(line, utf8=self._utf8))
        except BadLine as bad:
            return self._refused_line(bad)
        except Refusal as refusal:
            self._tell(("AUTH", None, None) if exchange else told.about_line(line or b""), refusal)
            return self._refused(refusal)

    @property
    def _utf8(self) -> bool:
        envelope = self._transaction.envelope
        return envelope is not None and envelope.utf8

    async def _obey(self, command: Command) -> bytes:
        kind = type(command)
        if kind not in sequence.CARRIES_MAIL:
            self._idle += 1
            if self._idle > self._limits.idle_commands:
                self.closed = True
                return _TOO_MUCH_TALK
        refusal = self._not_now(kind)
        if refusal is None:
            try:
                return await self._HANDLERS[kind](self, command)
            except Refusal as no:
                refusal = no
        elif isinstance(command, Bdat):
            self._transaction.drop(command, refusal)
            return self._receive(b"")
        self._tell(told.about(command, self._transaction.envelope), refusal)
        return self._refused(refusal)

    def _not_now(self, kind: type[Command]) -> Refusal | None:
        """Why this command is not for now; None if it is."""
        client, site = self._client, self._site
        if site.require_tls and client.tls is None and kind not in sequence.IN_THE_CLEAR:
            return sequence.TLS_FIRST
        refusal = sequence.out_of_sequence(kind, self._transaction.phase)
        if refusal is None and site.submission and client.account is None:
            return None if kind in sequence.WITHOUT_LOGIN else sequence.LOGIN_FIRST
        return refusal

    def _tell(self, what: About, refusal: Refusal) -> None:
        """Tell the intake of a refusal, if it matters there."""
        stage, envelope, path = what
        if told.matters(stage, refusal):
            self._intake.refused(self._client, stage, refusal, envelope, path)

    def _refused(self, refusal: Refusal) -> bytes:
        """Count a refusal; with the last that is borne the session ends (RFC 5321 §4.2.1)."""
        reply = encode(refusal.reply, utf8=self._utf8)
        self._errors += refusal.reply.permanent
        if refusal.reply.code == 421:
            self.closed = True
        elif self._errors >= self._limits.errors:
            self.closed = True
            reply += _TOO_MANY_ERRORS
        return reply

    def _refused_line(self, bad: BadLine) -> bytes:
        self.stage += 1
        in_exchange = self._exchange is not None
        if in_exchange:
            self._end_exchange()
        elif bad.start[:4].upper() == b"BDAT":
            self.closed = True  # its octets follow, and nobody knows how many
        if bad.too_long and (in_exchange or bad.start[:5].upper() == b"AUTH "):
            return self._refused(Refusal(500, "5.6", "Authentication line too long"))
        return self._refused(bad)

    # ---- Outside transactions --------------------------------------------------------------

    async def _ehlo(self, command: Ehlo) -> bytes:
        await self._greeted(command.name, extended=True)
        secure = self._client.tls is not None
        announced = hello.keywords(self._site, self._limits, self._offered(), secure=secure)
        return hello.response(self._site.hostname, announced)

    async def _helo(self, command: Helo) -> bytes:
        await self._greeted(command.name, extended=False)
        return f"250 {self._site.hostname}\r\n".encode()

    async def _greeted(self, name: str, *, extended: bool) -> None:
        """EHLO and HELO end a transaction like RSET does (RFC 5321 §4.1.4)."""
        await self._abandon()
        self._transaction.phase = Phase.GREETED
        self._extended = extended
        self._know(replace(self._client, helo=name))

    def _know(self, client: Client, *, utf8: bool = False) -> None:
        """Take new facts about the client; they change what the protocol is called."""
        protocol = hello.protocol(client, extended=self._extended, utf8=utf8)
        changed = protocol != client.protocol
        self._client = replace(client, protocol=protocol) if changed else client

    def _offered(self) -> tuple[str, ...]:
        """The SASL mechanisms that this client may use now."""
        tls = self._client.tls
        if self._mechanisms is None or self._logins is None:
            return ()
        if self._site.require_tls and tls is None:
            return ()
        return self._mechanisms.offered(tls, self._client.address)

    async def _rset(self, _: Rset) -> bytes:
        await self._abandon()
        return _OK

    async def _noop(self, _: Noop) -> bytes:
        return _OK

    async def _vrfy(self, _: Vrfy) -> bytes:
        return _CANNOT_VERIFY  # RFC 5321 §3.5.3, §7.3

    async def _expn(self, _: Expn) -> bytes:
        raise Refusal(502, "5.1", "EXPN is not available")

    async def _help(self, _: Help) -> bytes:
        return _HELP

    async def _quit(self, _: Quit) -> bytes:
        self.closed = True
        return ready(221, "0.0", f"{self._site.hostname} Closing")

    async def _foreign(self, _: Foreign) -> bytes:
        self.closed = True
        return _NOT_SMTP

    async def _garbled(self, _: Garbled) -> bytes:
        self.closed = True
        return _GARBLED

    async def _starttls(self, _: StartTls) -> bytes:
        if self._client.tls is not None:
            raise Refusal(503, "5.1", "TLS is active already")
        if not self._site.tls:
            raise Refusal(502, "5.1", "STARTTLS is not available")
        if self._reader.pending:
            # Obeyed within TLS, what is pipelined behind STARTTLS would seem to
            # come from whoever the handshake is made with. Drop the connection.
            self.closed = True
            return b""
        self.wants_tls = True
        return _TLS_READY

    # ---- AUTH ------------------------------------------------------------------------------

    async def _auth(self, command: Auth) -> bytes:
        """Begin an authentication (RFC 4954 §4)."""
        if self._mechanisms is None or self._logins is None or not self._extended:
            raise Refusal(503, "5.1", "AUTH is not available")
        if self._client.account is not None:
            raise Refusal(503, "5.1", "Authenticated already")
        response = auth.initial(command.initial)
        exchange = None
        if command.mechanism in self._offered():
            exchange = self._mechanisms.begin(command.mechanism, self._logins, self._client.tls)
        in_the_clear = self._site.tls and self._client.tls is None
        if exchange is None and in_the_clear and command.mechanism in _UNDER_TLS:
            raise Refusal(538, "7.11", "Encryption required: STARTTLS first")  # RFC 4954 §6
        if exchange is None:
            raise Refusal(504, "5.4", "Unrecognized authentication mechanism")
        return self._challenged(exchange, await auth.begin(exchange, command.mechanism, response))

    async def _respond_to(self, exchange: Exchange, line: bytes) -> bytes:
        self._end_exchange()
        return self._challenged(exchange, await auth.step(exchange, auth.decoded(line)))

    def _challenged(self, exchange: Exchange, challenge: bytes | None) -> bytes:
        if challenge is not None:
            self._exchange = exchange
            self.patience = self._limits.auth_patience
            return auth.challenge(challenge)
        assert exchange.account is not None
        self._know(replace(self._client, account=exchange.account))
        return _LOGGED_IN

    def _end_exchange(self) -> None:
        self._exchange = None
        self.patience = self._limits.command_patience

    # ---- Transactions ----------------------------------------------------------------------

    async def _abandon(self) -> None:
        """End the transaction without mail (RFC 5321 §4.1.1.5)."""
        await self._transaction.abandon()
        self.patience = self._limits.command_patience

    async def _mail(self, command: Mail) -> bytes:
        self._know(self._client, utf8=command.utf8)
        await self._transaction.begin(self._client, command)
        return _SENDER_OK

    async def _rcpt(self, command: Rcpt) -> bytes:
        """Add a recipient.

        Raises:
            Refusal: As `Transaction.add`, if it is not for good.
        """
        transaction = self._transaction
        try:
            await transaction.add(self._client, command)
        except Refusal as refusal:
            # Who pipelines twice as many as we take may not have heard it yet; beyond, it is talk.
            self._errors += transaction.surplus > self._limits.recipients
            if not refusal.reply.permanent:
                raise
            self._tell(("RCPT", transaction.envelope, command.forward_path), refusal)
            return self._refused_recipient(refusal)
        return _RECIPIENT_OK

    def _refused_recipient(self, refusal: Refusal) -> bytes:
        reply = encode(refusal.reply, utf8=self._utf8)
        self._bad_recipients += 1
        if self._bad_recipients >= self._limits.bad_recipients:
            self.closed = True
            reply += _TOO_MANY_ERRORS
        return reply

    async def _data(self, _: Data) -> bytes:
        await self._transaction.data(self._client)
        return self._receive(_GO_AHEAD)

    async def _bdat(self, command: Bdat) -> bytes:
        await self._transaction.bdat(self._client, command)
        return self._receive(b"")

    def _receive(self, reply: bytes) -> bytes:
        """What comes next is content."""
        self.patience = self._limits.content_patience
        return reply

    async def _take_content(self) -> bytes | None:
        """The reply to content or to a chunk of it; None until that has ended."""
        transaction = self._transaction
        blocks, envelope, utf8 = transaction.blocks, transaction.envelope, self._utf8
        end = await transaction.take()
        if end is None:
            self.stage += transaction.blocks - blocks
            return None
        self.stage += 1
        self.patience = self._limits.command_patience
        if isinstance(end, Refusal):
            self._tell(("DATA", envelope, None), end)
            return self._refused(end)
        if transaction.phase is Phase.GREETED:  # and not between chunks: mail was accepted
            self._errors = self._bad_recipients = self._idle = 0
        return encode(end, utf8=utf8)

    _HANDLERS: ClassVar[Mapping[type[Command], Callable[[Session, Any], Awaitable[bytes]]]] = {
        Ehlo: _ehlo,
        Helo: _helo,
        Mail: _mail,
        Rcpt: _rcpt,
        Data: _data,
        Bdat: _bdat,
        Rset: _rset,
        Noop: _noop,
        Vrfy: _vrfy,
        Expn: _expn,
        Help: _help,
        Quit: _quit,
        StartTls: _starttls,
        Auth: _auth,
        Foreign: _foreign,
        Garbled: _garbled,
    }
