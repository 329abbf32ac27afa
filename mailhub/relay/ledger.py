"""Promises of APPEND: durable in the spool at once, in synced files a little later.

A small message that a client appends is written to the spool, whose commits
many share, while its file is put into the mailbox unsynced. The promise goes
once the file is synced, together with all others of its time; one that a crash
leaves is redeemed at the next start.

Invariants:

1. A promise goes after its message is durable in its mailbox, or when nobody
   was told of it, and never otherwise.
2. A promise that is redeemed twice puts one message there: its file is named
   after it.

When the disk refuses to sync, promises stay, and syncing is tried again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from mailhub.net.journal import Journal
from mailhub.net.shield import under_way
from mailhub.policy.limits import LocalLimits
from mailhub.ports.accounts import Account, AccountId
from mailhub.ports.filing import Filer, Promise
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.queue.change import Kept, Promised
from mailhub.relay.settling import Settling

PAGE: Final = 200
"""Promises redeemed at a time: a mailbox is searched once for all of them."""


class SpoolLedger:
    """Implements `ports.filing.Ledger` over the journal.

    Args:
        ids: Gives queue ids; a promise is named by one.
        account: Finds an account by its id; None once it was deleted.

    Attributes:
        limits: May be replaced.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        filer: Filer,
        account: Callable[[AccountId], Account | None],
        ids: Callable[[], QueueId],
        clock: IReactorTime,
        limits: LocalLimits,
        settling: Settling | None = None,
    ) -> None:
        self.limit = journal.limits.inline
        self._journal = journal
        self._filer = filer
        self._account = account
        self._ids = ids
        self._clock = clock
        self.limits = limits
        self._settling = settling or Settling()
        self._unsynced: list[Promise] = []
        self._since: dict[str, int] = {}  # how often syncing had failed when each was made
        self._timer: IDelayedCall | None = None
        self._syncing = False
        self._idle: list[Deferred[None]] = []  # those who wait for the end of a sync
        self._stopping = False

    # ---- Ledger ----------------------------------------------------------------------

    def unique(self) -> str:
        """A name for a promise to come."""
        return self._ids()

    def promise(self, promises: Sequence[Promise]) -> Awaitable[None]:
        """Begin to write promises; awaited, it returns once they are durable."""
        self._since.update((it.unique, self._filer.failures) for it in promises)
        changes = [
            Promised(QueueId(it.unique), it.account.id, it.mailbox, it.flags, it.date, it.content)
            for it in promises
        ]
        return under_way(self._journal.commit(*changes))

    def keep(self, promises: Sequence[Promise]) -> None:
        """Sync their files with the next batch, then let the promises go."""
        for each in promises:
            self._settling.hold(each.account, each.unique, self._sync_soon)
        self._unsynced += promises
        if len(self._unsynced) >= self.limits.sync_count:
            self._sync_soon()
        elif self._timer is None or not self._timer.active():
            self._timer = self._clock.callLater(self.limits.sync_after, self._sync_soon)

    def forget(self, promises: Sequence[Promise]) -> None:
        """Nobody was told: let the promises go. Writes are carried out in their order."""
        self._forget_since(promises)
        gone = under_way(self._journal.commit(_kept(promises)))
        gone.addErrback(lambda failure: self._log.failure("promises not forgotten", failure))

    # ---- Syncing ---------------------------------------------------------------------------

    def _sync_soon(self) -> None:
        if not self._syncing:
            syncing = under_way(self._sync())
            syncing.addErrback(
                lambda failure: self._log.failure("syncing appended mail failed", failure)
            )

    async def _sync(self) -> None:
        self._syncing = True
        promises, self._unsynced = self._unsynced, []
        try:
            accounts = {it.account.id: it.account for it in promises}
            await self._filer.settle(list(accounts.values()), self._doubtful(promises))
            await self._journal.commit(_kept(promises))
            self._forget_since(promises)
            for each in promises:
                self._settling.let_go(each.account, each.unique)
        except OSError as error:
            self._log.error("appended mail not synced, will try again: {why}", why=error)
            self._unsynced[:0] = promises
            self._settling.failed()
            if not self._stopping:
                self._timer = self._clock.callLater(self.limits.retry_sync, self._sync_soon)
        finally:
            self._syncing = False
            idle, self._idle = self._idle, []
            for waiting in idle:
                waiting.callback(None)

    def _doubtful(self, promises: Sequence[Promise]) -> list[Promise]:
        """Those whose files a sync may have failed to write; of an earlier process nobody knows."""
        failures = self._filer.failures
        return [it for it in promises if self._since.get(it.unique, -1) < failures]

    def _forget_since(self, promises: Sequence[Promise]) -> None:
        for each in promises:
            self._since.pop(each.unique, None)

    # ---- Start and end ---------------------------------------------------------------------

    async def recover(self, until: QueueId) -> int:
        """Redeem the promises that a crash left; how many. Those from `until` on are new.

        They are kept page by page: a hub that is killed again and again gets on.
        """
        count = 0
        page: list[Promised] = []
        async with aclosing(self._journal.promises()) as found:
            async for left in found:
                if left.queue_id >= until:
                    break
                count += 1
                page.append(left)
                if len(page) == PAGE:
                    await self._redeem(page)
                    page = []
        await self._redeem(page)
        return count

    async def _redeem(self, page: Sequence[Promised]) -> None:
        groups: dict[tuple[AccountId, str], list[Promised]] = {}
        for left in page:
            groups.setdefault((left.account, left.mailbox), []).append(left)
        for (number, _), group in groups.items():
            account = self._account(number)
            if account is None:
                await self._journal.commit(Kept(tuple(left.queue_id for left in group)))
            else:
                await self._redeem_all(account, group)
        self._sync_soon()

    async def _redeem_all(self, account: Account, group: Sequence[Promised]) -> None:
        """Those of one mailbox."""
        promises = [
            Promise(account, it.mailbox, it.queue_id, it.content, it.flags, it.date) for it in group
        ]
        try:
            await self._filer.redeem(promises)
        except StoreRefused as refused:
            if refused.fault is not StoreFault.NONEXISTENT:
                self._log.error(
                    "appended mail of {who} not put back into {mailbox}: {why}",
                    who=account.path,
                    mailbox=group[0].mailbox,
                    why=refused.text,
                )
                return  # at another start, then
        # (Where the mailbox was deleted since, there is nothing to sync.)
        self.keep(promises)

    async def stop(self) -> None:
        """Sync what is left; if the disk refuses, its promises stay in the spool."""
        self._stopping = True
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        if self._syncing:
            ended: Deferred[None] = Deferred()
            self._idle.append(ended)
            await ended
        if self._unsynced:
            await self._sync()


def _kept(promises: Sequence[Promise]) -> Kept:
    return Kept(tuple(QueueId(it.unique) for it in promises))
