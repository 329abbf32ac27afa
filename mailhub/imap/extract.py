"""Items of FETCH that only the message itself can give: its octets, and sections of it.

A small message is read whole and cut up in memory; of a large one the sections are
found first, then sent as they are read.

Invariants:

1. One piece of a large message is in memory, and where it is to be taken apart its
   structure, which is worked out once.
2. Once a literal's size has been said exactly so many octets follow, or the
   connection breaks.
3. What is refused, or cannot be read, is found out before anything of its message was
   said, as far as that can be.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Final

from mailhub.imap.item import Kind, Octets
from mailhub.imap.response import PIECE, Broken, literal, literal8, pieces, tellable
from mailhub.imap.section import (
    Section,
    UnknownEncoding,
    binary,
    find,
    narrow,
    section,
    select,
    span,
)
from mailhub.mail import header
from mailhub.mail.part import Part, parse
from mailhub.mail.transfer import DECODINGS, Decoding
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Content, Uid
from mailhub.ports.store import StoreRefused

NO_PART: Final = b'""'
"""What stands for a part that is not there; Dovecot says so too, where NIL would be right."""

Span = tuple[int, int]
Measure = tuple[int, bool]
"""Octets of a decoded part, and whether there is a NUL among them."""

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


@dataclass(slots=True)
class Known:
    """What has been found out about a large message.

    A client that fetches a large part in many partial pieces asks for the same
    message again and again.

    Attributes:
        body: Where its body begins, once asked for.
        tree: Its structure; there before one of its parts is asked for.
        measures: Of decoded parts, by their numbers.
    """

    uid: int
    body: int | None = None
    tree: Part | None = None
    measures: dict[tuple[int, ...], Measure] = field(default_factory=dict)


async def study(mailbox: Mailbox, uid: int, sections: Iterable[Section], known: Known) -> bool:
    """Find out what must be known before `sections` can be found; False if the message is gone."""
    if known.tree is None and any(wanted.part for wanted in sections):
        known.tree = await mailbox.structure(Uid(uid))
        return known.tree is not None
    return True


# ---- Small messages --------------------------------------------------------------------------


def small(octets: bytes, items: Sequence[Octets]) -> bytes:
    """The items of a message that is in memory, with their labels.

    Raises:
        UnknownEncoding: BINARY was asked for, and cannot be given.
    """
    tree = parse(octets) if any(item.section.part for item in items) else None
    return b" ".join([b"%b %b" % (item.label, _value(octets, item, tree)) for item in items])


def cut(octets: bytes, partial: tuple[int, int] | None) -> bytes:
    """``<origin.count>``: what lies beyond the end is not there (RFC 3501 §6.4.5)."""
    return octets[partial[0] : partial[0] + partial[1]] if partial else octets


def _value(octets: bytes, item: Octets, tree: Part | None) -> bytes:
    if item.kind is Kind.BODY:
        found = section(octets, item.section, tree)
        return NO_PART if found is None else literal(cut(found, item.partial))
    found = binary(octets, item.section.part, tree)
    if item.kind is Kind.SIZE:
        return b"%d" % len(found or b"")
    if found is None:
        return NO_PART
    found = cut(found, item.partial)
    return literal8(found) if b"\0" in found else literal(found)


# ---- Large messages --------------------------------------------------------------------------


async def large(
    content: Content, items: Sequence[Octets], known: Known
) -> AsyncGenerator[bytes, None]:
    """The items of a message that is read as they are sent; first of all an empty piece.

    Raises:
        UnknownEncoding: BINARY was asked for, and cannot be given.
    """
    source = Source(content, known)
    for item in items:
        if item.kind is Kind.BODY:
            await source.span(item.section)
        else:
            await source.measure(item.section.part)
    yield b""
    for place, item in enumerate(items):
        yield b" " * bool(place) + item.label + b" "
        values = source.body(item) if item.kind is Kind.BODY else source.binary(item)
        async with aclosing(values):
            async for piece in values:
                yield piece


class Source:
    """A message that is read in pieces."""

    def __init__(self, content: Content, known: Known) -> None:
        self._content = content
        self._known = known

    async def span(self, wanted: Section) -> Span | None:
        """Where a section is; where names are wanted, where their header is."""
        if wanted.part:
            return span(self._tree(), wanted)
        if not wanted.kind:
            return 0, self._content.size
        known = self._known
        if known.body is None:
            known.body = await _header_end(self._content)
        return (known.body, self._content.size) if wanted.kind == "TEXT" else (0, known.body)

    async def fields(self, found: Span, wanted: Section) -> bytes:
        """What names leave of the header section at a span."""
        size = min(found[1] - found[0], header.SECTION_LIMIT + 1)
        return select(header.bounded(await self._content.read(found[0], size)), wanted)

    async def body(self, item: Octets) -> AsyncGenerator[bytes, None]:
        """The value of BODY[section]."""
        found = await self.span(item.section)
        if found is None:
            yield NO_PART
        elif item.section.names:
            try:
                fields = await self.fields(found, item.section)
            except (OSError, StoreRefused) as why:
                raise Broken(str(why)) from why
            for piece in pieces(literal(cut(fields, item.partial))):
                yield piece
        else:
            start, end = narrow(found, *item.partial) if item.partial else found
            yield b"{%d}\r\n" % (end - start)
            async for piece in stretch(self._content, start, end):
                yield tellable(piece)

    async def binary(self, item: Octets) -> AsyncGenerator[bytes, None]:
        """The value of BINARY[section], or of BINARY.SIZE[section] (RFC 3516 §4.2)."""
        measured = await self.measure(item.section.part)
        if item.kind is Kind.SIZE:
            yield b"%d" % (measured[0] if measured else 0)
        elif measured is None:
            yield NO_PART
        else:
            whole = 0, measured[0]
            start, end = narrow(whole, *item.partial) if item.partial else whole
            # Whether the NUL is in what is wanted of it does not matter     (RFC 3516 §4.2)
            yield b"~{%d}\r\n" % (end - start) if measured[1] else b"{%d}\r\n" % (end - start)
            async for piece in self.decoded(item.section.part, start, end):
                yield piece

    async def measure(self, numbers: tuple[int, ...]) -> Measure | None:
        """How large a part is once it is decoded; None if there is no such part.

        Raises:
            UnknownEncoding: It cannot be decoded.
        """
        known = self._known.measures.get(numbers)
        if known is not None:
            return known
        if self._encoded(numbers) is None:
            return None
        size, has_nul = 0, False
        async for piece in self.decoded(numbers, 0, None):
            size += len(piece)
            has_nul = has_nul or b"\0" in piece
        self._known.measures[numbers] = size, has_nul
        return size, has_nul

    def _encoded(self, numbers: tuple[int, ...]) -> tuple[Span, Decoding] | None:
        """Where a part's body is, and what decodes it."""
        if not numbers:
            return (0, self._content.size), DECODINGS[b"binary"]()
        part = find(self._tree(), numbers)
        if part is None:
            return None
        decoding = DECODINGS.get(part.encoding.lower())
        if decoding is None:
            raise UnknownEncoding(part.encoding.decode("latin-1"))
        # Multiparts and messages have no encoding but the identity               (RFC 2045 §6.4)
        return (part.body, part.end), (DECODINGS[b"binary"] if part.children else decoding)()

    async def decoded(
        self, numbers: tuple[int, ...], start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Some octets of a decoded part; all that follow where `end` is None.

        Raises:
            Broken: They are not there.
            UnknownEncoding: It cannot be decoded.
        """
        found = self._encoded(numbers)
        assert found is not None
        (first, last), decoding = found
        place = 0
        async for piece in _fed(stretch(self._content, first, last), decoding):
            wanted = piece[max(start - place, 0) : None if end is None else max(end - place, 0)]
            place += len(piece)
            yield wanted  # if it is empty, others have their turn
            if end is not None and place >= end:
                return

    def _tree(self) -> Part:
        tree = self._known.tree
        assert tree is not None
        return tree


async def _fed(
    octets: AsyncGenerator[bytes, None], decoding: Decoding
) -> AsyncGenerator[bytes, None]:
    async with aclosing(octets):
        async for piece in octets:
            yield decoding.feed(piece)
    yield decoding.close()


async def _header_end(content: Content) -> int:
    """Where the body begins, as `header.end` would find it."""
    seen, offset = b"\n", 0
    while piece := await content.read(offset, PIECE):
        seen += piece
        offset += len(piece)
        if found := _EMPTY_LINE.search(seen):
            return offset - len(seen) + found.end()
        seen = seen[-2:]
    return content.size


async def stretch(content: Content, start: int, end: int) -> AsyncGenerator[bytes, None]:
    """Octets whose number has been said already.

    Raises:
        Broken: They are not there.
    """
    while start < end:
        try:
            piece = await content.read(start, min(end - start, PIECE))
        except (OSError, StoreRefused) as why:
            raise Broken(str(why)) from why
        if not piece:
            raise Broken("a message has shrunk")
        yield piece
        start += len(piece)
