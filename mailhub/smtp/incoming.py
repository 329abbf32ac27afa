"""Content on its way from the reader to a draft, by DATA or in BDAT chunks.

Invariants:

1. Content that was begun is read to its true end, refused or not.
2. The draft is ended once: handed out by `finish`, or aborted as soon as the
   content is refused, so that a spoilt one holds no space while the rest is read.
"""

from __future__ import annotations

from mailhub.mail.reply import Refusal
from mailhub.policy.rule import Rule
from mailhub.ports.intake import Draft
from mailhub.smtp.limits import Limits
from mailhub.smtp.reader import Reader


class Incoming:
    """One message's content under way.

    Attributes:
        blocks: How often another `Limits.content_block` has come.
        left: Octets of the chunk at hand were announced and not all read.
    """

    __slots__ = (
        "_block",
        "_chunked",
        "_draft",
        "_limits",
        "_reader",
        "_rule",
        "_size",
        "blocks",
        "left",
    )

    def __init__(
        self,
        reader: Reader,
        limits: Limits,
        draft: Draft | None,
        *,
        chunked: bool = False,
        binary: bool = False,
        rule: Rule | None = None,
    ) -> None:
        """Begin to read content; without a `draft`, to drop it.

        `rule` is the line that limits its size.
        """
        self._rule = rule
        self._reader = reader
        self._limits = limits
        self._draft = draft
        self._chunked = chunked
        self._size = 0
        self._block = 0
        self.blocks = 0
        self.left = not chunked
        reader.open(chunked=chunked, binary=binary)

    @property
    def fault(self) -> Refusal | None:
        """Why the content cannot be accepted, as far as is known."""
        return self._reader.fault

    def expect(self, size: int, refusal: Refusal | None = None) -> None:
        """A chunk of `size` octets follows; it is read to its end even if there is a `refusal`."""
        self._reader.expect(size)
        self.left = True
        if refusal is not None:
            self._reader.spoil(refusal)
        elif self._limits.size and self._size + size > self._limits.size:
            self._reader.spoil(self._too_big())

    async def take(self) -> bool:
        """Take what has arrived; True once the content, or the chunk at hand, has ended."""
        reader = self._reader
        arrived = reader.pending
        take = reader.chunk if self._chunked else reader.content
        while octets := take():
            await self._write(octets)
        if reader.fault is not None:
            await self.abort()
        if octets is not None:
            self.left = False
            return True
        self._block += arrived
        if self._block >= self._limits.content_block:
            self._block = 0
            self.blocks += 1
        return False

    async def finish(self) -> Draft | None:
        """The draft with all content in it, for the caller to commit; None if there is a fault."""
        if self._chunked and (held := self._reader.complete()):
            await self._write(held)
        if self._reader.fault is not None:
            await self.abort()
        draft, self._draft = self._draft, None
        return draft

    async def abort(self) -> None:
        """Let go of the draft, if there is one."""
        draft, self._draft = self._draft, None
        if draft is not None:
            await draft.abort()

    async def _write(self, octets: bytes) -> None:
        """Hand content on; a refusal is kept until the content has ended."""
        self._size += len(octets)
        if self._limits.size and self._size > self._limits.size:
            self._reader.spoil(self._too_big())
        elif self._draft is not None:
            try:
                await self._draft.write(octets)
            except Refusal as refusal:
                self._reader.spoil(refusal)

    def _too_big(self) -> Refusal:
        words = f"Content may have {self._limits.size} octets"
        return Refusal(552, "3.4", words).by(self._rule)
