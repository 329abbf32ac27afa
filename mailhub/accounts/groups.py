"""Groups of accounts, as access control lists name them, and who shares mailboxes with whom.

Invariants:

1. A group is named in lower case; its members are accounts, and leave it when they are deleted.
2. `sharers` is a hint: the lists themselves, which are in the maildirs, are the truth.  It
   may name an owner who shares nothing any more, never leave out one whose list
   this hub has written or read.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from mailhub.accounts.base import Database
from mailhub.accounts.record import AccountsError, Group
from mailhub.mail.address import Path
from mailhub.ports.accounts import Account, AccountId, Quota

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_COLUMNS: Final = (
    "id, local, domain, maildir, quota_octets, quota_messages, quota_mailboxes, enabled, admin"
)
_MEMBERS: Final = """
SELECT local, domain FROM member JOIN account ON account.id = member.account
WHERE team = ? ORDER BY domain, key
"""
_SHARERS: Final = f"""
SELECT DISTINCT {_COLUMNS} FROM share JOIN account ON account.id = share.owner
WHERE identifier = ? AND enabled
"""  # noqa: S608  # constants of ours


class Groups(Database):
    """The part of the accounts database that sharing needs."""

    # ---- Groups ----------------------------------------------------------------------------

    def groups(self) -> list[Group]:
        """All groups with their members, in order of names."""
        names = [name for (name,) in self._db.execute("SELECT name FROM team ORDER BY name")]
        return [Group(name, tuple(Path(*row) for row in self._members(name))) for name in names]

    def groups_of(self, account: AccountId) -> frozenset[str]:
        """The names of the groups that an account is in."""
        found: frozenset[str] = self._read("groups", str(account), self._memberships)
        return found

    def is_group(self, name: str) -> bool:
        """Whether there is a group of this name."""
        return self._one("SELECT 1 FROM team WHERE name = ?", name) is not None

    def add_group(self, name: str) -> None:
        """Make a group without members."""
        if not _NAME.fullmatch(name):
            raise AccountsError(f"{name!r} cannot be a group's name: letters, digits, . _ -")
        with self._change():
            if self.is_group(name):
                raise AccountsError(f"{name} is a group already")
            self._db.execute("INSERT INTO team VALUES (?)", (name,))

    def remove_group(self, name: str) -> None:
        """Delete a group; lists that name it give nobody anything by it."""
        with self._change():
            self._must_be_group(name)
            self._db.execute("DELETE FROM team WHERE name = ?", (name,))

    def join(self, name: str, path: Path) -> None:
        """Put an account into a group."""
        with self._change():
            self._must_be_group(name)
            member = self._number(path)
            self._db.execute("INSERT OR IGNORE INTO member VALUES (?, ?)", (name, member))

    def leave(self, name: str, path: Path) -> None:
        """Take an account out of a group."""
        with self._change():
            self._must_be_group(name)
            where = (name, self._number(path))
            gone = self._db.execute("DELETE FROM member WHERE team = ? AND account = ?", where)
            if not gone.rowcount:
                raise AccountsError(f"{path.shown} is not in {name}")

    # ---- Sharing ---------------------------------------------------------------------------

    def sharers(self, identifiers: Iterable[str]) -> Sequence[Account]:
        """Those enabled who may share something with whom these identifiers mean."""
        found: dict[AccountId, Account] = {}
        for identifier in identifiers:
            for account in self._read("sharers", identifier, self._sharing_with):
                found[account.id] = account
        return sorted(found.values(), key=lambda account: account.path.key)

    def note_sharing(self, owner: AccountId, identifiers: Iterable[str]) -> None:
        """Remember that an owner's lists name these identifiers."""
        fresh = [
            (identifier, owner)
            for identifier in identifiers
            if not self._one(
                "SELECT 1 FROM share WHERE identifier = ? AND owner = ?", identifier, owner
            )
        ]
        if fresh:
            with self._change():
                self._db.executemany("INSERT OR IGNORE INTO share VALUES (?, ?)", fresh)

    # ---- Inside ----------------------------------------------------------------------------

    def _members(self, name: str) -> list[tuple[str, str]]:
        return self._db.execute(_MEMBERS, (name,)).fetchall()

    def _memberships(self, account: str) -> frozenset[str]:
        rows = self._db.execute("SELECT team FROM member WHERE account = ?", (int(account),))
        return frozenset(name for (name,) in rows)

    def _sharing_with(self, identifier: str) -> list[Account]:
        return [account_of(row) for row in self._db.execute(_SHARERS, (identifier,))]

    def _must_be_group(self, name: str) -> None:
        if not self.is_group(name):
            raise AccountsError(f"there is no group {name}")

    def _number(self, path: Path) -> AccountId:
        number = self._one("SELECT id FROM account WHERE key = ?", path.key)
        if number is None:
            raise AccountsError(f"there is no account {path.shown}")
        return AccountId(number)


def account_of(row: Sequence[Any]) -> Account:
    """The account in a row that begins with `_COLUMNS`."""
    number, local, domain, maildir, octets, messages, mailboxes, enabled, admin = row[:9]
    quota = Quota(octets, messages, mailboxes)
    return Account(
        AccountId(number), Path(local, domain), maildir, quota, bool(enabled), bool(admin)
    )
