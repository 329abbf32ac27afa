"""One mailbox, shared by all sessions that have it open.

Invariants:

1. Its state (`store.state`) changes on the event loop only, between two awaits.
2. One job at a time works on a mailbox; who waits gets it in order, and long work is done
   in batches so that others get their turn.
3. What a job did is shown when it has ended, whatever became of the session that wanted it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from operator import lt
from typing import Final, Protocol, TypeVar

from mailhub.imap.sequence import merged
from mailhub.mail.part import Part
from mailhub.mail.rights import Rights
from mailhub.ports.accounts import Account
from mailhub.ports.disk import Disk
from mailhub.ports.filing import Unsettled
from mailhub.ports.message import (
    Content,
    FlagAction,
    Identity,
    ModSeq,
    Placed,
    Ranges,
    Rendering,
    Stored,
    Uid,
    UidValidity,
)
from mailhub.ports.store import Affair, Notice, Status, StoreFault, StoreRefused
from mailhub.store import change, placing, reading, reconcile
from mailhub.store.box import Box, Delta, Replaced, Vanished
from mailhub.store.content import LargeContent, ReadAhead, ReadCache, WholeContent
from mailhub.store.index import IndexLost
from mailhub.store.indexed import IndexedMailbox
from mailhub.store.name import own_uniques
from mailhub.store.placing import Append, Incoming, as_refused
from mailhub.store.quota import Sum
from mailhub.store.rows import Columns
from mailhub.store.state import MailboxState, difference
from mailhub.store.work import wholly

T = TypeVar("T")
REPLACED: Final = "The mailbox was replaced by another one"
Told = list[tuple[MailboxState, Delta]]
"""What a job has to tell of mailboxes, in order."""


class Owner(Protocol):
    """The account's store, as far as a mailbox needs it.

    Attributes:
        account: Whose it is.
        unsettled: What has to settle before it leaves, if anything has.
    """

    account: Account
    unsettled: Unsettled | None

    def leave(self, mailbox: SharedMailbox) -> None:
        """Somebody is done with a mailbox."""

    def forget(self, mailbox: SharedMailbox) -> None:
        """Keep a mailbox no longer."""

    def replaced(self) -> None:
        """A maildir of the account is another one now."""

    def announce(self, *notices: Notice) -> None:
        """Tell who listens what has happened."""

    def note(self, octets: int, messages: int) -> None:
        """Blocking: record that messages came or went, for the quota."""

    def follow(self, mailbox: SharedMailbox) -> None:
        """Have the names of a mailbox that is behind say its flags, soon."""

    async def synced(self) -> None:
        """Return when the index is durable as it is now."""

    def check_quota(self, more: Sum) -> None:
        """Blocking: refuse what would exceed the quota."""

    def rights(self, directory: bytes) -> Rights:
        """What the owner may do with a mailbox."""

    async def transfer(
        self, source: SharedMailbox, uids: Sequence[int], target: str, *, move: bool
    ) -> Placed:
        """Copy or move messages to another mailbox."""


class SharedMailbox(IndexedMailbox):
    """A `ports.mailbox.Mailbox`.

    Attributes:
        users: Sessions that have it open, and work under way.
        gone: It was deleted.
        ended: Why nobody may go on with it; empty while all is well.
    """

    def __init__(self, account: Owner, box: Box, name: str, disk: Disk, cache: ReadCache) -> None:
        super().__init__(box)
        self.name = name
        self.account = account
        self.lock = disk.lock()
        self.users = 0
        self.gone = False
        self.ended = ""
        self._disk = disk
        self._cache = cache
        self._serial = cache.serial()
        self._limits = box.ground.limits
        self._ahead = ReadAhead()
        self._appends: list[Append] = []
        self._young: set[Uid] = set()  # flagged while the spool may have answered for them

    @property
    def rights(self) -> Rights:
        """What the owner may do."""
        return self.account.rights(self.box.directory)

    # ---- Work ---------------------------------------------------------------------------------

    async def work(
        self, function: Callable[[Told], T], *others: SharedMailbox, brief: bool = False
    ) -> T:
        """Do a job on this mailbox (and `others`), whose locks the caller holds.

        What the job tells is applied when it has ended, also if it failed. One that is
        `brief` may be done in place, once the mailbox has been looked at.

        Raises:
            StoreRefused: What the job refused, NONEXISTENT if the mailbox was
                deleted, SERVER_BUG for an error of the disk.
        """
        for _ in range(3):
            if self.gone:
                raise StoreRefused(StoreFault.NONEXISTENT, "The mailbox was deleted")
            for mailbox in (self, *others):
                if mailbox.loaded:
                    await mailbox._reload()  # noqa: SLF001 -- one of us
            told: Told = []
            try:
                return await wholly(
                    self._disk,
                    partial(function, told),
                    partial(_apply_all, told),
                    brief=brief and self.box.ready,
                )
            except IndexLost:
                continue
            except Vanished as error:
                for mailbox in (self, *others):
                    if mailbox.box is error.box:
                        mailbox.leave_to(error)
                raise
            except OSError as error:
                raise as_refused(error) from error
            finally:
                for mailbox in (self, *others):
                    if mailbox.box.behind:
                        mailbox.account.follow(mailbox)
        raise as_refused(OSError("the index was lost again and again"))

    async def _reload(self) -> None:
        """If the index was lost, load the box anew, and see what that made different."""
        if self.box.ready:
            return
        old = Columns(*(column[:] for column in self.columns))

        def job(told: Told) -> None:
            reconcile.refresh(self.box)
            with self.box.transaction(write=False) as transaction:
                told.append((self, difference(old, transaction.load(self.box.kept.id))))

        told: Told = []
        try:
            await wholly(self._disk, partial(job, told), partial(_apply_all, told))
        except Vanished as error:
            self.leave_to(error)
            raise
        except (OSError, IndexLost) as error:
            raise as_refused(error) from error

    def leave_to(self, error: Vanished) -> None:
        """It is not there any more, or is another one."""
        if not isinstance(error, Replaced):
            self.vanish()
            return
        self.gone = True
        self.ended = REPLACED
        self.account.forget(self)
        self.account.replaced()
        for woken in list(self._watchers):
            woken()

    def vanish(self) -> None:
        """It was deleted: all messages are gone."""
        if not self.gone:
            self.gone = True
            self.apply(Delta(removed=self.uids[:]))

    def apply(self, delta: Delta) -> None:
        """Show what files and index show already; tell who watches, and who listens."""
        super().apply(delta)
        if delta.added or delta.removed:
            self.account.announce(Notice(Affair.MESSAGES, self.name))
        if delta.changed:
            self.account.announce(Notice(Affair.FLAGS, self.name))

    # ---- Opening and releasing ------------------------------------------------------------------

    async def enter(self) -> None:
        """Fill the arrays, or see what others did since they were filled.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """
        if self.loaded:
            await self.refresh()
            return
        loaded: list[Columns] = []

        def job(told: Told) -> None:
            told.append((self, reconcile.refresh(self.box)))
            with self.box.transaction(write=False) as transaction:
                loaded.append(transaction.load(self.box.kept.id))

        async with self.lock:
            if not self.loaded:
                await self.work(job)
                self.show(loaded[-1])
                self.loaded = True
                return
        await self.refresh()

    async def refresh(self) -> None:
        """See what other programs did to the maildir since we last looked."""
        async with self.lock:
            if not self.gone:
                await self.work(self._refresh)

    def _refresh(self, told: Told) -> None:
        told.append((self, reconcile.refresh(self.box)))

    async def release(self) -> None:
        """This session is done with it. Called once for each `MailStore.open`."""
        try:
            if self.users == 1 and self._recent_taken and not self.gone:
                self._recent_taken = False
                with suppress(StoreRefused):
                    async with self.lock:
                        await self.work(self._save)
        finally:
            self.account.leave(self)

    def _save(self, told: Told) -> None:  # noqa: ARG002 -- nothing to tell
        with self.box.transaction() as transaction:
            self.box.save(transaction)

    async def status(self) -> Status:
        """The numbers of the mailbox.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """

        def job(told: Told) -> Status:
            told.append((self, reconcile.refresh(self.box)))
            kept = self.box.kept
            with self.box.transaction(write=False) as transaction:
                totals = transaction.totals(kept.id, kept.recent)
            return Status(
                *totals,
                Uid(kept.uid_next),
                UidValidity(kept.uid_validity),
                ModSeq(kept.modseq),
                self.box.mailbox_id,
            )

        async with self.lock:
            return await self.work(job)

    async def touch(self) -> None:
        """Raise the highest MODSEQ, though no message has changed.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """

        def job(told: Told) -> None:
            told.append((self, reconcile.refresh(self.box)))
            self.box.next_modseq()
            self._save(told)
            told.append((self, Delta()))

        async with self.lock:
            await self.work(job)

    # ---- Changing messages --------------------------------------------------------------------

    async def store(
        self,
        uids: Sequence[int],
        action: FlagAction,
        names: Iterable[str],
        unchanged_since: int | None = None,
    ) -> Stored:
        """Change flags, unless they changed after `unchanged_since`; unknown keywords are made.

        Raises:
            StoreRefused: LIMIT where no keyword is left, SERVER_BUG.
        """
        names = tuple(names)
        changed: list[Uid] = []
        modified: list[Uid] = []
        for batch in self._batches(uids, self._limits.batch):

            def job(told: Told, batch: Sequence[int] = batch) -> change.Restyled:
                if self.box.doubted:
                    told.append((self, reconcile.refresh(self.box)))
                done = change.store(self.box, batch, action, names, unchanged_since)
                told.append((self, done.delta))
                return done

            async with self.lock:
                done = await self.work(job)
            changed += [Uid(uid) for uid, _, _ in done.delta.changed]
            modified += [Uid(uid) for uid in done.modified]
        if (unsettled := self.account.unsettled) and unsettled.any(self.account.account):
            self._young.update(changed)
        return Stored(tuple(changed), tuple(modified))

    async def durable(self) -> None:
        """Return when all flags are durable that were changed before, and their messages are.

        Raises:
            StoreRefused: SERVER_BUG: they may not be.
        """
        await self._settle(young := sorted(self._young))
        self._young.difference_update(young)
        try:
            await self.account.synced()
        except OSError as error:
            raise as_refused(error) from error

    async def expunge(self, uids: Sequence[int]) -> tuple[Uid, ...]:
        """Remove these messages for good, flagged or not; those removed are returned.

        Raises:
            StoreRefused: SERVER_BUG: some may be left.
        """
        await self._settle(uids)
        removed: list[Uid] = []
        for batch in self._batches(uids, self._limits.batch):

            def job(told: Told, batch: Sequence[int] = batch) -> change.Removal:
                removal = change.expunge(self.box, batch)
                told.append((self, removal.delta))
                self.account.note(-sum(row.size for row in removal.rows), -len(removal.rows))
                return removal

            async with self.lock:
                removal = await self.work(job)
            if removal.error is not None:
                raise as_refused(removal.error)
            removed += [Uid(row.uid) for row in removal.rows]
        return tuple(removed)

    async def copy(self, uids: Sequence[int], target: str) -> Placed:
        """Copy to another mailbox with flags and dates, all or none (RFC 3501 §6.4.7).

        Raises:
            StoreRefused: NONEXISTENT target, OVER_QUOTA, SERVER_BUG.
        """
        await self._settle(uids)
        return await self.account.transfer(self, sorted(set(uids)), target, move=False)

    async def move(self, uids: Sequence[int], target: str) -> Placed:
        """Move likewise (RFC 6851)."""
        await self._settle(uids)
        return await self.account.transfer(self, sorted(set(uids)), target, move=True)

    async def _settle(self, uids: Sequence[int]) -> None:
        """Wait until the spool answers for none of these: see `relay.settling`."""
        unsettled = self.account.unsettled
        if not uids or unsettled is None or not unsettled.any(self.account.account):
            return

        def job(told: Told) -> set[str]:  # noqa: ARG001 -- nothing to tell
            return own_uniques(row.name for row in self.box.rows(uids))

        async with self.lock:
            uniques = await self.work(job)
        await unsettled.settle(self.account.account, uniques)

    async def append(self, messages: Sequence[Incoming]) -> tuple[Uid, ...]:
        """Add messages durably; those of several sessions go together.

        Raises:
            StoreRefused: LIMIT, SERVER_BUG; nothing was added.
        """
        request = Append(messages)
        self._appends.append(request)
        try:
            async with self.lock:
                if not request.settled:
                    others = [other for other in self._appends if other is not request]
                    requests, self._appends = [request, *others], []
                    await self._append_all(requests)
        finally:
            if request in self._appends:
                self._appends.remove(request)
        if request.error is not None:
            raise request.error
        return request.uids

    async def _append_all(self, requests: Sequence[Append]) -> None:
        """Settle the first of these, and the others if nothing interrupts us."""

        def job(told: Told) -> None:
            told.append((self, reconcile.refresh(self.box)))
            delta = placing.append(self.box, messages)
            told.append((self, delta))
            self.account.note(sum(message.size for message in messages), len(messages))
            uids = iter([Uid(row.uid) for row in delta.added])
            for request in requests:
                request.uids = tuple(next(uids) for _ in request.messages)
                request.settled = True

        messages = [message for request in requests for message in request.messages]
        promised = all(message.unique for message in messages)
        try:
            await self.work(job, brief=promised and len(messages) <= self._limits.brief)
        except StoreRefused as error:
            if len(requests) == 1:
                requests[0].error, requests[0].settled = error, True
                return
            for request in requests:  # one of them may be to blame
                await self._append_all([request])

    async def redeem(self, messages: Sequence[Incoming]) -> None:
        """Append promised messages, those that are not here, and were not and have left since.

        Raises:
            StoreRefused: NONEXISTENT, LIMIT, SERVER_BUG; nothing was added.
        """

        def job(told: Told) -> None:
            told.append((self, reconcile.refresh(self.box)))
            lacking = placing.lacking(self.box, messages)
            if lacking:
                told.append((self, placing.append(self.box, lacking)))
                self.account.note(sum(it.size for it in lacking), len(lacking))

        async with self.lock:
            await self.work(job)

    def _batches(self, uids: Sequence[int], size: int) -> Iterable[Sequence[int]]:
        ordered = sorted(set(uids))
        return [ordered[start : start + size] for start in range(0, len(ordered), size)]

    # ---- Reading messages -----------------------------------------------------------------------

    async def content(self, uid: int) -> Content | None:
        """The message's octets; None if it is gone. Cheap to call in ascending order.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        position = self.position(uid)
        if position is None:
            return None
        known = self._cache.get(self._serial, uid)
        if known is not None:
            self._ahead.last = position
            return WholeContent(known)
        messages = self._ahead.at(position, self._limits.read_ahead_messages)

        def job(told: Told) -> reading.Ahead:  # noqa: ARG001 -- reading changes nothing
            return reading.read_ahead(self.box, uid, messages)

        async with self.lock:
            ahead = await self.work(job)
        if ahead.large is not None:
            return LargeContent(self._disk, ahead.large)
        octets = ahead.whole.pop(uid, None)
        self._cache.put(self._serial, ahead.whole)
        return None if octets is None else WholeContent(octets)

    async def whole(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """The octets of messages; None for those that are gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._read(uids, reading.whole)

    async def structure(self, uid: int) -> Part | None:
        """A message's structure, worked out anew; None if it is gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """

        def job(told: Told) -> Part | None:  # noqa: ARG001 -- reading changes nothing
            return reading.structure(self.box, uid)

        async with self.lock:
            return await self.work(job)

    async def headers(self, uids: Sequence[int]) -> Sequence[bytes | None]:
        """The header sections, each with its empty line; None for those that are gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._read(uids, reading.headers)

    async def fields(self, names: Sequence[bytes], uids: Sequence[int]) -> Sequence[bytes | None]:
        """These fields of the header sections; None likewise.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._read(uids, partial(reading.fields, names))

    async def rendered(
        self, what: Rendering, uids: Sequence[int], *, make: bool = True
    ) -> Sequence[bytes | None]:
        """What the index keeps of each of `uids`; None for those that are gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._read(uids, partial(reading.rendered, what, make=make))

    async def identities(self, uids: Sequence[int]) -> Sequence[Identity | None]:
        """What each is, and since when; None for those that are gone.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        return await self._read(uids, reading.identities)

    async def vanished(self, modseq: int) -> Ranges | None:
        """UIDs of messages that left after `modseq`; None if that is not known any more.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """

        def job(told: Told) -> Ranges | None:  # noqa: ARG001 -- reading changes nothing
            kept = self.box.kept
            if modseq < kept.floor or self.doubtful(modseq):
                return None
            with self.box.transaction(write=False) as transaction:
                return merged(transaction.departures.expunged(kept.id, modseq))

        async with self.lock:
            return await self.work(job)

    async def _read(
        self,
        uids: Sequence[int],
        function: Callable[[Box, Sequence[int]], Sequence[T | None]],
    ) -> Sequence[T | None]:
        found: list[T | None] = []
        ordered = uids if _ascending(uids) else sorted(set(uids))
        for start in range(0, len(ordered), self._limits.read_batch):
            batch = ordered[start : start + self._limits.read_batch]

            def job(told: Told, batch: Sequence[int] = batch) -> Sequence[T | None]:  # noqa: ARG001
                return function(self.box, batch)

            async with self.lock:
                found += await self.work(job)
        if ordered is uids:
            return found
        values = dict(zip(ordered, found, strict=True))
        return [values[uid] for uid in uids]


def _ascending(numbers: Sequence[int]) -> bool:
    """Whether no number is less than the one before, or equal."""
    return all(map(lt, numbers, islice(numbers, 1, None)))


def _apply_all(told: Told) -> None:
    for mailbox, delta in told:
        mailbox.apply(delta)
