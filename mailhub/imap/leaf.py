"""Keys of SEARCH that look into a message: what to ask the index, how to judge by the message.

The same functions (`mail.digest`) say what a message's text is, whether the index or the
message itself is asked: so both find the same.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from mailhub.imap.criteria import And, Comparison, Date, Header, Key, Not, Or, Text
from mailhub.mail.collation import fold
from mailhub.mail.date import parse_date
from mailhub.mail.digest import Digest, field_label, folded_values
from mailhub.mail.header import unfold
from mailhub.ports.finding import Place, SentOn, Sought
from mailhub.ports.message import Identity

DAY: Final = 86400
FIELDS: Final = {
    b"SUBJECT": Place.SUBJECT,
    b"FROM": Place.FROM,
    b"TO": Place.TO,
    b"CC": Place.CC,
    b"BCC": Place.BCC,
}
"""Fields that the index keeps one by one."""


NOBODY: Final = Identity(b"", b"", 0)


class Row:
    """One message, as far as it is known.

    Attributes:
        bits: Flags, with `RECENT` where it applies.
        fields: The header section's, from tier HEADER on.
        identity: In tier IDENTITY.
        digest: In tier CONTENT.
    """

    __slots__ = ("bits", "date", "digest", "fields", "identity", "seq", "size", "uid")

    def __init__(self, seq: int, uid: int, bits: int, size: int, date: int) -> None:
        self.seq = seq
        self.uid = uid
        self.bits = bits
        self.size = size
        self.date = date
        self.fields: Mapping[bytes, list[bytes]] = {}
        self.identity = NOBODY
        self.digest: Digest | None = None


Predicate = Callable[[Row], bool]
Leaf = Header | Text | Date
Question = Sought | SentOn


COMPARE: Final[Mapping[Comparison, Callable[[int, int], bool]]] = {
    Comparison.BELOW: operator.lt,
    Comparison.EQUAL: operator.eq,
    Comparison.ABOVE: operator.gt,
    Comparison.FROM: operator.ge,
}


def keys_within(key: Key) -> Iterator[Key]:
    """A key and all within it."""
    yield key
    match key:
        case And(keys):
            for inner in keys:
                yield from keys_within(inner)
        case Or(one, other):
            yield from keys_within(one)
            yield from keys_within(other)
        case Not(inner):
            yield from keys_within(inner)
        case _:
            pass


# ---- Texts ---------------------------------------------------------------------------------


def needs_reading(leaf: Leaf) -> bool:
    """Whether arrays cannot tell."""
    match leaf:
        case Text(text=""):
            return False
        case Date(sent=sent):
            return sent
        case _:
            return True


def place_of(leaf: Header | Text) -> Place:
    """Where the index looks for a key's text."""
    if isinstance(leaf, Header):
        return FIELDS.get(leaf.field, Place.HEAD)
    return Place.TEXT if leaf.header else Place.BODY


def question_of(leaf: Leaf) -> Question | None:
    """What to ask the index of a key; None where it cannot tell."""
    if isinstance(leaf, Date):
        return SentOn(leaf.comparison.value, leaf.day)
    place, text = place_of(leaf), fold(leaf.text)
    if isinstance(leaf, Header) and place is Place.HEAD and not text:
        # Whether there is such a field at all: in the index each begins a line.
        return Sought(place, "\n" + field_label(leaf.field.lower()))
    if isinstance(leaf, Header) and "\n" in text:
        return None  # no value holds a line feed, but lines of values may
    return Sought(place, text)


def in_values(row: Row, name: bytes, text: str) -> bool:
    """Whether a field of that name holds a text."""
    return any(text in value for value in folded_values(row.fields, name))


def haystacks(row: Row, *, header: bool) -> list[str]:
    """The texts of a message that TEXT or BODY means: each must hold a key by itself."""
    assert row.digest is not None
    fields = row.digest.head.split("\n") if header else []
    return [*fields, row.digest.body]


def holder(haystacks: Sequence[str]) -> Callable[[str], bool]:
    """Tells whether any of these holds a text."""
    return lambda piece: any(piece in it for it in haystacks)


def sent_on(comparison: Comparison, day: int) -> Predicate:
    """Judges by the Date field; time and zone are disregarded (RFC 3501 §6.4.4)."""
    compare = COMPARE[comparison]

    def passes(row: Row) -> bool:
        fields = row.fields.get(b"date")
        moment = parse_date(unfold(fields[0])) if fields else None
        # Without a readable Date the arrival stands for it, as in RFC 5256 §2.2
        return compare(row.date // DAY if moment is None else moment.day, day)

    return passes
