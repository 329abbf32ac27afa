"""Takes mail in: judges it, gives it its trace fields, and answers for it once it is durable.

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
from typing import Final

from mailhub.mail import trace
from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace
from mailhub.net.content import LargeContent, Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Nobody, Recorder
from mailhub.net.shield import shielded
from mailhub.policy import loop, submission
from mailhub.policy.access import (
    Rules,
    check_recipient,
    check_sender,
    may_relay,
    recipient_verdict,
    sender_verdict,
)
from mailhub.policy.alias import Expansion
from mailhub.policy.backup import backing
from mailhub.policy.limits import IntakeLimits
from mailhub.policy.protection import TLS_OPTIONAL, tls_optional
from mailhub.policy.queueclass import NORMAL, Classes, Facts, classify, named, possible
from mailhub.policy.returnpath import shaped
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account, Directory
from mailhub.ports.conversation import Client
from mailhub.ports.intake import Draft
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept, Count
from mailhub.queue.flow import Flow
from mailhub.queue.item import Item, Origin, new_item
from mailhub.relay import chronicle, maillog
from mailhub.relay.addressees import INBOX, Addressees, addressees
from mailhub.relay.agents import Announce
from mailhub.relay.allowances import Allowances, hold_all
from mailhub.relay.faults import refusal
from mailhub.relay.register import Register
from mailhub.relay.report import Reporter
from mailhub.relay.returns import Returns
from mailhub.relay.suppressor import Suppressor
from mailhub.relay.verifier import Verifier

_HEADER_END: Final = b"\r\n\r\n"
HEADER: Final = Rule("submission", "header")


OverQuota = Callable[[Account, int], Awaitable[bool]]
"""Whether so many octets more would exceed an account's quota; may raise `OSError`."""


Posting = Callable[[Account, str, Account | None], str]
"""The mailbox that mail with a subaddress goes to, sent by whoever has logged in, if anybody."""


def inbox(owner: Account, detail: str, sender: Account | None) -> str:  # noqa: ARG001
    """All mail goes to the INBOX."""
    return INBOX


async def boundless(account: Account, size: int) -> bool:  # noqa: ARG001
    """Nobody's mailbox is full: quotas are kept by the store alone."""
    return False


async def at_once() -> None:
    """No waiting before a commit."""


_NOBODY: Final = Nobody()
_CLASSES: Final = Classes()
_UNREAD: Final = Header(b"")
NAMED_VERDICTS: Final = 10
"""Recipients of a message whose verdicts its journey tells."""


class HubIntake:
    """Implements `ports.intake.Intake` over the journal.

    Args:
        host: Our name, in Received.
        ids: Gives queue ids.
        now: The date, seconds since the epoch.
        announce: Tells local delivery and the runner of an item that was committed.
        reporter: Writes the notices of lists that were expanded.
        over_quota: Asked at RCPT for accounts that have a quota: `Stores.over_quota`.
        posting: Which mailbox of an account mail with a subaddress goes to, given who sends:
            `Sharing.posting`.
        patience: Awaited before each commit: `LocalDelivery.room`.
        recorder: Is told of what is accepted.
        returns: Takes what comes to return paths of ours.
        suppressor: Asked at RCPT whether an address is on a suppression list.
        register: Is told of what is refused.
        verifier: Knows who exists in domains that we back up.
    """

    def __init__(
        self,
        journal: Journal,
        directory: Directory,
        announce: Announce,
        reporter: Reporter,
        host: str,
        ids: Callable[[], QueueId],
        now: Callable[[], float],
        rules: Rules | None = None,
        limits: IntakeLimits | None = None,
        over_quota: OverQuota = boundless,
        posting: Posting = inbox,
        patience: Callable[[], Awaitable[None]] = at_once,
        recorder: Recorder = _NOBODY,
        classes: Classes = _CLASSES,
        allowances: Allowances | None = None,
        returns: Returns | None = None,
        suppressor: Suppressor | None = None,
        register: Register | None = None,
        verifier: Verifier | None = None,
    ) -> None:
        self._verifier = verifier
        self.journal = journal
        self.register = register
        self.classes = classes
        self.allowances = allowances
        self.directory = directory
        self.announce = announce
        self.reporter = reporter
        self.host = host
        self.ids = ids
        self.now = now
        self.rules = rules or Rules()
        self.limits = limits or IntakeLimits()
        self.patience = patience
        self.recorder = recorder
        self._over_quota = over_quota
        self._posting = posting
        self._returns = returns
        self._suppressor = suppressor

    async def sender(self, client: Client, envelope: Envelope) -> None:
        """MAIL: may this client send from this reverse-path?"""
        try:
            await check_sender(client, envelope.reverse_path, self.directory, self.rules)
            if client.account is not None and self.allowances is not None:
                self.allowances.check(client.account.path, ())
        except OSError as error:
            raise refusal(error) from None

    async def recipient(self, client: Client, envelope: Envelope, recipient: Recipient) -> None:
        """RCPT: shall we take mail from this client for this recipient?

        Raises:
            Refusal: As `policy.access`; 452 4.2.2 where all mailboxes it leads to are full.
        """
        expansion = await self._expansion(client, recipient.path)
        if recipient.path in expansion.others:
            self._check_list(client, envelope, recipient.path)
        if self._verifier is not None and self._backed_up(client, recipient.path, expansion):
            await self._verifier.check(recipient.path)
        if client.account is not None and self.allowances is not None:
            so_far = [*(it.path for it in envelope.recipients), recipient.path]
            try:
                self.allowances.check(client.account.path, so_far)
            except OSError as error:
                raise refusal(error) from None
        if not expansion.others and await self._all_full(expansion, envelope.size or 0):
            raise Refusal(452, "2.2", "Mailbox full")

    def refused(
        self,
        client: Client,
        stage: str,
        refusal: Refusal,
        envelope: Envelope | None = None,
        path: Path | None = None,
    ) -> None:
        """Tell the log of a refusal, and the register."""
        if stage != "AUTH":  # who guards logins has told of it
            maillog.refused(client, refusal, envelope, path)
        if self.register is not None:
            self.register.note(client, stage, refusal, envelope, path)

    def _check_list(self, client: Client, envelope: Envelope, path: Path) -> None:
        """Refuse an address that our own users do not write to, if that is certain by now."""
        suppressor, sender = self._suppressor, envelope.reverse_path
        if suppressor is None or not suppressor.refuses(sender):
            return
        if may_relay(client, self.rules):
            author = None if client.account is None else client.account.path
            facts = Facts(sender, author, len(envelope.recipients) + 1, _UNREAD)
            suppressor.check(sender, path, possible(facts, self.classes.all))

    def _backed_up(self, client: Client, path: Path, expansion: Expansion) -> bool:
        """Whether mail is taken for a domain alone that we back up, whose hosts know who exists."""
        if path not in expansion.others or may_relay(client, self.rules):
            return False
        backup = backing(path.domain, self.rules.backups)
        return backup is not None and backup.verify

    async def draft(self, client: Client, envelope: Envelope) -> Draft:
        """DATA or the first BDAT: be ready for content."""
        found = [
            (recipient, await self._expansion(client, recipient.path))
            for recipient in envelope.recipients
        ]
        for recipient, expansion in found:
            for member, no in expansion.refused:
                maillog.left_out(recipient.path, member, no)
        separator = self.rules.aliases.separator
        verdicts = [sender_verdict(client, envelope.reverse_path, self.rules)]
        verdicts += [
            recipient_verdict(client, recipient.path, expansion, self.rules)
            for recipient, expansion in found[:NAMED_VERDICTS]
        ]
        to = addressees(
            found,
            separator,
            lambda account, detail: self._posting(account, detail, client.account),
        )
        draft = HubDraft(self, client, envelope, to, verdicts)
        if self._returns is None:
            return draft
        return self._returns.listening(draft, client, envelope)

    async def _all_full(self, expansion: Expansion, size: int) -> bool:
        try:
            for account in expansion.accounts:
                limited = account.quota.octets or account.quota.messages
                if not limited or not await self._over_quota(account, size):
                    return False
        except OSError as error:
            raise refusal(error) from None
        return True

    async def _expansion(self, client: Client, path: Path) -> Expansion:
        try:
            if self._returns is not None and shaped(path):
                returned = await self._returns.expansion(path)
                if returned is not None:
                    return returned
            host = self.host
            if self._returns is not None and self._returns.own(path.domain):
                host = path.domain  # it has a postmaster as our own name has
            return await check_recipient(client, path, self.directory, self.rules, host)
        except OSError as error:
            raise refusal(error) from None


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
        intake: HubIntake,
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
