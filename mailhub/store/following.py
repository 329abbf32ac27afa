"""Mailboxes whose files' names are behind their flags, until they are not.

Invariants:

1. Such a mailbox has us for a user: it is not let go before its names are right, or it is gone.
2. `follow` is asked for when one is added, sooner when its last session leaves it, and again
   where the disk said no.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress

from mailhub.ports.disk import Disk
from mailhub.ports.store import StoreRefused
from mailhub.store import naming, reconcile
from mailhub.store.mailbox import SharedMailbox, Told
from mailhub.store.placing import as_refused


class Following:
    """All such mailboxes, of all accounts.

    Attributes:
        delay: Seconds for which names may be behind, about.
        wanted: Called with the seconds within which `follow` is to be. Set it before use;
            without it names follow when `follow` is called.
    """

    def __init__(self, disk: Disk, delay: float) -> None:
        self.delay = delay
        self._disk = disk
        self.wanted: Callable[[float], object] = lambda _: None
        self._behind: dict[SharedMailbox, None] = {}

    def add(self, mailbox: SharedMailbox) -> None:
        """A mailbox is behind."""
        if mailbox not in self._behind and not mailbox.gone:
            self._behind[mailbox] = None
            mailbox.users += 1
            self.wanted(self.delay)

    def left(self, mailbox: SharedMailbox) -> None:
        """A session is done with a mailbox: its owner may read it with another program now."""
        if mailbox.users == 1 and mailbox in self._behind:
            self.wanted(0.0)

    async def follow(self) -> None:
        """Have names say the flags that have changed; also before the hub stops."""
        for mailbox in list(self._behind):
            with suppress(StoreRefused):
                await follow(mailbox, self._disk)
            there = mailbox in self._behind
            if there and (mailbox.gone or not mailbox.box.behind):
                del self._behind[mailbox]
                mailbox.account.leave(mailbox)
        if self._behind:
            self.wanted(self.delay)


async def follow(mailbox: SharedMailbox, disk: Disk) -> None:
    """Have names say all flags that there are when it begins, and be durable.

    Raises:
        StoreRefused: NONEXISTENT, SERVER_BUG; the mailbox may still be behind.
    """
    box = mailbox.box

    def begin(told: Told) -> naming.Round:
        told.append((mailbox, reconcile.refresh(box)))
        return naming.Round(box)

    async with mailbox.lock:
        round_ = await mailbox.work(begin)
    left = True
    while left:
        async with mailbox.lock:
            left = await mailbox.work(lambda _: round_.step(box))
    try:
        await disk.run(naming.sync, box)
    except OSError as error:
        raise as_refused(error) from error
    async with mailbox.lock:
        await mailbox.work(lambda _: round_.end(box))
