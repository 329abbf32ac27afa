"""Finds the stores of accounts, keeps closed mailboxes warm, and makes the whole of `store`.

What an integrator needs is here: `Stores`, its `filer`, and `rebuild`.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from itertools import count
from typing import Final
from weakref import WeakValueDictionary

from mailhub.ports.accounts import Account
from mailhub.ports.disk import Disk
from mailhub.ports.filing import Ledger, Unsettled
from mailhub.ports.message import Summary
from mailhub.ports.store import Affair, Notice, StoreRefused
from mailhub.store import folders, maildir, quota
from mailhub.store.account import AccountStore
from mailhub.store.content import ReadCache
from mailhub.store.files import Files
from mailhub.store.filing import MaildirFiler
from mailhub.store.following import Following
from mailhub.store.ground import Ground
from mailhub.store.index import IndexLost, IndexPool
from mailhub.store.limits import Limits
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.quota import Sum
from mailhub.store.texts import SHARD_SIZE
from mailhub.store.work import wholly

MAILBOXES: Final[Mapping[str, Sequence[str]]] = {
    "Drafts": ("\\Drafts",),
    "Sent": ("\\Sent",),
    "Archive": ("\\Archive",),
    "Junk": ("\\Junk",),
    "Trash": ("\\Trash",),
}
"""What a new account gets besides INBOX, with special uses (RFC 6154 §2)."""


DEPARTURES: Final = SHARD_SIZE // 4
"""Messages that have left an account before its full-text index is looked at for waste."""
LOOKS: Final = 500
"""Mailboxes looked at in one go: a few milliseconds of a thread."""


def _disturbed(mailboxes: Sequence[SharedMailbox]) -> list[SharedMailbox]:
    """Those that another program seems to have changed."""
    found = []
    for mailbox in mailboxes:
        try:
            if mailbox.box.disturbed():
                found.append(mailbox)
        except (StoreRefused, OSError):
            found.append(mailbox)
    return found


class Warm:
    """Mailboxes that nobody has open, kept ready for whoever opens them again."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._mailboxes: OrderedDict[SharedMailbox, int] = OrderedDict()  # and their octets
        self._octets = 0

    def add(self, mailbox: SharedMailbox) -> None:
        """The last one has left it."""
        self._drop(mailbox)
        self._mailboxes[mailbox] = octets = mailbox.octets
        self._octets += octets
        limits = self._limits
        while len(self._mailboxes) > limits.warm_mailboxes or (
            self._octets > limits.warm_memory and self._mailboxes
        ):
            oldest = next(iter(self._mailboxes))
            self._drop(oldest)
            if not oldest.users:
                oldest.account.forget(oldest)

    def _drop(self, mailbox: SharedMailbox) -> None:
        self._octets -= self._mailboxes.pop(mailbox, 0)


class Stores:
    """A `ports.store.MailStores`, over maildirs below one directory.

    Attributes:
        ground: What they stand on.
        disk: Where blocking work is done.
        following: Has names of files say new flags.
        ledger: Promises what is appended; without it APPEND syncs files. Set it before use.
        unsettled: What has to settle before it is moved, copied or removed. Likewise.
    """

    def __init__(
        self,
        root: str,
        disk: Disk,
        *,
        clock: Callable[[], float],
        host: str,
        token: str,
        boot: str,
        summarise: Callable[[bytes], Summary],
        log: Callable[[str], None],
        limits: Limits | None = None,
        mailboxes: Mapping[str, Sequence[str]] = MAILBOXES,
        files: Files | None = None,
    ) -> None:
        """Begin.

        Args:
            root: `Account.maildir` is relative to it.
            disk: Where blocking work is done.
            clock: Seconds since the epoch; called from any thread.
            host: Our name, for the names of messages.
            token: Differs each time the process starts, on this host.
            boot: `durable.boot_id`, or ``""`` where there is none.
            summarise: Renders a message's content for IMAP; called from any thread.
            log: Takes lines for the operator; called from any thread.
            limits: What the store allows.
            mailboxes: What a new account gets besides INBOX, and their special uses.
            files: The operating system's calls.
        """
        numbers = count()
        self._root = os.fsencode(root)
        self.disk = disk
        self._boot = boot or token
        self._mailboxes = mailboxes
        self.ground = Ground(
            files or Files(),
            clock,
            host,
            lambda: f"{token}_{next(numbers)}",
            summarise,
            log,
            limits or Limits(),
        )
        self._pool = IndexPool(self.ground.limits.open_indexes)
        self._cache = ReadCache(self.ground.limits.read_cache)
        self._warm = Warm(self.ground.limits)
        self._stores: WeakValueDictionary[str, AccountStore] = WeakValueDictionary()
        self.following = Following(disk, self.ground.limits.names_after)
        self._turn = 0  # which account's index is fed first
        self._recent: OrderedDict[str, AccountStore] = OrderedDict()  # keeps them alive
        self.ledger: Ledger | None = None
        self.unsettled: Unsettled | None = None

    async def of(self, account: Account) -> AccountStore:
        """The account's store, made on first use with an INBOX.

        Raises:
            OSError: The disk said no.
        """
        store = self.store_of(account)
        if not store.made:
            await wholly(self.disk, lambda: self.make(store), lambda: None)
        return store

    def store_of(self, account: Account) -> AccountStore:
        """The account's store, whether its maildir is there or not."""
        store = self._stores.get(account.maildir)
        if store is None:
            store = self._stores[account.maildir] = AccountStore(
                account,
                self._path(account),
                ground=self.ground,
                disk=self.disk,
                cache=self._cache,
                pool=self._pool,
                boot=self._boot,
                cooled=self._warm.add,
                following=self.following,
                ledger=self.ledger,
                unsettled=self.unsettled,
            )
        self._recent[account.maildir] = store
        self._recent.move_to_end(account.maildir)
        if len(self._recent) > self.ground.limits.recent_accounts:
            self._recent.popitem(last=False)
        if store.account.quota != account.quota:
            store.made = False  # the quota's file is another one
        store.account = account
        return store

    def make(self, store: AccountStore) -> None:
        """Blocking: make the account's maildir, if it is not there.

        A first login and a first delivery may come at the same moment.

        Raises:
            OSError: The disk said no.
        """
        with store.making:
            if store.made:
                return
            folders.make_account(self.ground, store.path, store.profiles, self._mailboxes)
            if not quota.limited(store.account.quota):
                quota.forget(self.ground.files, store.path)
            maildir.sweep(
                self.ground.files, store.path, self.ground.clock() - self.ground.limits.stale
            )
            store.made = True

    def _path(self, account: Account) -> bytes:
        return os.path.join(self._root, os.fsencode(account.maildir))

    async def look(self) -> None:
        """See what other programs did to mailboxes that are open, or that somebody hears of.

        Clients amid IDLE ask for nothing: whoever runs the hub calls this now and then.
        It costs two stat(2) for each mailbox.
        """
        for store in [store for store in self._stores.values() if store.listeners]:
            with suppress(OSError):
                for name in await self.disk.run(store.stirred):
                    store.announce(Notice(Affair.MESSAGES, name), Notice(Affair.FLAGS, name))
        mailboxes = [
            mailbox
            for store in list(self._stores.values())
            for mailbox in store.mailboxes.values()
            if mailbox.users and mailbox.loaded and not mailbox.gone
        ]
        for start in range(0, len(mailboxes), LOOKS):
            batch = mailboxes[start : start + LOOKS]
            for mailbox in await self.disk.run(_disturbed, batch):
                with suppress(StoreRefused):  # it was deleted, which its clients hear
                    await mailbox.refresh()

    async def learn(self) -> None:
        """Have the full-text indexes take in some of what has come; called now and then.

        Mailboxes in which mail has just arrived are left alone: there will be more. So
        is mail that has no UID yet, for nobody has opened its mailbox since.
        """
        calm = self.ground.clock() - self.ground.limits.index_quiet
        stores = list(self._stores.values())
        self._turn += 1
        first = self._turn % max(len(stores), 1)
        for store in (*stores[first:], *stores[:first]):
            for mailbox in list(store.mailboxes.values()):
                if mailbox.loaded and not mailbox.gone and mailbox.arrived <= calm:
                    with suppress(StoreRefused):  # what it lacks is indexed at the next SEARCH
                        if mailbox.unlearnt:
                            await mailbox.learn()
                            return
            if store.index.departures > DEPARTURES:
                with suppress(OSError, IndexLost):
                    await self.disk.run(store.index.compact)
                return

    async def over_quota(self, account: Account, octets: int) -> bool:
        """Whether a message of this size would exceed the quota: for RCPT (452 4.2.2).

        Raises:
            OSError: The disk said no.
        """
        limits = account.quota
        if not quota.limited(limits):
            return False
        store = self.store_of(account)

        def job() -> bool:
            self.make(store)
            total = quota.usage(self.ground.files, store.path, limits, self.ground.clock())
            return (total + Sum(octets, 1)).exceeds(limits)

        return await self.disk.run(job)

    def filer(self) -> MaildirFiler:
        """Local delivery's way in; one for the hub."""
        return MaildirFiler(self, self.ground, self.disk)

    def close(self) -> None:
        """Blocking: close the indexes. For a hub that stops."""
        self._pool.close()
