"""A mail transaction: who sends to whom, and then what (RFC 5321 §3.3).

Not here: which command is allowed when (`smtp.sequence` says so, by `Transaction.phase`),
and what a refusal costs the client (`smtp.session` counts).

Invariants:

1. Content that was begun is read to its true end, and answered once: never is
   content taken for commands.
2. 250 for content is what `Draft.commit` has returned, never said before.
"""

from __future__ import annotations

from mailhub.mail.envelope import Body, Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.rule import Rule
from mailhub.ports.conversation import Client
from mailhub.ports.intake import Intake
from mailhub.smtp.command import Bdat, Mail, Rcpt
from mailhub.smtp.holding import check_hold
from mailhub.smtp.incoming import Incoming
from mailhub.smtp.limits import Limits, Site
from mailhub.smtp.reader import Reader
from mailhub.smtp.sequence import Phase


class Transaction:
    """The transactions of one session, one after the other.

    Attributes:
        phase: How far it is.
        envelope: As far as it is known; None between transactions.
        surplus: Recipients beyond the limit.
    """

    __slots__ = (
        "_chunk",
        "_incoming",
        "_intake",
        "_limits",
        "_reader",
        "_site",
        "envelope",
        "phase",
        "surplus",
    )

    def __init__(self, site: Site, limits: Limits, intake: Intake, reader: Reader) -> None:
        self._site = site
        self._limits = limits
        self._intake = intake
        self._reader = reader
        self._incoming: Incoming | None = None
        self._chunk: Bdat | None = None
        self.phase = Phase.CONNECTED
        self.envelope: Envelope | None = None
        self.surplus = 0

    @property
    def receiving(self) -> bool:
        """Whether what arrives is content."""
        return self._incoming is not None and self._incoming.left

    @property
    def fault(self) -> Refusal | None:
        """Why the content that is arriving cannot be accepted, as far as is known."""
        return self._incoming.fault if self._incoming is not None and self.receiving else None

    @property
    def blocks(self) -> int:
        """How often another `Limits.content_block` of content has come."""
        return self._incoming.blocks if self._incoming is not None else 0

    # ---- Envelope --------------------------------------------------------------------------

    async def begin(self, client: Client, command: Mail) -> None:
        """Begin with MAIL (RFC 5321 §4.1.1.2).

        Raises:
            Refusal: 552 5.3.4 if the announced size is over the limit
                (RFC 1870 §6.1); whatever the intake says.
        """
        limit = self._limits.size
        if limit and command.size is not None and command.size > limit:
            rule = self._line("message limit")
            raise Refusal(552, "3.4", f"Content may have {limit} octets").by(rule)
        if command.require_tls and client.tls is None:
            raise Refusal(555, "5.4", "REQUIRETLS is not supported without TLS")
        check_hold(command, self._site, self._limits.hold)
        envelope = Envelope(
            command.reverse_path,
            body=command.body,
            ret=command.ret,
            envid=command.envid,
            utf8=command.utf8,
            require_tls=command.require_tls,
            size=command.size,
            hold_for=command.hold_for,
            hold_until=command.hold_until,
            by=command.by,
            priority=command.priority,
        )
        await self._intake.sender(client, envelope)
        self.envelope = envelope
        self.phase = Phase.MAIL

    async def add(self, client: Client, command: Rcpt) -> None:
        """Add a recipient (RFC 5321 §4.1.1.3).

        Raises:
            Refusal: 452 4.5.3 over the limit, which tells the client to send
                the rest later (RFC 5321 §4.5.3.1.10); whatever the intake says.
        """
        envelope = self.envelope
        assert envelope is not None
        if len(envelope.recipients) >= self._limits.recipients:
            self.surplus += 1
            raise Refusal(452, "5.3", "Too many recipients").by(self._line("recipients"))
        recipient = Recipient(command.forward_path, command.notify, command.orcpt)
        await self._intake.recipient(client, envelope, recipient)
        self.envelope = envelope.to(recipient)
        self.phase = Phase.RCPT

    async def abandon(self) -> None:
        """End without mail (RFC 5321 §4.1.1.5)."""
        incoming = self._incoming
        self._forget()
        if incoming is not None:
            await incoming.abort()

    def _forget(self) -> None:
        """Be between transactions."""
        if self.phase is not Phase.CONNECTED:
            self.phase = Phase.GREETED
        self.envelope = None
        self.surplus = 0
        self._incoming = None
        self._chunk = None

    def _line(self, key: str) -> Rule:
        """A line of the configuration, of this listener's service."""
        return Rule("submission" if self._site.submission else "smtp", key)

    # ---- Content ---------------------------------------------------------------------------

    async def data(self, client: Client) -> None:
        """Be ready for content (RFC 5321 §4.1.1.4)."""
        envelope = self.envelope
        assert envelope is not None
        if envelope.body is Body.BINARY:
            raise Refusal(503, "5.1", "BINARYMIME needs BDAT")  # RFC 3030 §3
        draft = await self._intake.draft(client, envelope)
        rule = self._line("message limit")
        self._incoming = Incoming(self._reader, self._limits, draft, rule=rule)

    async def bdat(self, client: Client, command: Bdat) -> None:
        """Be ready for a chunk (RFC 3030 §2)."""
        envelope = self.envelope
        assert envelope is not None
        if self._incoming is None:
            try:
                draft = await self._intake.draft(client, envelope)
            except Refusal as refusal:
                self.drop(command, refusal)
                return
            self._incoming = Incoming(
                self._reader,
                self._limits,
                draft,
                chunked=True,
                binary=envelope.body is Body.BINARY,
                rule=self._line("message limit"),
            )
        self._expect(self._incoming, command)

    def drop(self, command: Bdat, refusal: Refusal) -> None:
        """Be ready for a chunk that is refused: its octets are on their way."""
        self._incoming = Incoming(self._reader, self._limits, None, chunked=True)
        self._expect(self._incoming, command, refusal)

    def _expect(self, incoming: Incoming, command: Bdat, refusal: Refusal | None = None) -> None:
        incoming.expect(command.size, refusal)
        self._chunk = command

    async def take(self) -> Reply | Refusal | None:
        """Take what has arrived; what comes of it when the content, or a chunk of it, has ended.

        A refusal is not raised: it may be one that is shared.
        """
        incoming = self._incoming
        assert incoming is not None
        if not await incoming.take():
            return None
        chunk, self._chunk = self._chunk, None
        within = self.phase in (Phase.RCPT, Phase.CHUNKS)
        if chunk is None or (chunk.last and within):
            return await self._conclude(incoming)
        if incoming.fault is None:
            self.phase = Phase.CHUNKS
            return Reply(250, "0.0", (f"{chunk.size} octets received",))
        self._incoming = None
        if within:
            self.phase = Phase.SPOILT
        return incoming.fault

    async def _conclude(self, incoming: Incoming) -> Reply | Refusal:
        """Answer for the content; the transaction is over either way (RFC 5321 §4.1.1.4)."""
        draft = await incoming.finish()
        self._forget()
        if draft is None:
            assert incoming.fault is not None
            return incoming.fault
        try:
            return await draft.commit()
        except Refusal as refusal:
            return refusal
