"""Takes what comes to return paths of ours, and complaints: finds what it is about, and acts on it.

A return path of ours is an address as long as its signature is good and we know what was
sent with it; else there is no such mailbox, and nothing tells a forged one from an old
one. What comes there is read (`mail.bounce`). A failure is told to the sender in a notice
of our own, in place of the bounce; anything else is passed on to him as it came.

Complaints (RFC 5965) are believed if they name a return path that we have signed: so
whoever has not had the message cannot complain of it. They are delivered in any case.

Invariants:

1. The sender hears of a failure once, in the commit that notes it.
2. 250 is said after what is told, or passed on, is durable.
3. So much of a message is held in memory as is read, `HEARD` octets, and no more.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Final, Protocol

from twisted.logger import Logger

from mailhub.mail.address import NULL, Path
from mailhub.mail.bounce import Bounce, Kind, bounce
from mailhub.mail.envelope import Envelope, Return
from mailhub.mail.feedback import Feedback, announced, feedback
from mailhub.mail.header import end, index
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.report import report
from mailhub.mail.value import replace
from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Recorder
from mailhub.net.shield import shielded
from mailhub.policy import alias
from mailhub.policy.alias import Expansion, expand, no_such_mailbox
from mailhub.policy.cause import Cause
from mailhub.policy.returnpath import Ticket, named, shaped
from mailhub.policy.suppression import COMPLAINTS, WITHDRAWN, Reason, counts
from mailhub.ports.accounts import Directory
from mailhub.ports.conversation import Client
from mailhub.ports.intake import Draft
from mailhub.ports.message import Content
from mailhub.queue.change import Change, Returned, Sent, Settle, Stale
from mailhub.queue.event import Complained, Decided, Fated, State
from mailhub.queue.ids import moment_of
from mailhub.queue.item import Failed, Item
from mailhub.relay import chronicle, maillog
from mailhub.relay.agents import Announce
from mailhub.relay.faults import refusal
from mailhub.relay.keyring import Keyring
from mailhub.relay.report import Reporter
from mailhub.relay.strikes import Strikes
from mailhub.relay.suppressor import Terms

HEARD: Final = 256 * 1024
"""Octets of a message that are read: reports are short, but for what they return."""
TRACES: Final = 20
"""What looks like a return path of ours in a complaint, and is tried."""
_NOTED: Final = Reply(250, "0.0", ("Noted, and its sender is told",))
_NO_REPLY: Final = Reply(550, "0.0", ("It was returned without a reason",))


class Returns:
    """What comes back.

    Args:
        rules: How addresses are expanded now.
        classify: What stands behind a reply.
        now: The date.
    """

    _log = Logger()

    def __init__(
        self,
        terms: Terms,
        keyring: Keyring,
        strikes: Strikes,
        journal: Journal,
        directory: Directory,
        rules: Callable[[], alias.Rules],
        reporter: Reporter,
        announce: Announce,
        classify: Callable[[Reply], Cause],
        now: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._terms = terms
        self._keyring = keyring
        self._strikes = strikes
        self._journal = journal
        self._directory = directory
        self._rules = rules
        self._reporter = reporter
        self._announce = announce
        self._classify = classify
        self._now = now
        self._recorder = recorder

    # ---- Addresses -------------------------------------------------------------------------

    async def expansion(self, path: Path) -> Expansion | None:
        """Who gets what comes to a return path of ours; None for any other address.

        Raises:
            Refusal: 550 5.1.1 for one that is forged, or too old; as `policy.alias.expand`.
            OSError: The disk said no.
        """
        if not shaped(path):
            return None
        if not self.own(path.domain) and not await self._directory.hosted(path.domain):
            return None
        sent = self._sent(path)
        if sent is None:
            raise no_such_mailbox()
        return await expand(sent.sender, self._directory, self._rules())

    def own(self, domain: str) -> bool:
        """Whether a domain is there for return paths alone."""
        return domain in self._terms.return_domains

    def _sent(self, path: Path) -> Sent | None:
        """What was sent with a return path of ours; None if it is none, or nothing is known."""
        ticket = self._keyring.read(path)
        if ticket is None:
            return None
        found = self._journal.reads.sent(ticket)
        if found is not None:
            return found
        item = self._pending(ticket)
        if item is None:
            return None
        envelope = item.envelope
        return Sent(ticket, envelope.reverse_path, envelope.recipients[0], envelope.envid)

    def _pending(self, ticket: Ticket) -> Item | None:
        """The part of an item with a recipient who is not settled: it is in doubt, or a crash came.

        Or it is being sent this moment, and they ask whether we would take its bounce.
        """
        item = self._journal.load(ticket.queue_id, [ticket.number])
        if item is None or item.open != (0,) or item.number(0) != ticket.number:
            return None
        return item

    # ---- Listening -------------------------------------------------------------------------

    def listening(self, draft: Draft, client: Client, envelope: Envelope) -> Draft:
        """The draft of a message, read on its way where something may come back with it."""
        paths = [recipient.path for recipient in envelope.recipients]
        returned = [path for path in paths if shaped(path)]
        names = self._terms.settings.reports if client.account is None else ()
        if returned or any(path.local.casefold() in names for path in paths):
            return Listening(draft, self, envelope, returned)
        return draft

    async def heard(
        self, paths: Sequence[Path], envelope: Envelope, content: bytes, accept: Accepting
    ) -> Reply:
        """A message has come, to these return paths or none: act on it, and accept it.

        Raises:
            Refusal: 550 5.7.1 for a letter to a return path; as `accept`.
            OSError: The disk said no.
        """
        told = feedback(content) if announced(index(content[: end(content)])) else None
        found = [(sent, bounce(content, str(sent.recipient.path))) for sent in self._all(paths)]
        letter = told is None and any(it.kind is Kind.OTHER for _, it in found)
        if letter and envelope.reverse_path != NULL:  # answers may have a sender (RFC 3834 §3.3)
            raise Refusal(550, "7.1", "Only notices about a message are taken at this address")
        if len(envelope.recipients) == 1 and len(found) == 1 and found[0][1].kind is Kind.FAILED:
            await self._failed(*found[0], content)
            return _NOTED
        reply = await accept()
        for sent, it in found:
            self._note(sent, it)
        if told is not None:
            await self._complained(told)
        return reply

    def _all(self, paths: Sequence[Path]) -> list[Sent]:
        return [sent for path in paths if (sent := self._sent(path)) is not None]

    # ---- Failures --------------------------------------------------------------------------

    async def _failed(self, sent: Sent, found: Bounce, content: bytes) -> None:
        """Note that a recipient has failed after all, and tell the sender, once.

        Raises:
            OSError: The disk said no, and nobody was told.
        """
        now = self._now()
        fate = Failed(found.reply or _NO_REPLY, now, found.host)
        before = None if self._journal.reads.sent(sent.ticket) else self._pending(sent.ticket)
        original: Content
        noted: Change
        if before is not None:  # then it is not sent again
            after = replace(before, fates=(fate,))
            original, noted = self._journal.content(before), Settle(before, after)
        else:
            header = report(content).returned
            original = Octets(header[: end(header)])
            after, noted = _item(sent, fate, original.size), Returned(sent.ticket)
        try:
            notices = await self._reporter.reports(before, after, original)
            await self._journal.commit(noted, *notices)
        except Stale:
            maillog.returned(after.queue_id, sent.recipient.path, "came back once more")
            return
        finally:
            original.close()
        self._note(sent, found)
        chronicle.reported(self._recorder, before, after, notices, now)
        for notice in notices:
            self._announce(notice.item, Octets(notice.content or b""))

    def _note(self, sent: Sent, found: Bounce) -> None:
        """Tell journey, log and list of what has come back."""
        now, (_, queue_id, number) = self._now(), sent.ticket
        who = found.host or "the far side"
        if found.kind is not Kind.FAILED:
            words = "" if found.reply is None else f": {found.reply.text}"
            what = f"came back: {found.kind.value}, says {who}{words}"
            self._recorder.note(queue_id, Decided(now, (number,), ((what, ""),)))
            maillog.returned(queue_id, sent.recipient.path, what)
            return
        reply = found.reply or _NO_REPLY
        said = f"{reply.text} ({found.host})" if found.host else reply.text
        event = Fated(now, (number,), State.FAILED, reply.text, found.host)
        self._recorder.note(queue_id, event)
        maillog.returned(queue_id, sent.recipient.path, f"came back: failed at {who}: {reply.text}")
        reason = counts(reply, self._classify(reply), expired=False)
        if reason is not None:
            path = sent.recipient.path
            self._strikes.strike(sent.sender, path, reason, said, queue_id, number)

    # ---- Complaints ------------------------------------------------------------------------

    async def _complained(self, told: Feedback) -> None:
        """Act on a complaint, if it is of a message that we have sent."""
        found = self._all(named(told.traces)[:TRACES])[:1]
        if not found:
            self._log.info("a complaint ({kind}) of nothing that we have signed", kind=told.kind)
        for sent in found:
            path, (_, queue_id, number) = sent.recipient.path, sent.ticket
            event = Complained(self._now(), told.reporter, told.kind, str(path))
            self._recorder.note(queue_id, event)
            maillog.returned(queue_id, path, f"complaint: {told.kind}, says {told.reporter}")
            if told.kind in COMPLAINTS:
                said = f"{told.kind}, says {told.reporter}"
                self._strikes.strike(sent.sender, path, Reason.COMPLAINT, said, queue_id, number)
            elif told.kind == WITHDRAWN:
                await self._forgiven(sent)

    async def _forgiven(self, sent: Sent) -> None:
        try:
            gone = await self._strikes.forgive(sent.sender, sent.recipient.path)
        except OSError as error:
            self._log.error("not taken off the suppression list: {why}", why=error)
            return
        if gone:
            what = "off the suppression list: it is no spam"
            maillog.returned(sent.ticket.queue_id, sent.recipient.path, what)


class Accepting(Protocol):
    """Accepts a message as it is."""

    def __call__(self) -> Awaitable[Reply]: ...


class Listening:
    """Implements `ports.intake.Draft`: a message that is read while it comes.

    Args:
        draft: Takes it in, if it is to be delivered.
        paths: Those of its recipients that look like return paths of ours.
    """

    __slots__ = ("_draft", "_envelope", "_head", "_paths", "_returns", "_room")

    def __init__(
        self,
        draft: Draft,
        returns: Returns,
        envelope: Envelope,
        paths: Sequence[Path],
    ) -> None:
        self._draft = draft
        self._returns = returns
        self._envelope = envelope
        self._paths = paths
        self._head: list[bytes] = []
        self._room = HEARD

    async def write(self, octets: bytes) -> None:
        """Take more content, and keep the beginning. Raises as the draft's."""
        if self._room > 0:
            self._head.append(octets[: self._room])
            self._room -= len(octets)
        await self._draft.write(octets)

    async def commit(self) -> Reply:
        """Act on it, and answer for it.

        Raises:
            Refusal: As the draft's, and as `Returns.heard`.
        """
        return await shielded(self._commit())

    async def _commit(self) -> Reply:
        content = b"".join(self._head)
        accepted = False

        async def accept() -> Reply:
            nonlocal accepted
            accepted = True
            return await self._draft.commit()

        try:
            return await self._returns.heard(self._paths, self._envelope, content, accept)
        except OSError as error:
            raise refusal(error) from None
        finally:
            if not accepted:
                await self.abort()

    async def abort(self) -> None:
        """Forget all of it."""
        self._head.clear()
        await self._draft.abort()


def _item(sent: Sent, fate: Failed, size: int) -> Item:
    """A part of the item that was sent, with the one recipient who has failed."""
    queue_id, number = sent.ticket.queue_id, sent.ticket.number
    envelope = Envelope(sent.sender, (sent.recipient,), ret=Return.HEADERS, envid=sent.envid)
    arrived = moment_of(queue_id)
    return Item(
        queue_id, arrived, envelope, size, (None,), (fate,), numbers=(number,), total=number + 1
    )
