"""SEARCH programs: the keys as values, and their grammar (RFC 3501 §6.4.4, RFC 9051 §6.4.4).

What a key means for a message is `imap.search`'s affair.  Synonyms are resolved
here (``UNSEEN`` is ``NOT SEEN``), so that few kinds of key are left.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import RECENT, Bad, No
from mailhub.imap.sequence import HIGHEST, SequenceSet
from mailhub.imap.settings import Limits
from mailhub.mail.flag import ANSWERED, DELETED, DRAFT, FLAGGED, SEEN
from mailhub.ports.finding import Sorting, SortKey


@dataclass(frozen=True, slots=True)
class And:
    """All of these; with none, ALL."""

    keys: tuple[Key, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """Either."""

    one: Key
    other: Key


@dataclass(frozen=True, slots=True)
class Not:
    """Not this."""

    key: Key


@dataclass(frozen=True, slots=True)
class Flagged:
    """The bit of a flag is set; `response.RECENT` stands for RECENT."""

    bits: int


@dataclass(frozen=True, slots=True)
class Keyword:
    """A keyword is set; compared without regard to case."""

    name: str


@dataclass(frozen=True, slots=True)
class Numbers:
    """Among these sequence numbers."""

    numbers: SequenceSet


@dataclass(frozen=True, slots=True)
class Uids:
    """Among these UIDs."""

    uids: SequenceSet


class Comparison(Enum):
    """How a value compares with the key's."""

    BELOW = "<"
    EQUAL = "="
    ABOVE = ">"
    FROM = ">="


@dataclass(frozen=True, slots=True)
class Size:
    """LARGER and SMALLER: of RFC822.SIZE, octets."""

    comparison: Comparison
    octets: int


@dataclass(frozen=True, slots=True)
class Date:
    """BEFORE, ON, SINCE: of a day since 1970-01-01.

    Attributes:
        sent: Of the Date field rather than of INTERNALDATE.
    """

    comparison: Comparison
    day: int
    sent: bool


@dataclass(frozen=True, slots=True)
class Header:
    """A field holds the text; with ``""`` the field is there at all (RFC 3501 §6.4.4)."""

    field: bytes
    text: str
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Text:
    """The content holds the text.

    Attributes:
        header: In the header too: TEXT rather than BODY.
    """

    text: str
    header: bool
    fuzzy: bool = False


@dataclass(frozen=True, slots=True)
class Age:
    """OLDER and YOUNGER: of INTERNALDATE, seconds before now (RFC 5032 §3)."""

    seconds: int
    younger: bool


@dataclass(frozen=True, slots=True)
class Modified:
    """MODSEQ: its modification sequence is at least this (RFC 7162 §3.1.5)."""

    modseq: int


@dataclass(frozen=True, slots=True)
class Object:
    """EMAILID or THREADID is this (RFC 8474 §6).

    Attributes:
        thread: THREADID rather than EMAILID.
    """

    id: bytes
    thread: bool


@dataclass(frozen=True, slots=True)
class Saved:
    """SAVEDBEFORE, SAVEDON, SAVEDSINCE: of the day it came into the mailbox (RFC 8514 §4.3)."""

    comparison: Comparison
    day: int


Key = (
    And | Or | Not | Flagged | Keyword | Numbers | Uids | Size | Date | Header | Text
    | Age | Modified | Object | Saved
)  # fmt: skip


Charset = Callable[[bytes], str]
"""Decodes the program's strings; raises ValueError on octets that are none of it."""

_FLAGS: Final[Mapping[str, int]] = {
    "ANSWERED": ANSWERED,
    "DELETED": DELETED,
    "DRAFT": DRAFT,
    "FLAGGED": FLAGGED,
    "SEEN": SEEN,
}
_ADDRESSES: Final = frozenset({"BCC", "CC", "FROM", "SUBJECT", "TO"})
_DATES: Final[Mapping[str, tuple[Comparison, bool]]] = {
    "BEFORE": (Comparison.BELOW, False),
    "ON": (Comparison.EQUAL, False),
    "SINCE": (Comparison.FROM, False),
    "SENTBEFORE": (Comparison.BELOW, True),
    "SENTON": (Comparison.EQUAL, True),
    "SENTSINCE": (Comparison.FROM, True),
}
_SAVED: Final[Mapping[str, Comparison]] = {
    "SAVEDBEFORE": Comparison.BELOW,
    "SAVEDON": Comparison.EQUAL,
    "SAVEDSINCE": Comparison.FROM,
}
_WITH_ARGUMENT: Final = frozenset({
    "BODY", "EMAILID", "FUZZY", "HEADER", "KEYWORD", "LARGER", "MODSEQ", "NOT", "OLDER", "OR",
    "SMALLER", "TEXT", "THREADID", "UID", "UIDAFTER", "UIDBEFORE", "UNKEYWORD", "YOUNGER",
    *_ADDRESSES, *_DATES, *_SAVED,
})  # fmt: skip
# entry-name = DQUOTE "/flags/" attr-flag DQUOTE; entry-type-req = "priv" / "shared" / "all"
#                                                                          (RFC 7162 §7)
_ENTRY: Final = re.compile(rb'"/flags/[^"]+" (?:priv|shared|all) ', re.IGNORECASE)
# objectid = 1*255(ALPHA / DIGIT / "_" / "-")                              (RFC 8474 §7)
_OBJECT_ID: Final = re.compile(rb"[A-Za-z0-9_-]{1,255}")


SORT_CRITERIA_LIMIT: Final = 20
"""Criteria of one SORT: more than there are keys."""
_SORT_KEYS: Final = {key.value: key for key in SortKey}


def parse_sort_criterion(tokens: Tokens) -> Sorting:
    """One criterion of SORT.

    Raises:
        Bad: It is none.
    """
    # sort-criterion = ["REVERSE" SP] sort-key                                (RFC 5256 §5)
    reverse = tokens.maybe_word("REVERSE")
    if reverse:
        tokens.space()
    key = _SORT_KEYS.get(tokens.keyword())
    if key is None:
        raise Bad("Unknown sort key")
    return Sorting(key, reverse)


class Parser:
    """Reads one program; counts what it costs."""

    def __init__(self, tokens: Tokens, charset: Charset, limits: Limits) -> None:
        self._tokens = tokens
        self._charset = charset
        self._limits = limits
        self._left = limits.keys
        self._fuzzy = False

    def program(self) -> Key:
        """``search-key *(SP search-key)``, to the end of the command.

        Raises:
            Bad: It does not parse.
            No: LIMIT (RFC 5530 §3): too many keys, or too deep.
        """
        keys = [self._key(0)]
        while self._tokens.maybe(b" ") and not self._tokens.ended:
            keys.append(self._key(0))
        self._tokens.end()
        return _all(keys)

    def _fuzzily(self, depth: int) -> Key:
        """``FUZZY search-key``: inexact for texts, nothing special else (RFC 6203 §3)."""
        before, self._fuzzy = self._fuzzy, True
        try:
            return self._key(depth + 1)
        finally:
            self._fuzzy = before

    def _key(self, depth: int) -> Key:
        self._left -= 1
        if self._left < 0:
            raise No("Too many search keys", "LIMIT")
        if depth > self._limits.nesting:
            raise No("Search program is nested too deeply", "LIMIT")
        tokens = self._tokens
        if tokens.next_is(b"("):
            keys = tokens.parenthesised(lambda: self._key(depth + 1), self._limits.keys)
            return _all(keys)
        if tokens.next_is_set:
            return Numbers(tokens.sequence_set(self._limits.ranges))
        return self._word(tokens.keyword(), depth)

    def _word(self, word: str, depth: int) -> Key:
        if word.startswith("UN") and word[2:] in _FLAGS:
            return Not(Flagged(_FLAGS[word[2:]]))
        if word in _FLAGS:
            return Flagged(_FLAGS[word])
        simple = _SIMPLE.get(word)
        if simple is not None:
            return simple
        if word not in _WITH_ARGUMENT:
            raise Bad(f"Unknown search key {word}")
        self._tokens.space()
        if word in _ADDRESSES:
            return Header(word.encode(), self._text(), self._fuzzy)
        if word in _DATES:
            comparison, sent = _DATES[word]
            return Date(comparison, self._tokens.date(), sent)
        if word in _SAVED:
            return Saved(_SAVED[word], self._tokens.date())
        return self._argument(word, depth)

    def _argument(self, word: str, depth: int) -> Key:
        tokens = self._tokens
        match word:
            case "NOT":
                return Not(self._key(depth + 1))
            case "OR":
                one = self._key(depth + 1)
                tokens.space()
                return Or(one, self._key(depth + 1))
            case "FUZZY":
                return self._fuzzily(depth)
            case "UID":
                return Uids(tokens.sequence_set(self._limits.ranges))
            case "BODY" | "TEXT":
                return Text(self._text(), word == "TEXT", self._fuzzy)
            case "HEADER":
                field = tokens.astring()
                tokens.space()
                return Header(field.upper(), self._text(), self._fuzzy)
            case _:
                return _VALUES[word](tokens)

    def _text(self) -> str:
        octets = self._tokens.astring()
        try:
            return self._charset(octets)
        except ValueError:
            raise Bad("A search string is not in the search's charset") from None


def _all(keys: list[Key]) -> Key:
    return keys[0] if len(keys) == 1 else And(tuple(keys))


def _modified(tokens: Tokens) -> Key:
    # search-modsequence = "MODSEQ" [search-modseq-ext] SP mod-sequence-valzer (RFC 7162 §7)
    tokens.match(_ENTRY)  # flags have no MODSEQ of their own: the message's counts
    return Modified(tokens.number64())


def _uids_after(tokens: Tokens) -> Key:
    # search-key =/ "UIDAFTER" SP uniqueid / "UIDBEFORE" SP uniqueid        (RFC 9738 §4)
    uid = tokens.nz_number()
    return Uids(SequenceSet(((uid + 1, HIGHEST),) if uid < HIGHEST else ()))


def _uids_before(tokens: Tokens) -> Key:
    uid = tokens.nz_number()
    return Uids(SequenceSet(((1, uid - 1),) if uid > 1 else ()))


def _object(tokens: Tokens, *, thread: bool) -> Key:
    found = tokens.match(_OBJECT_ID)
    if found is None:
        raise Bad("Expected an object identifier")
    return Object(found[0], thread)


_VALUES: Final[Mapping[str, Callable[[Tokens], Key]]] = {
    "EMAILID": lambda tokens: _object(tokens, thread=False),
    "KEYWORD": lambda tokens: Keyword(tokens.flag().lower()),
    "LARGER": lambda tokens: Size(Comparison.ABOVE, tokens.number64()),
    "MODSEQ": _modified,
    "OLDER": lambda tokens: Age(tokens.nz_number(), younger=False),
    "SMALLER": lambda tokens: Size(Comparison.BELOW, tokens.number64()),
    "THREADID": lambda tokens: _object(tokens, thread=True),
    "UIDAFTER": _uids_after,
    "UIDBEFORE": _uids_before,
    "UNKEYWORD": lambda tokens: Not(Keyword(tokens.flag().lower())),
    "YOUNGER": lambda tokens: Age(tokens.nz_number(), younger=True),
}
"""Keys whose argument is a single value."""
_RECENT: Final = Flagged(RECENT)
_SIMPLE: Final[Mapping[str, Key]] = {
    "ALL": And(()),
    "NEW": And((_RECENT, Not(Flagged(SEEN)))),
    "OLD": Not(_RECENT),
    "RECENT": _RECENT,
    "SAVEDATESUPPORTED": And(()),  # of every mailbox                       (RFC 8514 §4.3)
}
