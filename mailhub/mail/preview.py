"""The beginning of a message's text, as lists of messages show it (RFC 8970 §3.1).

Taken is the first part that is text and no attachment; of alternatives the plain one.
Quoted lines and what stands behind a signature's mark say nothing new and are left
out, unless there is nothing else.

Invariants:

1. Nothing here raises on what a stranger sent, and time is linear in `SOURCE`
   octets, however long the message is.
2. A preview is one line of at most `LENGTH` characters, without controls.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from mailhub.mail.charset import decode_text
from mailhub.mail.html import resolved
from mailhub.mail.part import Part

LENGTH: Final = 200
"""Characters of a preview (RFC 8970 §3.1: 200 is best, 256 the most)."""
SOURCE: Final = 32_768
"""Octets of a part that are looked at: HTML begins with pages of style."""

_LONG: Final = 16 * LENGTH
"""Characters of one line that are looked at."""
# Controls, and what takes no room: newsletters fill their first line with it
_UNSEEN: Final = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x9f\u200b-\u200f\u2028-\u202e\ufeff\xad\u034f]+"
)
_NAME: Final = re.compile(r"/?([a-z][a-z0-9]*)", re.IGNORECASE)
_HIDDEN: Final = frozenset({"style", "script", "head", "title"})
"""Elements whose text is not shown."""
_INLINE: Final = frozenset({"a", "b", "i", "em", "strong", "span", "font", "u", "small", "code"})
"""Elements that part no words."""


def preview(content: bytes, message: Part) -> str:
    """The preview of a message whose structure is known; empty where it has no text."""
    plain = markup = None
    for part in message.walk():
        kind, subtype = part.type.lower(), part.subtype.lower()
        if kind != b"text" or _attached(part):
            continue
        if subtype != b"html":
            plain = plain or _text(content, part)
            if plain:
                return plain
        elif markup is None:
            markup = part
    if markup is None:
        return ""
    return _line(text_of_html(_decoded(content, markup)).splitlines())


def _attached(part: Part) -> bool:
    return part.disposition is not None and part.disposition.token.lower() == b"attachment"


def _decoded(content: bytes, part: Part) -> str:
    end = part.end
    if part.size > SOURCE:
        # Between two lines no character is cut in two.
        end = content.rfind(b"\n", part.body, part.body + SOURCE) + 1 or part.body + SOURCE
    label = (part.parameter(b"charset") or b"").decode("latin-1")
    return decode_text(content[part.body : end], part.encoding, label)


def _text(content: bytes, part: Part) -> str:
    lines = _decoded(content, part).splitlines()
    return _line(_fresh(lines)) or _line(lines)


def _fresh(lines: Sequence[str]) -> Iterator[str]:
    """The lines that are not quoted, up to a signature's mark (RFC 3676 §4.3)."""
    for line in lines:
        if line == "-- ":
            return
        if not line.startswith(">"):
            yield line


def _line(lines: Iterable[str]) -> str:
    """The first `LENGTH` characters of some lines, as one."""
    words: list[str] = []
    length = 0
    for line in lines:
        found = _UNSEEN.sub(" ", line[:_LONG]).split()
        words += found
        length += sum(map(len, found)) + len(found)
        if length > LENGTH:
            break
    return " ".join(words)[:LENGTH].rstrip()


def text_of_html(markup: str) -> str:
    """The text that a browser would show, roughly: no tags, no styles, entities resolved."""
    found: list[str] = []
    place, hidden = 0, ""
    while (start := markup.find("<", place)) >= 0:
        if not hidden:
            found.append(markup[place:start])
        if markup.startswith("<!--", start):
            end = markup.find("-->", start)
            place = len(markup) if end < 0 else end + 3
            continue
        name = _NAME.match(markup, start + 1)
        if name is None and markup[start + 1 : start + 2] not in ("!", "?", "/"):
            place = start + 1
            if not hidden:
                found.append("<")
            continue
        end = markup.find(">", start)
        place = len(markup) if end < 0 else end + 1
        element = name[1].lower() if name else ""
        if hidden:
            ended = element == hidden and markup[start + 1] == "/"
            hidden = "" if ended or (hidden == "head" and element == "body") else hidden
        elif element in _HIDDEN and markup[start + 1] != "/":
            hidden = element
        elif element not in _INLINE:
            found.append(" ")
    if not hidden:
        found.append(markup[place:])
    return resolved("".join(found))
