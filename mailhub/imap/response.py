r"""Responses: what ends a command, and how values become octets.

A command ends in exactly one of `Ok`, `No` and `Bad` (RFC 3501 §7.1); the
latter two are raised by whoever finds out, however deep, and carry their
response code (RFC 3501 §7.1, RFC 5530).  `Bye` ends the connection.

Invariants:

1. Text of a response is printable US-ASCII on one line, whatever was handed
   in: a peer's or a store's words cannot begin a response of their own.
2. A string is quoted where that is allowed and a literal otherwise, so each
   value can be sent (RFC 3501 §4.3).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from mailhub.mail.flag import KEYWORD_SHIFT, SYSTEM_FLAGS

PIECE: Final = 65536
"""Octets a session yields at most in one piece (the contract of `Session.respond`)."""
RECENT: Final = 1 << 31
r"""A bit that no mailbox uses: here it stands for ``\Recent``, which belongs to a session."""

QUOTED_LIMIT: Final = 1024
"""Octets above which a string goes as a literal; clients have small line buffers."""
_NOT_TEXT: Final = re.compile(r"[^ -~]+")
# TEXT-CHAR = any CHAR except CR and LF; quoted-specials are escaped       (RFC 3501 §9)
_QUOTABLE: Final = re.compile(rb"[\x01-\x09\x0b\x0c\x0e-\x7f]*")
_SPECIAL: Final = re.compile(rb'(["\\])')
# astring = 1*ASTRING-CHAR / string                                        (RFC 3501 §9)
_ASTRING_ATOM: Final = re.compile(rb"[!#$&'+,\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+")


@dataclass(frozen=True, slots=True)
class Ok:
    """The command was carried out.

    Attributes:
        text: For people.
        code: Response code without its brackets, or ``""``.
    """

    text: str
    code: str = ""


class Condition(Exception):
    """The command was not carried out.

    Attributes:
        status: ``NO`` or ``BAD``.
        code: Response code without its brackets (RFC 5530), or ``""``.
        forgets: The result of an earlier search is saved no longer (RFC 5182 §2.1).
    """

    status = "NO"
    forgets = False

    def __init__(self, text: str, code: str = "") -> None:
        self.text = text
        self.code = code
        super().__init__(text)


class No(Condition):
    """We understood, and it cannot be done (RFC 3501 §7.1.2)."""


class Bad(Condition):
    """A command we do not understand, or not now (RFC 3501 §7.1.3)."""

    status = "BAD"


class Bye(Exception):
    """The connection ends (RFC 3501 §7.1.5)."""

    def __init__(self, text: str, code: str = "") -> None:
        self.text = text
        self.code = code
        super().__init__(text)


class Broken(Exception):
    """The connection ends amid a literal: whatever we said would be taken for part of it."""


def status(tag: bytes, condition: str, text: str, code: str = "") -> bytes:
    """One status response; `tag` is ``b"*"`` for an untagged one (RFC 3501 §7.1)."""
    bracketed = f"[{code}] " if code else ""
    # resp-text = ["[" resp-text-code "]" SP] text       (RFC 3501 §9)
    words = _NOT_TEXT.sub("?", f"{bracketed}{text}") or "Done"
    return b"%b %b %b\r\n" % (tag, condition.encode(), words.encode())


def quoted(value: bytes) -> bytes:
    """`value` as a quoted string; it must hold no CR, LF, NUL or octet above 127."""
    return b'"%b"' % _SPECIAL.sub(rb"\\\1", value)


def literal(value: bytes) -> bytes:
    """`value` as a literal (RFC 3501 §4.3)."""
    return b"{%d}\r\n%b" % (len(value), tellable(value))


def tellable(octets: bytes) -> bytes:
    """Octets as a literal may hold them: instead of NUL, which none may, 0x80, as Dovecot has it.

    What a message really holds BINARY tells (RFC 3516 §4.3, RFC 9051 §4.3).
    """
    return octets.replace(b"\0", b"\x80") if b"\0" in octets else octets


def literal8(value: bytes) -> bytes:
    """`value` as a literal that may hold NUL (RFC 3516 §7)."""
    return b"~{%d}\r\n%b" % (len(value), value)


def string(value: bytes) -> bytes:
    """`value` as whichever kind of string can carry it."""
    if len(value) <= QUOTED_LIMIT and _QUOTABLE.fullmatch(value):
        return quoted(value)
    return literal(value)


def astring(value: bytes) -> bytes:
    """`value` bare where possible, else as a string."""
    bare = _ASTRING_ATOM.fullmatch(value) and value.upper() != b"NIL"
    return value if bare else string(value)


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Ascending numbers as maximal runs of consecutive ones, each (first, last)."""
    first = last = None
    for number in numbers:
        if last is not None and number == last + 1:
            last = number
            continue
        if first is not None and last is not None:
            yield first, last
        first = last = number
    if first is not None and last is not None:
        yield first, last


def number_set(numbers: Iterable[int]) -> str:
    """Numbers as a set in the order given: ``4,7:9`` (RFC 4315 §4 uid-set).

    Only ascending neighbours are joined, so that two such sets still
    correspond number by number (RFC 4315 §3).
    """
    return ",".join(str(a) if a == b else f"{a}:{b}" for a, b in runs(numbers))


def pieces(octets: bytes) -> Iterator[bytes]:
    """`octets` in pieces that a session may yield."""
    if len(octets) <= PIECE:
        yield octets
        return
    for start in range(0, len(octets), PIECE):
        yield octets[start : start + PIECE]


class FlagLists(dict[int, bytes]):
    r"""From flag bits to a list in parentheses, each made when first asked for.

    The bit `RECENT` stands for ``\Recent``.
    """

    __slots__ = ("_keywords",)

    def __init__(self, keywords: Sequence[str]) -> None:
        super().__init__()
        self._keywords = keywords

    def __missing__(self, bits: int) -> bytes:
        names = [name for name, bit in SYSTEM_FLAGS.items() if bits & bit]
        names += [
            name
            for place, name in enumerate(self._keywords, KEYWORD_SHIFT)
            if bits & (1 << place) and not (1 << place) & RECENT
        ]
        if bits & RECENT:
            names.append("\\Recent")
        made = self[bits] = f"({' '.join(names)})".encode()
        return made
