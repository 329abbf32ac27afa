"""Copies and moves between two shared mailboxes, of one account or of two.

Invariants:

1. Who carries has the locks of both mailboxes, taken in order of their maildirs.
2. What arrives counts for the quota of the target's owner, what leaves for the source's.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace

from mailhub.mail.rights import Rights
from mailhub.ports.message import Placed, Uid, UidValidity
from mailhub.store import quota, reconcile, transfer
from mailhub.store.mailbox import SharedMailbox, Told
from mailhub.store.quota import Sum
from mailhub.store.rows import Row


def shown(placed: Placed, rights: Rights) -> Placed:
    """Where messages went, as far as it may be told: UIDs to whom may open it (RFC 4315 §3)."""
    return placed if "r" in rights else replace(placed, sources=(), uids=())


@asynccontextmanager
async def locked(*mailboxes: SharedMailbox) -> AsyncIterator[None]:
    """Have the locks of these mailboxes."""
    async with AsyncExitStack() as stack:
        for _, mailbox in sorted({mailbox.box.path: mailbox for mailbox in mailboxes}.items()):
            await stack.enter_async_context(mailbox.lock)
        yield


async def carry(
    source: SharedMailbox,
    target: SharedMailbox,
    uids: Sequence[int],
    *,
    move: bool,
    flags: Callable[[Row], int] | None = None,
) -> Placed:
    """Copy or move messages; the caller has both locks.

    Args:
        source: Where they are.
        target: Where they shall be, perhaps another account's.
        uids: In ascending order.
        move: They shall not stay where they are.
        flags: The flags that a message takes along, as its source spells them; all of them
            where this is None.

    Raises:
        StoreRefused: NONEXISTENT, OVER_QUOTA, LIMIT, SERVER_BUG.
    """
    abroad = target.account is not source.account

    def job(told: Told) -> transfer.Transfer:
        told.append((target, reconcile.refresh(target.box)))
        if (not move or abroad) and quota.limited(target.account.account.quota):
            rows = source.box.rows(uids)
            target.account.check_quota(Sum(sum(row.size for row in rows), len(rows)))
        done = transfer.transfer(source.box, target.box, uids, move=move, flags=flags)
        told.append((source, done.source))
        told.append((target, done.target))
        size, count = sum(row.size for row in done.target.added), len(done.target.added)
        if not move or abroad:
            target.account.note(size, count)
        if move and abroad:
            source.account.note(-size, -count)
        return done

    others = () if target is source else (target,)
    done = await source.work(job, *others)
    return Placed(
        UidValidity(target.box.kept.uid_validity),
        tuple(Uid(old) for old, _ in done.pairs),
        tuple(Uid(new) for _, new in done.pairs),
    )
