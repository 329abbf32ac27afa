"""Messages that can be read already while the spool still answers for them.

Between a delivery, or an APPEND, and the sync that its file shares with others, the spool
would file it again after a crash, and looks for it where it was put. So before such a
message is moved, copied or removed the sync is made at once, and the spool lets go of it:
otherwise it could come back, or be in two mailboxes, or its copy be empty.

Invariants:

1. Whoever asks waits until the spool has let go of all that he names, and of nothing else.
2. As long as a start has not looked through the spool, nobody knows what it answers for:
   all wait for that.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from twisted.internet.defer import Deferred

from mailhub.ports.accounts import Account
from mailhub.ports.store import StoreFault, StoreRefused

Hurry = Callable[[], None]
"""Has the sync made now."""


class Settling:
    """Implements `ports.filing.Unsettled`."""

    def __init__(self) -> None:
        self._held: dict[str, dict[str, Hurry]] = {}  # by maildir, then by unique part
        self._waiting: list[Deferred[bool]] = []
        self._recovered = False

    def hold(self, account: Account, unique: str, hurry: Hurry) -> None:
        """The spool answers for a message that is in its mailbox."""
        self._held.setdefault(account.maildir, {})[unique] = hurry

    def let_go(self, account: Account, unique: str) -> None:
        """It does no longer."""
        held = self._held.get(account.maildir)
        if held is not None:
            held.pop(unique, None)
            if not held:
                del self._held[account.maildir]
        self._wake(good=True)

    def failed(self) -> None:
        """A sync has failed."""
        self._wake(good=False)

    def recovered(self) -> None:
        """A start has looked through the spool."""
        self._recovered = True
        self._wake(good=True)

    def _wake(self, *, good: bool) -> None:
        """Have all who wait look again, or give up."""
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(good)

    # ---- Unsettled -------------------------------------------------------------------------

    def any(self, account: Account) -> bool:
        """Whether the spool may answer for something of an account's."""
        return account.maildir in self._held or not self._recovered

    async def settle(self, account: Account, uniques: Collection[str]) -> None:
        """Wait until it answers for none of these.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        while True:
            held = self._held.get(account.maildir, {})
            hurries = {held[unique] for unique in uniques if unique in held}
            if not hurries and self._recovered:
                return
            for hurry in hurries:
                hurry()
            over: Deferred[bool] = Deferred()
            self._waiting.append(over)
            if not await over:
                raise StoreRefused(StoreFault.SERVER_BUG, "The disk fails; try again later")
