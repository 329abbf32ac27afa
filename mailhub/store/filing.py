"""Local delivery's way into the store: visible at once, durable a little later.

Invariants:

1. The messages of a batch are filed in one job, each on its own: the failure of one
   is its own refusal.
2. A mailbox that sessions have open shows them in the turn in which the job ends.
3. A filing that may be a repetition (it arrived before this process began to remember)
   is looked for in the mailbox first; one that is remembered is not carried out again.
4. When `sync` returns, files and names are on the disk. After a failure nothing that was
   put into mailboxes before is believed to be, until it was written anew (`store.rewriting`).
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Final, Protocol

from mailhub.ports.accounts import Account
from mailhub.ports.disk import Disk
from mailhub.ports.filing import Filing, Promise
from mailhub.ports.message import Uid
from mailhub.ports.store import Affair, Notice, StoreFault, StoreRefused
from mailhub.store import maildir, placing, quota
from mailhub.store.account import AccountStore
from mailhub.store.box import Delta
from mailhub.store.durable import sync_directory
from mailhub.store.files import Files
from mailhub.store.ground import Ground
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.name import (
    INBOX,
    base_of,
    checked,
    directory_of,
    mailbox_of,
    parse_base,
    spelt_unique,
)
from mailhub.store.placing import Batch, as_refused
from mailhub.store.quota import Sum
from mailhub.store.rewriting import Pieces, pieces_of, rewrite
from mailhub.store.work import wholly

NEVER: Final = -1
"""Failures of what an earlier process has put into a mailbox: any number of them may be since."""


class Accounts(Protocol):
    """Where a filer finds accounts' stores; `stores.Stores` is one."""

    def store_of(self, account: Account) -> AccountStore:
        """The account's store, whether its maildir is there or not."""

    async def of(self, account: Account) -> AccountStore:
        """The account's store, its maildir made if need be."""

    def make(self, store: AccountStore) -> None:
        """Blocking: make the account's maildir, if it is not there."""


class MaildirFiler:
    """A `ports.filing.Filer`."""

    def __init__(self, accounts: Accounts, ground: Ground, disk: Disk) -> None:
        self._accounts = accounts
        self._ground = ground
        self._disk = disk
        self._filed = _Filed(ground.clock(), ground.limits.filed)
        self.failures = 0

    # ---- Filing ----------------------------------------------------------------------------

    async def file(self, filings: Sequence[Filing]) -> Sequence[StoreRefused | None]:
        """Put each message into its mailbox, visible at once, not yet synced.

        A filing that was carried out before (same `unique`) is left alone.
        """
        faults: list[StoreRefused | None] = [None] * len(filings)
        failures = self.failures
        groups = self._grouped(filings, faults)
        open_ones = [group for group in groups if group.mailbox is not None]
        async with AsyncExitStack() as stack:
            for group in sorted(open_ones, key=lambda group: group.batch.path):
                assert group.mailbox is not None
                group.mailbox.users += 1
                stack.callback(group.store.leave, group.mailbox)
                await stack.enter_async_context(group.mailbox.lock)
            small = all(isinstance(filing.content, bytes) for filing in filings)
            await wholly(
                self._disk,
                partial(self._deliver, groups),
                partial(self._delivered, groups, failures),
                brief=small and len(filings) <= self._ground.limits.brief,
            )
        for group in groups:
            for position, fault in zip(group.positions, group.batch.faults, strict=True):
                faults[position] = fault
            if group.mailbox is not None and group.batch.lost:
                with suppress(StoreRefused):
                    await group.mailbox.refresh()
        return faults

    def _grouped(
        self, filings: Sequence[Filing], faults: list[StoreRefused | None]
    ) -> list[_Group]:
        groups: dict[tuple[str, bytes], _Group] = {}
        for position, filing in enumerate(filings):
            if self._filed.path(filing) is not None:
                continue
            try:
                directory = self._directory(filing.account, filing.mailbox)
            except StoreRefused as error:
                faults[position] = error
                continue
            key = filing.account.maildir, directory
            group = groups.get(key)
            if group is None:
                group = groups[key] = self._group(filing.account, directory)
            group.filings.append((filing, self._filed.doubtful(filing)))
            group.positions.append(position)
            group.batch.faults.append(None)
        return list(groups.values())

    def _directory(self, account: Account, mailbox: str) -> bytes:
        """Where a filing goes: into the INBOX if its mailbox was deleted since it was accepted.

        Raises:
            StoreRefused: CANNOT: no mailbox can be called so.
        """
        directory = directory_of(checked(mailbox, self._ground.limits))
        if directory:
            path, files = self._accounts.store_of(account).path, self._ground.files
            # (An account that is not there yet is made with its first mailboxes.)
            if not maildir.exists(files, path + b"/" + directory) and maildir.exists(files, path):
                return b""
        return directory

    def _group(self, account: Account, directory: bytes) -> _Group:
        store = self._accounts.store_of(account)
        mailbox = store.mailboxes.get(directory)
        if mailbox is not None and not (mailbox.users and mailbox.loaded and not mailbox.gone):
            mailbox = None
        return _Group(store, mailbox, directory)

    def _deliver(self, groups: Sequence[_Group]) -> None:
        """Blocking: the whole of a batch."""
        for group in groups:
            try:
                self._accounts.make(group.store)
                self._check(group.batch)
                placing.deliver(self._ground, group.batch)
                self._note(group)
            except (OSError, StoreRefused) as error:
                refused = as_refused(error)
                group.batch.faults[:] = [fault or refused for fault in group.batch.faults]

    def _check(self, batch: Batch) -> None:
        if batch.directory and not os.path.isdir(batch.path + b"/new"):
            raise StoreRefused(StoreFault.NONEXISTENT, "No such mailbox")

    def _note(self, group: _Group) -> None:
        limits = group.filings[0][0].account.quota
        if quota.limited(limits):
            new = [
                len(filing.head) + filing.size
                for (filing, _), fault in zip(group.filings, group.batch.faults, strict=True)
                if fault is None
            ]
            quota.note(self._ground.files, group.store.path, limits, Sum(sum(new), len(new)))

    def _delivered(self, groups: Sequence[_Group], failures: int) -> None:
        """Show what was filed, and remember it, and how often syncing had failed before."""
        for group in groups:
            for filing, repeated in group.filings:
                if filing.unique in group.batch.paths:
                    since = NEVER if repeated else failures  # whoever put it there is gone
                    self._filed.add(filing, group.batch.paths[filing.unique], since)
            if group.mailbox is not None:
                group.mailbox.apply(group.batch.delta)
            elif group.batch.paths and group.store.listeners:
                name = mailbox_of(group.batch.directory) or INBOX
                group.store.announce(Notice(Affair.MESSAGES, name))

    def uid(self, filing: Filing) -> Uid | None:
        """The UID of what was filed just now; None if the mailbox gives it one later.

        It does where nobody has the mailbox open.
        """
        path = self._filed.path(filing)
        uid = parse_base(base_of(os.path.basename(path))).uid if path else None
        return None if uid is None else Uid(uid)

    # ---- Syncing ---------------------------------------------------------------------------

    async def sync(self, filings: Sequence[Filing]) -> None:
        """Make filed messages durable; when this returns the spool may forget them.

        Raises:
            OSError: The disk said no; they may not be forgotten.
        """
        known = [self._filed.path(filing) for filing in filings]
        paths = [path for path in known if path]
        each = len(filings) <= self._ground.limits.sync_each and None not in known
        await self._settled(
            [filing.account for filing in filings],
            [it for it in filings if self._filed.since(it) < self.failures],
            paths if each and len(paths) == len(known) else None,
        )
        for filing in filings:
            self._filed.synced(filing)

    async def settle(self, accounts: Sequence[Account], doubtful: Sequence[Promise] = ()) -> None:
        """Make everything durable that lies in these accounts' maildirs.

        Raises:
            OSError: The disk said no.
        """
        await self._settled(accounts, doubtful, None)

    async def _settled(
        self,
        accounts: Sequence[Account],
        doubtful: Sequence[Filing | Promise],
        paths: Sequence[bytes] | None,
    ) -> None:
        places = {self._accounts.store_of(account).path for account in accounts}
        try:
            if doubtful:
                await self._disk.run(self._rewrite, doubtful)
            await self._disk.run(self._sync, paths, places)
        except OSError:
            self.failures += 1
            raise

    def _rewrite(self, doubtful: Sequence[Filing | Promise]) -> None:
        files = self._ground.files
        mailboxes: dict[bytes, dict[bytes, Pieces]] = {}
        for each in doubtful:
            with suppress(StoreRefused):  # no mailbox is called so: it is in none
                account = self._accounts.store_of(each.account).path
                directory = self._directory(each.account, each.mailbox)
                path = account + b"/" + directory if directory else account
                pieces = _pieces(files, each)
                mailboxes.setdefault(path, {})[spelt_unique(each.unique)] = pieces
        for path, messages in mailboxes.items():
            if maildir.exists(files, path):
                rewrite(files, path, messages)

    async def redeem(self, promises: Sequence[Promise]) -> None:
        """Put promised messages into one mailbox, those that have not been there.

        Raises:
            StoreRefused: NONEXISTENT if the mailbox has gone, SERVER_BUG.
        """
        store = await self._accounts.of(promises[0].account)
        await store.redeem(promises)

    def _sync(self, paths: Sequence[bytes] | None, places: set[bytes]) -> None:
        if paths is not None and self._sync_each(paths):
            return
        devices: dict[int, bytes] = {}
        for place in places:
            devices.setdefault(self._ground.files.stat(place).st_dev, place)
        for place in devices.values():
            self._sync_all(place)

    def _sync_each(self, paths: Sequence[bytes]) -> bool:
        """Sync files and their directories; False if one is no longer where it was put."""
        files = self._ground.files
        for path in paths:
            try:
                descriptor = files.open(path, os.O_RDONLY)
            except FileNotFoundError:
                return False
            try:
                files.fsync(descriptor)
            finally:
                files.close(descriptor)
        for directory in sorted({os.path.dirname(path) for path in paths}):
            if directory.endswith(b"/new"):
                # First where sessions have moved messages to from there: else a power cut could
                # leave one that was filed before in neither.
                sync_directory(files, directory[: -len(b"new")] + b"cur")
            sync_directory(files, directory)
        return True

    def _sync_all(self, place: bytes) -> None:
        files = self._ground.files
        descriptor = files.open(place, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if not files.syncfs(descriptor):
                os.sync()  # no syncfs(2) here: this waits likewise, for all file systems
        finally:
            files.close(descriptor)


class _Group:
    """Filings into one mailbox, and where they stand in the batch."""

    def __init__(
        self, store: AccountStore, mailbox: SharedMailbox | None, directory: bytes
    ) -> None:
        self.store = store
        self.mailbox = mailbox
        self.filings: list[tuple[Filing, bool]] = []
        self.positions: list[int] = []
        self.batch = Batch(
            store.path,
            directory,
            store.index,
            None if mailbox is None else mailbox.box,
            self.filings,
            faults=[],
            paths={},
            delta=Delta(),
        )


class _Filed:
    """What was filed since this process began, the latest so many.

    A filing that arrived later than the oldest of them, and is not among them, is new for
    certain: nothing need be looked for.
    """

    def __init__(self, began: float, limit: int) -> None:
        self._since = began
        self._limit = limit
        self._paths: OrderedDict[tuple[str, str], tuple[float, bytes]] = OrderedDict()
        self._unsynced: dict[tuple[str, str], int] = {}

    def add(self, filing: Filing, path: bytes | None, failures: int) -> None:
        """It lies there; an empty path stands for one that has left, or that we did not put.

        `failures` is how often syncing had failed when it was put there.
        """
        key = _key(filing)
        self._paths[key] = filing.arrived, path or b""
        self._unsynced[key] = failures
        while len(self._paths) - len(self._unsynced) > self._limit:
            oldest = next(key for key in self._paths if key not in self._unsynced)
            self._since = max(self._since, self._paths.pop(oldest)[0])

    def path(self, filing: Filing) -> bytes | None:
        """Where it was put; None if it was not filed, as far as we remember."""
        found = self._paths.get(_key(filing))
        return None if found is None else found[1]

    def doubtful(self, filing: Filing) -> bool:
        """Whether it may have been filed before, and forgotten."""
        return filing.arrived <= self._since

    def since(self, filing: Filing) -> int:
        """How often syncing had failed when it was put where it is, and not synced yet."""
        return self._unsynced.get(_key(filing), NEVER)

    def synced(self, filing: Filing) -> None:
        """It is durable."""
        self._unsynced.pop(_key(filing), None)


def _pieces(files: Files, message: Filing | Promise) -> Pieces:
    if isinstance(message, Filing):
        return partial(pieces_of, files, message)
    return lambda: (message.content,)


def _key(filing: Filing) -> tuple[str, str]:
    return filing.account.maildir, filing.unique
