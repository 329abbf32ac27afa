"""The searching half of a `Mailbox` without an index: its messages are few, and in memory."""

from __future__ import annotations

from abc import abstractmethod
from array import array
from collections.abc import Collection, Hashable, Mapping, MutableMapping, Sequence
from typing import Final, Protocol

from mailhub.mail.digest import Digest, digest
from mailhub.ports.finding import (
    Conversation,
    Found,
    SentOn,
    Sorting,
    SortKey,
    Sought,
    Threadable,
)
from mailhub.ports.message import Uid


class Unindexed(Protocol):
    """Answers by its messages themselves.

    Attributes:
        uids: Like `sizes` and `dates` as in `ports.mailbox.Mailbox`.
    """

    uids: array[int]
    sizes: array[int]
    dates: array[int]

    @abstractmethod
    def octets_of(self, uid: Uid) -> bytes | None:
        """All of a message; None if it is gone."""

    @property
    def memo(self) -> MutableMapping[Hashable, object]:
        """Nothing is remembered."""
        return {}

    async def learn(self) -> int:
        """There is nothing to be learnt."""
        return 0

    async def find(self, sought: Sought | SentOn) -> Found | None:
        """None: the messages themselves must tell."""
        del sought
        return None

    async def digests(self, uids: Sequence[Uid]) -> Sequence[Digest | None]:
        """What can be found in each message; None for those that are gone."""
        found = map(self.octets_of, uids)
        return [None if octets is None else digest(octets) for octets in found]

    async def order(
        self,
        criteria: Sequence[Sorting],
        among: Sequence[Uid] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        """UIDs, sorted; those that are equal, ascending."""
        wanted = None if among is None else frozenset(among)
        rows = [row for row in self._rows() if wanted is None or row.uid in wanted]
        for criterion in reversed(criteria):
            if criterion.key is SortKey.RELEVANCY:
                best = scores or {}
                rows.sort(key=lambda row: -best.get(row.uid, 100), reverse=criterion.reverse)
            else:
                column = _COLUMNS[criterion.key]
                rows.sort(key=lambda row: row.keys[column], reverse=criterion.reverse)
        return array("I", (row.uid for row in rows))

    async def threadables(self, first: Uid, limit: int) -> Sequence[Threadable]:
        """Up to `limit` messages from `first` on."""
        return [
            Threadable(row.uid, row.sent, row.digest.reply, row.digest.base, row.digest.thread)
            for row in self._rows()
            if row.uid >= first
        ][:limit]

    async def threadables_of(self, uids: Sequence[Uid]) -> Sequence[Threadable]:
        """These messages."""
        return [it for it in await self.threadables(Uid(1), len(self.uids)) if it.uid in uids]

    async def related(self, ids: Collection[bytes], bases: Collection[str]) -> array[int]:
        """UIDs of those that bear or speak of one of these ids, or have one of these subjects."""
        found = array("I")
        for message in await self.threadables(Uid(1), len(self.uids)):
            if message.base in bases or any(it in message.ids for it in ids):
                found.append(message.uid)
        return found

    async def conversations(self, algorithm: str) -> Sequence[Conversation]:
        """Nothing is kept."""
        del algorithm
        return ()

    async def keep_conversations(
        self,
        algorithm: str,
        instead_of: Sequence[Conversation],
        conversations: Sequence[Conversation],
    ) -> None:
        """Nothing is kept."""
        del algorithm, instead_of, conversations

    def _rows(self) -> list[_Row]:
        return [
            _Row(uid, size, date, digest(octets))
            for uid, size, date in zip(self.uids, self.sizes, self.dates, strict=True)
            if (octets := self.octets_of(Uid(uid))) is not None
        ]


class _Row:
    def __init__(self, uid: int, size: int, date: int, digest: Digest) -> None:
        self.uid = uid
        self.digest = digest
        self.sent = date if digest.sent is None else digest.sent
        numbers = (date, self.sent, size)
        texts = (digest.base, digest.first_from, digest.first_to, digest.first_cc)
        shown = (digest.display_from, digest.display_to)
        # Numbers before texts: each kind is compared with its like.
        self.keys: tuple[tuple[int, str], ...] = (
            *((number, "") for number in numbers),
            *((0, text) for text in (*texts, *shown)),
        )


_COLUMNS: Final = {
    SortKey.ARRIVAL: 0,
    SortKey.DATE: 1,
    SortKey.SIZE: 2,
    SortKey.SUBJECT: 3,
    SortKey.FROM: 4,
    SortKey.TO: 5,
    SortKey.CC: 6,
    SortKey.DISPLAYFROM: 7,
    SortKey.DISPLAYTO: 8,
}
