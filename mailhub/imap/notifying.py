r"""NOTIFY: a client that hears of its mailboxes unasked, and of more than one (RFC 5465).

The account's store says what has happened (`ports.store.Reach.listen`); what the client asked
for is noted, and told between two commands, amid IDLE too.  No mailbox is opened
for it: of one that is not selected the client is told numbers, and only those that
it has not been told before.

Invariants:

1. What is noted is bounded: of a mailbox it is noted once that it has changed, and beyond
   `Limits.notices` the client is told NOTIFICATIONOVERFLOW, and nothing more.
2. Message events of the selected mailbox follow SELECTED or SELECTED-DELAYED alone
   (RFC 5465 §3.1). Where neither was given nothing is told unasked; the end of a
   command brings a client up to date as ever, or its numbers would be of no use.
3. Of other accounts' mailboxes those are told of that may be looked up, with message events
   where they may be read; what a client is told of others' lists is no more than LIST says.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncGenerator, Container, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from typing import Final

from mailhub.imap import contexts, watching
from mailhub.imap.command import Notify
from mailhub.imap.fetch import Fetching
from mailhub.imap.item import Item
from mailhub.imap.listing import Wanted, rows
from mailhub.imap.mailboxes import status_response
from mailhub.imap.metadata import changed_response
from mailhub.imap.name import SEPARATOR, canonical
from mailhub.imap.response import No, Ok, status, string
from mailhub.imap.sequence import HIGHEST, contains
from mailhub.imap.state import Output, Selected, State
from mailhub.imap.view import gaps
from mailhub.imap.watching import Watch
from mailhub.ports.message import Ranges
from mailhub.ports.store import Affair, Notice, StoreRefused

_MESSAGES: Final = frozenset({Affair.MESSAGES, Affair.FLAGS})
_BIRTHS: Final = frozenset({Affair.CREATED, Affair.DELETED})
_BEYOND: Final = frozenset({"SUBSCRIBED", "MAILBOXES", "SUBTREE"})
"""Filters that others' mailboxes may pass."""
_SERVER: Final = frozenset({watching.SERVER_ANNOTATED})
_EVENTS: Final = {
    Affair.MESSAGES: frozenset({watching.NEW, watching.EXPUNGED}),
    Affair.FLAGS: frozenset({watching.FLAGGED}),
    Affair.CREATED: frozenset({watching.NAMED}),
    Affair.DELETED: frozenset({watching.NAMED}),
    Affair.RENAMED: frozenset({watching.NAMED}),
    Affair.GRANTED: frozenset(watching.ALL),  # RFC 5465 §5.9: whatever was asked for
    Affair.REVOKED: frozenset(watching.ALL),
    Affair.SUBSCRIBED: frozenset({watching.SUBSCRIBED}),
    Affair.UNSUBSCRIBED: frozenset({watching.SUBSCRIBED}),
    Affair.ANNOTATED: frozenset({watching.ANNOTATED}),
}
"""Which of its events each affair is to a client."""


async def notify(state: State, command: Notify) -> AsyncGenerator[Output, None]:
    """NOTIFY SET and NOTIFY NONE (RFC 5465 §3)."""
    state.hush()
    if command.watches is None:
        yield Ok("Nothing is told unasked")
        return
    if state.selected is not None:
        await state.selected.mailbox.refresh()  # as NOOP does               (RFC 5465 §3.1)
    listed = await state.store.list()
    subscribed = {row.name for row in listed if row.subscribed}
    notifying = Notifying(state, command.watches, subscribed)
    state.notifying = notifying
    state.store.listen(notifying.heard)
    if any(watch.which in _BEYOND for watch in command.watches):
        await state.store.overhear()
    for row in listed if command.status or state.store.others else ():
        events = notifying.events(row.name) if row.selectable else frozenset()
        if notifying.is_foreign(row.name) and not await _readable(state, row.name, events):
            yield b'* LIST (\\NoAccess) "/" %b\r\n' % state.spelt(row.name)  # RFC 5465 §3.1
        elif command.status:
            async for line in notifying.numbers(row.name, events):
                yield line
        yield b""
    yield Ok("What happens is told from here on")


async def _readable(state: State, name: str, events: Iterable[str]) -> bool:
    """Whether a mailbox may be read, if message events of it are wanted."""
    if watching.MESSAGE_EVENTS.isdisjoint(events):
        return True
    try:
        return "r" in await state.store.rights(name)
    except StoreRefused:
        return True  # it has gone meanwhile


class Notifying:
    """What a client wants to hear of, and what it is still to be told.

    Attributes:
        immediate: Changes in the selected mailbox are told at once.
    """

    __slots__ = (
        "_affairs", "_also", "_box", "_changed", "_fetched", "_full", "_made", "_names", "_state",
        "_subscribed", "_told", "_watch", "_watches", "immediate",
    )  # fmt: skip

    def __init__(self, state: State, watches: Sequence[Watch], subscribed: set[str]) -> None:
        self._state = state
        self._watches = [watch for watch in watches if not watch.of_selected]
        self._watch = next((it for it in watches if it.of_selected), Watch("SELECTED"))
        self._names = {watch: frozenset(_decoded(state, watch.names)) for watch in self._watches}
        self._subscribed = subscribed
        self._changed: dict[str, set[str]] = {}  # mailboxes, and what happened there
        self._affairs: dict[Notice, None] = {}
        self._told: dict[str, bytes] = {}  # numbers, by mailbox
        self._full = False
        self._box: Selected | None = None
        self._fetched = 0  # new messages up to this UID have been told of
        self._made = array("I")  # UIDs of later ones that the client has put there itself
        self._also: list[tuple[Ranges, tuple[Item, ...]]] = []  # what contexts tell of later ones
        self.immediate = bool(self._watch.events)

    def events(self, name: str) -> frozenset[str]:
        """The events of a mailbox, not selected, that are to be told (RFC 5465 §6)."""
        return frozenset().union(
            *(watch.events for watch in self._watches if self._watched(watch, name))
        )

    def is_foreign(self, name: str) -> bool:
        """Whether a mailbox belongs to somebody else."""
        others = self._state.store.others
        return bool(others) and (name + SEPARATOR).startswith(others)

    def _watched(self, watch: Watch, name: str) -> bool:
        match watch.which:
            case "SUBSCRIBED":
                return name in self._subscribed
            case "MAILBOXES":
                return name in self._names[watch]
            case "SUBTREE":
                above = (top + SEPARATOR for top in self._names[watch])
                return name in self._names[watch] or name.startswith(tuple(above))
            case _:  # all personal mailboxes may be delivered to: RFC 5465 §6.3
                return not self.is_foreign(name)

    # ---- What has happened ----

    def heard(self, notice: Notice) -> None:
        """Something has happened to a mailbox of the account."""
        name = notice.name
        if notice.affair is Affair.SUBSCRIBED:
            self._subscribed.add(name)
        elif notice.affair is Affair.UNSUBSCRIBED:
            self._subscribed.discard(name)
        wanted = self.events(name) & _EVENTS[notice.affair]
        if notice.affair is Affair.ANNOTATED and not name:
            wanted = frozenset().union(*(it.events for it in self._watches)) & _SERVER
        if not wanted or self._full:
            return
        if notice.affair not in _MESSAGES and name in self._state.acting:
            return  # what the client does itself it knows                      (RFC 5465 §5)
        if notice.affair in _MESSAGES:
            self._changed.setdefault(name, set()).update(wanted)
        else:
            self._affairs[notice] = None
        self._full = len(self._changed) + len(self._affairs) > self._state.limits.notices
        self._state.wake()

    def made(self, uids: Iterable[int]) -> None:
        """The client has put messages into the selected mailbox: it knows them (RFC 5465 §5.2)."""
        if self._watch.items:
            fresh = (uid for uid in uids if uid > self._fetched)
            self._made = array("I", sorted({*self._made, *fresh}))

    def also(self, uids: Ranges, items: tuple[Item, ...]) -> bool:
        """What a search's context was asked to tell of new messages comes with what we tell.

        One FETCH response has it all, and follows ADDTO (RFC 5465 §5.2).
        """
        ours = bool(self._watch.items) and self._state.selected is self._box
        if ours:
            self._also.append((uids, items))
        return ours

    # ---- What is told ----

    async def news(self, *, idle: bool = False) -> AsyncGenerator[bytes, None]:
        """All that there is to tell now; amid IDLE also what may be delayed."""
        if self._full:
            self._state.hush()
            yield status(b"*", "OK", "Too much happens", "NOTIFICATIONOVERFLOW")  # RFC 5465 §5.8
            return
        async for piece in self._of_selected(idle=idle):
            yield piece
        affairs, self._affairs = self._affairs, {}
        if affairs:
            yield await self._lists(affairs)
        changed, self._changed = self._changed, {}
        for name, events in changed.items():
            async for piece in self.numbers(name, events):
                yield piece

    async def _of_selected(self, *, idle: bool) -> AsyncGenerator[bytes, None]:
        box, watch = self._state.selected, self._watch
        if box is not self._box:
            self._box, self._fetched = box, box.view.highest_uid if box is not None else 0
            self._made, self._also = array("I"), []
        if box is None or not watch.events:
            return
        now = idle or watch.which == "SELECTED"
        async for piece in contexts.told(
            self._state, expunges=now, flags=watching.FLAGGED in watch.events
        ):
            yield piece
        fresh = tuple(gaps(self._made, self._fetched + 1, HIGHEST))
        self._fetched = max(self._fetched, box.view.highest_uid)
        also, self._made, self._also = self._also, array("I"), []
        told = [(fresh, watch.items), *also] if watch.items else []
        for uids, items in combined(told):
            numbers = box.view.within(uids)
            if numbers:
                async for piece in Fetching(box, items).rows(numbers):
                    yield piece

    async def numbers(self, name: str, events: Iterable[str]) -> AsyncGenerator[bytes, None]:
        """STATUS of a mailbox that has changed, unless its client knows (RFC 5465 §5.1, §5.2)."""
        state = self._state
        box = state.selected
        wanted = watching.MESSAGE_EVENTS.intersection(events)
        if not wanted or (box is not None and box.mailbox.name == name):
            return
        items = ["MESSAGES", "UIDNEXT"] if watching.NEW in wanted else []
        items.append("UIDVALIDITY")
        if watching.FLAGGED in wanted:
            items.append("UNSEEN")
        if state.manner.modseqs or watching.FLAGGED in wanted:
            items.append("HIGHESTMODSEQ")
        with suppress(StoreRefused):  # it is gone, or not to be read: nothing to tell
            line = await status_response(state, name, items)
            if self._told.get(name) != line:
                self._told[name] = line
                yield line

    async def _lists(self, affairs: Iterable[Notice]) -> bytes:
        """LIST responses for names, METADATA for annotations (RFC 5465 §5.4 to §5.7)."""
        names: dict[str, str] = {}
        revoked: dict[str, bool] = {}
        told = []
        for notice in affairs:
            if notice.affair is Affair.ANNOTATED:
                name = self._state.spelt(notice.name) if notice.name else string(b"")
                told.append(changed_response(name, notice.entries))
                continue
            names[notice.name] = notice.old
            revoked[notice.name] = notice.affair is Affair.REVOKED
            above = notice.name.rpartition(SEPARATOR)[0]
            if above and notice.affair in _BIRTHS:
                names.setdefault(above, "")
        if names:
            gone = frozenset(name for name, it_is in revoked.items() if it_is)
            told += await self._listed(names, gone)
        return b"".join(told)

    async def _listed(self, names: dict[str, str], revoked: Container[str]) -> list[bytes]:
        spelt, returned = self._state.spelt, frozenset({"SUBSCRIBED"})
        wanted = Wanted([names.__contains__], frozenset(), returned, extended=True, spell=spelt)
        there = {
            told.name: told.line
            for batch in rows(await self._state.store.list(), wanted)
            for told in batch
        }
        lines = []
        for name, old in names.items():
            flags = b"\\NonExistent \\NoAccess" if name in revoked else b"\\NonExistent"
            line = there.get(name) or b'* LIST (%b) "/" %b\r\n' % (flags, spelt(name))
            if old:
                line = line[:-2] + b' ("OLDNAME" (%b))\r\n' % spelt(old)
            lines.append(line)
        return lines


def combined(
    told: Sequence[tuple[Ranges, tuple[Item, ...]]],
) -> Iterator[tuple[Ranges, tuple[Item, ...]]]:
    """What is to be told of some messages, of each all at once: ascending, none twice."""
    ends = {low for uids, _ in told for low, _ in uids} | {
        high + 1 for uids, _ in told for _, high in uids
    }
    for low, above in pairwise(sorted(ends)):
        items = dict.fromkeys(it for uids, items in told if contains(uids, low) for it in items)
        if items:
            yield ((low, above - 1),), tuple(items)


def _decoded(state: State, names: Iterable[bytes]) -> Iterable[str]:
    """Names of mailboxes; what can be none matches none (RFC 5465 §3.1)."""
    for name in names:
        with suppress(No):
            yield canonical(state.name(name))
