"""Items of FETCH that only the message itself can give: its octets, and sections of it.

A small message is read whole and cut up in memory; of a large one the sections are
found first, then sent as they are read.

Invariants:

1. One piece of a large message, or one message that must be taken apart, is in memory.
2. Once a literal's size has been said exactly so many octets follow, or the
   connection breaks.
"""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Final

from mailhub.imap.item import Octets
from mailhub.imap.response import PIECE, Broken, literal, pieces
from mailhub.imap.section import Section, narrow, section, select, span
from mailhub.imap.state import Selected
from mailhub.mail import header
from mailhub.mail.part import parse
from mailhub.ports import Content, StoreRefused

NO_PART: Final = b'""'
"""What stands for a part that is not there; Dovecot says so too, where NIL would be right."""

Span = tuple[int, int]

_EMPTY_LINE: Final = re.compile(rb"\n\r?\n")


def small(octets: bytes, items: Sequence[Octets]) -> bytes:
    """The items of a message that is in memory, with their labels."""
    return b" ".join([b"%b %b" % (item.label, _value(octets, item)) for item in items])


async def large(
    selected: Selected, uid: int, content: Content, items: Sequence[Octets]
) -> AsyncGenerator[bytes, None]:
    """The items of a message that is read as they are sent."""
    locate = await _locator(selected, uid, content, items)
    for place, item in enumerate(items):
        yield b" " * bool(place) + item.label + b" "
        found = locate(item.section)
        if found is None:
            yield NO_PART
        elif item.section.names:
            size = min(found[1] - found[0], header.SECTION_LIMIT + 1)
            block = header.bounded(await content.read(found[0], size))
            fields = select(block, item.section)
            for piece in pieces(literal(cut(fields, item.partial))):
                yield piece
        else:
            start, end = narrow(found, *item.partial) if item.partial else found
            yield b"{%d}\r\n" % (end - start)
            async for piece in _stretch(content, start, end):
                yield piece


def cut(octets: bytes, partial: tuple[int, int] | None) -> bytes:
    """``<origin.count>``: what lies beyond the end is not there (RFC 3501 §6.4.5)."""
    return octets[partial[0] : partial[0] + partial[1]] if partial else octets


def _value(octets: bytes, item: Octets) -> bytes:
    found = section(octets, item.section)
    return NO_PART if found is None else literal(cut(found, item.partial))


async def _locator(
    selected: Selected, uid: int, content: Content, items: Sequence[Octets]
) -> Callable[[Section], Span | None]:
    """Where the sections of a large message are; what its parts are is worked out once.

    A client that fetches a large part in many partial pieces asks for the
    same message again and again: so its structure is remembered.
    """
    if any(item.section.part for item in items):
        if selected.large is None or selected.large[0] != uid:
            selected.large = uid, parse(await content.read())
        tree = selected.large[1]
        return lambda wanted: span(tree, wanted)
    kinds = any(item.section.kind for item in items)
    body = await _header_end(content) if kinds else 0
    spans = {"": (0, content.size), "TEXT": (body, content.size)}
    return lambda wanted: spans.get(wanted.kind, (0, body))


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


async def _stretch(content: Content, start: int, end: int) -> AsyncGenerator[bytes, None]:
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
