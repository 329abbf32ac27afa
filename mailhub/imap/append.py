"""APPEND: messages that stream into a mailbox, never held whole (RFC 3501 §6.3.11, RFC 3502).

Invariants:

1. Nothing is in the mailbox before the tagged OK can be said, then all is.
2. An upload that does not reach the store is aborted, whatever went wrong.
3. What can be refused is refused before a client that waits for permission
   sends its message; from one that does not wait it is read and dropped.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from mailhub.imap.command import Append, Message
from mailhub.imap.fault import to_target, worded
from mailhub.imap.grammar import Tokens
from mailhub.imap.reader import Announced, Reader, Refused, Request
from mailhub.imap.response import Bad, Condition, No, Ok, number_set
from mailhub.imap.state import Output, State
from mailhub.imap.syntax import parse_message
from mailhub.ports import Appending, StoreRefused, Upload

LARGE: Final = 65536
"""Octets from which it is worth asking first whether the mailbox is there."""


class Uploading:
    """An APPEND whose messages are on their way.

    Args:
        name: Of the mailbox.
    """

    __slots__ = ("_message", "_messages", "_name", "_refusal", "_state", "_upload")

    def __init__(self, state: State, name: str) -> None:
        self._state = state
        self._name = name
        self._messages: list[Appending] = []
        self._upload: Upload | None = None  # its literal is not at its end
        self._message = Message()
        self._refusal: Condition | None = None

    async def begin(self, reader: Reader, announced: Announced, message: Message) -> bytes:
        """Decide on an announced message; what is to be said, if anything.

        Raises:
            Condition: It is refused; so far only by us, the reader knows nothing of it.
        """
        limits = self._state.limits
        if announced.size > limits.append:
            raise No(f"A message may have {limits.append} octets", "TOOBIG")  # RFC 4469 §4.2
        if announced.size == 0:
            raise No("A message has at least one octet", "CANNOT")
        store = self._state.store
        try:
            if announced.size >= LARGE:
                await store.status(self._name)
            self._upload = await store.upload(announced.size)
        except StoreRefused as why:
            raise to_target(why) from None
        self._message = message
        reader.stream()
        return b"+ Ready for the message\r\n" if announced.waiting else b""

    async def proceed(self, reader: Reader) -> AsyncGenerator[Output, None]:
        """Take what has arrived of the messages; file them after the last."""
        while True:
            if self._upload is not None and not await self._take(reader, self._upload):
                return
            event = reader.next()
            match event:
                case None:
                    return
                case Announced():
                    output = await self._another(reader, event)
                    if output:
                        yield output
                case Refused(_, why):
                    raise why
                case Request(parts):
                    yield await self._file(parts)
                    return

    async def abandon(self) -> None:
        """Abort what was uploaded."""
        uploads = [message.upload for message in self._messages]
        if self._upload is not None:
            uploads.append(self._upload)
        self._messages, self._upload = [], None
        for upload in uploads:
            await upload.abort()

    async def _take(self, reader: Reader, upload: Upload) -> bool:
        """Write what has arrived; whether that was the end of the message."""
        while piece := reader.piece():
            if self._refusal is None:
                try:
                    await upload.write(piece)
                except StoreRefused as why:
                    self._refusal = worded(why)  # said when the literal has gone by
        if piece is None:
            return False
        message = self._message
        self._messages.append(Appending(upload, message.flags, message.internal_date))
        self._upload = None
        return True

    async def _another(self, reader: Reader, announced: Announced) -> bytes:
        """The next message of the same APPEND (RFC 3502 §6.3.11)."""
        try:
            if self._refusal is not None:
                raise self._refusal
            message = parse_message(Tokens(announced.parts), self._state.limits)
            return await self.begin(reader, announced, message)
        except Condition as why:
            reader.refuse(b"*", why)  # comes back as `Refused`
            return b""

    async def _file(self, parts: tuple[bytes, ...]) -> Ok:
        if self._refusal is not None:
            raise self._refusal
        if parts != (b"",):
            raise Bad("Expected the end of the command")
        messages, self._messages = self._messages, []
        try:
            placed = await self._state.store.append(self._name, messages)
        except StoreRefused as why:
            raise to_target(why) from None
        code = f"APPENDUID {placed.uid_validity} {number_set(placed.uids)}"  # RFC 4315 §3
        return Ok("Append completed", code)


async def append(
    state: State, reader: Reader, announced: Announced, command: Append
) -> tuple[bytes, Uploading]:
    """Begin an APPEND; what is to be said, and how it goes on.

    Raises:
        Condition: It is refused, and `reader` must be told.
    """
    uploading = Uploading(state, state.name(command.mailbox))
    return await uploading.begin(reader, announced, command.message), uploading
