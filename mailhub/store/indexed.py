"""The part of a `ports.mailbox.Mailbox` that asks the full-text index.

Invariants:

1. The index is taught, and asked, in steps: each holds the mailbox for some ten
   milliseconds of a thread, never the event loop.
2. `_learnt` is a UID up to which all messages have their digests, while `_stamp` is
   the index's: UIDs grow, so only later ones can lack theirs. The index has it noted, too,
   so that nothing is asked for again after a start.
"""

from __future__ import annotations

from abc import abstractmethod
from array import array
from bisect import bisect_right
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Final, TypeVar

from mailhub.mail.digest import Digest
from mailhub.ports.finding import Conversation, Found, Place, SentOn, Sorting, Sought, Threadable
from mailhub.store import learning
from mailhub.store.box import Box, Delta
from mailhub.store.rows import Columns
from mailhub.store.state import MailboxState
from mailhub.store.texts import LONGEST, SHORTEST, Texts, found, key_of, trigrams_available

T = TypeVar("T")

ROWS: Final = 50_000
"""Digests looked through in one step."""
NOTED: Final = 256
"""UIDs that are learnt between two notes of it: so many are asked for after a start."""
SHARDS: Final = 2
"""Shards searched in one step."""
MEMOS: Final = 4
"""Results that a mailbox remembers."""
_IN_DOCUMENTS: Final = frozenset({Place.HEAD, Place.BODY, Place.TEXT})


class Memo(dict[Hashable, object]):
    """The latest few results."""

    def __setitem__(self, key: Hashable, value: object) -> None:
        self.pop(key, None)
        super().__setitem__(key, value)
        if len(self) > MEMOS:
            del self[next(iter(self))]

    @property
    def octets(self) -> int:
        """About how much memory they take."""
        arrays = (it for it in self.values() if isinstance(it, array))
        strings = (it for it in self.values() if isinstance(it, bytes))
        return sum(len(it) * it.itemsize for it in arrays) + sum(map(len, strings))


class IndexedMailbox(MailboxState):
    """A mailbox's state, and what the index knows of its messages.

    Attributes:
        memo: What sessions have worked out about all its messages.
        arrived: When messages came last, by the store's clock.
    """

    lock: AbstractAsyncContextManager[None]

    def __init__(self, box: Box) -> None:
        self.memo = Memo()
        self.arrived = 0.0
        self._learnt = self._noted = 0
        self._stamp = (-1, -1)
        super().__init__(box)

    @abstractmethod
    async def work(self, function: Callable[[Any], T], *others: Any) -> T:
        """Do a job on this mailbox, whose lock the caller holds."""

    def show(self, found: Columns) -> None:
        """Take these arrays for the truth."""
        self.memo.clear()
        super().show(found)

    def apply(self, delta: Delta) -> None:
        """Show what files and index show already, and wake who watches."""
        if delta.removed or delta.added:
            self.memo.clear()
            self.box.index.departures += len(delta.removed)
        if delta.added:
            self.arrived = self.box.ground.clock()
        super().apply(delta)

    @property
    def octets(self) -> int:
        """About how much memory it takes, with what is remembered."""
        return super().octets + self.memo.octets

    # ---- Teaching the index --------------------------------------------------------------------

    @property
    def unlearnt(self) -> int:
        """How many messages the index may not know."""
        learnt = self._learnt if self._stamp == self.box.index.stamp else 0
        return len(self.uids) - bisect_right(self.uids, learnt)

    async def learn(self) -> int:
        """Have the index take in some messages that it does not know; how many are left.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        if not self.unlearnt:
            return 0

        async with self.lock:
            await self.work(lambda _: self._learn())
        return self.unlearnt

    def _learn(self) -> None:
        box, mailbox = self.box, self.box.kept.id
        if self._stamp != box.index.stamp:
            self._stamp = box.index.stamp
            with box.transaction(write=False) as transaction:
                self._learnt = self._noted = transaction.texts.learnt(mailbox)
        start = bisect_right(self.uids, self._learnt)
        uids = self.uids[start : start + learning.SCANNED]
        if uids:
            self._learnt = learning.learn(box, uids)
        # A file that was not there may come back: then it is asked for after the next start.
        if self._learnt >= self._noted + NOTED and not box.doubted:
            with suppress(OSError), box.transaction() as transaction:
                if self._stamp == box.index.stamp:
                    transaction.texts.note_learnt(mailbox, self._learnt)
                    self._noted = self._learnt

    async def digests(self, uids: Sequence[int]) -> Sequence[Digest | None]:
        """What `mail.digest` makes of messages; None for those that are gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        async with self.lock:
            made = await self.work(lambda _: learning.digests(self.box, sorted(uids)))
        return [made.get(uid) for uid in uids]

    # ---- Asking it -----------------------------------------------------------------------------

    async def find(self, sought: Sought | SentOn) -> Found | None:
        """What the index finds among the messages it knows; None where it cannot tell.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        stamp = self._stamp
        if isinstance(sought, Sought) and sought.place in _IN_DOCUMENTS:
            if len(sought.text) < SHORTEST or not trigrams_available():
                return None
            answer = await self._find_in_documents(sought)
        else:
            answer = await self._find_in_rows(sought)
        # Another one than it was: it is not known how much it knows.
        return answer if stamp == self.box.index.stamp else None

    async def _find_in_documents(self, sought: Sought) -> Found:
        short = Sought(sought.place, sought.text[:LONGEST])
        hits: array[int] = array("I")
        [shards, unsure] = await self._ask(
            lambda texts: [texts.shards(), texts.in_none(*self._span)]
        )
        for start in range(0, len(shards), SHARDS):
            some = shards[start : start + SHARDS]
            for uids in await self._ask(
                lambda texts, some=some: [texts.in_shard(short, it, *self._span) for it in some]  # type: ignore[misc]
            ):
                hits.extend(uids)
        return found(hits, unsure) if short.text == sought.text else found((), [*hits, *unsure])

    async def _find_in_rows(self, sought: Sought | SentOn) -> Found:
        hits: array[int] = array("I")
        for start in range(0, len(self.uids), ROWS):
            some = self.uids[start : start + ROWS]
            if not some:
                break
            first, last = self._key(some[0]), self._key(some[-1])
            hits.extend(
                await self._ask(
                    lambda texts, first=first, last=last: (  # type: ignore[misc]
                        texts.in_fields(sought, first, last)
                        if isinstance(sought, Sought)
                        else texts.sent(sought, first, last)
                    )
                )
            )
        return found(hits)

    async def order(
        self,
        criteria: Sequence[Sorting],
        among: Sequence[int] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        """UIDs of the messages that the index knows, sorted; those that are equal, ascending.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        keys = None if among is None else [self._key(uid) for uid in among]
        return await self._ask(lambda texts: texts.order(criteria, *self._span, keys, scores))

    async def threadables(self, first: int, limit: int) -> Sequence[Threadable]:
        """Up to `limit` messages from `first` on, as the index knows them.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._ask(
            lambda texts: texts.threadables(self._key(first), self._span[1], limit)
        )

    async def threadables_of(self, uids: Sequence[int]) -> Sequence[Threadable]:
        """These messages, ascending, as the index knows them.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._ask(lambda texts: texts.threadables_of(list(map(self._key, uids))))

    async def related(self, ids: Collection[bytes], bases: Collection[str]) -> array[int]:
        """UIDs of those that bear or speak of one of these ids, or have one of these subjects.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._ask(lambda texts: texts.related(ids, bases, *self._span))

    async def conversations(self, algorithm: str) -> Sequence[Conversation]:
        """What is kept of THREAD's results, in order; it may be out of date.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """

        def job(_: object) -> Sequence[Conversation]:
            with self.box.transaction(write=False) as transaction:
                return transaction.conversations.load(self.box.kept.id, algorithm)

        async with self.lock:
            return await self.work(job)

    async def keep_conversations(
        self,
        algorithm: str,
        instead_of: Sequence[Conversation],
        conversations: Sequence[Conversation],
    ) -> None:
        """Keep some in the place of others; not so where the disk is full."""

        def job(_: object) -> None:
            with suppress(OSError), self.box.transaction() as transaction:
                transaction.conversations.keep(
                    self.box.kept.id, algorithm, instead_of, conversations
                )

        async with self.lock:
            await self.work(job)

    async def _ask(self, question: Callable[[Texts], T]) -> T:
        def job(_: object) -> T:
            with self.box.transaction(write=False) as transaction:
                return question(transaction.texts)

        async with self.lock:
            return await self.work(job)

    def _key(self, uid: int) -> int:
        return key_of(self.box.kept.id, uid)

    @property
    def _span(self) -> tuple[int, int]:
        """The keys that messages of this mailbox may have."""
        return self._key(0), self._key(0xFFFFFFFF)
