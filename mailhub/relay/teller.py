"""Tells senders what is owed to them: what happened to one message together is told together.

Whoever settles recipients while more of their item is being attempted writes
down that their sender is to be told (`queue.change.Settle.owed`), and says so here.
It is told when the last of these attempts has ended, or when `gather` seconds
have passed since the first.

Invariants:

1. What is owed is in the spool: a crash forgets none of it, and tells none twice.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailhub.net.content import Octets
from mailhub.net.journal import Journal
from mailhub.net.scribe import Recorder
from mailhub.ports.message import Content
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Stale, Told
from mailhub.queue.item import Item
from mailhub.relay import chronicle
from mailhub.relay.report import Reporter

PAGE: Final = 200
"""Items of an earlier run that are known of at once."""


class Teller:
    """Tells what is owed of the items of one journal.

    Args:
        announce: Is told of each notice that was committed.
        ended: Is called whenever something is told, or could not be.

    Attributes:
        gather: Seconds that what is owed may wait.
    """

    _log = Logger()

    def __init__(
        self,
        journal: Journal,
        reporter: Reporter,
        recorder: Recorder,
        announce: Callable[[Item, Content], None],
        now: Callable[[], float],
        ended: Callable[[], None],
        gather: float,
    ) -> None:
        self.gather = gather
        self._journal = journal
        self._reporter = reporter
        self._recorder = recorder
        self._announce = announce
        self._now = now
        self._ended = ended
        self._owing: dict[QueueId, float] = {}
        self._next = math.inf  # nothing is to be told before
        self._telling: dict[QueueId, Deferred[None]] = {}

    def __contains__(self, queue_id: QueueId) -> bool:
        """Whether something is owed of an item."""
        return queue_id in self._owing

    @property
    def busy(self) -> bool:
        """Whether somebody is being told."""
        return bool(self._telling)

    @property
    def next(self) -> float:
        """The next moment at which something may be to be told; never, if nothing is owed."""
        return self._next if self._owing else math.inf

    def begin(self) -> None:
        """Learn what an earlier run left."""
        for moment, queue_id in self._journal.reads.owing(PAGE):
            if queue_id not in self._telling:
                self._note(queue_id, moment)

    def owe(self, queue_id: QueueId, moment: float) -> None:
        """Something is owed of an item, to be told at that moment at the latest."""
        if queue_id not in self._owing:
            self._note(queue_id, moment)

    def _note(self, queue_id: QueueId, moment: float) -> None:
        self._owing[queue_id] = moment
        self._next = min(self._next, moment)

    def tell_due(self) -> None:
        """Tell what has waited long enough."""
        now = self._now()
        if now < self._next:
            return
        for queue_id in [it for it, moment in self._owing.items() if moment <= now]:
            self.tell(queue_id)
        self._next = min(self._owing.values(), default=math.inf)

    def tell(self, queue_id: QueueId) -> None:
        """Begin to tell what is owed of an item, if something is, unless that is under way."""
        if queue_id in self._telling or self._owing.pop(queue_id, None) is None:
            return
        telling = self._telling[queue_id] = Deferred()
        Deferred.fromCoroutine(self._tell(queue_id)).chainDeferred(telling)
        telling.addBoth(self._told, queue_id)

    def stop(self) -> None:
        """Cut short what is under way: it stays owed."""
        for telling in list(self._telling.values()):
            telling.cancel()

    def _told(self, result: object, queue_id: QueueId) -> None:
        self._telling.pop(queue_id, None)
        if isinstance(result, Failure) and not result.check(CancelledError):
            if result.check(OSError):
                self._log.error(
                    "{id}: its sender was not told: {why}", id=queue_id, why=result.value
                )
            else:
                self._log.failure("{id}: its sender was not told", result, id=queue_id)
            self._note(queue_id, self._now() + self.gather)
        elif not self._owing:
            self.begin()
        self._ended()

    async def _tell(self, queue_id: QueueId) -> None:
        """Tell it, in as few notices as can be."""
        while (part := self._journal.reads.owed(queue_id)) is not None:
            content = self._journal.content(part)
            try:
                notices = await self._reporter.reports(None, part, content)
            finally:
                content.close()
            try:
                await self._journal.commit(Told(part), *notices)
            except Stale:
                continue  # somebody else has told it, or it has changed
            chronicle.reported(self._recorder, None, part, notices, self._now())
            for notice in notices:
                self._announce(notice.item, Octets(notice.content or b""))
