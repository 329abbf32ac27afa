"""Turns what has happened to recipients into the notices that their sender is owed.

A notice is a new item. It is to be written together with the fates it reports
(`Journal.settle`'s further changes), so that a crash neither loses nor doubles
it, and announced to local delivery and the runner once that is done.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.logger import Logger

from mailhub.mail.address import NULL, Path
from mailhub.mail.envelope import Recipient
from mailhub.mail.header import end, index, unfold
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept
from mailhub.queue.dsn import Limits, Source, compose, notices, octets_needed
from mailhub.queue.item import Failed, Item, Local, Pending, new_item
from mailhub.queue.telling import Action, to_report
from mailhub.queue.words import Words, chosen, wanted

Expand = Callable[[Recipient], Awaitable[Sequence[tuple[Recipient, Local | None]]]]
"""Who a recipient stands for here: itself if it is remote, else accounts. Raises `Refusal`."""

Scheduling = Callable[[Item, int], Schedule]
"""The schedule of an item's recipient, by its place."""

_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True)
class Languages:
    """The languages that notices are written in.

    Attributes:
        known: By their tags.
        usual: The one for senders of whom nothing is known.
    """

    known: Mapping[str, Words]
    usual: str

    def of(self, content: bytes) -> Words:
        """The one that the sender of a message reads."""
        header = index(content[: end(content)])
        fields = {
            name: unfold(header[name.encode()][0]).decode("ascii", "replace")
            for name in ("accept-language", "content-language")
            if header.get(name.encode())
        }
        return chosen(self.known, wanted(fields), self.usual)


class Reporter:
    """Writes notices.

    `host` is our name, `ids` gives queue ids, `now` the date, `random` a number
    of so many random bits; `schedule` says until when delayed mail is tried;
    `languages` are those to write in, and `classify` says what stands behind a reply;
    `helper` is named to those who need help.
    """

    _log = Logger()

    def __init__(
        self,
        host: str,
        ids: Callable[[], QueueId],
        now: Callable[[], float],
        random: Callable[[int], int],
        expand: Expand,
        schedule: Scheduling,
        languages: Languages,
        classify: Callable[[Reply], Cause],
        limits: Limits = _LIMITS,
        helper: Path | None = None,
    ) -> None:
        self._host = host
        self._ids = ids
        self._now = now
        self._random = random
        self._expand = expand
        self._schedule = schedule
        self._languages = languages
        self._classify = classify
        self._limits = limits
        self._helper = helper

    def obey(self, languages: Languages, limits: Limits, helper: Path | None) -> None:
        """Go by other limits from here on, in other words, and name another helper."""
        self._languages = languages
        self._limits = limits
        self._helper = helper

    async def reports(self, before: Item | None, after: Item, content: Content) -> list[Accept]:
        """The notices of what happened between the two, as items to be accepted.

        `before` is None where `after` has just been accepted. A notice that
        nobody here would take is left out: it must not cause another one. A
        notice that fails itself is told to the log alone, and not to postmaster:
        nobody reads a mailbox full of them.
        """
        self._note_lost(before, after)
        actions = to_report(before, after)
        if not actions:
            return []
        found = [await self._report(after, group, content) for group in notices(actions)]
        return [accept for accept in found if accept is not None]

    def _note_lost(self, before: Item | None, after: Item) -> None:
        """Log failures that cannot be reported, because there is no reverse-path."""
        if after.envelope.reverse_path != NULL:
            return
        for number, fate in enumerate(after.fates):
            if isinstance(fate, Failed) and (before is None or before.fates[number] != fate):
                to, why = after.envelope.recipients[number].path, fate.reply.text
                self._log.warn(
                    "{id}: <{to}> failed, and there is nobody to tell: {why}",
                    id=after.queue_id,
                    to=to,
                    why=why,
                )

    async def _report(
        self, item: Item, actions: Mapping[int, Action], content: Content
    ) -> Accept | None:
        try:
            expanded = await self._expand(Recipient(item.envelope.reverse_path))
        except Refusal as refusal:
            self._log.warn(
                "{id}: no notice to <{to}>: {why}",
                id=item.queue_id,
                to=item.envelope.reverse_path,
                why=refusal,
            )
            return None
        queue_id = self._ids()
        now = self._now()
        original = await self._original(item, actions, content)
        source = Source(
            self._host,
            now,
            f"<{queue_id}@{self._host}>",
            f"=_{queue_id}_{self._random(64):016x}",
            self._languages.of(original),
            self._causes(item, actions),
            self._helper,
        )
        until = item.release + self._schedule(item, next(iter(actions))).lifetime
        notice = compose(item, actions, original, source, until, self._limits)
        recipients = tuple(recipient for recipient, _ in expanded)
        envelope = replace(notice.envelope, recipients=recipients)
        places = (place for _, place in expanded)
        return Accept(
            new_item(queue_id, now, envelope, places, len(notice.content)), notice.content
        )

    def _causes(self, item: Item, actions: Mapping[int, Action]) -> dict[int, Cause]:
        """What stands behind failures and delays."""
        found = {}
        for number, action in actions.items():
            if action not in (Action.FAILED, Action.DELAYED):
                continue
            match item.fates[number]:
                case Pending(cause=Cause() as cause) | Failed(cause=Cause() as cause):
                    found[number] = cause
                case Failed(reply=reply) | Pending(reply=Reply() as reply):
                    found[number] = self._classify(reply)
        return found

    async def _original(self, item: Item, actions: Mapping[int, Action], content: Content) -> bytes:
        try:
            return await content.read(0, octets_needed(item, actions, self._limits))
        except OSError as error:
            # The notice matters more than what it returns.
            self._log.error("{id}: content unreadable: {why}", id=item.queue_id, why=error)
            return b""
