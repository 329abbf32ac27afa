"""Searches whose results are kept up to date: CONTEXT=SEARCH and CONTEXT=SORT (RFC 5267 §4).

A context remembers the UIDs that its client has been told, in the order of the search.
When the client is told the news of its mailbox, it is told of the results too:
REMOVEFROM of what is gone before the EXPUNGE, ADDTO of what has come after the EXISTS,
so that each number it hears means something (RFC 5267 §4.3.3, §4.3.4).

Invariants:

1. After `told` each context holds what its search would find now, save for what has
   happened since.
2. Only messages that have changed are searched again, while the mailbox remembers
   which they are.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

from mailhub.imap.command import Search, Sort
from mailhub.imap.criteria import And, Key, Not, Numbers, Or, Uids
from mailhub.imap.fetch import Fetching
from mailhub.imap.response import Bad, number_set, quoted, runs, status
from mailhub.imap.returning import Source
from mailhub.imap.search import Searching
from mailhub.imap.sequence import SequenceSet, intersection, merged
from mailhub.imap.state import Selected, State
from mailhub.ports.message import Change, Ranges
from mailhub.ports.store import StoreRefused


def check_tag(box: Selected, tag: bytes) -> None:
    """Whether a context can have that tag.

    Raises:
        Bad: Another one has it (RFC 5267 §4.3).
    """
    if tag in box.contexts:
        raise Bad("That tag has a context already")


def frozen(box: Selected, key: Key) -> Key:
    """A search program whose numbers, and ``$``, go on meaning what they mean now."""
    match key:
        case Numbers(numbers) if not numbers.saved:
            return Uids(SequenceSet(_uids(box, numbers.resolved(box.view.exists))))
        case Numbers() | Uids(SequenceSet(saved=True)):
            return Uids(SequenceSet(box.view.saved))
        case And(keys):
            return And(tuple(frozen(box, it) for it in keys))
        case Or(one, other):
            return Or(frozen(box, one), frozen(box, other))
        case Not(inner):
            return Not(frozen(box, inner))
        case _:
            return key


def _uids(box: Selected, numbers: Ranges) -> Ranges:
    """UIDs of messages by their sequence numbers; those of no message may be among them."""
    uids, known = box.mailbox.uids, ((1, box.view.exists),)
    return merged(
        (uids[run.position], uids[run.position + run.length - 1])
        for first, last in intersection(numbers, known)
        for run in box.view.runs(first, last)
    )


def refused(tag: bytes, why: str) -> bytes:
    """There will be no updates, whatever else was asked for (RFC 5267 §4.3.1)."""
    return status(b"*", "NO", why, f"NOUPDATE {quoted(tag).decode()}")


class SearchContext:
    """One search, and what its client believes that it finds.

    Attributes:
        uids: The result, in the order of the search.
    """

    __slots__ = ("_by_uid", "_command", "_cursor", "_latest", "_tag", "uids")

    def __init__(
        self, command: Search | Sort, tag: bytes, uids: array[int], cursor: int, latest: int
    ) -> None:
        """Begin with what was found, the mailbox's cursor at that time, and its highest UID."""
        self._command = command
        self._tag = tag
        self._by_uid = command.by_uid
        self._cursor = cursor
        self._latest = latest
        self.uids = uids

    # ---- What is gone ----

    def departed(self, box: Selected) -> Iterator[bytes]:
        """REMOVEFROM of messages that are expunged, to be said before EXPUNGE is."""
        gone = self._members(box.view.parting)
        if gone:
            yield self._removed(box, gone)

    def _members(self, uids: Iterable[int]) -> set[int]:
        """Those of `uids` that the result holds."""
        if isinstance(self._command, Sort):
            return set(uids).intersection(self.uids)
        found = ((uid, bisect_left(self.uids, uid)) for uid in uids)
        return {uid for uid, place in found if place < len(self.uids) and self.uids[place] == uid}

    def _removed(self, box: Selected, gone: set[int]) -> bytes:
        if isinstance(self._command, Sort):
            pairs = []
            for place in reversed(range(len(self.uids))):
                uid = self.uids[place]
                if uid in gone:
                    pairs.append((place + 1, [uid]))
                    del self.uids[place]
        else:
            pairs = [(0, sorted(gone))]
            self.uids = array("I", (uid for uid in self.uids if uid not in gone))
        return self._item(box, b"REMOVEFROM", pairs)

    # ---- What has come ----

    async def changed(self, box: Selected, state: State) -> AsyncGenerator[bytes, None]:
        """REMOVEFROM and ADDTO of messages that match no more, or now."""
        mailbox, told = box.mailbox, box.view.highest_uid
        latest, self._latest = self._latest, told
        changes = mailbox.changes(self._cursor)
        self._cursor = mailbox.cursor
        if changes == []:
            return
        if changes is None:
            stirred = {uid for uid in mailbox.uids if uid <= told}
        else:
            stirred = {
                int(uid) for change, uid in changes if change is not Change.EXPUNGED and uid <= told
            }
        if not stirred:
            return
        among = Uids(SequenceSet(tuple(runs(sorted(stirred)))))
        program, now = And((among, self._command.program)), state.settings.now()
        searching = Searching(box, program, by_uid=True, now=now)
        hits: set[int] = set()
        async for some in searching.found():
            hits.update(some)
            yield b""
        before = self._members(stirred)
        lost = before - hits
        if lost:
            yield self._removed(box, lost)
        fresh = hits - before
        arrived = tuple(runs(sorted(uid for uid in fresh if uid > latest)))
        async for piece in self._described(box, state, arrived):
            yield piece
        if fresh:
            async for piece in self._added(box, fresh):
                yield piece

    async def _described(
        self, box: Selected, state: State, arrived: Ranges
    ) -> AsyncGenerator[bytes, None]:
        """What UPDATE asked for of new messages, unless NOTIFY tells it with its own."""
        items = self._command.returning.items if self._command.returning is not None else ()
        if not arrived or not items:
            return
        if state.notifying is not None and state.notifying.also(arrived, items):
            return
        # EXISTS, then this, then ADDTO                                     (RFC 5465 §7)
        async for piece in Fetching(box, items).rows(box.view.within(arrived)):
            yield piece

    async def _added(self, box: Selected, fresh: set[int]) -> AsyncGenerator[bytes, None]:
        if not isinstance(self._command, Sort):
            self.uids = array("I", sorted([*self.uids, *fresh]))
            yield self._item(box, b"ADDTO", [(0, sorted(fresh))])
            return
        mailbox = box.mailbox
        while await mailbox.learn():
            yield b""
        members = fresh.union(self.uids)
        order = await mailbox.order(self._command.sorting)
        gone = members.difference(order)  # that left while we waited
        if not gone.isdisjoint(self.uids):
            yield self._removed(box, gone)
        self.uids = array("I", (uid for uid in order if uid in members))
        pairs: list[tuple[int, list[int]]] = []
        for place, uid in enumerate(self.uids, 1):
            if uid in fresh:
                if pairs and pairs[-1][0] + len(pairs[-1][1]) == place:
                    pairs[-1][1].append(uid)
                else:
                    pairs.append((place, [uid]))
        if pairs:
            yield self._item(box, b"ADDTO", pairs)

    # ---- Saying it ----

    def _item(
        self, box: Selected, name: bytes, pairs: Sequence[tuple[int, Sequence[int]]]
    ) -> bytes:
        # ret-data-addto = "ADDTO" SP "(" context-position SP sequence-set
        #                  *(SP context-position SP sequence-set) ")"          (RFC 5267 §6)
        said = [
            b"%d %b" % (place, number_set(self._numbers(box, uids)).encode())
            for place, uids in pairs
        ]
        begin = Source(self._tag, self._by_uid).begin()
        return b"%b %b (%b)\r\n" % (begin, name, b" ".join(said))

    def _numbers(self, box: Selected, uids: Sequence[int]) -> Sequence[int]:
        if self._by_uid:
            return uids
        return [number for uid in uids if (number := box.view.number(uid)) is not None]


async def told(state: State, *, expunges: bool, flags: bool = True) -> AsyncGenerator[bytes, None]:
    """The news of the selected mailbox, and of the searches in it."""
    box = state.box
    if not box.contexts:
        for piece in box.tell(expunges=expunges, flags=flags):
            yield piece
        return
    while True:
        if expunges:
            for context in box.contexts.values():
                for piece in context.departed(box):
                    yield piece
        for piece in box.tell(expunges=expunges, flags=flags):
            yield piece
        for tag, context in list(box.contexts.items()):
            try:
                async for piece in context.changed(box, state):
                    yield piece
            except StoreRefused:
                del box.contexts[tag]
                yield refused(tag, "What has changed cannot be searched")
        if not (expunges and box.view.parting):
            return
