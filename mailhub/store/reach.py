r"""All mailboxes that an account reaches: its own, and those that others share with it.

A name is first found to be a `Spot`: whose mailbox it is, what its owner calls it, and
what we may do there; each method then asks for its rights and hands on.

Invariants:

1. Nothing is done without the rights it needs (RFC 4314 §4).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from typing import Final, TypeVar

from mailhub.mail.flag import SEEN
from mailhub.mail.rights import Acl, Rights
from mailhub.ports.accounts import Account, Quota
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Appending, Placed, Upload
from mailhub.ports.store import Affair, Listed, Notice, Status, StoreFault, StoreRefused, Usage
from mailhub.store import annotating, controlling, maildir, urlkeys
from mailhub.store.account import AccountStore
from mailhub.store.carrying import shown
from mailhub.store.crossing import Crossing, permitted
from mailhub.store.name import INBOX, SEPARATOR, directory_of
from mailhub.store.overhearing import Overhearing
from mailhub.store.placing import as_refused
from mailhub.store.sharing import Annotated, Sharing
from mailhub.store.spot import Spot, Spots, no_such_mailbox

T = TypeVar("T")

_KNOWABLE: Final = "lrikxa"
"""Rights of which one lets somebody ask for their own (RFC 4314 §4, MYRIGHTS)."""


class AccountReach:
    """A `ports.store.Reach`; one for each session.

    Attributes:
        crossing: How messages get to others' mailboxes, and from there.
    """

    def __init__(self, sharing: Sharing, own: AccountStore, account: Account) -> None:
        self._sharing = sharing
        self._own = own
        self._account = account
        self._spots = Spots(sharing, own, account)
        self.crossing = Crossing(sharing, account, self._spots)
        self._told: Callable[[str, Sequence[str]], None] | None = None
        self._heard: Callable[[Notice], None] | None = None
        self._ear: Overhearing | None = None

    @property
    def others(self) -> str:
        """What the names of other accounts' mailboxes begin with."""
        return self._sharing.prefix

    @property
    def admin(self) -> bool:
        """The account may do what is the operator's to do; not if that cannot be found out."""
        try:
            found = self._sharing.principals.by_id(self._account.id)
        except OSError:
            return False
        return found is not None and found.admin

    # ---- Lists -----------------------------------------------------------------------------

    async def list(self) -> Sequence[Listed]:
        """Every mailbox that may be looked up, every subscription, in order of names."""
        sharing, spots = self._sharing, self._spots
        rows = {row.name: row for row in await self._own.list()}
        if not sharing.prefix:
            return list(rows.values())
        subscribed = {name for name, row in rows.items() if row.subscribed}
        for name in [name for name in rows if spots.is_foreign(name)]:
            if name not in subscribed:
                del rows[name]  # a mailbox of our own that the namespace hides
            else:
                rows[name] = Listed(name, selectable=False, subscribed=True)
        try:
            owners = sharing.principals.sharers(sharing.identities(self._account))
        except OSError as error:
            raise as_refused(error) from error
        for owner in owners:
            if owner.id == self._account.id:
                continue
            store = sharing.stores.store_of(owner)
            for name in await self._visible(store):
                shown = spots.shown(store, name)
                rows[shown] = Listed(shown, selectable=True, subscribed=shown in subscribed)
        return sorted(rows.values(), key=lambda row: row.name)

    async def _visible(self, store: AccountStore) -> Sequence[str]:
        """The names of those of another account's mailboxes that may be looked up."""
        try:
            names = await self._sharing.names(store)
        except OSError as error:
            raise as_refused(error) from error
        rights = self._sharing.rights
        return [name for name in names if "l" in rights(self._account, store, directory_of(name))]

    async def subscribe(self, name: str) -> None:
        """Add to the subscriptions, whether it exists or not: so nothing is given away."""
        await self._own.subscribe(name)

    async def unsubscribe(self, name: str) -> None:
        """Take off the subscriptions."""
        await self._own.unsubscribe(name)

    # ---- Mailboxes -------------------------------------------------------------------------

    async def create(self, name: str, special_use: Sequence[str] = ()) -> None:
        """Make a mailbox; it has the access control list of the one above (RFC 4314 §4).

        Raises:
            StoreRefused: No right to; as `AccountStore.create`.
        """
        spot = self._spots.at(name.removesuffix(SEPARATOR))
        above = self._spots.above(spot)
        if above is not None:
            above.need("k")
        elif not spot.own:
            raise no_such_mailbox()
        if special_use and not spot.own:
            raise StoreRefused(StoreFault.CANNOT, "Special uses are the owner's to give")
        await spot.store.create(spot.name, special_use, None if above is None else above.name)

    async def delete(self, name: str) -> None:
        """Remove a mailbox and its messages."""
        spot = self._spots.at(name)
        if self._exists(spot):
            spot.need("x")
        elif not spot.own:
            raise no_such_mailbox()
        await spot.store.delete(spot.name)

    async def rename(self, name: str, new: str) -> None:
        """Rename with children, within one account.

        Raises:
            StoreRefused: CANNOT from one account to another; no right to; as
                `AccountStore.rename`.
        """
        spot, target = self._spots.at(name), self._spots.at(new.removesuffix(SEPARATOR))
        if self._exists(spot):
            spot.need("x")
        elif not spot.own:
            raise no_such_mailbox()
        above = self._spots.above(target)
        if above is not None:
            above.need("k")
        if spot.store is not target.store:
            raise StoreRefused(StoreFault.CANNOT, "Mailboxes stay with their owner")
        await spot.store.rename(spot.name, target.name)

    def _exists(self, spot: Spot) -> bool:
        path = spot.store.path + b"/" + directory_of(spot.name)
        return maildir.exists(self._sharing.ground.files, path)

    async def status(self, name: str) -> Status:
        r"""The numbers of a mailbox, with the account's own ``\Seen``."""
        spot = self._spots.at(name).need("r")
        status = await spot.store.status(spot.name)
        if spot.own or not status.messages:
            return status
        visit = await self.crossing.visit(spot)
        try:
            unseen = sum(not flags & SEEN for flags in visit.flags)
            return replace(status, messages=len(visit.uids), recent=0, unseen=unseen)
        finally:
            await visit.release()

    async def open(self, name: str) -> Mailbox:
        """The shared mailbox; `Mailbox.release` gives it back."""
        spot = self._spots.at(name).need("r")
        return await (spot.store.open(spot.name) if spot.own else self.crossing.visit(spot))

    # ---- Messages --------------------------------------------------------------------------

    async def upload(self, size: int | None = None, name: str = INBOX, freed: int = 0) -> Upload:
        """Begin an APPEND of a message of `size` octets to the mailbox `name`.

        Raises:
            StoreRefused: No right to insert there; OVER_QUOTA.
        """
        return await self._spots.at(name).need("i").store.upload(size, freed=freed)

    async def append(self, name: str, messages: Sequence[Appending], freed: int = 0) -> Placed:
        """File uploaded messages, with those flags that may be set there."""
        try:
            spot = self._spots.at(name).need("i")
        except BaseException:
            for message in messages:
                await message.upload.abort()
            raise
        kept = [replace(it, flags=permitted(it.flags, spot)) for it in messages]
        placed = await spot.store.append(spot.name, kept, freed)
        if not spot.own and "s" in spot.rights:
            seen = [
                uid
                for uid, it in zip(placed.uids, messages, strict=True)
                if any(flag.lower() == "\\seen" for flag in it.flags)
            ]
            await self.crossing.see(spot, seen)
        return shown(placed, spot.rights)

    def listen(self, told: Callable[[Notice], None]) -> None:
        """Call `told` with what happens to own mailboxes, and to annotations."""
        self._own.listeners[told] = None
        self._heard = told
        self._sharing.watch_annotations(self._annotated)

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        """Stop doing so."""
        self._own.listeners.pop(told, None)
        self._heard = None
        if self._ear is not None:
            self._ear.end()
            self._ear = None
        self._unwatch_annotations()

    async def overhear(self) -> None:
        """Tell whoever listens of others' mailboxes too, those that may be looked up."""
        told = self._heard
        if told is None or self._ear is not None or not self.others:
            return
        self._ear = ear = Overhearing(self._sharing, self._account, self._spots.shown, told)
        try:
            await ear.begin()
        except OSError as error:
            raise as_refused(error) from error

    def _unwatch_annotations(self) -> None:
        if self._told is None and self._heard is None:
            self._sharing.unwatch_annotations(self._annotated)

    async def lock(self) -> AbstractAsyncContextManager[None]:
        """POP3's exclusive access to the account's own maildrop."""
        return await self._own.lock()

    # ---- Access control --------------------------------------------------------------------

    async def rights(self, name: str) -> Rights:
        """What the account may do with a mailbox.

        Raises:
            StoreRefused: NONEXISTENT.
        """
        spot = self._spots.at(name).need_any(_KNOWABLE)
        if not self._exists(spot):
            raise no_such_mailbox()
        return spot.rights

    async def owned(self, name: str) -> str:
        """The address of a mailbox's owner."""
        return self._spots.at(name).need("a").store.account.path.key

    async def acl(self, name: str) -> Acl:
        """The access control list, with what the owner may do."""
        return await controlling.acl(self._sharing, self._spots.at(name))

    async def set_acl(self, name: str, identifier: str, change: str) -> None:
        """Change an identifier's rights as SETACL says; see `ports.store.Reach`."""
        await controlling.change(self._sharing, self._spots.at(name), identifier, change)

    async def delete_acl(self, name: str, identifier: str) -> None:
        """Take an identifier off the list."""
        await controlling.change(self._sharing, self._spots.at(name), identifier, None)

    # ---- Annotations -----------------------------------------------------------------------

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        """Annotations by entry name in lower case; the server's for an empty name."""
        if not name:
            return await annotating.server_entries(self._sharing, self._own)
        return await annotating.mailbox_entries(self._sharing, self._spots.at(name), self._account)

    async def set_metadata(self, name: str, changes: Mapping[str, bytes | None]) -> None:
        """Set annotations, or remove those that become None."""
        store, inner = None, ""
        if name:
            spot = self._spots.at(name)
            await annotating.change_mailbox(self._sharing, spot, self._account, changes)
            store, inner = spot.store, spot.name
            await store.annotated(inner)
        else:
            await annotating.change_server(self._sharing, self._own, changes, admin=self.admin)
        event = Annotated(self, self._account.id, store, inner, tuple(changes))
        self._sharing.annotated(event)

    def watch_metadata(self, told: Callable[[str, Sequence[str]], None]) -> None:
        """Call `told` with name and entries after each change that another session makes."""
        self._told = told
        self._sharing.watch_annotations(self._annotated)

    def unwatch_metadata(self) -> None:
        """Stop doing so."""
        self._told = None
        self._unwatch_annotations()

    def _annotated(self, event: Annotated) -> None:
        if event.by is self:
            return
        ours = event.account == self._account.id
        entries = [it for it in event.entries if ours or it.startswith("/shared/")]
        if not entries:
            return
        if event.store is None:
            self._tell_annotated("", entries)
            return
        rights = self._sharing.rights(self._account, event.store, directory_of(event.name))
        if "l" in rights:
            self._tell_annotated(self._spots.shown(event.store, event.name), entries)

    def _tell_annotated(self, name: str, entries: Sequence[str]) -> None:
        if self._told is not None:
            self._told(name, entries)
        if self._heard is not None:
            self._heard(Notice(Affair.ANNOTATED, name, entries=tuple(entries)))

    # ---- Signed URLs ------------------------------------------------------------------------

    async def url_key(self, mailbox_id: str) -> bytes | None:
        """The key with which the account's URLs of a mailbox are signed, if there is one."""
        files, path = self._sharing.ground.files, self._own.path
        return (await self._disk(lambda: urlkeys.load(files, path))).get(mailbox_id)

    async def make_url_key(self, mailbox_id: str, *, anew: bool) -> bytes:
        """That key, made where there is none, or `anew` so that older URLs are void."""
        files, path = self._sharing.ground.files, self._own.path
        fresh = self._sharing.entropy(urlkeys.KEY_OCTETS)
        async with self._sharing.annotating:
            return await self._disk(lambda: urlkeys.put(files, path, mailbox_id, fresh, anew=anew))

    async def forget_url_keys(self) -> None:
        """Let all the account's URLs be void."""
        files, path = self._sharing.ground.files, self._own.path
        async with self._sharing.annotating:
            await self._disk(lambda: urlkeys.clear(files, path))

    async def _disk(self, job: Callable[[], T]) -> T:
        try:
            return await self._sharing.stores.disk.run(job)
        except OSError as error:
            raise as_refused(error) from error

    # ---- Quota -----------------------------------------------------------------------------

    async def usage(self) -> Usage:
        """What the account holds and may hold."""
        return await self._own.usage()

    async def quota_root(self, name: str) -> str:
        """The quota root of a mailbox: empty for the account's own, else its owner's address."""
        spot = self._spots.at(name).need("r")
        if not self._exists(spot):
            raise no_such_mailbox()
        return "" if spot.own else spot.store.account.path.key

    async def usage_of(self, root: str) -> Usage:
        """What a quota root holds and may hold.

        Raises:
            StoreRefused: NONEXISTENT: no such root, or none of this account's business.
        """
        return await (await self._rooted(root)).usage()

    async def set_quota(self, root: str, quota: Quota) -> None:
        """Limit a quota root; for admins.

        Raises:
            StoreRefused: NO_PERMISSION, NONEXISTENT, SERVER_BUG.
        """
        if not self.admin:
            raise StoreRefused(StoreFault.NO_PERMISSION, "Quotas are set by the operator")
        store = await self._rooted(root)
        path, principals = store.account.path, self._sharing.principals
        try:
            principals.set_quota(path, quota)
            account = principals.account(path)
        except OSError as error:
            raise as_refused(error) from error
        if account is not None:
            await self._sharing.stores.of(account)  # which has the new limits from now on

    async def _rooted(self, root: str) -> AccountStore:
        """The store of a quota root: one's own; that of a sharer; for an admin, any."""
        if root in ("", self._account.path.key):
            return self._own
        sharing = self._sharing
        account = sharing.named(root)
        if account is None:
            raise StoreRefused(StoreFault.NONEXISTENT, "No such quota root")
        store = sharing.stores.store_of(account)
        if not self.admin:
            readable = [
                name
                for name in await self._visible(store)
                if "r" in sharing.rights(self._account, store, directory_of(name))
            ]
            if not readable:
                raise StoreRefused(StoreFault.NONEXISTENT, "No such quota root")
        return await sharing.stores.of(account)


class SharedReaches:
    """A `ports.store.Reaches`."""

    def __init__(self, sharing: Sharing) -> None:
        self._sharing = sharing

    async def of(self, account: Account) -> AccountReach:
        """The account's reach; its own store is made on first use with an INBOX.

        Raises:
            OSError: The disk said no.
        """
        store = await self._sharing.stores.of(account)
        reach = AccountReach(self._sharing, store, account)
        store.abroad = reach.crossing.abroad
        await self._sharing.look_for_lists(store)
        return reach

    async def named(self, address: str) -> AccountReach | None:
        """What the enabled account with this address reaches; None if there is none.

        Raises:
            OSError: The disk said no.
        """
        account = self._sharing.named(address)
        return None if account is None else await self.of(account)
