"""Text made comparable: the collation ``i;unicode-casemap`` (RFC 5051).

Two strings are equal under it if their `fold`ed forms are, one holds the other if
its folded form does, and they sort as their folded forms do: by code points, which
is the order of their octets in UTF-8.

RFC 5051 §2 maps case first and decomposes then; we decompose before and after, so
that a ligature is found by its letters in either case: what is equal by the RFC is
equal here.

A letter has a few marks. Where they come by the thousand they are cut apart by joiners, for
to put them into order takes time in the square of their number; the stream-safe form of
Unicode (UAX #15 §13) does the same.

Invariants:

1. ``fold(fold(text)) == fold(text)``, and folding never raises.
2. A folded text holds no NUL and no lone surrogate: those become U+FFFD, so that it can
   be written as UTF-8 and kept in a database as it is.
3. Folding takes time linear in the text.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final, NamedTuple

SLICE: Final = 65_536
"""Characters folded in one go: a millisecond or two."""

_UNFIT: Final = re.compile("[\x00\ud800-\udfff]")
_JOINER: Final = "\u034f"
"""COMBINING GRAPHEME JOINER: over it no marks are put into order."""
_MANY: Final = 61
"""Marks on end that are cut apart. Real text has up to four or five."""
_RARE: Final = "\U00010000"
"""Sets of characters below are looked up at once, those above one by one."""
_PIECE: Final = 28
"""So many are left together."""
_LAST: Final = 0x1F000
"""From here on no character is a mark, or has several characters in capitals (Unicode 15)."""


def fold(text: str) -> str:
    """A text in the form in which it is compared (RFC 5051 §2)."""
    if text.isascii():
        return text.upper().replace("\0", "\ufffd")
    text = unicodedata.normalize("NFKD", _eased(_UNFIT.sub("\ufffd", text)))
    # `str.upper` is many times as quick as a table, and differs in few characters.
    pieces = _special().split(text)
    pieces[::2] = [piece.upper() for piece in pieces[::2]]
    # Cut apart again: some marks have become two.
    return _eased(unicodedata.normalize("NFKD", "".join(pieces)))


def fold_long(text: str) -> str:
    """The same of a text of any length, in slices between which other threads may run."""
    if len(text) <= SLICE:
        return fold(text)
    slices, start = [], 0
    while start < len(text):
        # Before what is no mark nothing belongs together with what is behind it.
        letter = _marks().letter.search(text, start + SLICE)
        end = letter.start() if letter else len(text)
        slices.append(fold(text[start:end]))
        start = end
    return "".join(slices)


def _eased(text: str) -> str:
    """The text without many marks on end."""
    marks = _marks()
    # As many stand on one of these places at least.
    if not marks.mark.search(text[::_MANY]):
        return text
    return marks.perhaps.sub(lambda found: marks.many.sub(_apart, found[0]), text)


def _apart(found: re.Match[str]) -> str:
    run = found[0]
    return _JOINER.join(run[at : at + _PIECE] for at in range(0, len(run), _PIECE))


class _Marks(NamedTuple):
    """Patterns about characters that are ordered among their like, or decompose to some.

    Attributes:
        perhaps: As `many`, and quicker, for it takes all rare characters for marks.
    """

    mark: re.Pattern[str]
    letter: re.Pattern[str]
    many: re.Pattern[str]
    perhaps: re.Pattern[str]


@cache
def _marks() -> _Marks:
    found = "".join(
        character
        for character in map(chr, range(0x300, _LAST))
        if unicodedata.combining(unicodedata.normalize("NFKD", character)[0])
    )
    usual = "".join(character for character in found if character < _RARE)
    many = f"{{{_MANY},}}"
    return _Marks(
        re.compile(f"[{found}]"),
        re.compile(f"[^{found}]"),
        re.compile(f"[{found}]{many}"),
        re.compile(f"[{usual}{_RARE}-\U0010ffff]{many}"),
    )


@cache
def _special() -> re.Pattern[str]:
    """Characters without a simple titlecase form: as capitals they would be several, as ß is."""
    found = (chr(point) for point in range(0x80, _LAST))
    several = [it for it in found if len(it.upper()) > 1 and len(it.title()) > 1]
    return re.compile("([" + "".join(several) + "])")
