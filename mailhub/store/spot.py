"""From the name that an account gives a mailbox to whose it is, and what may be done with it.

Invariants:

1. Who may not look a mailbox up is told what is told of one that is not there
   (RFC 4314 §6): an answer never says more than the rights do.
2. Rights are those of this moment; nothing is remembered.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

from mailhub.imap.name import canonical
from mailhub.mail.address import Path
from mailhub.mail.rights import Rights
from mailhub.ports.accounts import Account
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import maildir
from mailhub.store.account import AccountStore
from mailhub.store.name import INBOX, SEPARATOR, checked, directory_of, parents
from mailhub.store.placing import as_refused
from mailhub.store.sharing import Sharing, shown_name


@dataclass(frozen=True, slots=True)
class Spot:
    """A mailbox, or where one could be.

    Attributes:
        name: What its owner calls it.
        own: It is the asking account's own.
        rights: What that account may do with it; nothing with another's that is not there.
    """

    store: AccountStore
    name: str
    own: bool
    rights: Rights

    def need(self, letters: str) -> Spot:
        """The spot, if all these rights are there.

        Raises:
            StoreRefused: NO_PERMISSION, or NONEXISTENT where lookup is not among them.
        """
        if all(letter in self.rights for letter in letters):
            return self
        raise self.refusal()

    def need_any(self, letters: str) -> Spot:
        """The spot, if one of these rights is there; as `need`."""
        if any(letter in self.rights for letter in letters):
            return self
        raise self.refusal()

    def refusal(self) -> StoreRefused:
        """What is said to those who may not."""
        if "l" in self.rights:
            return StoreRefused(
                StoreFault.NO_PERMISSION, "The owner of the mailbox does not allow it"
            )
        return no_such_mailbox()


def no_such_mailbox() -> StoreRefused:
    """The refusal of a name that means nothing."""
    return StoreRefused(StoreFault.NONEXISTENT, "No such mailbox")


class Spots:
    """Finds spots for one account."""

    def __init__(self, sharing: Sharing, own: AccountStore, account: Account) -> None:
        self._sharing = sharing
        self._own = own
        self._account = account

    def at(self, name: str) -> Spot:
        """The spot of a name.

        Raises:
            StoreRefused: NONEXISTENT for what can only be another's, and is nobody's; CANNOT
                for a name that no mailbox can have; SERVER_BUG.
        """
        name = canonical(name)
        if not self.is_foreign(name):
            return self._spot(self._own, checked(name, self._sharing.ground.limits))
        owner, _, rest = name.removeprefix(self._sharing.prefix).partition(SEPARATOR)
        local, _, domain = owner.replace("%2F", SEPARATOR).replace("%25", "%").rpartition("@")
        try:
            path = Path(local, domain.lower())
            account = self._sharing.principals.account(path) if local else None
        except OSError as error:
            raise as_refused(error) from error
        if account is None or account.id == self._account.id:
            raise no_such_mailbox()
        store = self._sharing.stores.store_of(account)
        inner = canonical(rest) if rest else INBOX
        if rest and inner == INBOX:
            raise no_such_mailbox()  # the owner's address alone stands for it
        return self._spot(store, checked(inner, self._sharing.ground.limits))

    def _composed(self, store: AccountStore, name: str) -> str:
        """A name in NFC, unless there is a mailbox that is called just so (RFC 9051 §5.1)."""
        composed = unicodedata.normalize("NFC", name)
        if composed != name and maildir.exists(
            self._sharing.ground.files, store.path + b"/" + directory_of(name)
        ):
            return name
        return composed

    def is_foreign(self, name: str) -> bool:
        """Whether a name is in the namespace of other accounts' mailboxes, or is its root."""
        prefix = self._sharing.prefix
        return bool(prefix) and (name + SEPARATOR).startswith(prefix)

    def above(self, spot: Spot) -> Spot | None:
        """The nearest mailbox above a spot, as others see it: an INBOX is above all."""
        files = self._sharing.ground.files
        for level in reversed(parents(spot.name)):
            if maildir.exists(files, spot.store.path + b"/" + directory_of(level)):
                return self._spot(spot.store, level)
        if spot.own or spot.name == INBOX:
            return None
        return self._spot(spot.store, INBOX)

    def shown(self, store: AccountStore, name: str) -> str:
        """What the account calls a mailbox."""
        if store is self._own:
            return name
        return shown_name(self._sharing.prefix, store.account.path, name)

    def _spot(self, store: AccountStore, name: str) -> Spot:
        name = self._composed(store, name)
        rights = self._sharing.rights(self._account, store, directory_of(name))
        return Spot(store, name, store is self._own, rights)
