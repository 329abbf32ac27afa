"""Hands a message on over an open session: transactions, their content, and what became of each.

Invariants:

1. Every recipient gets the server's own words, ours where the server cannot
   take the message at all, or none where the connection was of no use.
2. A connection lost between the end of the content and the reply to it is *in
   doubt*: the message may have been accepted (RFC 1047 §2).
3. Content is sent only to a server that has asked for it, has accepted a recipient,
   or has taken a message in a chunk on this connection: what is sent before might be
   read as commands by one that errs, and does not count the octets of a chunk.
4. Where a reply is seen to belong to another command, none of the transaction is
   believed, and the connection ends: the server may be waiting for content.
5. At most `ClientLimits.under_way` messages are under way at once: so many are in
   doubt when the connection is lost.

A message that is to follow on the same connection is announced right behind the
content before it (RFC 2920 §3.1), so that on a long line each message takes one
round trip, and not four. Where the line is long and the server takes chunks
(RFC 3030 §4.2), the next messages are sent whole, and several of them share a
round trip. Each is handed over when its turn has come (`hand_over`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from mailhub.mail.envelope import Body, Envelope
from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.ports.message import Content
from mailhub.smtp import announce
from mailhub.smtp.dialogue import Dialogue
from mailhub.smtp.features import NOTHING, Features
from mailhub.smtp.instep import about_another, fits
from mailhub.smtp.job import Handover, Job, May, always, conclude, settle
from mailhub.smtp.transfer import Transfer, bdat, nothing
from mailhub.smtp.wire import Broken, Incomprehensible, TimedOut, Timeouts

FAR: Final = 0.02
"""Seconds of a round trip from which a line is long."""
FRESH: Final = 1.0
"""Seconds after a reply in which it is not thought that the server may have gone."""


@value(frozen=True, slots=True)
class ClientLimits:
    """How a session uses a connection.

    Attributes:
        recipients: The most in one transaction: what every server must take
            (RFC 5321 §4.5.3.1.8). LIMITS may lower it.
        messages: Transactions on one connection; 0 for any. Likewise.
        bdat: Content of more octets goes by BDAT where that is announced.
        chunk: Octets of one BDAT.
        ahead: How many BDATs of one message may be unanswered, if the server pipelines.
        under_way: How many messages may be unanswered on a long line, likewise; 1 for none
            but the one whose turn it is.
    """

    recipients: int = 100
    messages: int = 0
    bdat: int = 256 * 1024
    chunk: int = 1024 * 1024
    ahead: int = 2
    under_way: int = 4


CLIENT_LIMITS: Final = ClientLimits()

_Command = tuple[str, bytes, float]
"""The stage, the command's line, and how long to wait for the reply."""


@value(frozen=True, slots=True)
class _Ahead:
    """A transaction that was announced before its turn.

    Attributes:
        commands: As `Handing._commands` has them.
        reset: RSET was said before them.
        whole: The content was sent behind them.
    """

    job: Job
    batch: list[int]
    commands: list[_Command]
    reset: bool
    whole: bool

    @property
    def said(self) -> bytes:
        """The commands as they are said, without RSET, which is not about this message."""
        lines = [line for _, line, _ in self.commands]
        if self.whole:
            lines.append(bdat(self.job.need.size, last=True))
        return b"".join(lines)

    @property
    def octets(self) -> bytes:
        """All that is sent."""
        content = self.job.beginning if self.whole else b""
        return b"".join((b"RSET\r\n" if self.reset else b"", self.said, content))


class Handing:
    """Hands messages on, one after the other.

    Attributes:
        features: What the server announced last: to be set when that is known.
        verified: The connection is encrypted, and the certificate was good; likewise.
        messages: Transactions begun so far.
        round_trip: Seconds that the server took for a reply, or about; likewise.
        together: It is trusted with several commands at once, and with chunks; likewise.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        timeouts: Timeouts,
        limits: ClientLimits,
        seconds: Callable[[], float],
    ) -> None:
        """`seconds` is a clock."""
        self.features: Features = NOTHING
        self.verified = False
        self.messages = 0
        self.round_trip = 0.0
        self.together = True
        self._dialogue = dialogue
        self._transfer = Transfer(dialogue, timeouts, limits.chunk)
        self._timeouts = timeouts
        self._limits = limits
        self._seconds = seconds
        self._dirty = False  # the server is amid a transaction that came to nothing
        self._following: deque[Job] = deque()  # of which nothing was said yet
        self._ahead: deque[_Ahead] = deque()
        self._ended = False  # what was sent last is the end of a content, which is not answered
        self._counts = False  # the server has taken a message in a chunk
        self._heard = 0.0  # when it answered the last one
        self._fault: Broken | None = None

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

    @property
    def followers(self) -> int:
        """How many messages may follow the one whose turn it is."""
        if not self.features.pipelining:
            return 0
        return self._limits.under_way - 1 if self._far else 1

    @property
    def _far(self) -> bool:
        """Whether messages go by BDAT, so that several can be under way."""
        if self.round_trip < FAR or self._limits.under_way <= 1:
            return False
        return self.features.chunking and self.features.pipelining

    def follow(self, job: Job) -> None:
        """Announce this message as soon as may be: it is handed over behind those that follow."""
        self._following.append(job)
        self._catch_up()

    def forget(self, job: Job) -> bool:
        """Announce it no more; false if that was done already."""
        for place, it in enumerate(self._following):
            if it is job:
                del self._following[place]
                return True
        return False

    @property
    def announced(self) -> bool:
        """Whether something was announced whose turn has not come."""
        return bool(self._ahead)

    def sent(self, job: Job) -> bool:
        """Whether a message was sent whole before its turn."""
        return any(it.job is job and it.whole for it in self._ahead)

    async def hand_over(self, job: Job) -> Handover:
        """As `deliver`, for a message that is ready, and whose turn it is."""
        result = job.result
        self.forget(job)
        self._dialogue.stage = "mail"
        try:
            ahead = self._its_turn(job)
            if ahead is None:
                self._refuse_here(job)
            else:
                await self._transact(job, ahead.batch, ahead)
            while not self._ahead and (batch := self._left(job)) and job.may():
                await self._transact(job, batch, self._at_once(job, batch))
        except Broken as fault:
            # Silence behind some answers may be for a command that was lost among the others.
            silent = isinstance(fault, TimedOut) and fault.stage in ("rcpt", "data")
            lost = silent or isinstance(fault, Incomprehensible)
            fault.together = fault.together or (lost and self.features.pipelining)
            result.fault = self._fault = fault
        except BaseException:
            self._fault = Broken(Reply(451, "3.2", ("Cut short",)), "content")
            raise
        return result

    def _left(self, job: Job) -> list[int]:
        """The recipients of another transaction, if there may be one."""
        return [] if self.exhausted else job.result.open[: self._batch]

    def _at_once(self, job: Job, batch: list[int]) -> _Ahead | None:
        """Send a message whole in its turn, if that may be; None if nothing of it is sent.

        Not after a silence: if the server has gone, it is better known before.
        """
        if not self._may_be_whole(job, batch) or self._seconds() > self._heard + FRESH:
            return None
        self._dialogue.fresh()
        self.messages += 1
        ahead = _Ahead(job, batch, self._commands(job, batch, data=False), self._dirty, True)
        self._dialogue.wire.send(ahead.octets + self._behind())
        return ahead

    def _may_be_whole(self, job: Job, batch: Sequence[int]) -> bool:
        """Whether a message may be sent in one piece: all of it, to all that are left."""
        if not (self._far and self._counts):
            return False
        return len(batch) == len(job.result.open) and len(job.beginning) == job.need.size

    def _its_turn(self, job: Job) -> _Ahead | None:
        """What was announced of a message, if anything was; its replies are the next to come.

        Raises:
            Broken: They will not come, or nobody would know them.
        """
        ahead = None
        for it in self._ahead:
            if it.job is job:
                ahead = it
        if self._fault is not None or (ahead is not None and ahead is not self._ahead[0]):
            raise self._bereft(ahead)
        if ahead is not None:
            self._ahead.popleft()
            self._catch_up()
        return ahead

    def _bereft(self, ahead: _Ahead | None) -> Broken:
        """What to raise for a message whose connection came to an end before its turn."""
        fault = self._fault
        if ahead is not None and ahead.whole:
            self._record(ahead)
            if fault is None or not fault.heard or fault.reply.code != 421:
                words = "Connection lost while this was on its way; it may have been accepted"
                return Broken(Reply(451, "4.2", (words,)), "content", in_doubt=True)
        if fault is not None and fault.heard:
            # Whoever says 421 reads no more (RFC 5321 §3.8).
            return Broken(fault.reply, "mail", heard=True)
        return Broken(Reply(451, "4.2", ("Connection lost before its turn",)), "mail")

    @property
    def _batch(self) -> int:
        return min(self._limits.recipients, self.features.recipients or self._limits.recipients)

    async def _survey(
        self, envelope: Envelope, content: Content, result: Handover, may: May
    ) -> Job:
        beginning = await self._transfer.read(content, 0, "mail")
        ascii_only = beginning.isascii()
        if envelope.body is Body.SEVEN_BIT:
            offset = len(beginning)
            while ascii_only and offset < content.size:
                piece = await self._transfer.read(content, offset, "mail")
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

    async def _transact(self, job: Job, batch: list[int], ahead: _Ahead | None = None) -> None:
        """One mail transaction (RFC 5321 §3.3), of which something may have been said before."""
        whole = ahead is not None and ahead.whole
        self._dialogue.doubt = whole
        heard: list[Reply] = []
        try:
            if ahead is not None:
                await self._envelope_ahead(ahead, heard)
            else:
                self.messages += 1
                await self._envelope(job, batch, heard, data=not self._by_bdat(job.need))
            paths = (job.envelope.recipients[number].path for number in batch)
            strange = about_another(list(zip(paths, heard[1:], strict=False)))
            if strange is not None and self.features.pipelining:
                raise self._dialogue.nonsense(strange, "rcpt")
        except Incomprehensible:
            heard.clear()
            raise
        finally:
            # Even if the connection broke: what was said before it did, was said.
            accepted = settle(job.result, batch, heard)
        answered = heard[len(batch) + 1] if len(heard) > len(batch) + 1 else None
        if not accepted:
            await (self._unwanted() if whole else self._without_recipients(answered))
            return
        try:
            last = len(job.result.open) == len(accepted)
            final = await self._content(job, answered, last=last, whole=whole)
        except Broken as fault:
            if fault.heard and fault.reply.code != 421:
                conclude(job.result, accepted, fault.reply)
            raise
        conclude(job.result, accepted, final)
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

    async def _unwanted(self) -> None:
        """Likewise where the content was sent already: it is refused, too (RFC 3030 §4.2)."""
        self._dialogue.doubt = False
        try:
            reply = await self._transfer.verdict()
            if reply.positive:
                raise self._dialogue.nonsense(reply, "content")
        finally:
            self._answered()
        self._dialogue.stage = "rcpt"
        self._dirty = True

    async def _content(self, job: Job, answered: Reply | None, *, last: bool, whole: bool) -> Reply:
        """Send the content as the server wants it; `answered` is the reply to DATA, if it was said.

        `last` says that another message may follow: nothing more is to be said of this one.
        If it was sent `whole` only the reply is to come.

        Raises:
            Broken: See there; `heard` where the server spoke before it hung up.
        """
        behind = self._behind if last else nothing
        try:
            if whole:
                reply = await self._transfer.verdict()
            elif answered is None:
                ahead = self._limits.ahead if self.features.pipelining else 0
                reply = await self._transfer.chunks(job.content, job.beginning, ahead, behind)
                self._check_known(reply)
            elif answered.code == 354:
                return await self._transfer.data(job.content, job.beginning, behind)
            else:
                self._dirty = True
                return answered
        finally:
            self._answered()
        # After a refused chunk the server waits for RSET (RFC 3030 §2).
        self._dirty = not reply.positive
        self._counts = self._counts or reply.positive
        self._heard = self._seconds()
        return reply

    def _check_known(self, reply: Reply) -> None:
        """See whether the server knows BDAT, which it announced.

        Raises:
            Incomprehensible: It does not, and takes the content for commands.
        """
        if not self._counts and reply.code in (500, 502):
            fault = self._dialogue.nonsense(reply, "content")
            fault.together = self.together
            raise fault

    def _behind(self) -> bytes:
        """What is said right behind the end of a content."""
        self._ended = True
        return self._announcement()

    def _answered(self) -> None:
        """A content was answered: what was sent last is the end of another one, or no end."""
        self._ended = bool(self._ahead) and self._ahead[-1].whole

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

    def _catch_up(self) -> None:
        """Say what may be said by now of those that follow."""
        if octets := self._announcement():
            self._dialogue.wire.send(octets)

    def _announcement(self) -> bytes:
        """What may be said now of the messages that follow."""
        said = []
        while self._ended and self._following and len(self._ahead) < self.followers:
            ahead = self._announce(self._following[0])
            if ahead is None:
                break
            self._following.popleft()
            self._ahead.append(ahead)
            self._ended = ahead.whole
            said.append(ahead.octets)
        return b"".join(said)

    def _announce(self, job: Job) -> _Ahead | None:
        """What is said of a message that follows; None if it may not begin."""
        if self.exhausted:
            return None
        self._refuse_here(job)
        batch = job.result.open[: self._batch]
        if not batch or not job.may():
            return None
        self.messages += 1
        commands = self._commands(job, batch, data=not self._by_bdat(job.need))
        # Content in chunks may be refused, and then waits for RSET (RFC 3030 §2).
        reset = self.features.chunking
        return _Ahead(job, batch, commands, reset, self._may_be_whole(job, batch))

    def _record(self, ahead: _Ahead) -> None:
        """Have the record say what was sent before its turn."""
        self._dialogue.record(ahead.said)
        if ahead.whole:
            self._transfer.note(ahead.job.need.size)

    async def _envelope_ahead(self, ahead: _Ahead, heard: list[Reply]) -> None:
        """The replies to an envelope that was said before."""
        self._record(ahead)
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
                raise Broken(reply, "mail", heard=True, in_doubt=self._dialogue.doubt)
            self._dirty = False

    def _by_bdat(self, need: announce.Needs) -> bool:
        if not self.features.chunking:
            return False
        large = need.size > self._limits.bdat and self.together
        return self._far or large or need.body is Body.BINARY
