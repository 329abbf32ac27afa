"""Whether a recipient in a backed-up domain exists: its own hosts are asked, and it is remembered.

A backup that takes mail for everybody has to bounce, later, what the domain's hosts do
not want, to senders who were forged. So at RCPT those hosts are asked (MAIL with the
null reverse-path, RCPT, and no more). While they are down what they said lately
counts, and who is not known is asked to come again: nothing is lost by that, for
senders try again by themselves.

Invariants:

1. A recipient is asked about by one connection at a time, however many want to know.
2. Only a refusal that is about the address means that it does not exist: hosts that do
   not like us say nothing about their mailboxes.
3. Nobody waits longer than `PATIENCE`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.backup import Known, absent

PATIENCE: Final = 20.0
"""Seconds that a client waits for an answer of the domain's hosts."""


class Memory(Protocol):
    """Where that is kept; see `queue.assurances`. Each method may raise `OSError`."""

    def recipient(self, path: str) -> Known | None: ...
    def remember(self, path: str, known: Known) -> None: ...


Probe = Callable[[Path], Awaitable[Reply]]
"""What the hosts of a recipient's domain say to RCPT; 4yz where nobody does: `Remote.probe`."""


class Verifier:
    """For all backed-up domains of a hub."""

    _log = Logger()

    def __init__(
        self,
        probe: Probe,
        memory: Memory,
        clock: IReactorTime,
        now: Callable[[], float],
    ) -> None:
        self._probe = probe
        self._memory = memory
        self._clock = clock
        self._now = now
        self._asking: dict[str, list[Deferred[None]]] = {}

    async def check(self, path: Path) -> None:
        """Let a recipient pass who exists.

        Raises:
            Refusal: 550 5.1.1, if there is none; 450 4.1.1 where that cannot be found out now.
        """
        key = str(path).casefold()
        known = self._known(key)
        if known is None or not known.fresh(self._now()):
            await self._asked(key, path)
            known = self._known(key)
        if known is None or not known.holds(self._now()):
            words = "Whether there is such a mailbox cannot be found out now; try again later"
            raise Refusal(450, "1.1", words)
        if not known.exists:
            raise Refusal(550, "1.1", f"No such mailbox there: {known.reply}")

    async def _asked(self, key: str, path: Path) -> None:
        """Wait until the hosts have answered, or for as long as our patience lasts."""
        waiting = self._asking.get(key)
        if waiting is None:
            waiting = self._asking[key] = []
            work = Deferred.fromCoroutine(self._ask(key, path))
            work.addTimeout(PATIENCE, self._clock)
            work.addErrback(lambda why: self._log.info("{path}: {why}", path=path, why=why.value))
            work.addBoth(lambda _: self._ended(key))
            if work.called:
                return
        turn: Deferred[None] = Deferred()
        waiting.append(turn)
        await turn

    def _ended(self, key: str) -> None:
        for turn in self._asking.pop(key):
            if not turn.called:
                turn.callback(None)

    async def _ask(self, key: str, path: Path) -> None:
        reply = await self._probe(path)
        gone = absent(reply)
        if not (gone or reply.positive):
            self._log.info("{path} is not verified: {reply}", path=path, reply=reply.text)
            return
        try:
            self._memory.remember(key, Known(not gone, self._now(), reply.text if gone else ""))
        except OSError as error:
            self._log.error("who exists elsewhere cannot be kept: {why}", why=error)

    def _known(self, key: str) -> Known | None:
        try:
            return self._memory.recipient(key)
        except OSError as error:
            self._log.error("who exists elsewhere cannot be read: {why}", why=error)
            return None
