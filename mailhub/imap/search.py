"""SEARCH: programs compiled to predicates, and run from the cheap to the dear (RFC 3501 §6.4.4).

A program's conjuncts are sorted by what they need: the mailbox's arrays, the
header section, the whole content.  Each tier sees only messages that passed the
one before; headers are read in batches, contents one at a time.

Text is compared decoded (charsets, encoded words, transfer encodings) and
case-folded, as a substring.

Invariants:

1. The result is in the client's numbers; expunged messages are never in it,
   even if the client has not been told yet (RFC 2180 §4.3).
2. No step works on more than one batch or one content without a breathing point.
"""

from __future__ import annotations

import operator
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from enum import IntEnum
from typing import Final

from mailhub.imap.criteria import (
    And,
    Comparison,
    Date,
    Flagged,
    Header,
    Key,
    Keyword,
    Not,
    Numbers,
    Or,
    Size,
    Text,
    Uids,
)  # fmt: skip
from mailhub.imap.fetch import Rows, spans
from mailhub.imap.sequence import Ranges, contains, intersection
from mailhub.imap.state import Selected
from mailhub.mail.charset import decode_text, decode_words
from mailhub.mail.date import parse_date
from mailhub.mail.flag import KEYWORD_SHIFT
from mailhub.mail.header import Header as Fields
from mailhub.mail.part import Part, parse
from mailhub.ports import Uid

ARRAY_ROWS: Final = 10000
"""Messages judged by the arrays in one step: a few milliseconds."""
HEADER_ROWS: Final = 100
"""Header sections read and judged in one step."""
CONTENT_OCTETS: Final = 131072
"""Contents read and judged in one step; a larger message is a step of its own."""
DAY: Final = 86400

_NEVER: Final = Not(And(()))


class Tier(IntEnum):
    """What a key needs to know of a message."""

    ARRAYS = 0
    HEADER = 1
    CONTENT = 2


class Row:
    """One message, as far as it is known.

    Attributes:
        bits: Flags, with `RECENT` where it applies.
        fields: The header section, from tier HEADER on.
        content: In tier CONTENT.
    """

    __slots__ = ("_body", "bits", "content", "date", "fields", "seq", "size", "uid")

    def __init__(self, seq: int, uid: int, bits: int, size: int, date: int) -> None:
        self.seq = seq
        self.uid = uid
        self.bits = bits
        self.size = size
        self.date = date
        self.fields = Fields(b"")
        self.content = b""
        self._body: str | None = None

    @property
    def body(self) -> str:
        """The texts of the content, decoded and folded; made once."""
        if self._body is None:
            tree = parse(self.content)
            self._body = "\n".join(_texts(self.content, tree)).casefold()
        return self._body


Predicate = Callable[[Row], bool]


def tier_of(key: Key) -> Tier:
    """The dearest thing that a key, or any key within it, needs."""
    match key:
        case And(keys):
            return max(map(tier_of, keys), default=Tier.ARRAYS)
        case Or(one, other):
            return max(tier_of(one), tier_of(other))
        case Not(inner):
            return tier_of(inner)
        case Text():
            return Tier.CONTENT
        case Header() | Date(sent=True):
            return Tier.HEADER
        case _:
            return Tier.ARRAYS


class Searching:
    """One SEARCH under way."""

    def __init__(self, selected: Selected, program: Key, *, by_uid: bool) -> None:
        self._selected = selected
        self._by_uid = by_uid
        exists = selected.view.exists
        self._ranges: Ranges = ((1, exists),) if exists else ()
        self._mask = self._want = 0
        tiers: dict[Tier, list[Predicate]] = {tier: [] for tier in Tier}
        for key in _conjuncts(program):
            if not self._is_simple(key):
                tiers[tier_of(key)].append(self._compile(key))
        self._by_arrays, self._by_header, self._by_content = tiers.values()

    async def found(self) -> AsyncGenerator[Sequence[int], None]:
        """The numbers of those that match, ascending; often none at all in a step."""
        for batch in spans(self._ranges, ARRAY_ROWS):
            rows = Rows(self._selected, batch)
            if not (self._by_arrays or self._by_header or self._by_content):
                yield self._plain(rows)
                continue
            few = self._judged(rows)
            if not (self._by_header or self._by_content):
                yield [self._number(row) for row in few]
                continue
            for start in range(0, len(few), HEADER_ROWS):
                async for some in self._read(few[start : start + HEADER_ROWS]):
                    yield some

    def _plain(self, rows: Rows) -> Sequence[int]:
        """Where flags and ranges say it all, no `Row` is made."""
        numbers = rows.uids if self._by_uid else rows.seqs
        if not self._mask:
            return numbers
        mask, want = self._mask, self._want
        pairs = zip(numbers, rows.bits, strict=True)
        return [number for number, bits in pairs if bits & mask == want]

    def _judged(self, rows: Rows) -> list[Row]:
        """Those that pass the first tier."""
        mask, want, columns = self._mask, self._want, (rows.sizes, rows.dates)
        found = [
            Row(seq, uid, bits, size, date)
            for seq, uid, bits, size, date in zip(
                rows.seqs, rows.uids, rows.bits, *columns, strict=True
            )
            if bits & mask == want
        ]
        return [row for row in found if all(passes(row) for passes in self._by_arrays)]

    async def _read(self, rows: Sequence[Row]) -> AsyncGenerator[Sequence[int], None]:
        """The second and the third tier."""
        if self._by_header:
            headers = await self._selected.mailbox.headers([Uid(row.uid) for row in rows])
            passed = []
            for row, block in zip(rows, headers, strict=True):
                if block is not None:
                    row.fields = Fields(block)
                    if all(passes(row) for passes in self._by_header):
                        passed.append(row)
            rows = passed
        if not self._by_content:
            yield [self._number(row) for row in rows]
            return
        found, octets = [], 0
        for row in rows:
            if await self._matches_content(row):
                found.append(self._number(row))
            octets += row.size
            if octets >= CONTENT_OCTETS:
                yield found
                found, octets = [], 0
        yield found

    async def _matches_content(self, row: Row) -> bool:
        content = await self._selected.mailbox.content(Uid(row.uid))
        if content is None:
            return False
        try:
            row.content = await content.read()
        finally:
            content.close()
        row.fields = Fields.of(row.content)
        return all(passes(row) for passes in self._by_content)

    def _number(self, row: Row) -> int:
        return row.uid if self._by_uid else row.seq

    # ---- Compiling ----

    def _is_simple(self, key: Key) -> bool:
        """Whether a conjunct has become part of the ranges or of the mask."""
        view = self._selected.view
        match key:
            case Numbers(numbers):
                self._ranges = intersection(self._ranges, numbers.resolved(view.exists))
            case Uids(uids):
                self._ranges = intersection(self._ranges, view.by_uids(uids))
            case Flagged(bit) if not self._mask & bit:
                self._mask |= bit
                self._want |= bit
            case Not(Flagged(bit)) if not self._mask & bit:
                self._mask |= bit
            case _:
                return False
        return True

    def _compile(self, key: Key) -> Predicate:
        match key:
            case And(keys):
                every = [self._compile(inner) for inner in keys]
                return lambda row: all(passes(row) for passes in every)
            case Or(one, other):
                first, second = self._compile(one), self._compile(other)
                return lambda row: first(row) or second(row)
            case Not(inner):
                passes = self._compile(inner)
                return lambda row: not passes(row)
            case Header(field, text):
                return _header(field, text.casefold())
            case Text(text, header):
                return _text(text.casefold(), header=header)
            case Date(comparison, day, sent=sent):
                return _date(comparison, day, sent=sent)
            case _:
                return self._compile_array(key)

    def _compile_array(self, key: Key) -> Predicate:
        view = self._selected.view
        match key:
            case Flagged(bit):
                return lambda row: bool(row.bits & bit)
            case Keyword(name):
                bit = self._keyword_bit(name)
                return lambda row: bool(row.bits & bit)
            case Numbers(numbers):
                ranges = numbers.resolved(view.exists)
                return lambda row: contains(ranges, row.seq)
            case Uids(uids):
                numbered = view.by_uids(uids)
                return lambda row: contains(numbered, row.seq)
            case Size(comparison, octets):
                compare = _COMPARE[comparison]
                return lambda row: compare(row.size, octets)
            case _:
                raise AssertionError(key)

    def _keyword_bit(self, name: str) -> int:
        for place, keyword in enumerate(self._selected.mailbox.keywords, KEYWORD_SHIFT):
            if keyword.lower() == name:
                return 1 << place
        return 0


_COMPARE: Final[Mapping[Comparison, Callable[[int, int], bool]]] = {
    Comparison.BELOW: operator.lt,
    Comparison.EQUAL: operator.eq,
    Comparison.ABOVE: operator.gt,
    Comparison.FROM: operator.ge,
}


def _conjuncts(key: Key) -> Iterator[Key]:
    if isinstance(key, And):
        for inner in key.keys:
            yield from _conjuncts(inner)
    else:
        yield key


def _date(comparison: Comparison, day: int, *, sent: bool) -> Predicate:
    """Time and zone are disregarded (RFC 3501 §6.4.4): INTERNALDATE's day is the one we show."""
    compare = _COMPARE[comparison]
    if not sent:
        return lambda row: compare(row.date // DAY, day)

    def passes(row: Row) -> bool:
        field = row.fields.first(b"date")
        moment = parse_date(field) if field is not None else None
        # Without a readable Date the arrival stands for it, as in RFC 5256 §2.2
        return compare(row.date // DAY if moment is None else moment.day, day)

    return passes


def _header(field: bytes, text: str) -> Predicate:
    name = field.lower()

    def passes(row: Row) -> bool:
        values = row.fields.all(name)
        return bool(values) if not text else any(text in _folded(value) for value in values)

    return passes


def _text(text: str, *, header: bool) -> Predicate:
    def passes(row: Row) -> bool:
        if header and any(
            text in f"{field.name.decode('latin-1').lower()}: {_folded(field.value)}"
            for field in row.fields.fields()
        ):
            return True
        return text in row.body

    return passes


def _folded(value: bytes) -> str:
    return decode_words(value).casefold()


_READABLE: Final = (b"text", b"message")
"""Types that people read: a bounce is searched for in its message/delivery-status too."""


def _texts(content: bytes, part: Part) -> Iterator[str]:
    """The texts in a part: of text parts, and of messages within, their header sections too."""
    if part.is_message:
        inner = part.children[0]
        for field in Fields(content[inner.start : inner.body]).fields():
            yield f"{field.name.decode('latin-1')}: {decode_words(field.value)}"
    for child in part.children:
        yield from _texts(content, child)
    if not part.children and part.type.lower() in _READABLE:
        charset = (part.parameter(b"charset") or b"").decode("latin-1")
        yield decode_text(content[part.body : part.end], part.encoding, charset)
