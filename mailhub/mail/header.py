"""Header sections: split, looked up, filtered and edited as octets; and new fields folded.

A `Header` never judges: whatever a stranger sent is split by the same rules,
and every octet of it is still there afterwards.  Names are compared without
regard to case; values are unfolded, but encoded words, comments and 8-bit
octets in them are left to `mail.charset` and `mail.addresslist`.

Invariants:

1. Nothing here raises on malformed octets: a line without a colon is no field
   and belongs to none, a name may hold anything but colon, CR and LF, a bare
   LF ends a line, a bare CR or a NUL is an octet like any other.
2. An edit changes only the fields it names; all other octets stay in place.
3. A field made by `make` has one name, no line end but its folds, and no line
   over `LINE_LIMIT`, whatever the value holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Final, NamedTuple

LINE_IDEAL: Final = 78
"""Octets of a line, at which generated fields fold (RFC 5322 §2.1.1)."""
LINE_LIMIT: Final = 998
"""Octets of a line that no generated field exceeds (RFC 5322 §2.1.1)."""
SECTION_LIMIT: Final = 256 * 1024
"""Octets of a header section that are searched for fields: ours, to bound memory."""
_CACHED_PATTERNS: Final = 128
"""Compiled sets of field names that are remembered: clients ask for few, and often."""

# field = field-name ":" unstructured CRLF;  obs: *WSP before the colon   (RFC 5322 §4.5.8)
_FIELD: Final = re.compile(rb"^([^:\s][^:\r\n]*):(.*(?:\n[ \t].*)*\n?)", re.MULTILINE)
# ftext = %d33-57 / %d59-126                                               (RFC 5322 §3.6.8)
_NAME: Final = re.compile(r"[!-9;-~]+")
_CONTROLS: Final = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]+")
_WORD: Final = re.compile(rb"[ \t]*[^ \t]+")


class Field(NamedTuple):
    """One field of a header section.

    Attributes:
        name: As it is spelled there, without blanks behind it.
        raw: All that follows the colon, folds and line end included.
    """

    name: bytes
    raw: bytes

    @property
    def value(self) -> bytes:
        """The value, unfolded, without blanks around it."""
        return unfold(self.raw)

    def __bytes__(self) -> bytes:
        return self.name + b":" + self.raw


class Header:
    """A header section, split once, on first use.

    Attributes:
        block: Its octets, with the empty line if there is one.
    """

    __slots__ = ("_index", "block")

    def __init__(self, block: bytes) -> None:
        self.block = block
        self._index: dict[bytes, list[bytes]] | None = None

    @classmethod
    def of(cls, content: bytes) -> Header:
        """The header section at the start of a content."""
        return cls(content[: end(content)])

    def __bytes__(self) -> bytes:
        return self.block

    @property
    def whole(self) -> bool:
        """Whether it is short enough for lookups to see every field of it."""
        return len(self.block) <= SECTION_LIMIT

    def fields(self) -> list[Field]:
        """All fields, in order."""
        found = _FIELD.findall(self.block, 0, SECTION_LIMIT)
        return [Field(name.rstrip(), raw) for name, raw in found]

    def first(self, name: bytes) -> bytes | None:
        """The value of the first field of that name, unfolded; None if there is none."""
        found = self._raws(name)
        return unfold(found[0]) if found else None

    def last(self, name: bytes) -> bytes | None:
        """The value of the last field of that name."""
        found = self._raws(name)
        return unfold(found[-1]) if found else None

    def all(self, name: bytes) -> list[bytes]:
        """The values of all fields of that name, in order."""
        return [unfold(raw) for raw in self._raws(name)]

    def count(self, name: bytes) -> int:
        """How many fields have that name."""
        return len(self._raws(name))

    def __contains__(self, name: bytes) -> bool:
        return bool(self._raws(name))

    def drop(self, *names: bytes) -> Header:
        """The same section without any field of these names."""
        return Header(_named(_key(names)).sub(b"", self.block))

    def on_top(self, *fields: bytes) -> Header:
        """The same section with fields of `make` before all others, in the given order."""
        return Header(b"".join(fields) + self.block)

    def _raws(self, name: bytes) -> list[bytes]:
        if self._index is None:
            self._index = index(self.block)
        return self._index.get(name.lower(), [])


def end(content: bytes, start: int = 0, stop: int | None = None) -> int:
    r"""Where the body begins: behind the first empty line, ``\r\n`` or ``\n``.

    It is `stop` (by default the length of `content`) where there is no empty
    line before: all of it is header.
    """
    if stop is None:
        stop = len(content)
    if content.startswith(b"\r\n", start, stop):
        return start + 2
    if content.startswith(b"\n", start, stop):
        return start + 1
    found = content.find(b"\n\r\n", start, stop)
    bare = content.find(b"\n\n", start, found + 1 if found >= 0 else stop)
    if bare >= 0:
        return bare + 2
    return found + 3 if found >= 0 else stop


def bounded(block: bytes) -> bytes:
    """A header section of at most `SECTION_LIMIT` octets: a longer one's whole lines, closed."""
    if len(block) <= SECTION_LIMIT:
        return block
    return block[: block.rfind(b"\n", 0, SECTION_LIMIT - 2) + 1] + b"\r\n"


def index(block: bytes) -> dict[bytes, list[bytes]]:
    """The raw values of each field by its name in lower case, in order.

    Only the first `SECTION_LIMIT` octets are looked at.
    """
    found: dict[bytes, list[bytes]] = {}
    for name, raw in _FIELD.findall(block, 0, SECTION_LIMIT):
        key = name.rstrip().lower()
        if key in found:
            found[key].append(raw)
        else:
            found[key] = [raw]
    return found


def unfold(raw: bytes) -> bytes:
    """A raw value on one line (RFC 5322 §2.2.3), without blanks around it."""
    if raw.find(b"\n", 0, -1) >= 0:
        raw = raw.replace(b"\r\n", b"").replace(b"\n", b"")
    return raw.strip(b" \t\r\n")


def wanted(block: bytes, names: Iterable[bytes]) -> bytes:
    """HEADER.FIELDS: the named fields as they stand, and the empty line if there is one.

    It is absent only where the message has none either (RFC 3501 §6.4.5).
    """
    return _closed(b"".join(_named(_key(names)).findall(block)), block)


def unwanted(block: bytes, names: Iterable[bytes]) -> bytes:
    """HEADER.FIELDS.NOT: all but the named fields, and the empty line likewise."""
    return _closed(_named(_key(names)).sub(b"", block[: _last_line(block)]), block)


def make(name: str, value: str) -> bytes:
    """A new field, folded, with its line end.

    Controls in `value`, CR and LF above all, become one space each run; folds
    go before blanks, and through a word only where it alone is too long.

    Raises:
        ValueError: `name` is not a field name.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no field name")
    octets = _CONTROLS.sub(" ", value).strip(" \t").encode("utf-8", "surrogateescape")
    lines = []
    line = name.encode() + b":"
    for word in _WORD.findall(b" " + octets):
        if len(line) + len(word) > LINE_IDEAL and line.strip(b" \t") and not line.endswith(b":"):
            lines.append(line)
            line = b""
            word = word if word[:1] in b" \t" else b" " + word  # noqa: PLW2901
        line += word
        while len(line) > LINE_LIMIT:
            cut = _character_start(line, LINE_LIMIT)
            lines.append(line[:cut])
            line = b" " + line[cut:]
    return b"\r\n".join([*lines, line]) + b"\r\n"


def _character_start(line: bytes, at: int) -> int:
    """The last position up to `at` that does not split a UTF-8 character."""
    for position in range(at, at - 4, -1):
        if line[position] & 0xC0 != 0x80:
            return position
    return at


def _last_line(block: bytes) -> int:
    """Where the empty line at the end of a header section begins; its length if it has none."""
    if block.endswith(b"\n\r\n") or block == b"\r\n":
        return len(block) - 2
    if block.endswith(b"\n\n") or block == b"\n":
        return len(block) - 1
    return len(block)


def _closed(fields: bytes, block: bytes) -> bytes:
    """Some fields of a section, closed as that section is."""
    last = _last_line(block)
    if last == len(block):
        return fields
    return fields + block[last:]


def _key(names: Iterable[bytes]) -> tuple[bytes, ...]:
    return tuple(sorted({name.lower() for name in names}))


@lru_cache(maxsize=_CACHED_PATTERNS)
def _named(names: tuple[bytes, ...]) -> re.Pattern[bytes]:
    """Matches the whole of any field of these names."""
    if not names:
        return re.compile(rb"(?!)")
    either = b"|".join(map(re.escape, names))
    return re.compile(
        rb"^(?:" + either + rb")[ \t]*:.*(?:\n[ \t].*)*\n?", re.MULTILINE | re.IGNORECASE
    )
