"""The mailbox in which a sender sees what became of mail: one message for each that was sent.

It is made of journeys, and lies on no disk. A message in it is a letter about one
item of the queue (`queue.letter`), its state is told by keywords (`queue.standing`).

What a UID names never changes (RFC 3501 §2.3.1.1), and what has happened to an item
does. So a change is told twice: its keywords change at once, as those of any message;
and when it is written, a moment later, the letter is replaced by one with the new
story, under a new UID: the number of the last part of the item's journey. UIDs so
need not be kept, and are the same after a restart.

Invariants:

1. Who has the mailbox open sees a change of state in the turn in which it happens.
2. What is not sent yet is cancelled by removing its letter; what was sent, or is being
   sent this moment, is not, and nothing claims so.
3. A message that goes back to the drafts is there before it is cancelled, and put on
   hold before that: no moment of a crash loses or doubles it.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from mailhub.imap.structure import summary
from mailhub.imap.unindexed import Unindexed
from mailhub.mail.flag import DELETED, KEYWORD_SHIFT, SEEN
from mailhub.mail.header import bounded, end, wanted
from mailhub.mail.objectid import object_id
from mailhub.mail.part import Part, parse
from mailhub.mail.rights import Rights
from mailhub.net.content import Octets
from mailhub.ports.accounts import Account
from mailhub.ports.message import (
    Change,
    Content,
    FlagAction,
    Identity,
    ModSeq,
    Placed,
    Ranges,
    Rendering,
    Stored,
    Summary,
    Uid,
    UidValidity,
)
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import Status, StoreFault, StoreRefused
from mailhub.queue.event import Event
from mailhub.queue.journeys import Written
from mailhub.queue.letter import letter
from mailhub.queue.standing import KEYWORDS, Standing, standing
from mailhub.store.changes import Changes

HISTORY: Final = 1000
"""Changes that are remembered for sessions that have not heard of them."""
STEP: Final = 20
"""Bits of a MODSEQ below those of the part's number: for changes that no part tells."""
CHANGEABLE: Final = {"\\deleted": DELETED, "\\seen": SEEN}
"""The flags that a client may change; they last as long as somebody has the mailbox open."""
RIGHTS: Final = Rights("lrste")
"""What the account may do: see it, mark as read, delete."""


def keyword_bits(keywords: Iterable[str]) -> int:
    """Keywords as flag bits of this mailbox."""
    return sum(1 << KEYWORD_SHIFT + KEYWORDS.index(keyword) for keyword in keywords)


_STATE: Final = keyword_bits(KEYWORDS)


@dataclass(slots=True)
class Entry:
    """One item as the mailbox shows it.

    Attributes:
        events: As written: what the letter tells.
        stands: As it is now, which may be more.
        octets: The letter.
    """

    queue_id: QueueId
    number: int
    events: list[Event]
    stands: Standing
    octets: bytes
    summary: Summary | None = field(default=None)


class Desk(Protocol):
    """What a mailbox asks of the hub."""

    host: str

    async def cancel(self, account: Account, entry: Entry) -> None:
        """Cancel what is not sent of an item, and show it no more.

        Raises:
            StoreRefused: IN_USE while it is being sent; SERVER_BUG.
        """

    async def give_back(self, account: Account, entries: Sequence[Entry], target: str) -> Placed:
        """Put items' content into a mailbox, and cancel them. Raises likewise, and CANNOT."""

    async def place(self, account: Account, letters: Sequence[Entry], target: str) -> Placed:
        """Put letters into a mailbox. Raises as `MailStore.append`."""

    async def news(self, box: QueueBox) -> None:
        """Tell the mailbox what another process has written."""


class QueueBox(Unindexed):
    """A `ports.mailbox.Mailbox`.

    Args:
        closed: Called for each session that is done with it.
        owners: Is kept showing which items this mailbox shows.

    Attributes:
        users: Sessions that have it open.
        version: Of the journeys' database, as the mailbox has seen it.
    """

    def __init__(
        self,
        account: Account,
        name: str,
        desk: Desk,
        closed: Callable[[QueueBox], None],
        validity: int,
        floor: int,
        owners: MutableMapping[QueueId, QueueBox],
    ) -> None:
        self.account = account
        self.name = name
        self.mailbox_id = object_id("Q", f"{account.id}".encode())
        self.uid_validity = UidValidity(validity)
        self.uid_next = Uid(1)
        self.highest_modseq = ModSeq(1)
        self.keywords: Sequence[str] = KEYWORDS
        self.rights = RIGHTS
        self.ended = ""
        self.uids: array[int] = array("I")
        self.flags: array[int] = array("I")
        self.modseqs: array[int] = array("Q")
        self.sizes: array[int] = array("Q")
        self.dates: array[int] = array("q")
        self.users = 0
        self.version = 0
        self.entries: dict[QueueId, Entry] = {}
        self._letters: dict[int, Entry] = {}  # the same, by number
        self._floor = floor
        self._owners = owners
        self._desk = desk
        self._closed = closed
        self._changes = Changes()
        self._watchers: dict[Callable[[], None], None] = {}

    # ---- What is true now ------------------------------------------------------------------

    @property
    def cursor(self) -> int:
        """Grows with each change."""
        return self._changes.cursor

    def position(self, uid: Uid) -> int | None:
        """The index of `uid` in the arrays, or None if it is gone."""
        place = bisect_left(self.uids, uid)
        return place if place < len(self.uids) and self.uids[place] == uid else None

    def changes(self, cursor: int) -> Sequence[tuple[Change, Uid]] | None:
        """What has happened since `cursor`, oldest first; None if that is too long ago."""
        return self._changes.since(cursor)

    def take_recent(self) -> frozenset[Uid]:
        r"""None: nothing here has arrived for somebody to read."""
        return frozenset()

    def watch(self, woken: Callable[[], None]) -> None:
        """Call `woken` after each change."""
        self._watchers[woken] = None

    def unwatch(self, woken: Callable[[], None]) -> None:
        """Stop doing so."""
        self._watchers.pop(woken, None)

    def doubtful(self, modseq: ModSeq) -> bool:
        """Whether who knows all up to `modseq` may know what never was: flags are not kept."""
        return modseq > self.highest_modseq

    async def vanished(self, modseq: ModSeq) -> Ranges | None:  # noqa: ARG002
        """None: what has left is not remembered."""
        return None

    def status(self) -> Status:
        """The numbers of STATUS."""
        return Status(
            len(self.uids),
            0,
            sum(not bits & SEEN for bits in self.flags),
            sum(bool(bits & DELETED) for bits in self.flags),
            sum(self.sizes),
            self.uid_next,
            self.uid_validity,
            self.highest_modseq,
            self.mailbox_id,
        )

    # ---- What happens ----------------------------------------------------------------------

    def happened(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        """Something has happened to an item: tell its state at once."""
        entry = self.entries.get(queue_id)
        if entry is None:
            return
        entry.stands.take(events)
        place = self.position(self._uid(entry.number))
        assert place is not None, "entries and arrays show the same"
        bits = self.flags[place] & ~_STATE | keyword_bits(entry.stands.keywords)
        if bits != self.flags[place]:
            self._flag(place, bits)
            self._tell()

    def written(self, part: Written) -> None:
        """It is written: tell the story anew."""
        entry = self.entries.get(part.queue_id)
        if entry is None:
            self.show(part.queue_id, part.number, part.events)
        elif part.number > entry.number:
            flags = self._remove(entry)
            events = [*entry.events, *part.events]
            self._add(part.queue_id, part.number, events, entry.stands, flags)
        self._tell()

    def show(self, queue_id: QueueId, number: int, events: Sequence[Event]) -> None:
        """Show an item that was not shown before, unless nothing is to be shown of it."""
        stands = standing(events)
        self._add(queue_id, number, list(events), stands, SEEN)

    def retire(self, before: float) -> None:
        """Show no more what had ended before a moment."""
        old = [it for it in self.entries.values() if it.stands.ended and it.stands.changed < before]
        for entry in old:
            self._remove(entry)
        if old:
            self._tell()

    def _uid(self, number: int) -> Uid:
        return Uid(number - self._floor)

    def _add(
        self, queue_id: QueueId, number: int, events: list[Event], stands: Standing, flags: int
    ) -> None:
        uid = self._uid(number)
        self.uid_next = Uid(max(self.uid_next, uid + 1))
        self.highest_modseq = ModSeq(max(self.highest_modseq + 1, number << STEP))
        accepted = stands.accepted
        if accepted is None or stands.dismissed:
            return
        octets = letter(queue_id, events, self._desk.host, number)
        entry = Entry(queue_id, number, events, stands, octets)
        self.entries[queue_id] = self._letters[number] = entry
        self._owners[queue_id] = self
        self.uids.append(uid)
        self.flags.append(flags & ~_STATE | keyword_bits(stands.keywords))
        self.modseqs.append(self.highest_modseq)
        self.sizes.append(len(octets))
        self.dates.append(max(int(accepted.at), 0))
        self._changes.add(Change.ARRIVED, [uid])

    def _remove(self, entry: Entry) -> int:
        """Remove an item's letter; the flags it had."""
        place = self.position(self._uid(entry.number))
        assert place is not None, "entries and arrays show the same"
        uid, flags = self.uids[place], self.flags[place]
        for column in (self.uids, self.flags, self.modseqs, self.sizes, self.dates):
            del column[place]
        del self.entries[entry.queue_id], self._letters[entry.number]
        self._owners.pop(entry.queue_id, None)
        self.highest_modseq = ModSeq(self.highest_modseq + 1)
        self._changes.add(Change.EXPUNGED, [uid])
        return flags

    def _flag(self, place: int, bits: int) -> None:
        self.flags[place] = bits
        self.highest_modseq = ModSeq(self.highest_modseq + 1)
        self.modseqs[place] = self.highest_modseq
        self._changes.add(Change.FLAGGED, [self.uids[place]])

    def _tell(self) -> None:
        self._changes.trim(HISTORY)
        for woken in list(self._watchers):
            woken()

    # ---- What clients do -------------------------------------------------------------------

    async def refresh(self) -> None:
        """See what another process has written."""
        await self._desk.news(self)

    async def store(
        self,
        uids: Sequence[Uid],
        action: FlagAction,
        names: Iterable[str],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        r"""Change ``\Deleted`` and ``\Seen``; the others are the hub's to say.

        Raises:
            StoreRefused: CANNOT for another flag.
        """
        given = 0
        for name in names:
            bit = CHANGEABLE.get(name.lower())
            if bit is None:
                raise StoreRefused(StoreFault.CANNOT, f"{name} cannot be changed here")
            given |= bit
        changed, modified = [], []
        for uid in uids:
            place = self.position(uid)
            if place is None:
                continue
            if unchanged_since is not None and self.modseqs[place] > unchanged_since:
                modified.append(uid)
                continue
            bits = _changed(self.flags[place], action, given)
            if bits != self.flags[place]:
                self._flag(place, bits)
                changed.append(uid)
        if changed:
            self._tell()
        return Stored(tuple(changed), tuple(modified))

    async def durable(self) -> None:
        """Nothing to wait for: flags last here as long as the hub runs."""

    async def expunge(self, uids: Sequence[Uid]) -> tuple[Uid, ...]:
        """Cancel what is not sent yet, and show these no more.

        Raises:
            StoreRefused: IN_USE: some are being sent and stay; SERVER_BUG.
        """
        removed = []
        refused: StoreRefused | None = None
        for uid in uids:
            entry = self._entry(uid)
            if entry is None:
                continue
            try:
                await self._desk.cancel(self.account, entry)
            except StoreRefused as error:
                refused = error
                continue
            removed += self._leave([entry])
        if refused is not None:
            raise refused
        return tuple(removed)

    async def copy(self, uids: Sequence[Uid], target: str) -> Placed:
        """Copy letters, as they are now."""
        entries = self._entries(uids)
        placed = await self._desk.place(self.account, [entry for _, entry in entries], target)
        return Placed(placed.uid_validity, tuple(uid for uid, _ in entries), placed.uids)

    async def move(self, uids: Sequence[Uid], target: str) -> Placed:
        """Take back what is not sent yet: its content goes to the target (Drafts, or Trash).

        Raises:
            StoreRefused: CANNOT for another target, or what was sent already; IN_USE.
        """
        entries = self._entries(uids)
        placed = await self._desk.give_back(self.account, [it for _, it in entries], target)
        self._leave([entry for _, entry in entries])
        return Placed(placed.uid_validity, tuple(uid for uid, _ in entries), placed.uids)

    def _leave(self, entries: Iterable[Entry]) -> list[Uid]:
        """Show these no more; the UIDs they had last."""
        gone = []
        for entry in entries:
            latest = self.entries.get(entry.queue_id)
            if latest is not None:
                gone.append(self._uid(latest.number))
                self._remove(latest)
        self._tell()
        return gone

    def _entry(self, uid: int) -> Entry | None:
        return self._letters.get(uid + self._floor)

    def _entries(self, uids: Sequence[Uid]) -> list[tuple[Uid, Entry]]:
        found = [(uid, self._entry(uid)) for uid in sorted(set(uids))]
        return [(uid, entry) for uid, entry in found if entry is not None]

    # ---- Reading -----------------------------------------------------------------------------

    async def content(self, uid: Uid) -> Content | None:
        """The letter's octets; None if it is gone."""
        entry = self._entry(uid)
        return None if entry is None else Octets(entry.octets)

    async def whole(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """The letters' octets; None for those that are gone."""
        return [None if entry is None else entry.octets for entry in map(self._entry, uids)]

    def octets_of(self, uid: Uid) -> bytes | None:
        """The letter; None if it is gone."""
        entry = self._entry(uid)
        return None if entry is None else entry.octets

    async def structure(self, uid: Uid) -> Part | None:
        """The letter's structure; None if it is gone."""
        entry = self._entry(uid)
        return None if entry is None else parse(entry.octets)

    async def headers(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """The header sections, each with its empty line; None for those that are gone."""
        return [
            None if entry is None else bounded(entry.octets[: end(entry.octets)])
            for entry in map(self._entry, uids)
        ]

    async def fields(self, names: Sequence[bytes], uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """These fields of the header sections; None for those that are gone."""
        return [
            None if block is None else wanted(block, names) for block in await self.headers(uids)
        ]

    async def rendered(
        self, what: Rendering, uids: Sequence[Uid], *, make: bool = True
    ) -> Sequence[bytes | None]:
        """What is to be said of each of `uids`; None for those that are gone."""
        del make  # it is made in a moment
        found: list[bytes | None] = []
        for entry in map(self._entry, uids):
            if entry is None:
                found.append(None)
                continue
            entry.summary = entry.summary or summary(entry.octets)
            found.append(getattr(entry.summary, what.value))
        return found

    async def identities(self, uids: Sequence[Uid]) -> Sequence[Identity | None]:
        """What each is, and since when; None for those that are gone."""
        threads = await self.rendered(Rendering.THREAD, uids)
        found: list[Identity | None] = []
        for uid, thread, entry in zip(uids, threads, map(self._entry, uids), strict=True):
            if entry is None:
                found.append(None)
                continue
            email = object_id("M", f"{self.mailbox_id} {self.uid_validity} {uid}".encode())
            found.append(Identity(email.encode(), thread or b"", int(entry.stands.changed)))
        return found

    async def release(self) -> None:
        """This session is done with it."""
        self._closed(self)


def _changed(bits: int, action: FlagAction, given: int) -> int:
    """Flags after a STORE; only those that clients may change do."""
    match action:
        case FlagAction.ADD:
            return bits | given
        case FlagAction.REMOVE:
            return bits & ~given
        case FlagAction.REPLACE:
            return bits & ~(DELETED | SEEN) | given
