"""Gives each account its mailbox of what was sent, and carries out what is done there.

Invariants:

1. It costs an account that does not open it nothing: no file, no row, one line in LIST.
2. One mailbox is shared by all sessions that have it open, and forgotten after the last.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import dataclass
from typing import Final, cast

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailhub.mail.header import Header, end, make
from mailhub.net.disk import Lock
from mailhub.net.journal import Journal
from mailhub.net.scribe import Scribe
from mailhub.policy.limits import JourneyLimits
from mailhub.ports.accounts import Account
from mailhub.ports.message import Appending, Placed, Uid
from mailhub.ports.outgoing import QueueId
from mailhub.ports.store import (
    Affair,
    Notice,
    Reach,
    Reaches,
    StoreFault,
    StoreRefused,
)
from mailhub.queue.change import Cancel, Hold, Release, Select
from mailhub.queue.event import Accepted, Dismissed, Event, Fated, State, to_text
from mailhub.queue.item import Item, is_fresh
from mailhub.queue.item import Open as OpenFate
from mailhub.queue.journeys import Journeys, Written
from mailhub.relay.queuebox import Entry, QueueBox
from mailhub.relay.queuestore import QueueStore
from mailhub.store.placing import as_refused

SHOWN: Final = 500
"""Items that the mailbox shows at most: the latest to change."""
PIECE: Final = 1 << 18
"""Octets of content copied at a time."""
HELD: Final = "moved to another mailbox"
BACK: Final = frozenset({"\\Drafts", "\\Trash"})
"""Special uses of the mailboxes that take back what is not sent (RFC 6154 §2)."""

Withheld = Callable[[QueueId], AbstractContextManager[bool]]
"""`Runner.withheld`."""


class QueueDesk:
    """Implements `ports.store.Reaches` over another one, and `queuebox.Desk`.

    Args:
        host: Our name.
        wake: Tells the runner that the spool has changed.

    Attributes:
        limits: May be replaced, but for the mailbox's name.
    """

    _log = Logger()

    def __init__(
        self,
        stores: Reaches,
        scribe: Scribe,
        journal: Journal,
        withheld: Withheld,
        now: Callable[[], float],
        host: str,
        limits: JourneyLimits,
    ) -> None:
        self.host = host
        self.limits = limits
        self.name = limits.mailbox if limits.keep else ""
        self._stores = stores
        self._scribe = scribe
        self._journal = journal
        self._withheld = withheld
        self._now = now
        self._boxes: dict[str, QueueBox] = {}
        self._owners: dict[QueueId, QueueBox] = {}
        self._listeners: dict[Callable[[Notice], None], _Listener] = {}
        self._turn = Lock()  # mailboxes are loaded one by one
        self._loading: list[Written] | None = None  # what was written meanwhile
        if self.name:
            scribe.watch(self)

    async def of(self, account: Account) -> Reach:
        """The account's store, with one mailbox more."""
        store = await self._stores.of(account)
        return cast(Reach, QueueStore(store, account, self)) if self.name else store

    async def named(self, address: str) -> Reach | None:
        """What an account reaches, without that mailbox: it is its owner's alone."""
        return await self._stores.named(address)

    # ---- Mailboxes ---------------------------------------------------------------------------

    async def open(self, account: Account) -> QueueBox:
        """The account's mailbox, shared; its `release` gives it back.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """
        key = _key(account)
        async with self._turn:
            box = self._boxes.get(key)
            if box is None:
                box = await self._load(account, self._owners)
                self._boxes[key] = box
            box.users += 1
        box.retire(self._now() - self.limits.recent)
        return box

    async def _load(self, account: Account, owners: MutableMapping[QueueId, QueueBox]) -> QueueBox:
        now = self._now()
        self._loading = []
        try:
            await self._scribe.catch_up()
            found = await self._scribe.ask(_found, str(account.path), now, now - self.limits.recent)
            box = QueueBox(
                account, self.name, self, self._close, found.validity, found.floor, owners
            )
            box.version = found.version
            for parts in found.journeys:
                events = [event for part in parts for event in part.events]
                box.show(parts[-1].queue_id, parts[-1].number, events)
            for part in self._loading:
                if part.queue_id in box.entries or _sender(part.events) == _key(account):
                    box.written(part)
        except OSError as error:
            raise as_refused(error) from error
        finally:
            self._loading = None
        return box

    def _close(self, box: QueueBox) -> None:
        box.users -= 1
        if not box.users:
            self._boxes.pop(_key(box.account), None)
            for queue_id in box.entries:
                self._owners.pop(queue_id, None)

    @property
    def opened(self) -> int:
        """How many mailboxes are open."""
        return len(self._boxes)

    # ---- What happens ------------------------------------------------------------------------

    def happened(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        """Tell the mailbox that shows the item, if one is open."""
        box = self._owners.get(queue_id)
        if box is not None:
            box.happened(queue_id, events)

    def written(self, parts: Sequence[Written]) -> None:
        """Tell the mailboxes that show the items, or are to show them."""
        if self._loading is not None:
            self._loading += parts
        for part in parts if self._boxes else ():
            box = self._owners.get(part.queue_id) or self._boxes.get(_sender(part.events))
            if box is not None:
                box.written(part)

    async def news(self, box: QueueBox) -> None:
        """Tell the mailbox what another process has written."""
        try:
            version = await self._scribe.ask(Journeys.version)
        except OSError as error:
            raise as_refused(error) from error
        box.retire(self._now() - self.limits.recent)
        if version == box.version:
            return
        async with self._turn:
            fresh = await self._load(box.account, {})
        box.version = fresh.version
        for queue_id, entry in fresh.entries.items():
            known = box.entries.get(queue_id)
            if known is None:
                box.written(Written(entry.number, queue_id, to_text(entry.events)))
            elif entry.number > known.number:
                events = entry.events[len(known.events) :]
                box.happened(queue_id, events)
                box.written(Written(entry.number, queue_id, to_text(events)))

    async def look(self) -> None:
        """Another process may have written: tell all mailboxes that are open."""
        for box in list(self._boxes.values()):
            await box.refresh()

    def listen(self, account: Account, told: Callable[[Notice], None]) -> None:
        """Tell of changes in the account's mailbox, whether a session has it open or not."""
        listener = _Listener(self.name, told)
        self._listeners[told] = listener
        opening = Deferred.fromCoroutine(self._attend(account, listener))
        opening.addErrback(lambda failure: self._log.failure("nobody listens", failure))

    async def _attend(self, account: Account, listener: _Listener) -> None:
        try:
            box = await self.open(account)
        except StoreRefused as error:
            self._log.error("the queue of {who}: {why}", who=account.path, why=error.text)
            return
        if listener.over:
            await box.release()
            return
        listener.box = box
        box.watch(listener.woken)

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        """Stop doing so."""
        listener = self._listeners.pop(told, None)
        if listener is None:
            return
        listener.over = True
        if listener.box is not None:
            listener.box.unwatch(listener.woken)
            self._close(listener.box)

    # ---- What clients do ---------------------------------------------------------------------

    async def cancel(self, account: Account, entry: Entry) -> None:
        """Cancel what is not sent of an item, and show it no more.

        Raises:
            StoreRefused: IN_USE while it is being sent; SERVER_BUG.
        """
        with self._withheld(entry.queue_id) as quiet:
            item = self._item(entry, quiet=quiet)
            now = self._now()
            numbers = () if item is None else _open(item)
            if numbers:
                await self._amend(Cancel(Select(queue_ids=(entry.queue_id,)), now))
        events: list[Event] = [Fated(now, numbers, State.CANCELLED)] if numbers else []
        self._scribe.note(entry.queue_id, *events, Dismissed(now, str(account.path)))

    async def give_back(self, account: Account, entries: Sequence[Entry], target: str) -> Placed:
        """Put items' content into a mailbox, and cancel them.

        Of what was sent already Trash gets the letter: programs delete by moving there.

        Raises:
            StoreRefused: CANNOT for another mailbox than Drafts or Trash, and for what was
                sent into Drafts; IN_USE for what is being sent; as `Reach.append`.
        """
        store = await self._stores.of(account)
        uses = next((row.special_use for row in await store.list() if row.name == target), None)
        if uses is None:
            raise StoreRefused(StoreFault.NONEXISTENT, "No such mailbox")
        if not BACK.intersection(uses):
            raise StoreRefused(StoreFault.CANNOT, "Mail is taken back into Drafts or Trash alone")
        held: list[Item] = []
        try:
            async with AsyncExitStack() as ends:
                drafts = "\\Drafts" in uses
                uploads = []
                for entry in entries:
                    if not drafts and not entry.stands.open:
                        uploads.append(await self._letter(store, entry, ends))
                        continue
                    held.append(await self._hold(entry))
                    uploads.append(await self._draft(store, held[-1], ends, draft=drafts))
                placed = await store.append(target, uploads)
        except BaseException:
            await self._let_go(held)
            raise
        for place, entry in enumerate(entries):
            try:
                await self.cancel(account, entry)
            except StoreRefused:
                await self._take_out(store, target, placed.uids[place:])
                rest = {it.queue_id for it in entries[place:]}
                await self._let_go([it for it in held if it.queue_id in rest])
                raise
        return placed

    async def _take_out(self, store: Reach, target: str, uids: Sequence[Uid]) -> None:
        """Remove what was put into a mailbox: it is sent after all (RFC 6851 §3.3)."""
        mailbox = await store.open(target)
        try:
            await mailbox.expunge(uids)
        finally:
            await mailbox.release()

    async def place(self, account: Account, letters: Sequence[Entry], target: str) -> Placed:
        """Put letters into a mailbox. Raises as `Reach.append`."""
        store = await self._stores.of(account)
        async with AsyncExitStack() as ends:
            uploads = [await self._letter(store, it, ends) for it in letters]
            return await store.append(target, uploads)

    async def _letter(self, store: Reach, entry: Entry, ends: AsyncExitStack) -> Appending:
        upload = await store.upload(len(entry.octets))
        ends.push_async_callback(upload.abort)  # if it does not come to an append
        await upload.write(entry.octets)
        return Appending(upload, ("\\Seen",), self._now())

    async def _let_go(self, held: Sequence[Item]) -> None:
        """Let items be sent after all."""
        for item in held:
            with self._withheld(item.queue_id):
                await self._amend(Release(Select(queue_ids=(item.queue_id,)), self._now()))

    async def _hold(self, entry: Entry) -> Item:
        """See that an item is not sent meanwhile.

        Raises:
            StoreRefused: CANNOT for what was sent, IN_USE for what is being sent.
        """
        with self._withheld(entry.queue_id) as quiet:
            item = self._item(entry, quiet=quiet)
            if item is None or not _open(item):
                raise StoreRefused(StoreFault.CANNOT, "It has been sent")
            await self._amend(Hold(Select(queue_ids=(entry.queue_id,)), HELD))
        return item

    def _item(self, entry: Entry, *, quiet: bool) -> Item | None:
        try:
            item = self._journal.load(entry.queue_id)
        except OSError as error:
            raise as_refused(error) from error
        if item is not None and not quiet and _open(item):
            raise StoreRefused(StoreFault.IN_USE, "It is being sent at this moment")
        return item

    async def _amend(self, change: Cancel | Hold | Release) -> None:
        try:
            await self._journal.amend(change)
        except OSError as error:
            raise as_refused(error) from error

    async def _draft(
        self, store: Reach, item: Item, ends: AsyncExitStack, *, draft: bool
    ) -> Appending:
        """A message as its author wrote it, on its way into a mailbox."""
        content = self._journal.content(item)
        try:
            start = await content.read(0, PIECE)
            cut = end(start)
            upload = await store.upload()
            ends.push_async_callback(upload.abort)
            await upload.write(draft_header(start[:cut], item) + start[cut:])
            offset = len(start)
            while offset < content.size:
                piece = await content.read(offset, PIECE)
                await upload.write(piece)
                offset += len(piece)
        except OSError as error:
            raise as_refused(error) from error
        finally:
            content.close()
        return Appending(upload, ("\\Draft", "\\Seen") if draft else ("\\Seen",), item.arrived)


class _Listener:
    """One who hears that the mailbox has changed; it is kept open as long."""

    def __init__(self, name: str, told: Callable[[Notice], None]) -> None:
        self.box: QueueBox | None = None
        self.over = False
        self._notices = Notice(Affair.MESSAGES, name), Notice(Affair.FLAGS, name)
        self._told = told

    def woken(self) -> None:
        """The mailbox has changed: messages, flags, or both."""
        for notice in self._notices:
            self._told(notice)


def draft_header(block: bytes, item: Item) -> bytes:
    """A submitted message's header section as a draft's: without trace, with its Bcc.

    Whoever of the envelope is named in no field was a blind recipient.
    """
    header = Header(block).drop(b"received", b"return-path", b"dkim-signature")
    shown = b" ".join(
        value.lower() for name in (b"to", b"cc", b"resent-to") for value in header.all(name)
    )
    blind = [
        str(recipient.path)
        for recipient in item.envelope.recipients
        if str(recipient.path).lower().encode("utf-8", "replace") not in shown
    ]
    if blind:
        header = header.on_top(make("Bcc", ", ".join(f"<{it}>" for it in blind)))
    return header.block


@dataclass(frozen=True, slots=True)
class _Found:
    """What a mailbox is made of."""

    version: int
    validity: int
    floor: int
    journeys: list[list[Written]]


def _found(journeys: Journeys, account: str, now: float, since: float) -> _Found:
    version = journeys.version()
    return _Found(version, *journeys.uids(now), journeys.recent(account, since, SHOWN))


def _open(item: Item) -> tuple[int, ...]:
    """The recipients that can be cancelled: what is ours is in its mailbox, or about to be."""
    return tuple(
        number
        for number, (fate, place) in enumerate(zip(item.fates, item.places, strict=True))
        if isinstance(fate, OpenFate) and not (place is not None and is_fresh(fate))
    )


def _sender(events: Sequence[Event]) -> str:
    """Whose mail this is the beginning of; ``""`` if it is none."""
    return next((it.account.casefold() for it in events if isinstance(it, Accepted)), "")


def _key(account: Account) -> str:
    return str(account.path).casefold()
