"""The text that people read in an HTML part, for searching.

Tags are dropped, entities resolved, blanks run together as a browser shows them;
what a tag shows or points to by its attributes (``alt``, ``title``, ``href``)
follows at the end.

Invariants:

1. Nothing raises, whatever a stranger calls HTML, and time is linear in it.
"""

from __future__ import annotations

import html
import re
from typing import Final

SLICE: Final = 131_072
"""Characters read in one go."""

_BLANKS: Final = re.compile(r"[ \t\r\n\f]+")
_UNSEEN: Final = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|title)\b.*?(?:</\1\b[^>]*+>?|\Z)", re.IGNORECASE | re.DOTALL
)
_TAG: Final = re.compile(
    r"<(/?[a-z!?][a-z0-9]*+)((?:[^<>\"']++|\"[^\"<]*+\"|'[^'<]*+'|[\"'])*+)>", re.IGNORECASE
)
_ATTRIBUTE: Final = re.compile(
    r"\b(?:alt|title|href)\s*+=\s*+(?:\"([^\"]*+)\"|'([^']*+)'|([^\s\"'>]++))", re.IGNORECASE
)
_INLINE: Final = frozenset({
    "a", "abbr", "acronym", "b", "bdi", "bdo", "big", "cite", "code", "del", "dfn", "em", "font",
    "i", "ins", "kbd", "mark", "nobr", "o", "q", "s", "samp", "small", "span", "strike", "strong",
    "sub", "sup", "tt", "u", "var", "wbr",
})  # fmt: skip
"""Elements that do not part words: ``<b>W</b>ord`` is one."""


# "&#" 1*DIGIT [";"], with more digits than any character has; Python takes no number of thousands.
_ENDLESS: Final = re.compile(r"(?<=&#)[0-9]{10,}+")


def resolved(text: str) -> str:
    """A text with its character references resolved, whatever they are."""
    return html.unescape(_ENDLESS.sub(lambda found: found[0].lstrip("0")[:9] or "0", text))


def text_of(source: str) -> str:
    """The text of an HTML document; a long one is read in slices, so that others may run."""
    slices, start = [], 0
    while start < len(source):
        end = source.find("<", start + SLICE)
        end = end if end >= 0 else len(source)
        slices.append(_text(source[start:end]))
        start = end
    return "".join(slices)


def _text(source: str) -> str:
    attributes: list[str] = []

    def replaced(tag: re.Match[str]) -> str:
        if tag[2]:
            attributes.extend(a or b or c for a, b, c in _ATTRIBUTE.findall(tag[2]))
        return "" if tag[1].lower().removeprefix("/") in _INLINE else "\n"

    seen = _UNSEEN.sub("\n", _BLANKS.sub(" ", source))
    return resolved("\n".join([_TAG.sub(replaced, seen), *filter(None, attributes)]))
