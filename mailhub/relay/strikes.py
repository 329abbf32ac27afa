"""Puts addresses on suppression lists behind the mail's back: gathered, and written together.

Invariants:

1. No mail waits for a list to be written. If the disk refuses, that is told and tried
   again; so many strikes are remembered meanwhile, and no more.
2. One batch is written at a time, in the order in which things happened.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.net.afterwards import Afterwards
from mailhub.net.scribe import Recorder
from mailhub.policy.suppression import Action, Entry, Reason, Sending, excepted
from mailhub.policy.verdict import Verdict
from mailhub.ports.disk import Disk
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Decided
from mailhub.queue.suppressions import Suppressions
from mailhub.relay import chronicle, maillog

GATHER: Final = 1.0
"""Seconds for which what happens is gathered."""
RETRY: Final = 60.0
"""Seconds after which the disk is asked again that refused."""
SAID: Final = 500
"""Characters of what was said that a list keeps."""
WAITING: Final = 10_000
"""Strikes that wait for the disk, at most."""


class Strikes:
    """What is to be put on the lists.

    Args:
        lists: For the disk's threads.
        clock: For waiting; `now` is for dates.
        terms: Of a sending domain.
    """

    _log = Logger()

    def __init__(
        self,
        lists: Suppressions,
        disk: Disk,
        clock: IReactorTime,
        now: Callable[[], float],
        recorder: Recorder,
        terms: Callable[[str], Sending],
    ) -> None:
        self._lists = lists
        self._disk = disk
        self._lock = disk.lock()
        self._now = now
        self._recorder = recorder
        self._terms = terms
        self._waiting: list[tuple[int, Entry]] = []  # each with the recipient's number
        self._later = Afterwards("writing suppression lists", self.write, clock)
        self._patience = GATHER  # until the disk is asked

    def strike(
        self,
        reverse_path: Path,
        path: Path,
        reason: Reason,
        said: str,
        queue_id: QueueId,
        number: int,
    ) -> None:
        """Something has happened to an item's recipient that counts against the address."""
        terms = self._terms(reverse_path.domain).terms
        exempt = excepted(reverse_path, path) or terms.action is Action.OFF
        if exempt or not terms.least(reason):
            return
        if len(self._waiting) >= WAITING:
            self._log.error("{id}: too much waits for the suppression lists", id=queue_id)
            return
        now, life = self._now(), terms.life(reason)
        ends = now + life if life else 0.0
        entry = Entry(reverse_path.domain, path.key, reason, now, ends, 1, said[:SAID], queue_id)
        self._waiting.append((number, entry))
        self._later.ask(self._patience)

    async def forgive(self, reverse_path: Path, path: Path) -> bool:
        """A complaint is taken back; whether there was one.

        Raises:
            OSError: The disk said no.
        """
        await self.write()
        async with self._lock:
            gone = await self._disk.run(
                self._lists.remove, path.key, reverse_path.domain, Reason.COMPLAINT
            )
        return gone > 0

    async def purge(self, window: float) -> None:
        """Forget entries that have ended, and strikes that are older than `window` seconds.

        Raises:
            OSError: The disk said no.
        """
        gone = 1
        while gone:
            async with self._lock:
                gone = await self._disk.run(self._lists.purge, self._now(), window)

    async def stop(self) -> None:
        """Write what was gathered."""
        await self._later.stop()
        await self.write()

    # ---- Writing ---------------------------------------------------------------------------

    async def write(self) -> None:
        """Write what was gathered, if the disk takes it."""
        async with self._lock:
            strikes, self._waiting = self._waiting, []
            self._patience = GATHER
            while strikes:
                _, first = strikes[0]
                group = [it for it in strikes if _together(it[1], first)]
                try:
                    put = await self._put([entry for _, entry in group])
                except OSError as error:
                    self._log.error("suppression lists not written: {why}", why=error)
                    self._waiting = [*strikes, *self._waiting][:WAITING]
                    self._patience = RETRY
                    self._later.ask(self._patience)
                    return
                self._tell(group, put)
                strikes = [it for it in strikes if not _together(it[1], first)]

    async def _put(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those that are on a list then. Raises `OSError`."""
        terms = self._terms(entries[0].domain).terms
        least, window = terms.least(entries[0].reason), terms.window
        return await self._disk.run(self._lists.strike, entries, least, window, self._now())

    def _tell(self, group: Sequence[tuple[int, Entry]], put: Sequence[Entry]) -> None:
        """Tell log and journeys of those that are on a list now."""
        on_it = {entry.address: entry for entry in put}
        for number, struck in group:
            entry = on_it.get(struck.address)
            if entry is None:
                continue
            maillog.suppressed(entry)
            what = f"suppression: {entry.address} gets no more such mail of {entry.domain}"
            rule = self._terms(entry.domain).rule("classes")
            texts = chronicle.verdict_texts(self._recorder, (Verdict(what, rule),))
            event = Decided(self._now(), (number,), texts)
            self._recorder.note(QueueId(struck.queue_id), event)


def _together(one: Entry, other: Entry) -> bool:
    """Whether the same terms are for both."""
    return one.domain == other.domain and one.reason is other.reason
