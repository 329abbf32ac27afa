"""Text made comparable: the collation ``i;unicode-casemap`` (RFC 5051).

Two strings are equal under it if their `fold`ed forms are, one holds the other if
its folded form does, and they sort as their folded forms do: by code points, which
is the order of their octets in UTF-8.

RFC 5051 §2 maps case first and decomposes then; we decompose before and after, so
that a ligature is found by its letters in either case: what is equal by the RFC is
equal here.

Invariants:

1. ``fold(fold(text)) == fold(text)``, and folding never raises.
2. A folded text holds no NUL and no lone surrogate: those become U+FFFD, so that it can
   be written as UTF-8 and kept in a database as it is.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

SLICE: Final = 65_536
"""Characters folded in one go: a millisecond or two."""

_UNFIT: Final = re.compile("[\x00\ud800-\udfff]")
_LAST_CASED: Final = 0x1F000
"""No character from here on has more than one character in capitals (Unicode 15)."""


def fold(text: str) -> str:
    """A text in the form in which it is compared (RFC 5051 §2)."""
    if text.isascii():
        return text.upper().replace("\0", "\ufffd")
    text = unicodedata.normalize("NFKD", _UNFIT.sub("\ufffd", text))
    # `str.upper` is many times as quick as a table, and differs in few characters.
    pieces = _special().split(text)
    pieces[::2] = [piece.upper() for piece in pieces[::2]]
    return unicodedata.normalize("NFKD", "".join(pieces))


def fold_long(text: str) -> str:
    """The same of a text of any length, in slices between which other threads may run."""
    if len(text) <= SLICE:
        return fold(text)
    slices, start = [], 0
    while start < len(text):
        # Nothing combines with a line feed.
        end = text.find("\n", start + SLICE) + 1 or len(text)
        slices.append(fold(text[start:end]))
        start = end
    return "".join(slices)


@cache
def _special() -> re.Pattern[str]:
    """Characters without a simple titlecase form: as capitals they would be several, as ß is."""
    found = (chr(point) for point in range(0x80, _LAST_CASED))
    several = [it for it in found if len(it.upper()) > 1 and len(it.title()) > 1]
    return re.compile("([" + "".join(several) + "])")
