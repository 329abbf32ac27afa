"""Puts together what keeps suppression lists: who reads them, who fills them, what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.interfaces import IReactorTime

from mailhub.mail.reply import Reply
from mailhub.net.journal import Journal
from mailhub.net.recurring import Recurring
from mailhub.net.scribe import Recorder
from mailhub.policy import alias
from mailhub.policy.cause import Cause
from mailhub.policy.returnpath import day_of
from mailhub.policy.suppression import Suppression
from mailhub.ports.accounts import Directory
from mailhub.ports.disk import Disk
from mailhub.queue.change import Outlived
from mailhub.queue.suppressions import Suppressions
from mailhub.relay.agents import Announce
from mailhub.relay.keyring import Keyring
from mailhub.relay.report import Reporter
from mailhub.relay.returns import Returns
from mailhub.relay.strikes import Strikes
from mailhub.relay.suppressor import Allowed, Suppressor, Terms

KEEP_EVERY: Final = 6 * 3600.0
"""Seconds between looks at what has ended."""


class Suppressing:
    """All of it, on the lists of one hub.

    Args:
        lists: Opened; they are closed by `close`.
        secret: Makes a key for return paths.
        allowed: As in `relay.suppressor`; `rules` and `classify` as in `relay.returns`.
        clock: For waiting; `now` is for dates.

    Attributes:
        suppressor: The runner's guard.
        returns: Takes what comes back.

    Raises:
        OSError: The disk said no.
    """

    def __init__(
        self,
        settings: Suppression,
        lists: Suppressions,
        disk: Disk,
        secret: Callable[[], bytes],
        journal: Journal,
        directory: Directory,
        rules: Callable[[], alias.Rules],
        reporter: Reporter,
        announce: Announce,
        classify: Callable[[Reply], Cause],
        allowed: Allowed,
        clock: IReactorTime,
        now: Callable[[], float],
        recorder: Recorder,
    ) -> None:
        self._terms = Terms(settings)
        self._disk = disk
        self._journal = journal
        self._now = now
        self._keeping = Recurring("suppression lists", self.upkeep, clock)
        self._lists = lists
        self._writing = lists.another()  # for the disk's threads
        self._keyring = Keyring(lists, secret, now, settings.return_days)
        self._strikes = Strikes(self._writing, disk, clock, now, recorder, self._terms.of)
        self.suppressor = Suppressor(
            self._terms,
            lists,
            self._strikes,
            self._keyring,
            directory.hosted,
            allowed,
            now,
            recorder,
        )
        self.returns = Returns(
            self._terms,
            self._keyring,
            self._strikes,
            journal,
            directory,
            rules,
            reporter,
            announce,
            classify,
            now,
            recorder,
        )

    def start(self) -> None:
        """Begin what recurs."""
        self._keeping.start(KEEP_EVERY)

    def obey(self, settings: Suppression) -> None:
        """Go by other settings from here on."""
        self._terms.obey(settings)
        self._keyring.life = settings.return_days

    async def upkeep(self) -> None:
        """Let go of what has ended: entries, strikes, keys, and what was sent.

        Raises:
            OSError: The disk said no.
        """
        settings = self._terms.settings
        every = (settings.terms, *(it.terms for it in settings.sendings))
        await self._strikes.purge(max(it.window for it in every))
        await self._keyring.renew(self._writing, self._disk)
        day = day_of(self._now()) - settings.return_days - 1
        while self._journal.reads.outlived(day):
            await self._journal.commit(Outlived(day))

    async def stop(self) -> None:
        """Write what is still to be written."""
        self._keeping.stop()
        await self._strikes.stop()

    def close(self) -> None:
        """Let go of the lists."""
        self._lists.close()
        self._writing.close()
