"""Keeps a register of what clients were refused: gathered in memory, written by a thread.

Invariants:

1. `note` never waits and never raises: no session depends on it.
2. Where nothing waits to be written, no timer runs.

When the disk refuses what is to be written it is lost, which is told to the log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal
from mailhub.net.afterwards import Afterwards
from mailhub.policy.refused import Refused, Tally
from mailhub.policy.rule import Rule
from mailhub.ports.conversation import Client
from mailhub.ports.disk import Disk

WAIT: Final = 2.0
"""Seconds that a refusal may wait in memory before it is written."""


class Book(Protocol):
    """Where refusals are kept: see `queue.refusals`."""

    def write(self, refused: Sequence[Refused], before: float) -> None: ...


class Register:
    """Of one hub.

    Args:
        book: Used in `disk`'s thread.
        told: Says of a rule where it stands.

    Attributes:
        keep: Seconds that a refusal is kept; 0 to write none.
    """

    _log = Logger()

    def __init__(
        self,
        book: Book,
        disk: Disk,
        clock: IReactorTime,
        now: Callable[[], float],
        keep: float,
        told: Callable[[Rule | None], str],
    ) -> None:
        self.keep = keep
        self._book = book
        self._disk = disk
        self._now = now
        self._told = told
        self._tally = Tally()
        self._later = Afterwards("writing refusals", self._write_due, clock)

    def note(
        self,
        client: Client,
        stage: str,
        refusal: Refusal,
        envelope: Envelope | None = None,
        path: Path | None = None,
    ) -> None:
        """A client was refused something."""
        if not self.keep:
            return
        now, tls = self._now(), client.tls
        rule = refusal.rule if isinstance(refusal.rule, Rule) else None
        self._tally.add(
            Refused(
                now,
                now,
                1,
                stage,
                client.address,
                client.helo,
                "" if tls is None else f"{tls.version} {tls.cipher}",
                "" if client.account is None else str(client.account.path),
                None if envelope is None else str(envelope.reverse_path),
                "" if path is None else str(path),
                refusal.reply.text,
                self._told(rule),
            )
        )
        self._later.ask(WAIT)

    def obey(self, keep: float, told: Callable[[Rule | None], str]) -> None:
        """Go by another limit, and another configuration."""
        self.keep = keep
        self._told = told

    async def stop(self) -> None:
        """Write what there is."""
        await self._later.stop()
        if rest := self._tally.rest():
            await self._write(rest)

    async def _write_due(self) -> None:
        if refused := self._tally.take(self._now()):
            await self._write(refused)
        if self._tally.counting:
            self._later.ask(max(self._tally.ends - self._now(), WAIT))

    async def _write(self, refused: Sequence[Refused]) -> None:
        try:
            await self._disk.run(self._book.write, refused, self._now() - self.keep)
        except OSError as error:
            self._log.error("{n} refusals not written: {why}", n=len(refused), why=error)
