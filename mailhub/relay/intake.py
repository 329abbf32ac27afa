"""Whom we take mail from, and for whom: what is asked at MAIL, RCPT and DATA.

What becomes of a message then is `relay.draft`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.header import Header
from mailhub.mail.reply import Refusal
from mailhub.net.journal import Journal, at_once
from mailhub.net.scribe import Nobody, Recorder
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
from mailhub.policy.queueclass import Classes, Facts, possible
from mailhub.policy.returnpath import shaped
from mailhub.policy.verdict import Verdict
from mailhub.ports.accounts import Account, Directory
from mailhub.ports.conversation import Client
from mailhub.ports.intake import Draft
from mailhub.ports.outgoing import QueueId
from mailhub.relay import maillog
from mailhub.relay.addressees import INBOX, Addressees
from mailhub.relay.agents import Announce
from mailhub.relay.allowances import Allowances
from mailhub.relay.draft import HubDraft
from mailhub.relay.faults import refusal
from mailhub.relay.register import Register
from mailhub.relay.report import Reporter
from mailhub.relay.returns import Returns
from mailhub.relay.suppressor import Suppressor
from mailhub.relay.verifier import Verifier

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


_NOBODY: Final = Nobody()
_CLASSES: Final = Classes()
_UNREAD: Final = Header(b"")
MEMBERS: Final = 2000
"""Members of aliases that are looked at in one turn of the loop, about."""
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
        turn: Waits for the loop's next turn.
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
        turn: Callable[[], Awaitable[object]] = at_once,
    ) -> None:
        self._verifier = verifier
        self._turn = turn
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
        to, verdicts = await self._addressees(client, envelope)
        draft = HubDraft(self, client, envelope, to, verdicts)
        if self._returns is None:
            return draft
        return self._returns.listening(draft, client, envelope)

    async def _addressees(
        self, client: Client, envelope: Envelope
    ) -> tuple[Addressees, list[Verdict]]:
        """Who gets it, and what the journey tells of why it was taken."""
        to, separator, members = Addressees(), self.rules.aliases.separator, 0
        verdicts = [sender_verdict(client, envelope.reverse_path, self.rules)]
        for recipient in envelope.recipients:
            expansion = await self._expansion(client, recipient.path)
            for member, no in expansion.refused:
                maillog.left_out(recipient.path, member, no)
            if len(verdicts) <= NAMED_VERDICTS:
                verdicts.append(recipient_verdict(client, recipient.path, expansion, self.rules))
            to.add(
                recipient,
                expansion,
                separator,
                lambda account, detail: self._posting(account, detail, client.account),
            )
            members += len(expansion.accounts) + len(expansion.others)
            if members >= MEMBERS:  # a large list may be named by each of its subaddresses
                members = 0
                await self._turn()
        return to, verdicts

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
