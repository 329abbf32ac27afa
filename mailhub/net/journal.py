"""The spool as the event loop sees it: group commit, content, and what is left after a crash.

How mail is accepted, in short::

    item = new_item(ids(), now(), envelope, places, size, origin)
    await journal.accept(item, octets)          # returns once it is durable: now say 250

    large = journal.large(queue_id, head)       # content over `limits.inline` octets
    await large.write(octets)                   # … as it comes; `abort` to forget it
    await journal.accept(item, large)           # syncs the file, then commits the row

and local recipients are filed::

    await filer.file(filings)                   # visible, not yet durable
    journal.filed(item, numbers)                # remembered with the next commit
    await filer.sync(filings)                   # durable
    await journal.drop_filed([(item, numbers)]) # the spool forgets them

A failure to file is a `queue.item` transition: ``await journal.settle(before, after, …)``. After a
start ``recover`` comes first, then ``async for left in journal.unfiled()`` gives all
local recipients that may not have their message.

Invariants:

1. `commit` and all that is built on it return when the changes are durable, and
   not before; if they raise, nothing of that call was written.
2. One call is one whole. Calls that arrive while a commit runs share the next
   one, in their order.
3. A call that cannot be written does not harm those that share its commit:
   they are written again one by one.
4. What is on its way to the disk is bounded by `JournalLimits.in_flight`: callers wait.
5. Cancelling a caller does not stop its commit.

The statements are run in the loop's thread, where they take microseconds,
and the commit, which waits for the disk, in the writer's, unless the disk is so
quick that handing it over would take longer: so the writer's thread never competes
for the interpreter in the middle of a transaction. A first commit begins at the
end of the loop's turn, for all that arrived in it.
"""

from __future__ import annotations

import errno
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from typing import Final, Generic, Self, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from mailhub.net.content import FileContent, LargeContent, Octets
from mailhub.net.disk import Lock
from mailhub.net.shield import under_way
from mailhub.policy.limits import JournalLimits
from mailhub.ports.disk import Disk
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.amend import START, At
from mailhub.queue.change import (
    Accept,
    Amend,
    Change,
    Drop,
    Edit,
    Filed,
    Promised,
    Settle,
    Unfiled,
)
from mailhub.queue.database import Busy
from mailhub.queue.item import Item
from mailhub.queue.journey import Attempted
from mailhub.queue.look import Reading
from mailhub.queue.spool import Spool

T = TypeVar("T")

LOOP_ROWS: Final = 2000
"""Rows above which even the statements are run in the writer's thread."""


def _rows(change: Change) -> int:
    """About how many rows a change writes."""
    return len(change.item.fates) if isinstance(change, Accept) else 1


async def at_once() -> None:
    """Wait for nothing."""


class _Unit:
    """What one caller wants written, and the caller."""

    __slots__ = ("changes", "done", "weight")

    def __init__(self, changes: tuple[Change, ...]) -> None:
        self.changes = changes
        self.weight = sum(
            len(each.content or b"") for each in changes if isinstance(each, Accept | Promised)
        )
        self.done: Deferred[Failure | None] = Deferred()


_Told = tuple[_Unit, Failure | None]
"""A unit, and why it was not written if it was not."""


class Pages(Generic[T]):
    """What is read from the spool page by page, over a connection of its own.

    Not an async generator: one that is abandoned while it waits for the disk cannot be closed.
    """

    def __init__(
        self, disk: Disk, another: Callable[[], Spool], read: Callable[[Spool], Sequence[T]]
    ) -> None:
        self._disk = disk
        self._another = another
        self._read = read
        self._spool: Spool | None = None
        self._page: deque[T] = deque()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        """The next one, of this page or of another."""
        if self._spool is None:
            self._spool = await self._disk.run(self._another)
        if not self._page:
            self._page.extend(await self._disk.run(self._read, self._spool))
        if not self._page:
            raise StopAsyncIteration
        return self._page.popleft()

    async def aclose(self) -> None:
        """Let go of the connection."""
        if self._spool is not None:
            self._spool.close()


class Journal:
    """Writes to one spool, and reads from it.

    `spool` is for the writer alone; `writer` runs its commits, so it should have a
    thread that nothing else keeps busy; `disk` does the slow reading. `turn` waits
    for the end of the loop's turn.
    """

    def __init__(
        self,
        spool: Spool,
        writer: Disk,
        disk: Disk,
        limits: JournalLimits | None = None,
        turn: Callable[[], Awaitable[object]] = at_once,
    ) -> None:
        self.limits = limits or JournalLimits()
        self._turn = turn
        self._spool = spool
        self._reads = spool.another()  # for quick reads, in the loop's thread
        self._writer = writer
        self._disk = disk
        self._exclusive = Lock()  # the writer's connection: a commit, or an amendment
        self._waiting: deque[_Unit] = deque()
        self._marks: list[Filed] = []
        self._writing = False
        self._idle: Deferred[None] | None = None
        self._weight = 0
        self._crowd: list[Deferred[None]] = []  # callers waiting until there is room
        self._closed = False

    # ---- Writing ---------------------------------------------------------------------------

    async def commit(self, *changes: Change) -> None:
        """Write these changes, all or none.

        Raises:
            Stale: A `Settle` among them does not fit what is there any more.
            OSError: The disk said no (ENOSPC, EIO …), or the journal is closed.
        """
        while self._weight > self.limits.in_flight:
            room: Deferred[None] = Deferred()
            self._crowd.append(room)
            await room
        self._refuse_if_closed()
        unit = _Unit(changes)
        self._weight += unit.weight
        self._waiting.append(unit)
        if not self._writing:
            self._writing = True
            under_way(self._write())
        failure = await unit.done
        if failure is not None:
            failure.raiseException()

    async def accept(self, item: Item, content: bytes | LargeContent, *also: Change) -> None:
        """Take a new item in, and `also` these changes. Raises as `commit` does.

        Large content that was not accepted is still to be aborted by the caller.
        """
        if isinstance(content, bytes):
            await self.commit(Accept(item, content), *also)
        else:
            await content.finish()
            await self.commit(Accept(item, None), *also)
            content.accepted()

    async def settle(
        self, before: Item, after: Item, attempts: Iterable[Attempted] = (), *also: Change
    ) -> None:
        """Write the fates in which the two differ, and `also` these changes. Raises as `commit`."""
        await self.commit(Settle(before, after, tuple(attempts)), *also)

    def filed(self, item: Item, numbers: Iterable[int]) -> None:
        """Remember that these local recipients are filed: with the next commit, whosever it is."""
        self._marks.append(Filed(item, tuple(numbers)))

    async def drop_filed(
        self, filed: Iterable[tuple[Item, Sequence[int]]], at: float = 0.0
    ) -> None:
        """Forget local recipients whose messages are durable. Raises as `commit` does."""
        await self.commit(*(Drop(item, tuple(numbers), at) for item, numbers in filed))

    async def amend(self, change: Amend) -> int:
        """Do what an operator asks, to however many recipients; how many.

        Raises:
            OSError: The disk said no; some may be done.
        """
        total = 0
        at: At | None = START
        while at is not None:
            async with self._exclusive:
                self._refuse_if_closed()
                count, at = await self._writer.run(self._spool.amend, change, at)
            total += count
        return total

    async def edit(self, change: Edit) -> bool:
        """Correct a recipient, or add one: see `Spool.edit`.

        Raises:
            OSError: The disk said no.
        """
        async with self._exclusive:
            self._refuse_if_closed()
            return await self._writer.run(self._spool.edit, change)

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise OSError(errno.ESHUTDOWN, "the journal is closed")

    async def _write(self) -> None:
        """Commit until nobody waits; answers of one commit are given while the next one runs."""
        finished: list[_Told] = []
        await self._turn()
        while self._waiting or finished:
            async with self._exclusive:
                batch = self._take()
                committing = under_way(self._durable(batch)) if batch else None
                for unit, failure in finished:
                    unit.done.callback(failure)
                finished = await committing if committing is not None else []
            self._weight -= sum(unit.weight for unit in batch)
            crowd, self._crowd = self._crowd, []
            for room in crowd:
                room.callback(None)
        self._writing = False
        if self._idle is not None:
            self._idle.callback(None)

    def _take(self) -> list[_Unit]:
        """The next units that fit into one commit: one at least, if any waits."""
        batch: list[_Unit] = []
        size = 0
        while self._waiting:
            size += len(self._waiting[0].changes)
            if batch and size > self.limits.batch:
                break
            batch.append(self._waiting.popleft())
        return batch

    async def _durable(self, batch: list[_Unit]) -> list[_Told]:
        """Write a batch; what came of each."""
        marks, self._marks = self._marks, []
        changes: list[Change] = [*marks, *(each for unit in batch for each in unit.changes)]
        try:
            if sum(map(_rows, changes)) > LOOP_ROWS:
                await self._writer.run(self._spool.apply, changes)
                return [(unit, None) for unit in batch]
            try:
                self._spool.stage(changes)
            except Busy:
                await self._writer.run(self._spool.apply, changes)
            else:
                await self._writer.brief(self._spool.commit)
        except Exception as error:  # whatever it is, it is told to whoever asked for it
            self._marks[:0] = marks
            if len(batch) == 1 or isinstance(error, Busy):
                # Busy after all patience: each for itself would wait as long again.
                failure = Failure()
                return [(unit, failure) for unit in batch]
            return [told for unit in batch for told in await self._durable([unit])]
        return [(unit, None) for unit in batch]

    # ---- Content ---------------------------------------------------------------------------

    def large(self, queue_id: QueueId, head: bytes = b"") -> LargeContent:
        """Be ready for large content of an item to come, behind the `head` of that item."""
        spool = self._spool
        return LargeContent(spool.directory, queue_id, head, self._disk, spool.system)

    def stored(self, queue_id: QueueId) -> bytes | str:
        """An item's octets, or the path of the file with head and content: for `Filing`."""
        return self._reads.content(queue_id)

    def content(self, item: Item) -> Content:
        """An item's content, for reading."""
        stored = self.stored(item.queue_id)
        if isinstance(stored, bytes):
            return Octets(stored)
        return FileContent(stored, len(item.head), item.size, self._disk)

    # ---- Reading ---------------------------------------------------------------------------

    @property
    def reads(self) -> Reading:
        """For quick looks at the spool, in the loop's thread."""
        return self._reads

    def load(self, queue_id: QueueId, numbers: Sequence[int] | None = None) -> Item | None:
        """An item, or the part of it with these recipients, or None if it has left."""
        return self._reads.load(queue_id, numbers)

    def floor(self) -> int:
        """For `queue.item.QueueIds`: see `Spool.floor`."""
        return self._reads.floor()

    # ---- Start and end ---------------------------------------------------------------------

    async def recover(self, boot_id: str) -> int:
        """Put right what a crash may have left; before anything else. See `Spool.recover`."""
        async with self._exclusive:
            return await self._writer.run(self._spool.recover, boot_id)

    def unfiled(self, page: int = 200) -> Pages[Unfiled]:
        """All local recipients that are not dropped yet, once, at the start; see `stored`."""
        last: QueueId | None = None

        def read(spool: Spool) -> Sequence[Unfiled]:
            nonlocal last
            found = spool.unfiled(last, page)
            last = found[-1].item.queue_id if found else last
            return found

        return Pages(self._disk, self._spool.another, read)

    def promises(self, page: int = 200) -> Pages[Promised]:
        """All promises that are not kept yet, once, at the start."""
        last: QueueId | None = None

        def read(spool: Spool) -> Sequence[Promised]:
            nonlocal last
            found = spool.promises(last, page)
            last = found[-1].queue_id if found else last
            return found

        return Pages(self._disk, self._spool.another, read)

    async def close(self) -> None:
        """Write what is still to be written, then let go of the spool."""
        if self._marks:
            with suppress(OSError):  # then what is filed is looked for at the next start
                await self.commit()
        self._closed = True
        if self._writing:
            self._idle = Deferred()
            await self._idle
        async with self._exclusive:
            self._reads.close()
            self._spool.close()
