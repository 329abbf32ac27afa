r"""A mailbox as one visitor has it open, who is not its owner: its own ``\Seen``, and rights.

All sessions of the visitor share it.  Below it lies the one `SharedMailbox` that the owner's
sessions have open too, so whoever changes something, all see it at once.

Invariants:

1. Messages, and all flags but ``\Seen``, are those of the mailbox below.
2. ``\Seen`` is the visitor's own, and never touches the owner's (RFC 4314 §2.1, right ``s``);
   its changes have MODSEQs of the same series.
3. ``\Recent`` is left to the owner's sessions.
4. What the visitor may do is asked of the list each time: `rights` grows and shrinks at once.
"""

from __future__ import annotations

from array import array
from collections.abc import (
    Awaitable,
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)

from mailhub.mail.digest import Digest
from mailhub.mail.flag import SEEN, SYSTEM_FLAGS
from mailhub.mail.part import Part
from mailhub.mail.rights import Rights
from mailhub.ports.finding import Conversation, Found, SentOn, Sorting, Sought, Threadable
from mailhub.ports.message import (
    Change,
    Content,
    FlagAction,
    Identity,
    Placed,
    Ranges,
    Rendering,
    Stored,
    Uid,
)
from mailhub.store.box import Delta
from mailhub.store.mailbox import SharedMailbox, Told
from mailhub.store.rows import Columns, Row
from mailhub.store.seen import Mark, SeenFile
from mailhub.store.state import MailboxState

ENDED = "You may not read this mailbox any more"

Copy = Callable[["Visit", Sequence[int], str, bool], Awaitable[Placed]]


class Visit(MailboxState):
    """A `ports.mailbox.Mailbox`.

    Args:
        base: The mailbox below, open; our own `release` gives it back.
        named: What the visitor calls it, now.
        allowed: What the visitor may do, now.
        copy: Copies or moves messages to another mailbox that the visitor names.
        left: Called when the last session has left.

    Attributes:
        users: Sessions that have it open; whoever opens it counts itself, before `enter`.
    """

    def __init__(
        self,
        base: SharedMailbox,
        seen: SeenFile,
        named: Callable[[], str],
        allowed: Callable[[], Rights],
        copy: Copy,
        left: Callable[[Visit], object],
    ) -> None:
        super().__init__(base.box)
        self.base = base
        self.users = 0
        self._seen = seen
        self._named = named
        self._allowed = allowed
        self._copy = copy
        self._left = left
        self._followed = base.cursor

    # ---- What is true now ---------------------------------------------------------------------

    @property
    def name(self) -> str:
        """What the visitor calls it."""
        return self._named()

    @property
    def gone(self) -> bool:
        """It was deleted."""
        return self.base.gone

    @property
    def rights(self) -> Rights:
        """What the visitor may do."""
        return self._allowed()

    @property
    def ended(self) -> str:
        """Why the visitor cannot go on."""
        if not self.base.gone and "r" not in self.rights:
            return ENDED
        return self.base.ended

    def take_recent(self) -> frozenset[Uid]:
        r"""Nothing: ``\Recent`` is for the owner."""
        return frozenset()

    # ---- Coming and going ---------------------------------------------------------------------

    async def enter(self) -> None:
        """Begin to follow the mailbox below, or see what others did to it since.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """
        await self.base.refresh()
        if self.loaded:
            return

        def job(told: Told) -> dict[int, Mark]:  # noqa: ARG001 -- reading changes nothing
            box = self.base.box
            return self._seen.load(box.path, box.kept.uid_validity, set(self.base.uids))

        async with self.base.lock:
            if not self.loaded:
                marks = await self.base.work(job)
                self._fill(marks)

    def _fill(self, marks: dict[int, Mark]) -> None:
        """Take the messages below, with the visitor's marks."""
        base = self.base
        columns = Columns(*(column[:] for column in base.columns))
        for place, uid in enumerate(columns.uids):
            columns.flags[place] &= ~SEEN
            mark = marks.get(uid)
            if mark is not None:
                columns.flags[place] |= SEEN if mark.seen else 0
                columns.modseqs[place] = max(columns.modseqs[place], mark.modseq)
        self.show(columns)
        self.apply(Delta())
        self.loaded = True
        self._followed = base.cursor
        base.watch(self._follow)

    async def release(self) -> None:
        """This session is done with it."""
        self.users -= 1
        if self.users:
            return
        self.base.unwatch(self._follow)
        self._left(self)
        await self.base.release()

    async def refresh(self) -> None:
        """See what other programs did to the maildir."""
        await self.base.refresh()

    def wake(self) -> None:
        """Let the sessions look whether they may go on."""
        for woken in list(self._watchers):
            woken()

    # ---- Following the mailbox below ---------------------------------------------------------

    def _follow(self) -> None:
        if self.base.ended:
            self.wake()
            return
        changes = self.base.changes(self._followed)
        assert changes is not None, "told of each change"
        self._followed = self.base.cursor
        uids = {change: {uid for kind, uid in changes if kind is change} for change in Change}
        removed = uids[Change.EXPUNGED]
        added = uids[Change.ARRIVED] - removed
        changed = uids[Change.FLAGGED] - removed - added
        self.apply(
            Delta(
                [uid for uid in sorted(removed) if self.position(uid) is not None],
                [told for uid in sorted(changed) if (told := self._reflagged(uid)) is not None],
                [row for uid in sorted(added) if (row := self._arrived(uid)) is not None],
            )
        )

    def _reflagged(self, uid: int) -> tuple[int, int, int] | None:
        r"""A message's flags below with our own ``\Seen``, and the later MODSEQ."""
        here, below = self.position(uid), self.base.position(uid)
        if here is None or below is None:
            return None
        flags = self.base.flags[below] & ~SEEN | self.flags[here] & SEEN
        modseq = max(self.base.modseqs[below], self.modseqs[here])
        return uid, flags, modseq

    def _arrived(self, uid: int) -> Row | None:
        below = self.base.position(uid)
        if below is None:
            return None
        _, flags, modseq, size, date = (column[below] for column in self.base.columns)
        return Row(uid, b"", flags & ~SEEN, modseq, size, date, 0)

    # ---- Changing messages --------------------------------------------------------------------

    async def store(
        self,
        uids: Sequence[int],
        action: FlagAction,
        names: Iterable[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        r"""Change flags: ``\Seen`` for the visitor, all others for everybody.

        Raises:
            StoreRefused: LIMIT where no keyword is left, SERVER_BUG.
        """
        given = tuple(names)
        shared = tuple(name for name in given if name.lower() != "\\seen")
        seen = len(shared) < len(given)
        steps = [(action, shared)]
        if action is FlagAction.REPLACE:
            others = self._other_flags(shared)
            steps = [(FlagAction.REMOVE, others), (FlagAction.ADD, shared)]
        changed: set[int] = set()
        modified = self._later_than(uids, unchanged_since)
        for step, flags in steps:
            left = [uid for uid in uids if uid not in modified]
            if flags and left:
                stored = await self.base.store(left, step, flags, unchanged_since)
                changed.update(stored.changed)
                modified.update(stored.modified)
                unchanged_since = None
        if seen or action is FlagAction.REPLACE:
            wanted = seen and action is not FlagAction.REMOVE
            changed.update(await self.see(set(uids) - modified, seen=wanted))
        return Stored(
            tuple(Uid(uid) for uid in sorted(changed)),
            tuple(Uid(uid) for uid in sorted(modified)),
        )

    async def durable(self) -> None:
        """Return when all flags are durable that were changed before."""
        await self.base.durable()

    def _later_than(self, uids: Iterable[int], modseq: int | None) -> set[int]:
        """Those that have changed since, for the visitor."""
        if modseq is None:
            return set()
        return {
            uid
            for uid in uids
            if (at := self.position(uid)) is not None and self.modseqs[at] > modseq
        }

    def _other_flags(self, names: Sequence[str]) -> tuple[str, ...]:
        r"""All flags that can be borne here, but for these and ``\Seen``."""
        known = {name.lower() for name in names} | {"\\seen"}
        return tuple(name for name in (*SYSTEM_FLAGS, *self.keywords) if name.lower() not in known)

    async def see(self, uids: Iterable[int], *, seen: bool) -> list[int]:
        r"""Set the visitor's ``\Seen`` of messages, or take it; those that changed are returned.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """
        wanted = SEEN if seen else 0
        changing = [
            uid
            for uid in sorted(set(uids))
            if (at := self.position(uid)) is not None and self.flags[at] & SEEN != wanted
        ]
        if not changing:
            return []

        def job(told: Told) -> None:
            box = self.base.box
            modseq = box.next_modseq()
            with box.transaction() as transaction:
                box.save(transaction)
            self._seen.mark(box.path, box.kept.uid_validity, changing, Mark(seen, modseq))
            marked = [
                (uid, self.flags[at] & ~SEEN | wanted, modseq)
                for uid in changing
                if (at := self.position(uid)) is not None
            ]
            told.append((self.base, Delta()))
            told.append((self, Delta(changed=marked)))

        async with self.base.lock:
            await self.base.work(job)
        return changing

    def is_seen(self, uid: int) -> bool:
        """Whether the visitor has seen a message."""
        at = self.position(uid)
        return at is not None and bool(self.flags[at] & SEEN)

    async def expunge(self, uids: Sequence[int]) -> tuple[Uid, ...]:
        """Remove messages for good, for everybody."""
        return await self.base.expunge(uids)

    async def copy(self, uids: Sequence[int], target: str) -> Placed:
        """Copy to another mailbox, by the name that the visitor gives it."""
        return await self._copy(self, uids, target, False)

    async def move(self, uids: Sequence[int], target: str) -> Placed:
        """Move likewise (RFC 6851)."""
        return await self._copy(self, uids, target, True)

    # ---- Searching messages ---------------------------------------------------------------------

    @property
    def memo(self) -> MutableMapping[Hashable, object]:
        r"""What sessions have worked out below: of nothing that ``\Seen`` has a part in."""
        return self.base.memo

    async def learn(self) -> int:
        """Have the index take in some messages that it does not know; how many are left."""
        return await self.base.learn()

    async def digests(self, uids: Sequence[int]) -> Sequence[Digest | None]:
        """What can be found in each message."""
        return await self.base.digests(uids)

    async def find(self, sought: Sought | SentOn) -> Found | None:
        """What the index finds among the messages it knows; None where it cannot tell."""
        return await self.base.find(sought)

    async def order(
        self,
        criteria: Sequence[Sorting],
        among: Sequence[int] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        """UIDs of the messages that the index knows, sorted."""
        return await self.base.order(criteria, among, scores)

    async def threadables(self, first: int, limit: int) -> Sequence[Threadable]:
        """Up to `limit` messages from `first` on, as the index knows them."""
        return await self.base.threadables(first, limit)

    async def threadables_of(self, uids: Sequence[int]) -> Sequence[Threadable]:
        """These messages, ascending, as the index knows them."""
        return await self.base.threadables_of(uids)

    async def related(self, ids: Collection[bytes], bases: Collection[str]) -> array[int]:
        """UIDs of those that bear or speak of one of these ids, or have one of these subjects."""
        return await self.base.related(ids, bases)

    async def conversations(self, algorithm: str) -> Sequence[Conversation]:
        """What is kept of THREAD's results; it may be out of date."""
        return await self.base.conversations(algorithm)

    async def keep_conversations(
        self,
        algorithm: str,
        instead_of: Sequence[Conversation],
        conversations: Sequence[Conversation],
    ) -> None:
        """Keep some in the place of others."""
        await self.base.keep_conversations(algorithm, instead_of, conversations)

    # ---- Reading messages -----------------------------------------------------------------------

    async def content(self, uid: int) -> Content | None:
        """The message's octets; None if it is gone."""
        return await self.base.content(uid)

    async def whole(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """The octets of small messages."""
        return await self.base.whole(uids)

    async def structure(self, uid: int) -> Part | None:
        """A message's structure."""
        return await self.base.structure(uid)

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """The header sections."""
        return await self.base.headers(uids)

    async def fields(self, names: Sequence[bytes], uids: Sequence[int]) -> Sequence[bytes | None]:
        """These fields of the header sections."""
        return await self.base.fields(names, uids)

    async def rendered(
        self, what: Rendering, uids: Sequence[int], *, make: bool = True
    ) -> Sequence[bytes | None]:
        """What the index keeps of each."""
        return await self.base.rendered(what, uids, make=make)

    async def identities(self, uids: Sequence[int]) -> Sequence[Identity | None]:
        """What each is, and since when."""
        return await self.base.identities(uids)

    async def vanished(self, modseq: int) -> Ranges | None:
        """UIDs of messages that left after `modseq`."""
        return await self.base.vanished(modseq)
