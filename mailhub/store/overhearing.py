"""What happens to the mailboxes that others share with an account, for one of its sessions.

A session that asked for it (NOTIFY) hears of others' mailboxes under the names that it has
for them, and of those alone that it may look up; when the owner lets it look one up, or no
longer, that is news too (RFC 5465 §5.4, §5.9).

Invariants:

1. Nothing is told of a mailbox that the account may not look up, and no message events of
   one that it may not read.
2. The stores that are listened to are kept alive as long: a store that is gone hears nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import replace

from mailhub.ports.accounts import Account
from mailhub.ports.store import Affair, Notice
from mailhub.store.account import AccountStore
from mailhub.store.name import SEPARATOR, directory_of
from mailhub.store.sharing import Sharing

_OF_MESSAGES = frozenset({Affair.MESSAGES, Affair.FLAGS})
_OF_NAMES = frozenset({Affair.CREATED, Affair.DELETED, Affair.RENAMED})


class Overhearing:
    """One session's ear at others' stores.

    Args:
        shown: What the account calls a mailbox of a store.
        told: Hears of what happens.
    """

    def __init__(
        self,
        sharing: Sharing,
        account: Account,
        shown: Callable[[AccountStore, str], str],
        told: Callable[[Notice], None],
    ) -> None:
        self._sharing = sharing
        self._account = account
        self._shown = shown
        self._told = told
        self._visible: dict[AccountStore, set[str]] = {}  # names, as the owners have them
        self._ears: dict[AccountStore, Callable[[Notice], None]] = {}

    async def begin(self) -> None:
        """Hear from now on.

        Raises:
            OSError: It cannot be found out who shares with the account.
        """
        sharing = self._sharing
        sharing.ears[self] = None
        for owner in sharing.principals.sharers(sharing.identities(self._account)):
            store = sharing.stores.store_of(owner)
            names = await sharing.names(store)
            if owner.id != self._account.id and self in sharing.ears:
                self._follow(store, self._seen(store, names))

    def end(self) -> None:
        """Hear nothing any more."""
        self._sharing.ears.pop(self, None)
        for store, ear in self._ears.items():
            store.listeners.pop(ear, None)
        self._ears.clear()

    @property
    def stores(self) -> Collection[AccountStore]:
        """Those that are listened to."""
        return self._ears.keys()

    def _follow(self, store: AccountStore, visible: set[str]) -> None:
        self._visible[store] = visible
        if store in self._ears:
            return

        def ear(notice: Notice) -> None:
            self._heard(store, notice)

        self._ears[store] = ear
        store.listeners[ear] = None

    def _seen(self, store: AccountStore, names: Iterable[str]) -> set[str]:
        """Of a store's mailboxes those that the account may look up now."""
        return {name for name in names if self._may(store, name, "l")}

    def _may(self, store: AccountStore, name: str, letters: str) -> bool:
        rights = self._sharing.rights(self._account, store, directory_of(name))
        return all(letter in rights for letter in letters)

    # ---- Names -------------------------------------------------------------------------------

    def relist(self, store: AccountStore, names: Iterable[str]) -> None:
        """A store has these mailboxes, and who may do what with them may have changed."""
        if store.account.id == self._account.id:
            return
        before, after = self._visible.get(store, set()), self._seen(store, names)
        if after or store in self._ears:
            self._follow(store, after)
        for name in sorted(before ^ after):
            affair = Affair.GRANTED if name in after else Affair.REVOKED
            self._told(Notice(affair, self._shown(store, name)))

    # ---- What an owner's store says ----------------------------------------------------------

    def _heard(self, store: AccountStore, notice: Notice) -> None:
        if notice.affair in _OF_NAMES:
            self._renamed(store, notice)
        elif notice.affair in _OF_MESSAGES and self._may(store, notice.name, "lr"):
            self._told(replace(notice, name=self._shown(store, notice.name)))

    def _renamed(self, store: AccountStore, notice: Notice) -> None:
        """A name has come or gone, for those who could see it."""
        visible, name, old = self._visible[store], notice.name, notice.old
        was = (old or name) in visible
        if old:
            for each in [it for it in visible if (it + SEPARATOR).startswith(old + SEPARATOR)]:
                visible.discard(each)
                moved = name + each[len(old) :]
                if self._may(store, moved, "l"):
                    visible.add(moved)
        if notice.affair is Affair.CREATED and self._may(store, name, "l"):
            visible.add(name)
        elif notice.affair is Affair.DELETED:
            visible.discard(name)
        now = name in visible
        if was and now:
            shown_old = self._shown(store, old) if old else ""
            self._told(Notice(notice.affair, self._shown(store, name), shown_old))
        elif now:
            self._told(Notice(Affair.CREATED, self._shown(store, name)))
        elif was:
            self._told(Notice(Affair.DELETED, self._shown(store, old or name)))
