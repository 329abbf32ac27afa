"""All of one account's mailboxes: listed, made, removed, renamed, opened, appended to.

Invariants:

1. Directories are made, removed and renamed by one at a time (`_order`), who then also
   holds the locks of the mailboxes concerned; locks are taken in order of directories.
2. A name that is used again shows a greater UIDVALIDITY than it ever did.
3. The mailbox of a directory is one object for as long as anybody has it open.
"""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import replace
from functools import partial
from typing import TypeVar

from mailhub.mail.rights import ALL, OWNERS, Rights, granted, identities
from mailhub.ports.accounts import Account
from mailhub.ports.disk import Disk
from mailhub.ports.filing import Ledger, Promise, Unsettled
from mailhub.ports.message import Appending, Placed, Uid, Upload
from mailhub.ports.store import Affair, Listed, Notice, Status, StoreFault, StoreRefused, Usage
from mailhub.store import folders, levels, maildir, metadata, quota, subscriptions
from mailhub.store.acl import Acls
from mailhub.store.barrier import Barrier
from mailhub.store.box import Box
from mailhub.store.carrying import carry, shown
from mailhub.store.content import ReadCache
from mailhub.store.following import Following
from mailhub.store.ground import Ground
from mailhub.store.index import FILE as INDEX
from mailhub.store.index import Index, IndexLost, IndexPool
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.name import INBOX, SEPARATOR, checked, directory_of, mailbox_of
from mailhub.store.placing import Incoming, as_refused
from mailhub.store.profile import Profiles
from mailhub.store.quota import Sum
from mailhub.store.upload import DiskUpload
from mailhub.store.work import wholly

T = TypeVar("T")
Abroad = Callable[[SharedMailbox, Sequence[int], str, bool], Awaitable[Placed | str]]


class AccountStore:
    """A `ports.store.MailStore`, shared by all sessions of the account.

    Attributes:
        account: As it was when somebody last logged in: its quota may change.
        made: Its maildir is there.
        making: Held by the thread that makes it.
        mailboxes: Those that are open or kept warm, by directory.
        listeners: Told of what happens to mailboxes, open or not.
        acls: Their access control lists.
        abroad: Carries messages to mailboxes of other accounts; of what a name calls that is the
            account's own it gives the name.
    """

    def __init__(
        self,
        account: Account,
        path: bytes,
        *,
        ground: Ground,
        disk: Disk,
        cache: ReadCache,
        pool: IndexPool,
        boot: str,
        cooled: Callable[[SharedMailbox], None],
        following: Following,
        ledger: Ledger | None = None,
        unsettled: Unsettled | None = None,
    ) -> None:
        self.account = account
        self.path = path
        self.made = False
        self.making = threading.Lock()
        self.mailboxes: dict[bytes, SharedMailbox] = {}
        self.listeners: dict[Callable[[Notice], None], None] = {}
        self._marks: dict[bytes, maildir.Changed] = {}
        self.index = Index(path + b"/" + INDEX, pool, ground.files, boot, ground.log)
        self.acls = Acls(ground.files, path, account.path.domain)
        self.abroad: Abroad | None = None
        self.profiles = Profiles(ground.files, path, ground.clock, ground.log)
        self._ground = ground
        self._disk = disk
        self._cache = cache
        self._cooled = cooled
        self._following = following
        self._barrier = Barrier(disk, self.index.sync)
        self._ledger = ledger
        self.unsettled = unsettled
        self._order = disk.lock()
        self._pop3 = False

    # ---- Mailboxes as objects --------------------------------------------------------------

    def mailbox(self, name: str) -> SharedMailbox:
        """The shared mailbox, whether it exists or not; `leave` gives it back.

        Raises:
            StoreRefused: CANNOT: no mailbox can be called so.
        """
        name = checked(name, self._ground.limits)
        directory = directory_of(name)
        mailbox = self.mailboxes.get(directory)
        if mailbox is None or mailbox.gone:
            box = Box(self._ground, self.index, self.profiles, self.path, directory)
            mailbox = SharedMailbox(self, box, name, self._disk, self._cache)
            self.mailboxes[directory] = mailbox
        mailbox.users += 1
        return mailbox

    def announce(self, *notices: Notice) -> None:
        """Tell who listens what has happened."""
        for told in list(self.listeners):
            for notice in notices:
                told(notice)

    def stirred(self) -> Sequence[str]:
        """Blocking: mailboxes whose directories have changed since we last asked, or may have."""
        files = self._ground.files
        before, self._marks = self._marks, {}
        found = []
        for directory in maildir.directories(files, self.path):
            with suppress(FileNotFoundError):
                mark = maildir.changed(files, self.path + b"/" + directory)
                self._marks[directory] = mark
                if before.get(directory, mark) != mark:
                    found.append(mailbox_of(directory) or INBOX)
        return found

    def leave(self, mailbox: SharedMailbox) -> None:
        """Somebody is done with a mailbox."""
        mailbox.users -= 1
        if mailbox.users:
            self._following.left(mailbox)
            return
        if mailbox.gone or not mailbox.box.ready:
            self.forget(mailbox)
        else:
            self._cooled(mailbox)

    def follow(self, mailbox: SharedMailbox) -> None:
        """Have the names of a mailbox say its flags, soon; until then it is not let go."""
        self._following.add(mailbox)

    async def synced(self) -> None:
        """Return when the index is durable as it is now; those who wait share a sync.

        Raises:
            OSError: It may not be.
        """
        await self._barrier.passed()

    def forget(self, mailbox: SharedMailbox) -> None:
        """Keep a mailbox no longer; whoever wants it loads it anew."""
        if self.mailboxes.get(mailbox.box.directory) is mailbox:
            del self.mailboxes[mailbox.box.directory]

    def replaced(self) -> None:
        """A maildir of the account is another one now: perhaps all of it."""
        self.profiles.forget()
        self.made = False

    @asynccontextmanager
    async def _held(self, names: Iterable[str]) -> AsyncIterator[list[SharedMailbox]]:
        """Mailboxes with their locks."""
        mailboxes = [self.mailbox(name) for name in names]
        try:
            async with AsyncExitStack() as stack:
                unique = {mailbox.box.directory: mailbox for mailbox in mailboxes}
                for _, mailbox in sorted(unique.items()):
                    await stack.enter_async_context(mailbox.lock)
                yield mailboxes
        finally:
            for mailbox in mailboxes:
                self.leave(mailbox)

    async def _run(self, job: Callable[[], T], after: Callable[[], None] = lambda: None) -> T:
        try:
            return await wholly(self._disk, job, after)
        except OSError as error:
            raise as_refused(error) from error

    # ---- Rights ----------------------------------------------------------------------------

    def rights(self, directory: bytes) -> Rights:
        """What the owner may do with a mailbox; no more than the least if its list is broken."""
        try:
            acl = self.acls.get(directory)
        except OSError:
            return OWNERS
        return granted(acl, identities(self.account.path.key), owner=True) if acl else ALL

    # ---- Directories -----------------------------------------------------------------------

    async def names(self) -> Sequence[str]:
        """The names of all mailboxes."""
        return await self._run(lambda: folders.names(self._ground.files, self.path))

    async def list(self) -> Sequence[Listed]:
        """Every mailbox, and every level above one, in order of names."""
        return await self._run(
            lambda: folders.listed(self._ground.files, self.path, self.profiles.get().uses)
        )

    async def create(
        self, name: str, special_use: Sequence[str] = (), inherit: str | None = None
    ) -> None:
        """Make a mailbox, and the levels above it (RFC 3501 §6.3.3).

        Its access control list is that of the mailbox `inherit`, if there is one.

        Raises:
            StoreRefused: CANNOT, ALREADY_EXISTS, LIMIT, OVER_QUOTA, SERVER_BUG.
        """
        # A final separator only says that there will be levels below.
        name = checked(name.removesuffix(SEPARATOR), self._ground.limits)
        directory, files = directory_of(name), self._ground.files

        def job() -> None:
            path = self.path + b"/" + directory
            if not directory or maildir.exists(files, path):
                raise StoreRefused(StoreFault.ALREADY_EXISTS, "Mailbox exists already")
            count = len(maildir.directories(files, self.path))
            if count >= self._ground.limits.mailboxes:
                raise StoreRefused(StoreFault.LIMIT, "Too many mailboxes")
            if 0 < self.account.quota.mailboxes <= count:
                raise StoreRefused(StoreFault.OVER_QUOTA, "The account may have no more mailboxes")
            maildir.make(files, path, folder=True)
            if inherit is not None:
                self.acls.inherit(directory, directory_of(inherit))
            self.profiles.use(directory, tuple(special_use))
            self._settle_levels()

        async with self._order:
            await self._run(job, lambda: self._made(name))

    def _settle_levels(self, *renamed: bytes) -> None:
        """Blocking: let annotations of levels follow; a failure is made good the next time."""
        with suppress(OSError):
            if renamed:
                levels.rename(self._ground.files, self.path, *renamed)
            levels.settle(self._ground.files, self.path)

    def _made(self, name: str) -> None:
        if self.listeners and self._there(directory_of(name)):
            self.announce(Notice(Affair.CREATED, name))

    async def delete(self, name: str) -> None:
        """Remove a mailbox and its messages; its children stay (RFC 3501 §6.3.4).

        Raises:
            StoreRefused: CANNOT for INBOX, HAS_CHILDREN for a level without a mailbox,
                NONEXISTENT, SERVER_BUG.
        """
        name = checked(name, self._ground.limits)
        if name == INBOX:
            raise StoreRefused(StoreFault.CANNOT, "INBOX cannot be deleted")
        directory = directory_of(name)

        def job() -> None:
            folders.delete(self._ground, self.path, directory, self.profiles)
            with suppress(OSError, IndexLost), self.index.transaction() as transaction:
                transaction.forget_mailbox(directory)
            self._settle_levels()

        async with self._order, self._held([name]) as (mailbox,):
            await self._run(job, lambda: self._follow(mailbox, directory))

    def _follow(self, mailbox: SharedMailbox, directory: bytes) -> None:
        """See what became of a mailbox's directory."""
        if not self._there(directory):
            mailbox.vanish()
            self.forget(mailbox)
            self.announce(Notice(Affair.DELETED, mailbox.name))

    def _there(self, directory: bytes) -> bool:
        """Whether a mailbox is there for certain."""
        try:
            return maildir.exists(self._ground.files, self.path + b"/" + directory)
        except OSError:
            return False

    async def rename(self, name: str, new: str) -> None:
        """Rename with children; from INBOX, move its messages (RFC 3501 §6.3.5).

        Raises:
            StoreRefused: NONEXISTENT, ALREADY_EXISTS, CANNOT, SERVER_BUG.
        """
        name = checked(name, self._ground.limits)
        new = checked(new.removesuffix(SEPARATOR), self._ground.limits)
        if name == INBOX:
            await self.create(new)
            await self._run(lambda: metadata.copy(self._ground.files, self.path, directory_of(new)))
            async with self._opened(INBOX) as inbox:
                await inbox.move([Uid(uid) for uid in inbox.uids], new)
            return
        if new == name or new.startswith(name + SEPARATOR):
            raise StoreRefused(StoreFault.CANNOT, "A mailbox cannot be moved into itself")
        async with self._order:
            moves = await self._run(lambda: folders.moves(self._ground, self.path, name, new))
            names = [level for pair in moves for level in pair]
            async with self._held(names) as mailboxes:
                renewed: list[bytes] = []

                def job() -> None:
                    folders.rename(
                        self._ground, self.path, moves, self.profiles, self.index, renewed
                    )
                    self._settle_levels(directory_of(name), directory_of(new))

                await self._run(job, lambda: self._moved(moves, mailboxes, renewed))

    def _moved(
        self,
        moves: Sequence[tuple[str, str]],
        mailboxes: Sequence[SharedMailbox],
        renewed: Sequence[bytes],
    ) -> None:
        """Let open mailboxes follow their directories."""
        name, renamed = moves[0]
        if not self._there(directory_of(name)):
            # Nothing is said of its children                               (RFC 5465 §5.4)
            self.announce(Notice(Affair.RENAMED, renamed, name))
        for (_, new), mailbox, target in zip(moves, mailboxes[::2], mailboxes[1::2], strict=True):
            old_directory, directory = mailbox.box.directory, directory_of(new)
            if self._there(old_directory):
                continue  # it failed
            self.forget(mailbox)
            self.forget(target)
            if directory in renewed or not mailbox.box.ready or not self._there(directory):
                mailbox.vanish()
                continue
            mailbox.name = new
            mailbox.box.directory = directory
            self.mailboxes[directory] = mailbox

    async def annotated(self, name: str) -> None:
        """A mailbox's annotations have changed: its highest MODSEQ grows (RFC 7162 §3.2).

        Raises:
            StoreRefused: SERVER_BUG.
        """
        path = self.path + b"/" + directory_of(name)
        if not await self._run(lambda: maildir.exists(self._ground.files, path)):
            return  # a level has no messages
        mailbox = self.mailbox(name)
        try:
            await mailbox.touch()
        finally:
            self.leave(mailbox)

    # ---- Subscriptions ---------------------------------------------------------------------

    async def subscribe(self, name: str) -> None:
        """Add to the subscriptions, whether it exists or not.

        Raises:
            StoreRefused: CANNOT for what can be no mailbox, LIMIT.
        """
        await self._subscribe(name, subscribed=True)

    async def unsubscribe(self, name: str) -> None:
        """Take off the subscriptions."""
        await self._subscribe(name, subscribed=False)

    async def _subscribe(self, name: str, *, subscribed: bool) -> None:
        name = checked(name, self._ground.limits)
        async with self._order:
            done = await self._run(
                partial(
                    subscriptions.change,
                    self._ground.files,
                    self.path,
                    name,
                    subscribed=subscribed,
                    limit=self._ground.limits.subscriptions,
                )
            )
        if not done:
            raise StoreRefused(StoreFault.LIMIT, "Too many subscriptions")
        self.announce(Notice(Affair.SUBSCRIBED if subscribed else Affair.UNSUBSCRIBED, name))

    # ---- Messages --------------------------------------------------------------------------

    async def status(self, name: str) -> Status:
        """The numbers of a mailbox, open or not."""
        mailbox = self.mailbox(name)
        try:
            return await mailbox.status()
        finally:
            self.leave(mailbox)

    async def open(self, name: str) -> SharedMailbox:
        """The shared mailbox; `Mailbox.release` gives it back."""
        mailbox = self.mailbox(name)
        try:
            await mailbox.enter()
        except BaseException:
            self.leave(mailbox)
            raise
        return mailbox

    @asynccontextmanager
    async def _opened(self, name: str) -> AsyncIterator[SharedMailbox]:
        mailbox = await self.open(name)
        try:
            yield mailbox
        finally:
            await mailbox.release()

    async def upload(
        self,
        size: int | None = None,
        name: str = INBOX,  # noqa: ARG002 -- all mailboxes are one quota
        freed: int = 0,
    ) -> DiskUpload:
        """Begin an APPEND of a message of `size` octets; see `ports.store.MailStore`.

        Raises:
            StoreRefused: OVER_QUOTA.
        """
        if size is not None and quota.limited(self.account.quota):
            await self._run(lambda: self.check_quota(Sum(size, 1) + _leaving(freed)))
        return DiskUpload(self._ground, self._disk, self.path)

    async def append(self, name: str, messages: Sequence[Appending], freed: int = 0) -> Placed:
        """File uploaded messages, durably, all or none; ends the uploads either way.

        Raises:
            StoreRefused: NONEXISTENT, OVER_QUOTA, LIMIT, SERVER_BUG.
        """
        now = self._ground.clock()
        try:
            incoming = [
                _uploaded(message.upload).incoming(
                    message.flags, now if message.internal_date is None else message.internal_date
                )
                for message in messages
            ]
            if quota.limited(self.account.quota):
                total = Sum(sum(message.size for message in incoming), len(incoming))
                await self._run(lambda: self.check_quota(total + _leaving(freed)))
            mailbox = self.mailbox(name)
            try:
                if self._promisable(incoming):
                    uids = await self._promised(mailbox, incoming)
                else:
                    uids = await mailbox.append(incoming)
                return Placed(mailbox.uid_validity, (), uids)
            finally:
                self.leave(mailbox)
        finally:
            for message in messages:
                await message.upload.abort()

    def _promisable(self, incoming: Sequence[Incoming]) -> bool:
        """Whether the ledger takes all of them."""
        ledger = self._ledger
        return ledger is not None and all(
            it.path is None and it.size <= ledger.limit for it in incoming
        )

    async def _promised(
        self, mailbox: SharedMailbox, incoming: Sequence[Incoming]
    ) -> tuple[Uid, ...]:
        """Append while the ledger makes a promise of it; both must succeed.

        Raises:
            StoreRefused: LIMIT, SERVER_BUG; nothing was added.
        """
        ledger = self._ledger
        assert ledger is not None
        named = [replace(it, unique=ledger.unique()) for it in incoming]
        promises = [
            Promise(self.account, mailbox.name, it.unique, it.octets, it.flags, it.date)
            for it in named
        ]
        writing = ledger.promise(promises)
        try:
            uids = await mailbox.append(named)
        except BaseException:
            ledger.forget(promises)
            raise
        try:
            await writing
        except OSError as error:
            await mailbox.expunge(uids)
            raise as_refused(error) from error
        except BaseException:
            ledger.forget(promises)
            raise
        ledger.keep(promises)
        return uids

    async def redeem(self, promises: Sequence[Promise]) -> None:
        """Append promised messages to one mailbox; see `ports.filing.Filer.redeem`."""
        mailbox = self.mailbox(promises[0].mailbox)
        try:
            await mailbox.redeem(
                [
                    Incoming(it.content, None, len(it.content), it.flags, it.date, it.unique)
                    for it in promises
                ]
            )
        finally:
            self.leave(mailbox)

    async def transfer(
        self, source: SharedMailbox, uids: Sequence[int], target: str, *, move: bool
    ) -> Placed:
        """Copy or move messages to another mailbox, as the owner names it.

        Raises:
            StoreRefused: NONEXISTENT target, OVER_QUOTA, SERVER_BUG.
        """
        if self.abroad is not None:
            found = await self.abroad(source, uids, target, move)
            if isinstance(found, Placed):
                return found
            target = found
        async with self._held([source.name, target]) as (same, other):
            if same is not source:
                raise StoreRefused(StoreFault.NONEXISTENT, "The mailbox was deleted")
            placed = await carry(source, other, uids, move=move)
            return shown(placed, self.rights(other.box.directory))

    # ---- Quota and POP3 --------------------------------------------------------------------

    async def usage(self) -> Usage:
        """What the account holds and may hold."""
        limits = self.account.quota
        total = await self._run(
            lambda: quota.usage(self._ground.files, self.path, limits, self._ground.clock())
        )
        mailboxes = len(await self.names()) if limits.mailboxes else 0
        return Usage(total.octets, total.messages, limits, mailboxes)

    def check_quota(self, more: Sum) -> None:
        """Blocking: refuse what would exceed the quota.

        Raises:
            StoreRefused: OVER_QUOTA.
            OSError: The disk said no.
        """
        limits = self.account.quota
        if not quota.limited(limits) or not more.grows:
            return
        total = quota.usage(self._ground.files, self.path, limits, self._ground.clock())
        if (total + more).exceeds(limits):
            raise StoreRefused(StoreFault.OVER_QUOTA, "Over quota")

    def note(self, octets: int, messages: int) -> None:
        """Blocking: record that messages came or went."""
        if messages:
            quota.note(self._ground.files, self.path, self.account.quota, Sum(octets, messages))

    async def lock(self) -> AbstractAsyncContextManager[None]:
        """POP3's exclusive access to the maildrop (RFC 1939 §4); IMAP does not ask for it.

        Raises:
            StoreRefused: IN_USE by another POP3 session.
        """
        if self._pop3:
            raise StoreRefused(StoreFault.IN_USE, "Another POP3 session is active")
        self._pop3 = True
        return self._locked()

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        try:
            yield
        finally:
            self._pop3 = False


def _uploaded(upload: Upload) -> DiskUpload:
    assert isinstance(upload, DiskUpload), "an upload of another store"
    return upload


def _leaving(octets: int) -> Sum:
    """What a message of so many octets takes with it; 0 is no message."""
    return Sum(-octets, -1 if octets else 0)
