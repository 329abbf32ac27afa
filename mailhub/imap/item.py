"""FETCH data items: the values, and their grammar (RFC 3501 §6.4.5, §9 fetch-att)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad, astring
from mailhub.imap.section import Section
from mailhub.imap.settings import Limits

PART_DEPTH: Final = 32
"""Numbers in a part's address; nothing nests that deep in earnest."""


class Fact(Enum):
    """An item that is one value of a message; the value is its name on the wire."""

    UID = "UID"
    FLAGS = "FLAGS"
    INTERNALDATE = "INTERNALDATE"
    SIZE = "RFC822.SIZE"
    ENVELOPE = "ENVELOPE"
    BODY = "BODY"
    BODYSTRUCTURE = "BODYSTRUCTURE"
    MODSEQ = "MODSEQ"
    EMAIL_ID = "EMAILID"
    THREAD_ID = "THREADID"
    SAVE_DATE = "SAVEDATE"
    PREVIEW = "PREVIEW"
    LAZY_PREVIEW = "PREVIEW (LAZY)"
    """NIL where it is not at hand (RFC 8970 §3.3); answered as PREVIEW."""


class Kind(Enum):
    """What an item wants of a section."""

    BODY = "BODY"
    BINARY = "BINARY"
    """With its transfer encoding undone (RFC 3516 §4.2)."""
    SIZE = "BINARY.SIZE"
    """How many octets that would be (RFC 3516 §4.3)."""


@dataclass(frozen=True, slots=True)
class Octets:
    r"""An item that is some of a message's octets.

    Attributes:
        label: Its name in the response.
        section: Which octets.
        partial: Of those, the first wanted and how many; None for all.
        peek: Does not set ``\Seen``.
        kind: What is wanted of them; ``section.kind`` is empty for all but BODY.
    """

    label: bytes
    section: Section
    partial: tuple[int, int] | None = None
    peek: bool = False
    kind: Kind = Kind.BODY


Item = Fact | Octets

_FAST: Final = (Fact.FLAGS, Fact.INTERNALDATE, Fact.SIZE)
_MACROS: Final[Mapping[str, tuple[Item, ...]]] = {
    "FAST": _FAST,
    "ALL": (*_FAST, Fact.ENVELOPE),
    "FULL": (*_FAST, Fact.ENVELOPE, Fact.BODY),
}
"""ALL, FAST and FULL stand alone, never in a list (RFC 3501 §6.4.5)."""

_SINGLE: Final[Mapping[str, Item]] = {
    **{fact.value: fact for fact in Fact},
    "RFC822": Octets(b"RFC822", Section()),
    "RFC822.HEADER": Octets(b"RFC822.HEADER", Section(kind="HEADER"), peek=True),
    "RFC822.TEXT": Octets(b"RFC822.TEXT", Section(kind="TEXT")),
}

_NAME: Final = re.compile(rb"[A-Za-z0-9.]+")
# section-part = nz-number *("." nz-number)                                (RFC 3501 §9)
_PART: Final = re.compile(rb"[1-9][0-9]{0,5}(?:\.[1-9][0-9]{0,5})*")
# partial = "<" number "." nz-number ">"
_PARTIAL: Final = re.compile(rb"<([0-9]{1,10})\.([1-9][0-9]{0,9})>")
# ftext = %d33-57 / %d59-126; spaces are met                              (RFC 5322 §3.6.8)
_FIELD: Final = re.compile(rb"[ -9;-~]+")
_BINARY: Final = frozenset({"BINARY", "BINARY.PEEK", "BINARY.SIZE"})
_KINDS: Final = frozenset({"HEADER", "HEADER.FIELDS", "HEADER.FIELDS.NOT", "TEXT", "MIME"})


def parse(tokens: Tokens, limits: Limits, *, by_uid: bool) -> tuple[Item, ...]:
    """``"ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")"``.

    UID FETCH answers with the UID whether it is asked for or not (RFC 3501 §6.4.8).

    Raises:
        Bad: It does not parse.
    """
    if tokens.next_is(b"("):
        items = tuple(tokens.parenthesised(lambda: single(tokens, limits), limits.items))
    else:
        name = _name(tokens)
        items = _MACROS.get(name) or (_named(name, tokens, limits),)
    if by_uid and Fact.UID not in items:
        items = (Fact.UID, *items)
    return tuple(dict.fromkeys(items))


def attributes(tokens: Tokens, limits: Limits) -> list[Item]:
    """``fetch-att *(SP fetch-att) ")"``, for which the parenthesis was opened already.

    Raises:
        Bad: It does not parse, or they are too many.
    """
    found = [single(tokens, limits)]
    while not tokens.maybe(b")"):
        tokens.space()
        found.append(single(tokens, limits))
        if len(found) > limits.items:
            raise Bad("Too many items")
    return found


def single(tokens: Tokens, limits: Limits) -> Item:
    """One fetch-att.

    Raises:
        Bad: It does not parse.
    """
    return _named(_name(tokens), tokens, limits)


def _name(tokens: Tokens) -> str:
    found = tokens.match(_NAME)
    if found is None:
        raise Bad("Expected a FETCH item")
    return found[0].decode("ascii").upper()


def _named(name: str, tokens: Tokens, limits: Limits) -> Item:
    if name in {"BODY", "BODY.PEEK"} and tokens.maybe(b"["):
        return _body(tokens, limits, peek=name == "BODY.PEEK")
    if name in _BINARY and tokens.maybe(b"["):
        return _binary(tokens, name)
    if name == "PREVIEW" and tokens.maybe(b" ("):
        # preview-mod = "LAZY"                                             (RFC 8970 §6)
        if tokens.keyword() != "LAZY":
            raise Bad("Unknown modifier of PREVIEW")
        tokens.expect(b")")
        return Fact.LAZY_PREVIEW
    single = _SINGLE.get(name)
    if single is None:
        raise Bad(f"Unknown FETCH item {name}")
    return single


def _body(tokens: Tokens, limits: Limits, *, peek: bool) -> Octets:
    wanted, label = section(tokens, limits)
    tokens.expect(b"]")
    partial = _partial(tokens)
    if partial is None:
        return Octets(b"BODY[%b]" % label, wanted, None, peek)
    # Only the origin is told: BODY[]<0>                                   (RFC 3501 §7.4.2)
    return Octets(b"BODY[%b]<%d>" % (label, partial[0]), wanted, partial, peek)


def _binary(tokens: Tokens, name: str) -> Octets:
    # "BINARY" [".PEEK"] section-binary [partial] / "BINARY.SIZE" section-binary
    # section-binary = "[" [section-part] "]"                              (RFC 3516 §7)
    found = tokens.match(_PART)
    part = found[0] if found is not None else b""
    tokens.expect(b"]")
    section = Section(_numbers(part))
    if name == "BINARY.SIZE":
        return Octets(b"BINARY.SIZE[%b]" % part, section, None, peek=True, kind=Kind.SIZE)
    partial = _partial(tokens)
    origin = b"<%d>" % partial[0] if partial else b""
    label = b"BINARY[%b]%b" % (part, origin)
    return Octets(label, section, partial, name == "BINARY.PEEK", Kind.BINARY)


def _partial(tokens: Tokens) -> tuple[int, int] | None:
    found = tokens.match(_PARTIAL)
    return (int(found[1]), int(found[2])) if found is not None else None


def _numbers(part: bytes) -> tuple[int, ...]:
    numbers = tuple(map(int, part.split(b"."))) if part else ()
    if len(numbers) > PART_DEPTH:
        raise Bad("Part number too deep")
    return numbers


def section(tokens: Tokens, limits: Limits) -> tuple[Section, bytes]:
    """A section, and how it is called in the response.

    Raises:
        Bad: It does not parse.
    """
    # section-spec = section-msgtext / (section-part ["." section-text])   (RFC 3501 §9)
    found = tokens.match(_PART)
    part = found[0] if found is not None else b""
    numbers = _numbers(part)
    if tokens.next_is(b"]") or (part and not tokens.maybe(b".")):
        return Section(numbers), part
    kind = _name(tokens)
    if kind not in _KINDS or (kind == "MIME" and not part):
        raise Bad("Unknown section")
    label = part + b"." * bool(part) + kind.encode()
    if not kind.startswith("HEADER.FIELDS"):
        return Section(numbers, kind), label
    tokens.space()
    # header-list = "(" header-fld-name *(SP header-fld-name) ")"
    fields = tuple(tokens.parenthesised(tokens.astring, limits.items))
    if not all(map(_FIELD.fullmatch, fields)):
        raise Bad("No header field has such a name")
    return Section(numbers, kind, fields), b"%b (%b)" % (label, b" ".join(map(astring, fields)))
