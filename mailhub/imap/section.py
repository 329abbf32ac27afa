"""BODY[section]: which octets of a message a section is.

A `Section` is found in the tree of `mail.part` and becomes a span of offsets,
so that a large message need not be in memory; only HEADER.FIELDS and its
counterpart are octets made from such a span (`select`).

Invariants:

1. ``section(c, s)`` equals ``select(c[span], s)`` for the `span` of `s`, and
   both are None for the same sections.
2. Nothing is parsed for sections of the message itself but where its header
   ends.

A part that is not there is None, which clients see best as ``""``: so Dovecot
answers, and a client that counts on BODYSTRUCTURE never asks.  Unlike Dovecot,
``1.1`` of a part 1 that has no parts is not there.
"""

from __future__ import annotations

from dataclasses import dataclass

from mailhub.mail import header
from mailhub.mail.charset import decode_body
from mailhub.mail.part import Part, parse
from mailhub.mail.transfer import DECODINGS


@dataclass(frozen=True, slots=True)
class Section:
    """A section specification (RFC 3501 §9: section-spec).

    Attributes:
        part: The part numbers, each at least 1; empty for the message itself.
        kind: ``""`` for all of it, else ``HEADER``, ``HEADER.FIELDS``,
            ``HEADER.FIELDS.NOT``, ``TEXT`` or ``MIME`` (RFC 3501 §6.4.5).
        names: The field names of the two that have them.
    """

    part: tuple[int, ...] = ()
    kind: str = ""
    names: tuple[bytes, ...] = ()


class UnknownEncoding(Exception):
    """BINARY cannot decode this part: UNKNOWN-CTE (RFC 3516 §4.3)."""


def section(content: bytes, wanted: Section, tree: Part | None = None) -> bytes | None:
    """The octets of a section; None if there is no such part.

    `tree` is the structure of `content`, where it is known already.
    """
    if not wanted.part and not wanted.kind:
        return content
    if wanted.part:
        found = span(tree or parse(content), wanted)
    else:
        found = _span(0, header.end(content), len(content), wanted.kind)
    return select(content[found[0] : found[1]], wanted) if found else None


def span(tree: Part, wanted: Section) -> tuple[int, int] | None:
    """Where a section begins and ends; where names are wanted, where their header does."""
    if not wanted.part:
        return _span(tree.start, tree.body, tree.end, wanted.kind)
    part = find(tree, wanted.part)
    if part is None:
        return None
    if not wanted.kind:
        return part.body, part.end
    if wanted.kind == "MIME":
        return part.start, part.body
    if not part.is_message:  # only messages have HEADER and TEXT              (RFC 3501 §6.4.5)
        return None
    inner = part.children[0]
    return _span(inner.start, inner.body, inner.end, wanted.kind)


def select(octets: bytes, wanted: Section) -> bytes:
    """What the wanted names leave of their header; for other kinds, all."""
    if wanted.kind == "HEADER.FIELDS":
        return header.wanted(octets, wanted.names)
    if wanted.kind == "HEADER.FIELDS.NOT":
        return header.unwanted(octets, wanted.names)
    return octets


def narrow(found: tuple[int, int], offset: int, count: int) -> tuple[int, int]:
    """A span cut to ``<offset.count>``; empty where it begins behind the end (RFC 3501 §6.4.5)."""
    start = min(found[0] + offset, found[1])
    return start, min(start + count, found[1])


def find(tree: Part, numbers: tuple[int, ...]) -> Part | None:
    """The part with these numbers; None if there is none.

    A message that is no multipart is its own part 1; numbers below a
    message/rfc822 count within the message it holds (RFC 3501 §6.4.5).
    """
    message: Part | None = tree
    part: Part | None = None
    for number in numbers:
        if message is None:
            return None
        part = _numbered(message, number)
        if part is None:
            return None
        message = part.children[0] if part.is_message else part if part.is_multipart else None
    return part


def binary(content: bytes, numbers: tuple[int, ...], tree: Part | None = None) -> bytes | None:
    """BINARY[part]: the part's body, decoded; None if there is no such part (RFC 3516 §4.2).

    The message as a whole has no encoding: its header tells of those of its parts.

    Raises:
        UnknownEncoding: Its transfer encoding is none that we know.
    """
    if not numbers:
        return content
    part = find(tree or parse(content), numbers)
    if part is None:
        return None
    encoding = part.encoding.lower()
    if encoding not in DECODINGS:
        raise UnknownEncoding(encoding.decode("latin-1"))
    octets = content[part.body : part.end]
    # Multiparts and messages have no encoding but the identity               (RFC 2045 §6.4)
    return octets if part.children else decode_body(octets, encoding)


def _numbered(message: Part, number: int) -> Part | None:
    if not message.is_multipart:
        return message if number == 1 else None
    if not message.children and number == 1:
        # BODYSTRUCTURE shows one empty part there
        return message._replace(start=message.end, body=message.end, type=b"text", encoding=b"7bit")
    return message.children[number - 1] if number <= len(message.children) else None


def _span(start: int, body: int, end: int, kind: str) -> tuple[int, int] | None:
    """The span of a section of a message, MIME being none (RFC 3501 §9: section-msgtext)."""
    if not kind:
        return start, end
    if kind == "TEXT":
        return body, end
    return (start, body) if kind != "MIME" else None
