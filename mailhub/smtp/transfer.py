"""Sends the content of a message, behind DATA or in chunks, and hears what the server says to it.

Invariants:

1. The end of the content is sent only behind exactly `Content.size` octets: a
   message that we cannot read to its end is never accepted anywhere cut short.
2. While the server may have the whole content, and has not answered, the dialogue
   says so (`Dialogue.doubt`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.ports.message import Content
from mailhub.smtp.dialogue import Dialogue
from mailhub.smtp.stuffing import Stuffer
from mailhub.smtp.wire import Broken, Timeouts, Unreadable

PIECE: Final = 64 * 1024
"""Octets of content read, and handed to the transport, at once."""

Behind = Callable[[], bytes]
"""Called when the content ends: what is said right behind it."""


def nothing() -> bytes:
    """Nothing is."""
    return b""


class Transfer:
    """Sends one content after the other.

    Args:
        chunk: Octets of one BDAT.
    """

    def __init__(self, dialogue: Dialogue, timeouts: Timeouts, chunk: int) -> None:
        self._dialogue = dialogue
        self._timeouts = timeouts
        self._size = chunk

    async def data(self, content: Content, beginning: bytes, behind: Behind) -> Reply:
        """The content behind DATA, and what the server says to it."""
        self._dialogue.stage = "content"
        stuffer = Stuffer()
        size, offset, piece = content.size, 0, beginning
        while (offset := offset + len(piece)) < size:
            self._dialogue.wire.send(stuffer.stuff(piece))
            await self._pass()
            piece = await self.read(content, offset, "content")
        self.note(size)
        self._dialogue.doubt = True
        self._dialogue.wire.send(b"".join((stuffer.stuff(piece), stuffer.finish(), behind())))
        return await self.verdict()

    def note(self, size: int) -> None:
        """Have the record say that content was sent."""
        self._dialogue.note(f">>> ({size} octets of content)")

    async def chunks(self, content: Content, beginning: bytes, ahead: int, behind: Behind) -> Reply:
        """The content in chunks (RFC 3030 §2), and the first refusal, or the last reply.

        So many BDATs may be unanswered while others are sent; nothing is said `behind` a refusal.
        """
        size, offset, waiting = content.size, 0, 0
        refusal: Reply | None = None
        while True:
            length = min(self._size, size - offset)
            last = offset + length >= size
            self._dialogue.say(bdat(length, last=last))
            self._dialogue.stage = "content"
            await self._chunk(content, beginning, offset, length)
            offset += length
            waiting += 1
            self._dialogue.doubt = last
            if not last:
                await self._pass()
            elif refusal is None:
                self._dialogue.wire.send(behind())
            while waiting > (0 if last or refusal else ahead):
                reply = await self._verdict()
                waiting -= 1
                if refusal is None and not reply.positive:
                    refusal = reply
                self._dialogue.doubt = last and waiting > 0 and refusal is None
            if last or refusal is not None:
                return refusal or reply

    async def verdict(self) -> Reply:
        """The reply to content that was sent to its end."""
        reply = await self._verdict()
        self._dialogue.doubt = False
        return reply

    async def read(self, content: Content, offset: int, stage: str) -> bytes:
        """The next piece of a content.

        Raises:
            Unreadable: There is none, where one should be.
        """
        try:
            piece = await content.read(offset, min(PIECE, content.size - offset))
        except OSError as error:
            words = f"Cannot read the content: {error.strerror or error}"
            raise Unreadable(Reply(451, "3.0", (words,)), stage) from error
        if not piece and offset < content.size:
            words = "The content is shorter than it was"
            raise Unreadable(Reply(451, "3.0", (words,)), stage)
        return piece

    async def _chunk(self, content: Content, beginning: bytes, offset: int, length: int) -> None:
        end = offset + length
        while offset < end:
            piece = beginning if offset == 0 else await self.read(content, offset, "content")
            piece = piece[: end - offset]
            self._dialogue.wire.send(piece)
            offset += len(piece)
            if offset < end:
                await self._pass()

    async def _pass(self) -> None:
        """Wait until the transport takes more."""
        self._dialogue.wire.allow(self._timeouts.block)
        try:
            await self._dialogue.wire.drained()
        except (ConnectionError, TimeoutError) as error:
            raise self._early(error) from None

    def _early(self, error: Exception) -> Broken:
        """What broke the transfer: perhaps the server spoke before it hung up."""
        while (reply := self._dialogue.take("content")) is not None:
            if not reply.positive:
                return Broken(reply, "content", heard=True)
        return self._dialogue.failed(error, "content")

    async def _verdict(self) -> Reply:
        """The reply to the content, or to a chunk."""
        reply = await self._dialogue.reply("content", self._timeouts.end)
        if 300 <= reply.code < 400:
            raise self._dialogue.nonsense(reply, "content")
        return reply


def bdat(length: int, *, last: bool) -> bytes:
    """The command before a chunk."""
    return b"BDAT %d%b\r\n" % (length, b" LAST" if last else b"")
