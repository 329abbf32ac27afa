"""Counts how many connections are logged in to each account; one census for all sessions."""

from __future__ import annotations

from mailhub.ports.accounts import AccountId


class Census:
    """Who is in, by account."""

    def __init__(self) -> None:
        self._inside: dict[AccountId, int] = {}

    def full(self, account: AccountId, limit: int) -> bool:
        """Whether an account has as many connections as it may have; a limit of 0 is none."""
        return 0 < limit <= self._inside.get(account, 0)

    def enter(self, account: AccountId) -> None:
        """A connection has logged in."""
        self._inside[account] = self._inside.get(account, 0) + 1

    def leave(self, account: AccountId) -> None:
        """One that had logged in is gone."""
        left = self._inside.pop(account) - 1
        if left:
            self._inside[account] = left
