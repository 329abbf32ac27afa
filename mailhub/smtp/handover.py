"""Hands a message on over an open session: transactions, their content, and what became of each.

Invariants:

1. The end of the content is sent only behind exactly `Content.size` octets: a
   message that we cannot read to its end is never accepted anywhere cut short.
2. Every recipient gets the server's own words, ours where the server cannot
   take the message at all, or none where the connection was of no use.
3. A connection lost between the end of the content and the reply to it is *in
   doubt*: the message may have been accepted (RFC 1047 §2).
4. Content is sent only to a server that has asked for it, or has accepted a
   recipient: what is sent before might be read as commands by one that errs.
5. Where a reply is seen to belong to another command, none of the transaction is
   believed, and the connection ends: the server may be waiting for content.

A message that is to follow on the same connection is announced right behind the
content before it (RFC 2920 §3.1), so that on a long line each message takes one
round trip, and not four. It is handed over when its turn has come (`hand_over`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.envelope import Body, Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.ports.message import Content
from mailhub.smtp import announce
from mailhub.smtp.dialogue import Dialogue
from mailhub.smtp.features import NOTHING, Features
from mailhub.smtp.instep import about_another, fits
from mailhub.smtp.stuffing import Stuffer
from mailhub.smtp.wire import Broken, Incomprehensible, TimedOut, Timeouts, Unreadable

PIECE: Final = 64 * 1024
"""Octets of content read, and handed to the transport, at once."""


@value(frozen=True, slots=True)
class ClientLimits:
    """How a session uses a connection.

    Attributes:
        recipients: The most in one transaction: what every server must take
            (RFC 5321 §4.5.3.1.8). LIMITS may lower it.
        messages: Transactions on one connection; 0 for any. Likewise.
        bdat: Content of more octets goes by BDAT where that is announced.
        chunk: Octets of one BDAT.
        ahead: How many BDATs may be unanswered, if the server pipelines.
    """

    recipients: int = 100
    messages: int = 0
    bdat: int = 256 * 1024
    chunk: int = 1024 * 1024
    ahead: int = 2


CLIENT_LIMITS: Final = ClientLimits()

May = Callable[[], bool]
"""Asked right before each transaction whether it may begin."""


def always() -> bool:
    """It may."""
    return True


_Command = tuple[str, bytes, float]
"""The stage, the command's line, and how long to wait for the reply."""


@value(frozen=True, slots=True)
class _Ahead:
    """A transaction that was announced before its turn.

    Attributes:
        commands: As `Handing._commands` has them.
        reset: RSET was said before them.
    """

    job: Job
    batch: list[int]
    commands: list[_Command]
    reset: bool

    @property
    def octets(self) -> bytes:
        """The commands as they are said."""
        return b"".join([line for _, line, _ in self.commands])


@dataclass(slots=True)
class Handover:
    """What became of one envelope on one connection.

    Attributes:
        replies: For each recipient; None where the connection broke first.
        ours: The recipients whose reply is ours: this server cannot take the
            message, and another may.
        fault: What broke the connection, if anything did.
        accepted: What RCPT was answered with, for those that were accepted.
        final: The reply to DATA or to the content, if it came to that.
    """

    replies: list[Reply | None]
    ours: set[int] = field(default_factory=set)
    fault: Broken | None = None
    accepted: dict[int, Reply] = field(default_factory=dict)
    final: Reply | None = None

    @property
    def open(self) -> list[int]:
        """The recipients without a reply."""
        return [number for number, reply in enumerate(self.replies) if reply is None]


@value(frozen=True, slots=True)
class Job:
    """A message that is ready to be handed on: nothing was said of it yet."""

    envelope: Envelope
    content: Content
    beginning: bytes
    need: announce.Needs
    result: Handover
    may: May = always


class Handing:
    """Hands messages on, one after the other.

    Attributes:
        features: What the server announced last: to be set when that is known.
        verified: The connection is encrypted, and the certificate was good; likewise.
        messages: Transactions begun so far.
    """

    def __init__(self, dialogue: Dialogue, timeouts: Timeouts, limits: ClientLimits) -> None:
        self.features: Features = NOTHING
        self.verified = False
        self.messages = 0
        self._dialogue = dialogue
        self._timeouts = timeouts
        self._limits = limits
        self._dirty = False  # the server is amid a transaction that came to nothing
        self._next: Job | None = None
        self._ahead: _Ahead | None = None
        self._ended = False  # the content at hand was sent to its end, and nothing follows it

    @property
    def exhausted(self) -> bool:
        """Whether there are to be no more messages on this connection (RFC 9422 §4.1)."""
        theirs, ours = self.features.messages, self._limits.messages
        return (theirs is not None and self.messages >= theirs) or 0 < ours <= self.messages

    async def deliver(self, envelope: Envelope, content: Content, may: May = always) -> Handover:
        """Hand a message on to as many of the recipients as the server takes it for.

        Several transactions are made where one cannot hold them all
        (RFC 5321 §4.5.3.1.8); recipients without a reply are left where there
        are to be no more of them on this connection, or now (`may`). Nothing is raised: a
        broken connection is `Handover.fault`, and the session of no further use.
        """
        try:
            job = await self.prepare(envelope, content, may)
        except Broken as fault:
            return Handover([None] * len(envelope.recipients), fault=fault)
        return await self.hand_over(job)

    async def prepare(self, envelope: Envelope, content: Content, may: May = always) -> Job:
        """Get a message ready, while another may be under way.

        Raises:
            Unreadable: Its content is.
        """
        result = Handover([None] * len(envelope.recipients))
        return await self._survey(envelope, content, result, may)

    def follow(self, job: Job | None) -> None:
        """Announce this message as soon as may be: it is the next to be handed over."""
        self._next = job
        if self._ended:
            self._dialogue.wire.send(self._announcement())

    @property
    def announced(self) -> bool:
        """Whether something was announced whose turn has not come."""
        return self._ahead is not None

    async def hand_over(self, job: Job) -> Handover:
        """As `deliver`, for a message that is ready."""
        result = job.result
        try:
            if self._ahead is None:
                self._refuse_here(job)
            elif self._ahead.job is job:
                await self._transact(job, self._ahead.batch)
            while (batch := result.open[: self._batch]) and not self.exhausted and job.may():
                await self._transact(job, batch)
        except Broken as fault:
            # Silence behind some answers may be for a command that was lost among the others.
            silent = isinstance(fault, TimedOut) and fault.stage in ("rcpt", "data")
            lost = silent or isinstance(fault, Incomprehensible)
            fault.together = lost and self.features.pipelining
            result.fault = fault
        return result

    @property
    def _batch(self) -> int:
        return min(self._limits.recipients, self.features.recipients or self._limits.recipients)

    async def _survey(
        self, envelope: Envelope, content: Content, result: Handover, may: May
    ) -> Job:
        self._dialogue.stage = "mail"
        beginning = await self._read(content, 0)
        ascii_only = beginning.isascii()
        if envelope.body is Body.SEVEN_BIT:
            offset = len(beginning)
            while ascii_only and offset < content.size:
                piece = await self._read(content, offset)
                offset += len(piece)
                ascii_only = piece.isascii()
        need = announce.needs(envelope, beginning, content.size, ascii_only=ascii_only)
        return Job(envelope, content, beginning, need, result, may)

    def _refuse_here(self, job: Job) -> None:
        """Answer for what this server cannot take at all."""
        whole = announce.lacking(job.need, self.features, verified=self.verified)
        for number, recipient in enumerate(job.envelope.recipients):
            reply = whole or announce.unreachable(recipient, self.features)
            if reply is not None:
                job.result.replies[number] = reply
                job.result.ours.add(number)

    async def _transact(self, job: Job, batch: list[int]) -> None:
        """One mail transaction (RFC 5321 §3.3)."""
        self._next = None if self._next is job else self._next
        self._dialogue.doubt = False
        chunked = self._by_bdat(job.need)
        heard: list[Reply] = []
        try:
            if self._ahead is not None:
                await self._envelope_ahead(self._ahead, heard)
            else:
                self.messages += 1
                await self._envelope(job, batch, heard, data=not chunked)
            paths = (job.envelope.recipients[number].path for number in batch)
            strange = about_another(list(zip(paths, heard[1:], strict=False)))
            if strange is not None and self.features.pipelining:
                raise self._dialogue.nonsense(strange, "rcpt")
        except Incomprehensible:
            heard.clear()
            raise
        finally:
            # Even if the connection broke: what was said before it did, was said.
            accepted = _settle(job.result, batch, heard)
        answered = heard[len(batch) + 1] if len(heard) > len(batch) + 1 else None
        if not accepted:
            await self._without_recipients(answered)
            return
        try:
            last = len(job.result.open) == len(accepted)
            final = await self._content(job, answered, last=last)
        except Broken as fault:
            if fault.heard and fault.reply.code != 421:
                _conclude(job.result, accepted, fault.reply)
            raise
        _conclude(job.result, accepted, final)
        if final.positive:
            self._dialogue.stage = "done"

    async def _without_recipients(self, answered: Reply | None) -> None:
        """End a transaction in which every recipient was refused."""
        if answered is not None and answered.code == 354:
            # It wants content all the same (RFC 2920 §3.1): there is none.
            self._dialogue.wire.send(b".\r\n")
            await self._dialogue.reply("content", self._timeouts.end)
        else:
            self._dirty = True

    async def _content(self, job: Job, answered: Reply | None, *, last: bool) -> Reply:
        """Send the content as the server wants it; `answered` is the reply to DATA, if it was said.

        `last` says that another message may follow: nothing more is to be said of this one.

        Raises:
            Broken: See there; `heard` where the server spoke before it hung up.
        """
        try:
            if answered is None:
                return await self._bdat(job, last=last)
            if answered.code == 354:
                return await self._data(job, last=last)
        finally:
            self._ended = False
        self._dirty = True
        return answered

    async def _envelope(
        self, job: Job, batch: list[int], heard: list[Reply], *, data: bool
    ) -> None:
        """Say MAIL, RCPTs and DATA, together if the server allows it (RFC 2920 §3.1).

        The replies are added to `heard` as they come; fewer than the commands
        where those need not be sent any more.
        """
        commands = self._commands(job, batch, data=data)
        self._dialogue.fresh()
        if self.features.pipelining:
            self._dialogue.say(b"".join([self._reset(), *(line for _, line, _ in commands)]))
            await self._was_reset()
            for stage, _, seconds in commands:
                heard.append(self._in_step(stage, await self._dialogue.reply(stage, seconds)))
            return
        self._dialogue.say(self._reset())
        await self._was_reset()
        for stage, line, seconds in commands:
            if stage == "data" and not any(reply.positive for reply in heard[1:]):
                return
            heard.append(self._in_step(stage, await self._dialogue.ask(line, stage, seconds)))
            if not heard[0].positive:
                return

    def _commands(self, job: Job, batch: list[int], *, data: bool) -> list[_Command]:
        """What is to be said, at which stage, and how long to wait for each reply."""
        times = self._timeouts
        commands = [("mail", announce.mail_line(job.envelope, job.need, self.features), times.mail)]
        for number in batch:
            line = announce.rcpt_line(
                job.envelope.recipients[number], self.features, job.envelope.by
            )
            commands.append(("rcpt", line, times.rcpt))
        if data:
            commands.append(("data", b"DATA\r\n", times.data))
        return commands

    def _announcement(self) -> bytes:
        """The envelope of the message that follows, if that is known and may be said now."""
        job = self._next
        ready = self._ended and self._ahead is None and self.features.pipelining
        if job is None or not ready or self.exhausted:
            return b""
        self._refuse_here(job)
        batch = job.result.open[: self._batch]
        if not batch or not job.may():
            return b""
        self.messages += 1
        # Content in chunks may be refused, and then waits for RSET (RFC 3030 §2).
        reset = self.features.chunking
        commands = self._commands(job, batch, data=not self._by_bdat(job.need))
        self._ahead = _Ahead(job, batch, commands, reset)
        return b"RSET\r\n" + self._ahead.octets if reset else self._ahead.octets

    async def _envelope_ahead(self, ahead: _Ahead, heard: list[Reply]) -> None:
        """The replies to an envelope that was said before."""
        self._ahead = None
        self._dialogue.record(ahead.octets)
        if ahead.reset:
            self._dirty = True
            await self._was_reset()
        for stage, _, seconds in ahead.commands:
            heard.append(self._in_step(stage, await self._dialogue.reply(stage, seconds)))

    def _in_step(self, stage: str, reply: Reply) -> Reply:
        """A reply to a command of the envelope.

        Raises:
            Incomprehensible: It is none.
        """
        if not fits(stage, reply):
            raise self._dialogue.nonsense(reply, stage)
        return reply

    def _reset(self) -> bytes:
        return b"RSET\r\n" if self._dirty else b""

    async def _was_reset(self) -> None:
        if self._dirty:
            reply = await self._dialogue.reply("mail", self._timeouts.mail)
            if not reply.positive:
                raise Broken(reply, "mail", heard=True)
            self._dirty = False

    # ---- Content ---------------------------------------------------------------------------

    def _by_bdat(self, need: announce.Needs) -> bool:
        if not self.features.chunking:
            return False
        return need.body is Body.BINARY or need.size > self._limits.bdat

    async def _data(self, job: Job, *, last: bool) -> Reply:
        """The content behind DATA, and what the server says to it."""
        self._dialogue.stage = "content"
        stuffer = Stuffer()
        size, offset, piece = job.content.size, 0, job.beginning
        while (offset := offset + len(piece)) < size:
            self._dialogue.wire.send(stuffer.stuff(piece))
            await self._pass()
            piece = await self._read(job.content, offset)
        self._dialogue.note(f">>> ({size} octets of content)")
        self._dialogue.doubt = True
        self._ended = last
        rest = (stuffer.stuff(piece), stuffer.finish(), self._announcement())
        self._dialogue.wire.send(b"".join(rest))
        reply = await self._verdict()
        self._dialogue.doubt = False
        return reply

    async def _bdat(self, job: Job, *, last: bool) -> Reply:
        """The content in chunks (RFC 3030 §2), and the first refusal, or the last reply."""
        final = last
        size, offset, waiting = job.content.size, 0, 0
        ahead = self._limits.ahead if self.features.pipelining else 0
        refusal: Reply | None = None
        while True:
            length = min(self._limits.chunk, size - offset)
            last = offset + length >= size
            self._dialogue.say(f"BDAT {length}{' LAST' if last else ''}\r\n".encode())
            self._dialogue.stage = "content"
            await self._chunk(job, offset, length)
            offset += length
            waiting += 1
            self._dialogue.doubt = last
            if not last:
                await self._pass()
            elif refusal is None:
                self._ended = final
                self._dialogue.wire.send(self._announcement())
            while waiting > (0 if last or refusal else ahead):
                reply = await self._verdict()
                waiting -= 1
                if refusal is None and not reply.positive:
                    refusal = reply
                self._dialogue.doubt = last and waiting > 0 and refusal is None
            if last or refusal is not None:
                # After a refused chunk the server waits for RSET (RFC 3030 §2).
                self._dirty = refusal is not None
                return refusal or reply

    async def _chunk(self, job: Job, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            piece = job.beginning if offset == 0 else await self._read(job.content, offset)
            piece = piece[: end - offset]
            self._dialogue.wire.send(piece)
            offset += len(piece)
            if offset < end:
                await self._pass()

    async def _pass(self) -> None:
        """Wait until the transport takes more."""
        self._dialogue.wire.allow(self._timeouts.block)
        try:
            await self._dialogue.wire.drained()
        except (ConnectionError, TimeoutError) as error:
            raise self._early(error) from None

    def _early(self, error: Exception) -> Broken:
        """What broke the transfer: perhaps the server spoke before it hung up."""
        while (reply := self._dialogue.take("content")) is not None:
            if not reply.positive:
                return Broken(reply, "content", heard=True)
        return self._dialogue.failed(error, "content")

    async def _verdict(self) -> Reply:
        """The reply to the content, or to a chunk."""
        reply = await self._dialogue.reply("content", self._timeouts.end)
        if 300 <= reply.code < 400:
            raise self._dialogue.nonsense(reply, "content")
        return reply

    async def _read(self, content: Content, offset: int) -> bytes:
        try:
            piece = await content.read(offset, min(PIECE, content.size - offset))
        except OSError as error:
            words = f"Cannot read the content: {error.strerror or error}"
            raise Unreadable(Reply(451, "3.0", (words,)), self._dialogue.stage) from error
        if not piece and offset < content.size:
            words = "The content is shorter than it was"
            raise Unreadable(Reply(451, "3.0", (words,)), self._dialogue.stage)
        return piece


def _settle(result: Handover, batch: Sequence[int], heard: Sequence[Reply]) -> list[int]:
    """Note the replies to MAIL and RCPT; return the recipients that were accepted."""
    if heard and not heard[0].positive:
        for number in batch:
            result.replies[number] = heard[0]
        return []
    accepted: list[int] = []
    for number, reply in zip(batch, heard[1:], strict=False):
        if reply.positive:
            accepted.append(number)
            result.accepted[number] = reply
        elif not (accepted and _too_many(reply)):
            result.replies[number] = reply
    return accepted


def _conclude(result: Handover, accepted: Sequence[int], final: Reply) -> None:
    result.final = final
    for number in accepted:
        result.replies[number] = final


def _too_many(reply: Reply) -> bool:
    """Whether a recipient is only to wait for the next transaction (RFC 5321 §4.5.3.1.10).

    552 is what RFC 821 said; a mailbox that is full says 4.2.2 or 5.2.2.
    """
    return reply.code in (452, 552) and reply.detail in ("", "5.3")
