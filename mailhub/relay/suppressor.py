"""Keeps back what is on a suppression list, and gives the rest return paths of ours.

The queue runner asks it about mail that our own users, and hosts that we trust, have
handed in; about everybody else's there is nothing to ask.

Invariants:

1. For mail that no list is about, asking costs one look into a dictionary.
2. If a list cannot be read, mail goes: a list is no reason to lose any.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Mapping, Sequence
from typing import Final

from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.mail.value import replace
from mailhub.net.scribe import Recorder
from mailhub.policy.cause import Cause
from mailhub.policy.returnpath import Ticket, day_of
from mailhub.policy.suppression import (
    Action,
    Entry,
    Sending,
    Suppression,
    counts,
    excepted,
    refusal,
)
from mailhub.policy.verdict import Verdict
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Due, Sent
from mailhub.queue.event import Decided
from mailhub.queue.flow import Flow
from mailhub.queue.item import Answer, Failed, Item
from mailhub.queue.suppressions import Suppressions
from mailhub.relay import chronicle
from mailhub.relay.keyring import Keyring
from mailhub.relay.strikes import Strikes

DOMAINS: Final = 10_000
"""Sending domains whose terms are remembered."""

Hosted = Callable[[str], Awaitable[bool]]
"""Whether mail for a domain ends here."""
Allowed = Callable[[Hashable, Path, Path], bool]
"""Whether return paths may be ours on the way to a hop, from a reverse-path to a forward-path."""


class Terms:
    """What is configured for each sending domain, once it was asked.

    Attributes:
        settings: All of it.
        return_domains: Domains that there are for return paths alone.
    """

    def __init__(self, settings: Suppression) -> None:
        self.obey(settings)

    def obey(self, settings: Suppression) -> None:
        """Go by other settings from here on."""
        self.settings = settings
        self.return_domains = settings.return_domains
        self._known: dict[str, Sending] = {}
        self._concerned: dict[tuple[str, str], tuple[bool, bool]] = {}

    def of(self, domain: str) -> Sending:
        """The terms of a sending domain."""
        found = self._known.get(domain)
        if found is None:
            if len(self._known) >= DOMAINS:
                self._known.clear()
            found = self._known[domain] = self.settings.of(domain)
        return found

    def concern(self, domain: str, class_name: str) -> tuple[bool, bool]:
        """Whether a list is about such mail, and whether it gets return paths of ours."""
        found = self._concerned.get((domain, class_name))
        if found is None:
            if len(self._concerned) >= DOMAINS:
                self._concerned.clear()
            terms = self.of(domain).terms
            found = terms.concerns(class_name), terms.rewrites(class_name)
            self._concerned[domain, class_name] = found
        return found


class Suppressor:
    """Implements `relay.agents.Guard`.

    Args:
        lists: For this thread.
        allowed: Asked before a return path of ours is used.
        now: The date.
    """

    _log = Logger()

    def __init__(
        self,
        terms: Terms,
        lists: Suppressions,
        strikes: Strikes,
        keyring: Keyring,
        hosted: Hosted,
        allowed: Allowed,
        now: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._terms = terms
        self._lists = lists
        self._strikes = strikes
        self._keyring = keyring
        self._hosted = hosted
        self._allowed = allowed
        self._now = now
        self._recorder = recorder

    # ---- What goes out: `relay.agents.Guard` -----------------------------------------------

    def concerns(self, flow: Flow, reverse_path: Path) -> bool:
        """Whether mail is any list's business, or gets a return path of ours."""
        if not flow.sender or not reverse_path.domain:
            return False
        listed, rewritten = self._terms.concern(reverse_path.domain, flow.name)
        return listed or rewritten

    def alone(self, due: Due) -> bool:
        """Whether a recipient is to have a transaction of its own, for its return path."""
        flow, domain = due.flow, due.reverse_path.domain
        return bool(flow.sender and domain) and self._terms.concern(domain, flow.name)[1]

    def refused(self, item: Item, places: Sequence[int]) -> dict[int, Answer]:
        """Answers for those recipients who are on the list."""
        envelope, found = item.envelope, {}
        sending = self._terms.of(envelope.reverse_path.domain)
        for place in places:
            path = envelope.recipients[place].path
            entry = self.entry(envelope.reverse_path, path, item.flow.name)
            if entry is None:
                continue
            reply = refusal(entry, path)
            held = reply.lines[0] if sending.terms.action is Action.HOLD else ""
            found[place] = Answer(reply, cause=Cause.SUPPRESSED, held=held)
            what = f"suppression: {'held' if held else 'not sent'}, {entry.told}"
            self._note(item.queue_id, item.number(place), Verdict(what, sending.rule("action")))
        return found

    async def sent_as(
        self, hop: Hashable, item: Item, places: Sequence[int], envelope: Envelope
    ) -> tuple[Envelope, Ticket | None]:
        """The envelope with a return path of ours, and what that names; else as it is."""
        reverse_path = item.envelope.reverse_path
        sending = self._terms.of(reverse_path.domain)
        # Several: they were put together before the configuration changed.
        if len(places) != 1 or not sending.terms.rewrites(item.flow.name):
            return envelope, None
        if not self._allowed(hop, reverse_path, item.envelope.recipients[places[0]].path):
            return envelope, None
        number, rule = item.number(places[0]), sending.rule("return paths")
        domain = sending.terms.return_domain or reverse_path.domain
        if domain == reverse_path.domain and not await self._hosted(domain):
            what = f"return path: as it is, for {domain} is not hosted here"
            self._note(item.queue_id, number, Verdict(what, rule))
            return envelope, None
        # Never of a day to come: an operator may send what was to be released later.
        day = day_of(min(item.release, self._now()))
        ticket = Ticket(day, item.queue_id, number)
        ours = self._keyring.path(ticket, domain)
        self._note(item.queue_id, number, Verdict(f"return path: <{ours}>", rule))
        return replace(envelope, reverse_path=ours), ticket

    def known(self, item: Item, answers: Mapping[int, Answer]) -> list[Sent]:
        """What is to be remembered of recipients who are settled: who hears if it comes back."""
        envelope = item.envelope
        recipients, sender = envelope.recipients, envelope.reverse_path
        return [
            Sent(answer.ticket, sender, recipients[place], envelope.envid)
            for place, answer in answers.items()
            if answer.ticket is not None and answer.reply.positive
        ]

    def settled(self, item: Item, answers: Mapping[int, Answer]) -> None:
        """Fates of recipients are written: those who failed for good may go on the list."""
        sender, recipients = item.envelope.reverse_path, item.envelope.recipients
        if not item.flow.sender or not self._terms.concern(sender.domain, item.flow.name)[0]:
            return
        for place, answer in answers.items():
            fate = item.fates[place]
            if not isinstance(fate, Failed):
                continue
            reason = counts(fate.reply, answer.cause, expired=fate.expired)
            if reason is not None:
                said = f"{fate.reply.text} ({fate.host})" if fate.host else fate.reply.text
                path, number = recipients[place].path, item.number(place)
                self._strikes.strike(sender, path, reason, said, item.queue_id, number)

    # ---- What comes in ---------------------------------------------------------------------

    def entry(self, reverse_path: Path, path: Path, class_name: str) -> Entry | None:
        """The entry that keeps mail of a class back; None if nothing does."""
        if excepted(reverse_path, path):
            return None
        terms = self._terms.of(reverse_path.domain).terms
        if not terms.concerns(class_name):
            return None
        try:
            entry = self._lists.find(reverse_path.domain, path, self._now())
        except OSError as error:
            self._log.error("suppression lists cannot be read: {why}", why=error)
            return None
        if entry is None or not terms.concerns(class_name, entry.reason):
            return None
        return entry

    def refuses(self, reverse_path: Path) -> bool:
        """Whether `check` may refuse anything at all."""
        domain = reverse_path.domain
        return bool(domain) and self._terms.of(domain).terms.action is Action.REFUSE

    def check(self, reverse_path: Path, path: Path, classes: Sequence[str]) -> None:
        """Judge RCPT; the mail may turn out to be of any of these classes.

        Raises:
            Refusal: 550 5.7.1 for an address that is on the list, whichever it is.
        """
        if not self.refuses(reverse_path):
            return
        entries = [self.entry(reverse_path, path, name) for name in classes]
        if entries and entries[0] is not None and None not in entries:
            reply = refusal(entries[0], path)
            raise Refusal(reply.code, reply.detail, *reply.lines)

    def _note(self, queue_id: QueueId, number: int, verdict: Verdict) -> None:
        texts = chronicle.verdict_texts(self._recorder, (verdict,))
        self._recorder.note(queue_id, Decided(self._now(), (number,), texts))
