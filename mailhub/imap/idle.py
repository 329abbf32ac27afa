"""IDLE: news told as they happen (RFC 2177).

A change in the mailbox wakes the driver, which asks the session to respond, and
so `Idling.proceed` runs again.  Changes that other programs make in the
maildir are looked for when IDLE begins; the hub calls `Mailbox.refresh` of open
mailboxes that were changed from time to time, which wakes us likewise.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap import metadata
from mailhub.imap.command import Idle
from mailhub.imap.contexts import told
from mailhub.imap.reader import Reader
from mailhub.imap.response import Bad, Ok
from mailhub.imap.state import Output, State


async def idle(state: State, _command: Idle) -> AsyncGenerator[Output, None]:
    """IDLE; without a mailbox there will be no news, and that is allowed."""
    if state.selected is not None:
        await state.selected.mailbox.refresh()
    yield b"+ idling\r\n"
    state.idle = True
    yield Idling(state)


class Idling:
    """Waits for news, and for DONE."""

    __slots__ = ("_state",)

    def __init__(self, state: State) -> None:
        self._state = state

    async def proceed(self, reader: Reader) -> AsyncGenerator[Output, None]:
        """Tell what is new; end at DONE."""
        notifying = self._state.notifying
        if notifying is not None:
            # Just what NOTIFY asked for                                     (RFC 5465 §4)
            async for piece in notifying.news(idle=True):
                yield piece
        elif self._state.selected is not None:
            async for piece in told(self._state, expunges=True):
                yield piece
        for piece in metadata.tell(self._state):
            yield piece
        line = reader.line()
        if line is None:
            return
        await self.abandon()
        if line.upper() != b"DONE":
            raise Bad("Expected DONE")
        yield Ok("Idle completed")

    async def abandon(self) -> None:
        """No longer idle."""
        self._state.idle = False
