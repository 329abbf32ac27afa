r"""Messages that go from one account's mailboxes to another's, and visits of these.

Invariants:

1. Nothing is put where there is no right to insert (RFC 4314 §4).
2. Messages take along the flags that may be set where they go; a visitor's ``\Seen`` becomes
   the visitor's.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailhub.mail.flag import DELETED, SEEN
from mailhub.ports.accounts import Account
from mailhub.ports.message import Placed
from mailhub.store.carrying import carry, locked, shown
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.rows import Row
from mailhub.store.sharing import Sharing
from mailhub.store.spot import Spot, Spots
from mailhub.store.visit import Visit


class Crossing:
    """For one session.

    Args:
        account: Whose session it is.
        spots: What it calls mailboxes.
    """

    def __init__(self, sharing: Sharing, account: Account, spots: Spots) -> None:
        self._sharing = sharing
        self._account = account
        self._spots = spots

    async def visit(self, spot: Spot) -> Visit:
        """Another account's mailbox, open; its `release` gives it back."""
        spots, store = self._spots, spot.store
        return await self._sharing.visit(
            self._account, store, spot.name, lambda name: spots.shown(store, name), self._copy
        )

    async def abroad(
        self, source: SharedMailbox, uids: Sequence[int], target: str, move: bool
    ) -> Placed | str:
        """Copy or move own messages to another account's mailbox; if it is our own, its name.

        Raises:
            StoreRefused: NONEXISTENT, NO_PERMISSION, OVER_QUOTA, SERVER_BUG.
        """
        if not self._spots.is_foreign(target):
            return self._spots.at(target).need("i").name
        return await self._carry(source, None, uids, target, move=move)

    async def _copy(self, visit: Visit, uids: Sequence[int], target: str, move: bool) -> Placed:
        """Copy or move messages of another account's mailbox."""
        return await self._carry(visit.base, visit, uids, target, move=move)

    async def _carry(
        self,
        source: SharedMailbox,
        visit: Visit | None,
        uids: Sequence[int],
        target: str,
        *,
        move: bool,
    ) -> Placed:
        spot = self._spots.at(target).need("i")
        allowed = _bits(spot)

        def seen(row: Row) -> bool:
            return bool(row.flags & SEEN) if visit is None else visit.is_seen(row.uid)

        def flags(row: Row) -> int:
            bits = row.flags & ~SEEN | (SEEN if spot.own and seen(row) else 0)
            return bits & allowed

        ordered = sorted(set(uids))
        were_seen: set[int] = set()
        other = spot.store.mailbox(spot.name)
        try:
            async with locked(source, other):
                if not spot.own and "s" in spot.rights:
                    were_seen = await source.work(
                        lambda _: {row.uid for row in source.box.rows(ordered) if seen(row)}
                    )
                placed = await carry(source, other, ordered, move=move, flags=flags)
        finally:
            spot.store.leave(other)
        pairs = zip(placed.sources, placed.uids, strict=True)
        await self.see(spot, [new for old, new in pairs if old in were_seen])
        return shown(placed, spot.rights)

    async def see(self, spot: Spot, uids: Sequence[int]) -> None:
        r"""Set the account's own ``\Seen`` in another's mailbox."""
        if uids:
            visit = await self.visit(spot)
            try:
                await visit.see(uids, seen=True)
            finally:
                await visit.release()


def permitted(flags: Sequence[str], spot: Spot) -> tuple[str, ...]:
    r"""Those flags that may be set on messages that are added (RFC 4314 §4, APPEND)."""
    right = {"\\seen": "s" if spot.own else "", "\\deleted": "t"}
    return tuple(
        flag for flag in flags if (letter := right.get(flag.lower(), "w")) and letter in spot.rights
    )


def _bits(spot: Spot) -> int:
    """The bits of those flags likewise."""
    every = (1 << 32) - 1
    allowed = every & ~SEEN & ~DELETED if "w" in spot.rights else 0
    allowed |= SEEN if "s" in spot.rights else 0
    return allowed | (DELETED if "t" in spot.rights else 0)
