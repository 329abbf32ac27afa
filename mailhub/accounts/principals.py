"""What the store of mailboxes asks about accounts: who is meant, who is in which group.

The store is written against an interface of its own and knows no database; this is what
a hub plugs in there.  A fault of the database is an `OSError`, as one of the disk is.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from mailhub.accounts.database import Accounts
from mailhub.accounts.record import AccountsError
from mailhub.mail.address import Path
from mailhub.ports.accounts import Account, AccountId, Quota


class Principals:
    """The accounts database, as `store.reach` asks it."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    def account(self, path: Path) -> Account | None:
        """The account with exactly this address, if it is enabled."""
        found = self._accounts.credentials(path)
        return found.account if found is not None and found.account.enabled else None

    def by_id(self, number: AccountId) -> Account | None:
        """The account with this id; None once it was deleted."""
        return self._accounts.by_id(number)

    def groups_of(self, account: AccountId) -> frozenset[str]:
        """The groups that an account is in."""
        return self._accounts.groups_of(account)

    def is_group(self, name: str) -> bool:
        """Whether there is a group of this name."""
        return self._accounts.is_group(name)

    def sharers(self, identifiers: Iterable[str]) -> Sequence[Account]:
        """Those who may share something with whom these identifiers mean."""
        return self._accounts.sharers(identifiers)

    def note_sharing(self, owner: AccountId, identifiers: Iterable[str]) -> None:
        """Remember that an owner's lists name these identifiers.

        Raises:
            OSError: The database could not be written.
        """
        with _as_fault():
            self._accounts.note_sharing(owner, identifiers)

    def set_quota(self, path: Path, quota: Quota) -> None:
        """Limit an account.

        Raises:
            OSError: The database could not be written.
        """
        with _as_fault():
            self._accounts.set_quota(path, quota)


@contextmanager
def _as_fault() -> Iterator[None]:
    try:
        yield
    except AccountsError as error:
        raise OSError(errno.EIO, str(error)) from error
