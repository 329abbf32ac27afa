"""An account's mailboxes, and beside them that of what was sent (`relay.queuebox`).

Invariants:

1. What is not about that mailbox passes through to the account's store as it is.
2. It is the hub's own: nothing is put there, it is neither renamed nor removed, and nobody
   else may see it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mailhub.mail.rights import OWNER, Acl, Rights
from mailhub.ports.accounts import Account
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.store import Listed, Notice, Reach, Status, StoreFault, StoreRefused
from mailhub.relay.queuebox import RIGHTS, QueueBox


class Boxes(Protocol):
    """Where accounts have those mailboxes from; `relay.queuedesk` has it.

    Attributes:
        name: What they are called.
    """

    name: str

    async def open(self, account: Account) -> QueueBox:
        """The account's mailbox, shared; its `release` gives it back."""

    def listen(self, account: Account, told: Callable[[Notice], None]) -> None:
        """Tell of changes in the account's mailbox, whether a session has it open or not."""

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        """Stop doing so."""


class QueueStore:
    """An account's `ports.store.Reach` with the mailbox of what was sent.

    What is not about that mailbox is the store's own: attributes that are not here are its.
    """

    def __init__(self, store: Reach, account: Account, boxes: Boxes) -> None:
        self._store = store
        self._account = account
        self._boxes = boxes

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def list(self) -> Sequence[Listed]:
        """Every mailbox, with that one; it hides what bears its name."""
        name = self._boxes.name
        rows = [row for row in await self._store.list() if row.name != name]
        rows.append(Listed(name, selectable=True, subscribed=True))
        return sorted(rows, key=lambda row: (row.name != "INBOX", row.name))

    async def open(self, name: str) -> Mailbox:
        """The shared mailbox."""
        if name == self._boxes.name:
            return await self._boxes.open(self._account)
        return await self._store.open(name)

    async def status(self, name: str) -> Status:
        """The numbers of a mailbox."""
        if name != self._boxes.name:
            return await self._store.status(name)
        box = await self._boxes.open(self._account)
        try:
            return box.status()
        finally:
            await box.release()

    async def subscribe(self, name: str) -> None:
        """Add to the subscriptions; that mailbox is always one."""
        if name != self._boxes.name:
            await self._store.subscribe(name)

    async def unsubscribe(self, name: str) -> None:
        """Take off the subscriptions.

        Raises:
            StoreRefused: CANNOT for that mailbox.
        """
        if name == self._boxes.name:
            raise StoreRefused(StoreFault.CANNOT, "This mailbox is always subscribed to")
        await self._store.unsubscribe(name)

    # ---- What happens to it, for those who have not opened it (NOTIFY) -----------------------

    def listen(self, told: Callable[[Notice], None]) -> None:
        """Call `told` with what happens to the account's mailboxes, that one among them."""
        self._store.listen(told)
        self._boxes.listen(self._account, told)

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        """Stop doing so."""
        self._store.unlisten(told)
        self._boxes.unlisten(told)

    # ---- Rights, annotations, quota ----------------------------------------------------------

    async def rights(self, name: str) -> Rights:
        """What the account may do with a mailbox."""
        if name == self._boxes.name:
            return RIGHTS
        return await self._store.rights(name)

    async def owned(self, name: str) -> str:
        """The address of a mailbox's owner."""
        if name == self._boxes.name:
            return str(self._account.path)
        return await self._store.owned(name)

    async def acl(self, name: str) -> Acl:
        """The access control list: nobody else's business."""
        if name == self._boxes.name:
            return {OWNER: RIGHTS}
        return await self._store.acl(name)

    async def set_acl(self, name: str, identifier: str, change: str) -> None:
        """Change an identifier's rights.

        Raises:
            StoreRefused: CANNOT for that mailbox; as `ports.store.Reach`.
        """
        self._refuse(name)
        await self._store.set_acl(name, identifier, change)

    async def delete_acl(self, name: str, identifier: str) -> None:
        """Take an identifier off the list. Raises likewise."""
        self._refuse(name)
        await self._store.delete_acl(name, identifier)

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        """Annotations; that mailbox has none."""
        return {} if name == self._boxes.name else await self._store.metadata(name)

    async def set_metadata(self, name: str, changes: Mapping[str, bytes | None]) -> None:
        """Set annotations. Raises likewise."""
        self._refuse(name)
        await self._store.set_metadata(name, changes)

    async def quota_root(self, name: str) -> str:
        """The quota root of a mailbox: the account's own, though that one takes no room."""
        return "" if name == self._boxes.name else await self._store.quota_root(name)

    def _refuse(self, name: str) -> None:
        if name == self._boxes.name:
            raise StoreRefused(StoreFault.CANNOT, f"{name} is the hub's own")
