"""Turns what has happened to recipients into the notices that their sender is owed.

A notice is a new item. It is to be written together with the fates it reports
(`Journal.settle`'s further changes), so that a crash neither loses nor doubles
it, and announced to local delivery and the runner once that is done.

A failure whose sender cannot be told is a double bounce: the message comes from nobody, as
notices do, or nothing can be sent to whom it comes from. It is told to the log and to the
journey, and to the postmaster if the operator wants that.

Invariants:

1. Nobody is told that he could not be told: what fails on its way to the postmaster is told
   to the log and the journey alone, so that no failure can cause notices without end.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.envelope import Recipient
from mailhub.mail.header import end, index, unfold
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace
from mailhub.net.scribe import Nobody, Recorder
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Schedule
from mailhub.policy.rule import Rule
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Accept
from mailhub.queue.dsn import Limits, Source, compose, notices, octets_needed
from mailhub.queue.event import Decided
from mailhub.queue.item import Failed, Item, Local, Pending, new_item
from mailhub.queue.telling import Action, lost, to_report
from mailhub.queue.words import Words, chosen, wanted

Expanded = Sequence[tuple[Recipient, Local | None]]
"""Recipients, and the mailboxes of those that are here."""

Expand = Callable[[Recipient], Awaitable[Expanded]]
"""Who a recipient stands for here: itself if it is remote, else accounts. Raises `Refusal`."""

Scheduling = Callable[[Item, int], Schedule]
"""The schedule of an item's recipient, by its place."""

DOUBLE_BOUNCES: Final = Rule("queue", "double bounces")
"""What decides who is told where no sender can be."""

_LIMITS: Final = Limits()
_NOBODY: Final = Nobody()


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
    `helper` is named to those who need help; `double` is told of failures whose sender
    cannot be, None leaves them to the log; `recorder` takes what was decided about that.
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
        double: Path | None = None,
        recorder: Recorder = _NOBODY,
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
        self._double = double
        self._recorder = recorder

    def obey(
        self,
        languages: Languages,
        limits: Limits,
        helper: Path | None,
        double: Path | None = None,
    ) -> None:
        """Go by other limits from here on, in other words, and tell and name others."""
        self._languages = languages
        self._limits = limits
        self._helper = helper
        self._double = double

    async def reports(self, before: Item | None, after: Item, content: Content) -> list[Accept]:
        """The notices of what happened between the two, as items to be accepted.

        `before` is None where `after` has just been accepted.
        """
        if doubled := lost(before, after):
            return await self._doubled(after, doubled, content, "it is from <>")
        actions = to_report(before, after)
        if not actions:
            return []
        try:
            expanded = await self._expand(Recipient(after.envelope.reverse_path))
        except Refusal as refusal:
            failed = {number: it for number, it in actions.items() if it is Action.FAILED}
            why = f"<{after.envelope.reverse_path}> takes no notice: {refusal}"
            return await self._doubled(after, failed, content, why)
        return [await self._report(after, group, content, expanded) for group in notices(actions)]

    async def _doubled(
        self, item: Item, actions: Mapping[int, Action], content: Content, why: str
    ) -> list[Accept]:
        """Tell of failures whose sender cannot be told, and `why` he cannot."""
        expanded = await self._postmaster()
        paths = {recipient.path.key for recipient, _ in expanded}
        told = {n: it for n, it in actions.items() if expanded and _path(item, n).key not in paths}
        self._note(item, told, f"<{self._double}> is told instead of a sender: {why}")
        untold = [number for number in actions if number not in told]
        self._note(item, untold, f"nobody but the log is told: {why}")
        if not told:
            return []
        return [await self._report(item, told, content, expanded, instead=self._double)]

    async def _postmaster(self) -> Expanded:
        """Who is told of double bounces; nobody, if he cannot be either."""
        if self._double is None:
            return ()
        try:
            return await self._expand(Recipient(self._double))
        except Refusal as refusal:
            self._log.warn("no notice to <{to}>: {why}", to=self._double, why=refusal)
            return ()

    def _note(self, item: Item, places: Collection[int], what: str) -> None:
        """Tell log and journey what becomes of a double bounce."""
        if not places:
            return
        for place in places:
            fate = item.fates[place]
            assert isinstance(fate, Failed), "nothing else is a double bounce"
            self._log.warn(
                "{id}: <{to}> failed, {what}: {why}",
                id=item.queue_id,
                to=_path(item, place),
                what=what,
                why=fate.reply.text,
            )
        rule = self._recorder.rule(DOUBLE_BOUNCES)
        numbers = tuple(map(item.number, places))
        event = Decided(self._now(), numbers, ((f"double bounce: {what}", rule),))
        self._recorder.note(item.queue_id, event)

    async def _report(
        self,
        item: Item,
        actions: Mapping[int, Action],
        content: Content,
        expanded: Expanded,
        instead: Path | None = None,
    ) -> Accept:
        """One notice, to all that the sender stands for here, or to whom is told `instead`."""
        queue_id = self._ids()
        now = self._now()
        original = await self._original(item, actions, content)
        source = Source(
            self._host,
            now,
            f"<{queue_id}@{self._host}>",
            f"=_{queue_id}_{self._random(64):016x}",
            self._languages.of(original if instead is None else b""),
            self._causes(item, actions),
            self._helper if instead is None else None,
            instead,
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


def _path(item: Item, number: int) -> Path:
    return item.envelope.recipients[number].path
