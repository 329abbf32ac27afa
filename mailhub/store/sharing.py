"""Who shares mailboxes with whom, and who visits whom: what all accounts of a hub have in common.

Invariants:

1. A visitor has one `Visit` of a mailbox, however many of its sessions have it open.
2. When a list changes here, every visit that it ends is told in the same turn; when another
   program changes one, or an operator a group, at the next `look` or command.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol
from weakref import WeakSet

from mailhub.mail.address import Path
from mailhub.mail.rights import ANYONE, NEGATIVE, NONE, Rights, granted, identities
from mailhub.ports.accounts import Account, AccountId, Quota
from mailhub.store import folders, maildir
from mailhub.store.account import AccountStore
from mailhub.store.acl import FILE as ACL_FILE
from mailhub.store.ground import Ground
from mailhub.store.mailbox import SharedMailbox
from mailhub.store.name import INBOX, SEPARATOR, directory_of
from mailhub.store.seen import SeenFile
from mailhub.store.stores import Stores
from mailhub.store.visit import Copy, Visit


class Principals(Protocol):
    """What sharing must know of accounts; `accounts.principals` has it.

    Each method may raise OSError.
    """

    def account(self, path: Path) -> Account | None:
        """The account with exactly this address, if it is enabled."""

    def by_id(self, number: AccountId) -> Account | None:
        """The account with this id."""

    def groups_of(self, account: AccountId) -> frozenset[str]:
        """The groups that an account is in."""

    def is_group(self, name: str) -> bool:
        """Whether there is a group of this name."""

    def sharers(self, identifiers: Iterable[str]) -> Sequence[Account]:
        """Those who may share something with whom these identifiers mean."""

    def note_sharing(self, owner: AccountId, identifiers: Iterable[str]) -> None:
        """Remember that an owner's lists name these identifiers."""

    def set_quota(self, path: Path, quota: Quota) -> None:
        """Limit an account."""


@dataclass(frozen=True, slots=True)
class Annotated:
    """Annotations were changed.

    Attributes:
        by: The session that did.
        account: Its account.
        store: Of the mailbox's owner; None for the server.
        name: The mailbox, as its owner calls it.
        entries: Names of entries.
    """

    by: object
    account: AccountId
    store: AccountStore | None
    name: str
    entries: tuple[str, ...]


class Ear(Protocol):
    """A session that hears of others' mailboxes; `overhearing` has it."""

    @property
    def stores(self) -> Collection[AccountStore]:
        """Those that it listens to."""

    def relist(self, store: AccountStore, names: Iterable[str]) -> None:
        """A store has these mailboxes, and who may do what with them may have changed."""


class Sharing:
    """One for the hub.

    Attributes:
        stores: Of all accounts.
        principals: See there.
        prefix: What others' mailboxes begin with, separator included; empty shares nothing.
        root: The directory of the server's own annotations.
        entropy: Gives so many octets that nobody can guess.
        annotating: The lock of those who change annotations or lists.
        ears: Sessions that hear of others' mailboxes, open or not.
    """

    def __init__(
        self,
        stores: Stores,
        principals: Principals,
        root: bytes,
        others: str,
        entropy: Callable[[int], bytes],
    ) -> None:
        self.stores = stores
        self.entropy = entropy
        self.principals = principals
        self.root = root
        self.prefix = others + SEPARATOR if others else ""
        self.annotating = stores.disk.lock()
        self.ears: dict[Ear, None] = {}
        self._visits: dict[tuple[AccountId, SharedMailbox], Visit] = {}
        self._looked: WeakSet[AccountStore] = WeakSet()
        self._annotated: dict[Callable[[Annotated], None], None] = {}

    @property
    def ground(self) -> Ground:
        """What the stores stand on."""
        return self.stores.ground

    def named(self, address: str) -> Account | None:
        """The enabled account with this address.

        Raises:
            OSError: It cannot be looked up.
        """
        local, _, domain = address.rpartition("@")
        return self.principals.account(Path(local, domain.lower())) if local else None

    async def look_for_lists(self, store: AccountStore) -> None:
        """Learn once with whom an account shares: another program may have made its lists."""
        if self.prefix and store not in self._looked:
            self._looked.add(store)
            await self._note_lists(store)

    async def _note_lists(self, store: AccountStore) -> None:
        """Learn with whom an account shares, by lists that another program may have made."""
        files = self.ground.files

        def job() -> list[bytes]:
            found = []
            for directory in maildir.directories(files, store.path):
                with suppress(FileNotFoundError):
                    files.stat(b"/".join((store.path, directory, ACL_FILE)))
                    found.append(directory)
            return found

        for directory in await self.stores.disk.run(job):
            with suppress(OSError):
                self.note_list(store, directory)

    def note_list(self, store: AccountStore, directory: bytes) -> None:
        """Remember whom a list names.

        Raises:
            OSError: It cannot be remembered.
        """
        names = [it for it in store.acls.get(directory) if not it.startswith(NEGATIVE)]
        self.principals.note_sharing(store.account.id, names)

    # ---- Rights ----------------------------------------------------------------------------

    def identities(self, account: Account) -> frozenset[str]:
        """The identifiers that mean an account, now."""
        return identities(account.path.key, self.principals.groups_of(account.id))

    def rights(self, visitor: Account, store: AccountStore, directory: bytes) -> Rights:
        """What an account may do with a mailbox, now; nothing if that cannot be found out."""
        if store.account.id == visitor.id:
            return store.rights(directory)
        try:
            acl = store.acls.get(directory)
            return granted(acl, self.identities(visitor)) if acl else NONE
        except OSError:
            return NONE

    def posting(self, owner: Account, detail: str, sender: Account | None) -> str:
        """The mailbox that mail with this subaddress goes to.

        That is the one of this name, without regard to case, if its list lets the sender
        post there (RFC 4314 §2.1, right ``p``); one who has not logged in is anyone.
        """
        if not self.prefix or not detail:
            return INBOX
        store = self.stores.store_of(owner)
        who = frozenset({ANYONE}) if sender is None else self.identities(sender)
        try:
            names = folders.names(self.ground.files, store.path)
            for name in names:
                if name.casefold() == detail.casefold():
                    acl = store.acls.get(directory_of(name))
                    return name if "p" in granted(acl, who) else INBOX
        except OSError:
            pass  # who has no maildir yet has no such mailbox
        return INBOX

    # ---- Visits ----------------------------------------------------------------------------

    async def visit(
        self,
        visitor: Account,
        store: AccountStore,
        name: str,
        shown: Callable[[str], str],
        copy: Copy,
    ) -> Visit:
        """A mailbox as a visitor has it open; `Visit.release` gives it back.

        Raises:
            StoreRefused: NONEXISTENT, or SERVER_BUG.
        """
        base = await store.open(name)
        key = (visitor.id, base)
        visit = self._visits.get(key)
        known = visit is not None
        if visit is None:
            visit = self._visits[key] = Visit(
                base,
                SeenFile(self.ground.files, visitor.path.key),
                lambda: shown(base.name),
                lambda: self.rights(visitor, store, base.box.directory),
                copy,
                lambda _: self._visits.pop(key),
            )
        visit.users += 1  # from now on nobody else's leaving ends it
        try:
            if known:
                await base.release()  # the visit has it open already
            await visit.enter()
        except BaseException:
            await visit.release()
            raise
        return visit

    def recheck(self, store: AccountStore) -> None:
        """A list of an account has changed: let those whose visit it ended hear of it."""
        for visit in list(self._visits.values()):
            if visit.base.account is store and visit.ended:
                visit.wake()

    async def names(self, store: AccountStore) -> Sequence[str]:
        """The mailboxes of an account, as it calls them.

        Raises:
            OSError: The disk said no.
        """

        def job() -> list[str]:
            try:
                return list(folders.names(self.ground.files, store.path))
            except FileNotFoundError:
                return []  # it never had any mail

        return await self.stores.disk.run(job)

    async def relist(self, stores: Iterable[AccountStore]) -> None:
        """Lists of these accounts may have changed: let those hear of it who asked for that."""
        for store in stores if self.ears else ():
            with suppress(OSError):
                names = await self.names(store)
                for ear in list(self.ears):
                    ear.relist(store, names)

    async def look(self) -> None:
        """See what other programs, and the operator, did; see `Stores.look`."""
        await self.stores.look()
        await self.relist(dict.fromkeys(it for ear in list(self.ears) for it in ear.stores))
        for visit in list(self._visits.values()):
            if visit.ended:
                visit.wake()

    # ---- Annotations -----------------------------------------------------------------------

    def watch_annotations(self, told: Callable[[Annotated], None]) -> None:
        """Call `told` after each change of annotations."""
        self._annotated[told] = None

    def unwatch_annotations(self, told: Callable[[Annotated], None]) -> None:
        """Stop doing so."""
        self._annotated.pop(told, None)

    def annotated(self, event: Annotated) -> None:
        """Annotations were changed."""
        for told in list(self._annotated):
            told(event)


def shown_name(prefix: str, owner: Path, name: str) -> str:
    """What others call a mailbox: the owner's address stands for its INBOX."""
    segment = owner.key.replace("%", "%25").replace(SEPARATOR, "%2F")
    return prefix + segment if name == INBOX else f"{prefix}{segment}{SEPARATOR}{name}"
