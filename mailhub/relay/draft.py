"""One message on its way in: judged, given its trace fields, and answered for once it is durable.

Content is streamed: its header section is held until it is whole (loops are
counted there, and submissions mended), small messages lie in memory until they
are committed, large ones go to a file as they come.

Invariants:

1. 250 is said after the journal's commit has returned, and never before.
2. A commit that was begun runs to its end, and is announced, even if the client
   has gone: what is in the spool is delivered without waiting for a restart.
3. A draft holds at most `IntakeLimits.header` and `IntakeLimits.piece` octets, or the
   journal's `inline` limit, in memory.

When the disk fails, the client is told to come back (452 4.3.1 for a full one,
451 4.3.0), and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from mailhub.mail import trace
from mailhub.mail.envelope import Envelope
from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace
from mailhub.net.content import LargeContent, Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Recorder
from mailhub.net.shield import shielded
from mailhub.policy import loop, submission
from mailhub.policy.access import Rules, may_relay
from mailhub.policy.limits import IntakeLimits
from mailhub.policy.protection import TLS_OPTIONAL, tls_optional
from mailhub.policy.queueclass import NORMAL, Classes, Facts, classify, named
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account, Directory
from mailhub.ports.conversation import Client
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept, Count
from mailhub.queue.flow import Flow
from mailhub.queue.item import Item, Origin, new_item
from mailhub.relay import chronicle
from mailhub.relay.addressees import Addressees
from mailhub.relay.agents import Announce
from mailhub.relay.allowances import Allowances, hold_all
from mailhub.relay.faults import refusal
from mailhub.relay.report import Reporter

_HEADER_END: Final = b"\r\n\r\n"
HEADER: Final = Rule("submission", "header")


class Intake(Protocol):
    """What a draft asks of the intake that made it; see `relay.intake.HubIntake`."""

    journal: Journal
    directory: Directory
    announce: Announce
    reporter: Reporter
    host: str
    ids: Callable[[], QueueId]
    now: Callable[[], float]
    rules: Rules
    limits: IntakeLimits
    patience: Callable[[], Awaitable[None]]
    recorder: Recorder
    classes: Classes
    allowances: Allowances | None


class HubDraft:
    """Implements `ports.intake.Draft`: one message on its way in."""

    __slots__ = (
        "_arrived",
        "_begun",
        "_chunks",
        "_class",
        "_client",
        "_envelope",
        "_held",
        "_intake",
        "_large",
        "_message_id",
        "_queue_id",
        "_sample",
        "_size",
        "_start",
        "_subject",
        "_tls_optional",
        "_to",
        "_verdicts",
    )

    def __init__(
        self,
        intake: Intake,
        client: Client,
        envelope: Envelope,
        to: Addressees,
        verdicts: Sequence[Verdict] = (),
    ) -> None:
        self._intake = intake
        self._client = client
        self._envelope = envelope
        self._to = to
        self._queue_id = intake.ids()
        self._arrived = intake.now()
        self._begun = False  # the header section was judged
        self._start = b""  # of the content, while the header section is not whole
        self._chunks: list[bytes] = []
        self._held = 0  # octets in the chunks
        self._size = 0  # octets of the content, Received included
        self._large: LargeContent | None = None
        self._sample = b""  # the header section, for the notice of a list's expansion
        self._message_id: bytes | None = None
        self._subject: bytes | None = None
        self._verdicts = verdicts
        self._class = NORMAL
        self._tls_optional = False

    async def write(self, octets: bytes) -> None:
        """Take more content: CR LF line ends, transparency undone.

        Raises:
            Refusal: 554 5.4.6 for a loop, 550 5.7.1 for another's From, 552
                5.3.4 for a header without end; 452 4.3.1 or 451 4.3.0 for the disk.
        """
        if self._begun:
            await self._take(octets)
            return
        searched = max(0, len(self._start) - 3)
        start = self._start = self._start + octets if self._start else octets
        found = 0 if start.startswith(b"\r\n") else start.find(_HEADER_END, searched)
        if found >= 0:
            cut = found + 4 if found else 2
            await self._begin(start[:cut], start[cut:])
        elif len(start) > self._intake.limits.header:
            if self._client.account is not None:
                raise Refusal(552, "3.4", "Header section too long").by(HEADER)
            await self._begin(start, b"")

    async def commit(self) -> Reply:
        """Make the message durable, and answer for it.

        Raises:
            Refusal: As `write`; nothing was kept.
        """
        return await shielded(self._commit())

    async def abort(self) -> None:
        """Forget all of it."""
        self._chunks.clear()
        large, self._large = self._large, None
        if large is not None:
            await large.abort()

    async def _begin(self, block: bytes, rest: bytes) -> None:
        """Judge the header section, mend it, and put our own fields before it."""
        self._begun = True
        self._start = b""
        intake, client = self._intake, self._client
        header = Header(block)
        loop.check_hops(header, intake.limits.hops)
        mine = (
            recipient.path
            for recipient, place in zip(self._to.recipients, self._to.places, strict=True)
            if place is not None
        )
        loop.check_delivered_to(header, mine)
        author = None if client.account is None else client.account.path
        count = len(self._to.recipients)
        facts = Facts(self._envelope.reverse_path, author, count, header)
        self._class = classify(facts, intake.classes.all)
        self._weigh_tls(header)
        body = b""
        if client.account is not None:
            header, body = await self._mended(block, client.account)
        self._message_id = header.first(b"message-id")
        self._subject = header.first(b"subject")
        if self._to.expanded:
            self._sample = header.block
        await self._take(b"".join((self._received(), header.block, body, rest)))

    def _weigh_tls(self, header: Header) -> None:
        """See whether its sender would rather have it arrive than protected (RFC 8689 §4.1)."""
        if tls_optional(header) and not self._envelope.require_tls:
            self._tls_optional = True
            self._verdicts = [*self._verdicts, TLS_OPTIONAL]

    async def _mended(self, block: bytes, account: Account) -> tuple[Header, bytes]:
        """The header of a submission, judged and completed (RFC 6409 §8)."""
        intake, rules = self._intake, self._intake.rules
        header, body = submission.sections(block)
        drop_sender = False
        try:
            if rules.own_senders:
                directory = intake.directory
                await submission.check_authors(header, account, directory, rules.aliases)
                drop_sender = await submission.foreign_sender(
                    header, account, directory, rules.aliases
                )
        except OSError as error:
            raise refusal(error) from None
        message_id = f"<{self._queue_id}@{intake.host}>"
        return submission.completed(
            header, account.path, self._arrived, message_id, drop_sender=drop_sender
        ), body

    def _received(self) -> bytes:
        client, intake = self._client, self._intake
        hidden = intake.limits.hide_clients and client.account is not None
        named = self._envelope.recipients
        return trace.received(
            trace.Hop(
                client.helo,
                "" if hidden else client.address,
                client.protocol,
                "" if client.tls is None else f"{client.tls.version} {client.tls.cipher}",
                self._envelope.utf8,
                self._envelope.priority,
            ),
            intake.host,
            self._queue_id,
            self._arrived,
            named[0].path if len(named) == 1 else None,
        )

    async def _take(self, octets: bytes) -> None:
        """Hold octets in memory, or hand them to the file once there are many."""
        self._chunks.append(octets)
        self._held += len(octets)
        self._size += len(octets)
        limits = self._intake.limits
        if self._large is None:
            if self._size <= self._intake.journal.limits.inline:
                return
            self._large = self._intake.journal.large(self._queue_id, self._head())
        if self._held >= limits.piece:
            await self._flush(self._large)

    async def _flush(self, large: LargeContent) -> None:
        octets, self._held = b"".join(self._chunks), 0
        self._chunks.clear()
        try:
            await large.write(octets)
        except OSError as error:
            raise refusal(error) from None

    def _head(self) -> bytes:
        """Trace fields of final delivery, where one mailbox alone gets the file as it is."""
        [*others, recipient] = self._to.recipients
        if others or self._to.places[0] is None:
            return b""
        return trace.delivery(self._envelope.reverse_path, recipient.path)

    async def _commit(self) -> Reply:
        try:
            return await self._accepted()
        except Exception:  # whatever it is: no file may be left behind
            await self.abort()
            raise

    async def _accepted(self) -> Reply:
        if not self._begun:
            await self._begin(self._start, b"")
        await self._intake.patience()
        content: bytes | LargeContent
        if self._large is None:
            content, head = b"".join(self._chunks), b""
        else:
            if self._chunks:
                await self._flush(self._large)
            content, head = self._large, self._large.head
        item, intake = self._item(head), self._intake
        counts: list[Count] = []
        try:
            item, counts = self._allowed(item)
            notices = []
            if self._to.expanded:
                notices = await intake.reporter.reports(None, item, Octets(self._sample))
            await intake.journal.accept(item, content, *notices, *counts)
        except OSError as error:
            raise refusal(error) from None
        finally:
            if intake.allowances is not None:
                intake.allowances.settled(counts)
        self._note(item, notices)
        stored = Octets(content) if isinstance(content, bytes) else content.stored()
        intake.announce(item, stored)
        for notice in notices:
            intake.announce(notice.item, Octets(notice.content or b""))
        return self._answer(item)

    def _answer(self, item: Item) -> Reply:
        asked, given = self._envelope.priority, item.flow.priority
        if asked is not None and asked != given:
            words = f"{given} is the new priority; queued as {item.queue_id}"
            return Reply(250, "3.6", (words,))  # RFC 6710 §4.1
        return Reply(250, "0.0", (f"Ok, queued as {item.queue_id}",))

    def _allowed(self, item: Item) -> tuple[Item, list[Count]]:
        """The item, on hold if its sender has used up his allowance; and what counts for it."""
        account, allowances = self._client.account, self._intake.allowances
        if account is None or allowances is None:
            return item, []
        paths = [recipient.path for recipient in item.envelope.recipients]
        counts, excess = allowances.settle(account.path, paths)
        if excess is not None:
            item = hold_all(item, f"limit: {excess.text}")
            self._verdicts = [*self._verdicts, Verdict(f"held: {excess.text}", excess.rule)]
        return item, counts

    def _note(self, item: Item, notices: Sequence[Accept]) -> None:
        """Begin the message's journey."""
        recorder, tls, now = self._intake.recorder, self._client.tls, self._intake.now()
        recorder.note(
            item.queue_id,
            chronicle.accepted(
                item,
                now,
                tls="" if tls is None else f"{tls.version} {tls.cipher}",
                message_id=_shown(self._message_id),
                subject=_shown(self._subject),
                verdicts=chronicle.verdict_texts(recorder, self._verdicts),
            ),
        )
        chronicle.reported(recorder, None, item, notices, now)

    def _item(self, head: bytes) -> Item:
        to, client = self._to, self._client
        account = "" if client.account is None else str(client.account.path)
        flow = self._flow(account)
        asked = self._envelope.priority
        envelope = replace(
            self._envelope,
            recipients=tuple(to.recipients),
            tls_optional=self._tls_optional,
            # What is passed on is what was given, and not what was asked for (RFC 6710 §4.2).
            priority=None if asked is None else flow.priority,
        )
        origin = Origin(client.address, client.helo, client.protocol, account)
        item = new_item(
            self._queue_id,
            self._arrived,
            envelope,
            to.places,
            self._size,
            origin,
            head,
            flow,
        )
        return to.settle(item)

    def _flow(self, account: str) -> Flow:
        """Whose mail it is, and of which class; urgent only where that may be asked for."""
        client, intake = self._client, self._intake
        asked = self._envelope.priority or 0
        trusted = client.account is None and may_relay(client, intake.rules)
        urgent = trusted or (
            client.account is not None and named(client.account.path, intake.limits.urgent)
        )
        sender = account.casefold()
        if trusted:
            sender = self._envelope.reverse_path.domain
        return Flow(sender, self._class, asked if urgent else min(asked, 0))


SHOWN: Final = 998
"""Octets of a header field that a journey tells."""


def _shown(value: bytes | None) -> str:
    return "" if value is None else value[:SHOWN].decode("utf-8", "replace")
