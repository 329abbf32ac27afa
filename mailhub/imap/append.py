"""APPEND: messages that stream into a mailbox, never held whole (RFC 3501 §6.3.11, RFC 3502).

A message is one literal, or catenated of literals and of what URLs name (RFC 4469).

Invariants:

1. Nothing is in the mailbox before the tagged OK can be said, then all is.
2. An upload that does not reach the store is aborted, whatever went wrong.
3. What can be refused is refused before a client that waits for permission
   sends its message; from one that does not wait it is read and dropped.

Octets above 127 in a header are taken from every client, where RFC 6855 §4 would have NO for one
that has not enabled UTF8=ACCEPT: old mail is full of them, and whoever moves his mailboxes here
(mbsync, offlineimap, any client that drags messages) would leave it behind. Dovecot takes them too.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from mailhub.imap import composition, source
from mailhub.imap.command import Append
from mailhub.imap.composition import Begun, Ended, Literal, Step, Stretch
from mailhub.imap.fault import to_target, worded
from mailhub.imap.grammar import Tokens
from mailhub.imap.name import canonical
from mailhub.imap.portion import too_many
from mailhub.imap.reader import Announced, Reader, Refused, Request
from mailhub.imap.response import Bad, Condition, No, Ok, number_set
from mailhub.imap.state import Output, State
from mailhub.imap.syntax import parse_stretch
from mailhub.ports.message import Appending, Upload
from mailhub.ports.store import StoreRefused

LARGE: Final = 65536
"""Octets from which it is worth asking first whether the mailbox is there."""
MESSAGES: Final = 256
"""Messages in one APPEND: small ones wait in memory for the last."""


class Uploading:
    """An APPEND whose messages are on their way.

    Args:
        name: Of the mailbox.
        freed: Octets of a message of the same quota that these replace; 0 is none.
    """

    __slots__ = (
        "_begun", "_freed", "_literal", "_messages", "_name", "_refusal", "_size", "_state",
        "_streams", "_upload",
    )  # fmt: skip

    def __init__(self, state: State, name: str, freed: int = 0) -> None:
        self._state = state
        self._name = name
        self._freed = freed
        self._messages: list[Appending] = []
        self._begun = Begun()
        self._upload: Upload | None = None  # of the message that has begun
        self._size = 0  # of that
        self._literal = Literal.NONE  # the kind of the last one
        self._streams = False  # it is on its way
        self._refusal: Condition | None = None

    async def begin(self, reader: Reader, announced: Announced, stretch: Stretch) -> bytes:
        """Take the steps before an announced literal, and decide on it; what is to be said.

        Raises:
            Condition: It is refused; so far only by us, the reader knows nothing of it.
        """
        size, alone = announced.size, stretch.literal is not Literal.TEXT
        if size == 0 and alone:
            raise No("A message has at least one octet", "CANNOT")
        anew = any(isinstance(step, Begun) for step in stretch.steps)
        self._check_size(size if anew else self._size + size)
        await self.take(stretch.steps, size if alone else None)
        self._check_size(self._size + size)
        self._size += size
        self._literal = stretch.literal
        self._streams = True
        reader.stream()
        return b"+ Ready for the message\r\n" if announced.waiting else b""

    async def take(self, steps: Sequence[Step], size: int | None = None) -> None:
        """Take steps; `size` is that of the message that the last one begins, if it is known.

        Raises:
            Condition: One is refused.
        """
        for step in steps:
            match step:
                case Begun():
                    await self._begin(step, size if step is steps[-1] else None)
                case Ended():
                    self._end()
                case composition.Url():
                    await self._copy(step)

    async def proceed(self, reader: Reader) -> AsyncGenerator[Output, None]:
        """Take what has arrived of the messages; file them after the last."""
        while True:
            if self._streams and not await self._stream(reader):
                return
            event = reader.next()
            match event:
                case None:
                    return
                case Announced():
                    said = await self._another(reader, event)
                    if said:
                        yield said
                case Refused(_, why):
                    raise why
                case Request(parts):
                    await self._take_last(parts)
                    async for output in self.filed():
                        yield output
                    return

    async def begun(self, reader: Reader, announced: Announced, stretch: Stretch) -> bytes:
        """`begin`, and abandon all if it is refused.

        Raises:
            Condition: It is refused, and `reader` must be told.
        """
        try:
            return await self.begin(reader, announced, stretch)
        except BaseException:
            await self.abandon()
            raise

    async def taken(self, steps: Sequence[Step]) -> AsyncGenerator[Output, None]:
        """Take steps that are all there are, and file what they come to."""
        try:
            await self.take(steps)
            async for output in self.filed():
                yield output
        finally:
            await self.abandon()

    async def filed(self) -> AsyncGenerator[Output, None]:
        """Put the messages into the mailbox; how the command ends."""
        yield await self.file()

    async def file(self) -> Ok:
        """Put the messages into the mailbox.

        Raises:
            Condition: The store will not.
        """
        messages, self._messages = self._messages, []
        try:
            placed = await self._state.store.append(self._name, messages, self._freed)
        except StoreRefused as why:
            raise to_target(why) from None
        self._state.made(canonical(self._name), placed)
        # RFC 4315 §3: no UIDs for whom may not open the mailbox
        uids = number_set(placed.uids)
        code = f"APPENDUID {placed.uid_validity} {uids}" if uids else ""
        return Ok("Append completed", code)

    async def abandon(self) -> None:
        """Abort what was uploaded."""
        uploads = [message.upload for message in self._messages]
        if self._upload is not None:
            uploads.append(self._upload)
        self._messages, self._upload = [], None
        for upload in uploads:
            await upload.abort()

    # ---- Steps -------------------------------------------------------------------------------

    async def _begin(self, begun: Begun, size: int | None) -> None:
        limit = self._state.limits.saving
        if limit and len(self._messages) >= min(limit, MESSAGES):
            raise too_many(min(limit, MESSAGES))
        if len(self._messages) >= MESSAGES:
            raise No(f"At most {MESSAGES} messages at once", "LIMIT")
        store = self._state.store
        try:
            if size is None or size >= LARGE:
                await store.status(self._name)
            self._upload = await store.upload(size, self._name, self._freed)
        except StoreRefused as why:
            raise to_target(why) from None
        self._begun, self._size = begun, 0

    def _end(self) -> None:
        assert self._upload is not None
        if not self._size:
            raise No("A message has at least one octet", "CANNOT")
        begun = self._begun
        self._messages.append(Appending(self._upload, begun.flags, begun.internal_date))
        self._upload = None

    async def _copy(self, url: composition.Url) -> None:
        """Go on with the message by what a URL names (RFC 4469 §3)."""
        assert self._upload is not None
        async with source.opened(self._state, url.octets) as named:
            self._check_size(self._size + named.size)
            self._size += named.size
            async for piece in named.pieces():
                await self._upload.write(piece)

    def _check_size(self, size: int) -> None:
        limit = self._state.limits.append
        if size > limit:
            raise No(f"A message may have {limit} octets", "TOOBIG")  # RFC 4469 §4.2

    # ---- Literals ----------------------------------------------------------------------------

    async def _stream(self, reader: Reader) -> bool:
        """Write what has arrived of a literal; whether that was its end."""
        while piece := reader.piece():
            if self._refusal is None and self._upload is not None:
                try:
                    await self._upload.write(piece)
                except StoreRefused as why:
                    self._refusal = worded(why)  # said when the literal has gone by
        self._streams = piece is None
        return piece is not None

    async def _another(self, reader: Reader, announced: Announced) -> bytes:
        """The next literal of the same APPEND."""
        limits = self._state.limits
        try:
            if self._refusal is not None:
                raise self._refusal
            stretch = parse_stretch(Tokens(announced.parts), self._literal, limits)
            if stretch.literal is not Literal.URL:
                return await self.begin(reader, announced, stretch)
            if announced.size > limits.literal:
                raise No(f"A literal may have {limits.literal} octets here", "TOOBIG")
        except Condition as why:
            reader.refuse(b"*", why)  # comes back as `Refused`
            return b""
        except StoreRefused as why:
            reader.refuse(b"*", worded(why))
            return b""
        reader.take()
        return b"+ OK\r\n" if announced.waiting else b""

    async def _take_last(self, parts: tuple[bytes, ...]) -> None:
        if self._refusal is not None:
            raise self._refusal
        stretch = parse_stretch(Tokens(parts), self._literal, self._state.limits)
        if stretch.literal is not Literal.NONE:
            raise Bad("Expected a literal")
        await self.take(stretch.steps)


async def append(
    state: State, reader: Reader, announced: Announced, command: Append
) -> tuple[bytes, Uploading]:
    """Begin an APPEND; what is to be said, and how it goes on.

    Raises:
        Condition: It is refused, and `reader` must be told.
    """
    uploading = Uploading(state, state.name(command.mailbox))
    return await uploading.begun(reader, announced, command.stretch), uploading


async def without_literal(state: State, command: Append) -> AsyncGenerator[Output, None]:
    """An APPEND all of whose octets come from URLs (RFC 4469 §3)."""
    if command.stretch.literal is not Literal.NONE:
        raise Bad("Expected a literal")
    uploading = Uploading(state, state.name(command.mailbox))
    async for output in uploading.taken(command.stretch.steps):
        yield output
