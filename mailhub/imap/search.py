"""SEARCH: programs compiled to predicates, and run from the cheap to the dear (RFC 3501 §6.4.4).

What the full-text index can tell is asked of it first, after it was taught what it
lacks. The program's conjuncts are then sorted by what they need: the mailbox's arrays,
what the index keeps beside, the header section, the whole content. Each tier sees only
messages that passed the one before.

Text is compared decoded (charsets, encoded words, transfer encodings) and folded
(`mail.collation`), as a substring; the same functions (`mail.digest`) say what a message's
text is, whether the index or the message itself is asked.

Invariants:

1. The result is in the client's numbers; expunged messages are never in it,
   even if the client has not been told yet (RFC 2180 §4.3).
2. No step works on more than one batch or one content without a breathing point.
"""

from __future__ import annotations

import operator
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import compress
from typing import Final

from mailhub.imap.criteria import (
    Age,
    And,
    Date,
    Flagged,
    Header,
    Key,
    Keyword,
    Modified,
    Not,
    Numbers,
    Object,
    Or,
    Saved,
    Size,
    Text,
    Uids,
)  # fmt: skip
from mailhub.imap.fetch import Rows, spans
from mailhub.imap.fuzzy import Inexact, inexact
from mailhub.imap.leaf import (
    COMPARE,
    DAY,
    FIELDS,
    Leaf,
    Predicate,
    Question,
    Row,
    haystacks,
    holder,
    in_values,
    keys_within,
    needs_reading,
    place_of,
    question_of,
    sent_on,
)
from mailhub.imap.portion import portion
from mailhub.imap.response import runs
from mailhub.imap.sequence import SequenceSet, contains, intersection
from mailhub.imap.state import Selected
from mailhub.mail.collation import fold
from mailhub.mail.digest import folded_values
from mailhub.mail.flag import KEYWORD_SHIFT
from mailhub.mail.header import index as fields_of
from mailhub.ports.finding import Found, Place, Sought
from mailhub.ports.message import Ranges, Uid

ARRAY_ROWS: Final = 20000
"""Messages judged by flags, ranges and the index in one step: a few milliseconds."""
JUDGED_ROWS: Final = 4000
"""Messages judged one by one in one step: likewise."""
HEADER_ROWS: Final = 100
"""Header sections read and judged in one step."""
CONTENT_ROWS: Final = 64
"""Contents read and judged in one step."""
CONTENT_OCTETS: Final = 524288
"""Octets of such contents; a larger message is a step of its own."""
SCORED: Final = 4000
"""Messages whose relevancy is worked out in one step."""
FEW: Final = 10
"""Messages that are read rather than looked up in the index."""
SPARSE: Final = 50
"""Messages in a mailbox for each that is found, from which those are looked up one by one."""


class Tier(IntEnum):
    """What a key needs to know of a message."""

    ARRAYS = 0
    IDENTITY = 1
    HEADER = 2
    CONTENT = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What the index said of a key: the UIDs that match, and those that must be read."""

    sure: array[int]
    unsure: array[int]


def tells_modseq(program: Key) -> bool:
    """Whether the response is to say a MODSEQ (RFC 7162 §3.1.5)."""
    return any(isinstance(key, Modified) for key in keys_within(program))


class Searching:
    """One search under way.

    Args:
        limit: Messages that it may look at; 0 is any number.

    Attributes:
        chosen: The messages that it looks at: those that the conjuncts leave which mean
            numbers, of so many the highest (RFC 9738 §3.1).
        scores: Of messages that FUZZY keys found, by UID (RFC 6203 §4).
        done: How many messages have been looked at, of `goal`.
    """

    def __init__(
        self, selected: Selected, program: Key, *, by_uid: bool, now: float, limit: int = 0
    ) -> None:
        self._selected = selected
        self._by_uid = by_uid
        self._now = now
        exists = selected.view.exists
        self._ranges: Ranges = ((1, exists),) if exists else ()
        self._mask = self._want = 0
        # UIDs, ascending, and whether the result is among these, or among the others
        self._only: list[tuple[array[int], bool]] = []
        self._answers: dict[Leaf, Answer] = {}
        self._predicates: dict[Tier, list[Predicate]] = {tier: [] for tier in Tier}
        self._names: dict[bytes, None] = {}  # of the fields that some key looks at
        self._identifies = False  # some key asks for identities
        self.scores: dict[int, int] = {}
        self.done = self.goal = 0
        self._conjuncts = [key for key in _conjuncts(program) if not self._is_simple(key)]
        self.chosen = portion(selected, self._ranges, limit)
        self._ranges = self.chosen.ranges

    async def found(self) -> AsyncGenerator[Sequence[int], None]:
        """The numbers of those that match, ascending; often none at all in a step."""
        async for _ in self._ask(self._conjuncts):
            yield ()
        for key in self._conjuncts:
            if not self._is_answered(key):
                self._predicates[self._tier(key)].append(self._compile(key))
                self._note_needs(key)
        by_arrays, *dearer = self._predicates.values()
        self.done, self.goal = 0, sum(last - first + 1 for first, last in self._ranges)
        plain = not by_arrays and not any(dearer)
        for batch in spans(self._ranges, ARRAY_ROWS if plain else JUDGED_ROWS):
            rows = Rows(self._selected, batch)
            self.done += len(rows.seqs)
            if plain:
                yield self._plain(rows)
                continue
            few = self._judged(rows)
            if not any(dearer):
                yield [self._number(row) for row in few]
                continue
            for start in range(0, len(few), HEADER_ROWS):
                async for some in self._read(few[start : start + HEADER_ROWS]):
                    yield some

    # ---- Judging ----

    def _plain(self, rows: Rows) -> Sequence[int]:
        """Where flags, ranges and the index say it all, no `Row` is made."""
        numbers = rows.uids if self._by_uid else rows.seqs
        if self._mask:
            kept = _selector(rows.bits, self._mask, self._want)
            numbers = list(compress(numbers, kept))
            if self._only:
                uids: Sequence[int] = list(compress(rows.uids, kept))
        elif self._only:
            uids = rows.uids
        for only, among in self._only:
            numbers, uids = _among(numbers, uids, _between(only, rows.uids), among=among)
        return numbers

    def _judged(self, rows: Rows) -> list[Row]:
        """Those that pass the first tier."""
        mask, want, columns = self._mask, self._want, (rows.sizes, rows.dates)
        sets = [(_between(only, rows.uids), among) for only, among in self._only]
        found = [
            Row(seq, uid, bits, size, date)
            for seq, uid, bits, size, date in zip(
                rows.seqs, rows.uids, rows.bits, *columns, strict=True
            )
            if bits & mask == want and all((uid in only) is among for only, among in sets)
        ]
        predicates = self._predicates[Tier.ARRAYS]
        return [row for row in found if all(passes(row) for passes in predicates)]

    async def _read(self, rows: Sequence[Row]) -> AsyncGenerator[Sequence[int], None]:
        """The tiers that wait."""
        by_content = self._predicates[Tier.CONTENT]
        if self._identifies:
            rows = await self._by_identity(rows)
        if self._names:
            rows = await self._by_header(rows)
        if not by_content:
            yield [self._number(row) for row in rows]
            return
        for some in _portions(rows):
            digests = await self._selected.mailbox.digests([Uid(row.uid) for row in some])
            found = []
            for row, digest in zip(some, digests, strict=True):
                row.digest = digest
                if digest is not None and all(passes(row) for passes in by_content):
                    found.append(self._number(row))
            yield found

    async def _by_identity(self, rows: Sequence[Row]) -> list[Row]:
        found = await self._selected.mailbox.identities([Uid(row.uid) for row in rows])
        passed = []
        for row, identity in zip(rows, found, strict=True):
            if identity is not None:
                row.identity = identity
                if all(passes(row) for passes in self._predicates[Tier.IDENTITY]):
                    passed.append(row)
        return passed

    async def _by_header(self, rows: Sequence[Row]) -> list[Row]:
        names = list(self._names)
        blocks = await self._selected.mailbox.fields(names, [Uid(row.uid) for row in rows])
        passed = []
        for row, block in zip(rows, blocks, strict=True):
            if block is not None:
                row.fields = fields_of(block)
                if all(passes(row) for passes in self._predicates[Tier.HEADER]):
                    passed.append(row)
        return passed

    def _number(self, row: Row) -> int:
        return row.uid if self._by_uid else row.seq

    # ---- Asking the index ----

    async def _ask(self, conjuncts: Sequence[Key]) -> AsyncGenerator[None, None]:
        """Ask about all leaves of which the index knows, in pieces."""
        leaves = [
            key
            for conjunct in conjuncts
            for key in keys_within(conjunct)
            if isinstance(key, Leaf) and needs_reading(key)
        ]
        if not leaves or sum(b - a + 1 for a, b in self._ranges) <= FEW:
            return
        mailbox = self._selected.mailbox
        while left := await mailbox.learn():
            self.goal = max(self.goal, left)
            self.done = self.goal - left
            yield
        for leaf in dict.fromkeys(leaves):
            if isinstance(leaf, Header | Text) and leaf.fuzzy:
                async for _ in self._answer_inexact(leaf, inexact(fold(leaf.text))):
                    yield
                continue
            answer = await self._answer(leaf)
            if answer is not None:
                self._answers[leaf] = answer

    async def _answer(self, leaf: Leaf) -> Answer | None:
        question = question_of(leaf)
        found = await self._find(question) if question is not None else None
        if found is None:
            return None
        if isinstance(leaf, Header) and leaf.field not in FIELDS and leaf.text:
            # Some field holds the text: whether it is this one the header section says.
            return Answer(array("I"), _merged(found.sure, found.unsure))
        return Answer(found.sure, found.unsure)

    async def _answer_inexact(
        self, leaf: Header | Text, text: Inexact
    ) -> AsyncGenerator[None, None]:
        """Ask for each piece of a text, and score all that hold some."""
        place = place_of(leaf)
        if place is Place.HEAD:
            return
        found: dict[str, array[int]] = {}
        for piece in text.pieces():
            hits = await self._find(Sought(place, piece))
            if hits is None or hits.unsure:
                return
            found[piece] = hits.sure
        sure = array("I")
        uids = self._selected.mailbox.uids
        for start in range(0, len(uids), SCORED):
            some = uids[start : start + SCORED]
            sets = {piece: _between(hits, some) for piece, hits in found.items()}
            for uid in sorted(frozenset().union(*sets.values())):
                if self._scored(uid, text.score(lambda piece: uid in sets[piece])):  # noqa: B023
                    sure.append(uid)
            yield
        self._answers[leaf] = Answer(sure, array("I"))

    async def _find(self, question: Question) -> Found | None:
        return await self._selected.mailbox.find(question)

    def _scored(self, uid: int, score: int) -> bool:
        """Take note of how well a message fits; of several keys the worst counts."""
        if score:
            self.scores[uid] = min(self.scores.get(uid, score), score)
        return score > 0

    def _is_answered(self, key: Key) -> bool:
        """Whether a conjunct says no more than among which UIDs the result is."""
        if isinstance(key, Not) and isinstance(key.key, Leaf):
            answer = self._answers.get(key.key)
            if answer is None or answer.unsure:
                return False
            self._only.append((answer.sure, False))
            return True
        answer = self._answers.get(key) if isinstance(key, Leaf) else None
        if answer is None:
            return False
        candidates = _merged(answer.sure, answer.unsure)
        view = self._selected.view
        if len(candidates) * SPARSE < view.exists:
            known = SequenceSet(tuple(runs(candidates)))
            self._ranges = intersection(self._ranges, view.by_uids(known))
        else:
            self._only.append((candidates, True))
        return not answer.unsure

    # ---- Compiling ----

    def _is_simple(self, key: Key) -> bool:
        """Whether a conjunct has become part of the ranges or of the mask."""
        view = self._selected.view
        match key:
            case Numbers(numbers):
                self._ranges = intersection(self._ranges, self._numbers(numbers))
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

    def _numbers(self, numbers: SequenceSet) -> Ranges:
        view = self._selected.view
        return view.by_uids(numbers) if numbers.saved else numbers.resolved(view.exists)

    def _tier(self, key: Key) -> Tier:
        """The dearest thing that a key, or any key within it, needs."""
        match key:
            case And(keys):
                return max(map(self._tier, keys), default=Tier.ARRAYS)
            case Or(one, other):
                return max(self._tier(one), self._tier(other))
            case Not(inner):
                return self._tier(inner)
            case Text() | Header() | Date() if needs_reading(key):
                answer = self._answers.get(key)
                if answer is not None and not answer.unsure:
                    return Tier.ARRAYS
                return Tier.CONTENT if isinstance(key, Text) else Tier.HEADER
            case Object() | Saved():
                return Tier.IDENTITY
            case _:
                return Tier.ARRAYS

    def _note_needs(self, key: Key) -> None:
        """Take note of what a key, or any key within it, looks at."""
        for it in keys_within(key):
            match it:
                case Object() | Saved():
                    self._identifies = True
                case Header() | Date(sent=True) if self._tier(it) is Tier.HEADER:
                    self._names[it.field.lower() if isinstance(it, Header) else b"date"] = None
                case _:
                    pass

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
            case Text(text=""):
                return lambda _: True  # each content holds nothing at all
            case Header() | Text() | Date(sent=True):
                return self._compile_leaf(key)
            case Date(comparison, day):
                compare = COMPARE[comparison]
                # Time and zone are disregarded (RFC 3501 §6.4.4): the day is the one we show
                return lambda row: compare(row.date // DAY, day)
            case Object(name, thread):
                if thread:
                    return lambda row: row.identity.thread == name
                return lambda row: row.identity.email == name
            case Saved(comparison, day):
                compare = COMPARE[comparison]
                return lambda row: compare(row.identity.saved // DAY, day)
            case _:
                return self._compile_array(key)

    def _compile_leaf(self, key: Leaf) -> Predicate:
        answer = self._answers.get(key)
        if answer is not None:
            sure, unsure = answer.sure, answer.unsure
            if not unsure:
                return lambda row: _has(sure, row.uid)
            reads = self._reading(key)
            return lambda row: _has(sure, row.uid) or (_has(unsure, row.uid) and reads(row))
        return self._reading(key)

    def _reading(self, key: Leaf) -> Predicate:
        """A key judged by the message itself."""
        match key:
            case Date(comparison, day):
                return sent_on(comparison, day)
            case Header(field, text, fuzzy):
                name, folded = field.lower(), fold(text)
                if fuzzy:
                    words = inexact(folded)
                    return lambda row: self._scored(
                        row.uid, words.score(holder(folded_values(row.fields, name)))
                    )
                return lambda row: in_values(row, name, folded)
            case Text(text, header, fuzzy):
                folded = fold(text)
                if fuzzy:
                    words = inexact(folded)
                    return lambda row: self._scored(
                        row.uid, words.score(holder(haystacks(row, header=header)))
                    )
                return lambda row: any(folded in it for it in haystacks(row, header=header))

    def _compile_array(self, key: Key) -> Predicate:
        view = self._selected.view
        match key:
            case Flagged(bit):
                return lambda row: bool(row.bits & bit)
            case Keyword(name):
                bit = self._keyword_bit(name)
                return lambda row: bool(row.bits & bit)
            case Numbers(numbers):
                ranges = self._numbers(numbers)
                return lambda row: contains(ranges, row.seq)
            case Uids(uids):
                numbered = view.by_uids(uids)
                return lambda row: contains(numbered, row.seq)
            case Size(comparison, octets):
                compare = COMPARE[comparison]
                return lambda row: compare(row.size, octets)
            case Age(seconds, younger):
                # Both ends belong to it                                        (RFC 5032 §3)
                compare, limit = (operator.ge if younger else operator.le), self._now - seconds
                return lambda row: compare(row.date, limit)
            case Modified(modseq):
                return lambda row: self._modseq(row.uid) >= modseq
            case _:
                raise AssertionError(key)

    def _modseq(self, uid: int) -> int:
        mailbox = self._selected.mailbox
        place = mailbox.position(Uid(uid))
        return mailbox.modseqs[place] if place is not None else 0

    def _keyword_bit(self, name: str) -> int:
        for place, keyword in enumerate(self._selected.mailbox.keywords, KEYWORD_SHIFT):
            if keyword.lower() == name:
                return 1 << place
        return 0


def _conjuncts(key: Key) -> Iterator[Key]:
    if isinstance(key, And):
        for inner in key.keys:
            yield from _conjuncts(inner)
    else:
        yield key


# ---- Columns -------------------------------------------------------------------------------


def _selector(bits: Sequence[int], mask: int, want: int) -> Sequence[int]:
    """For each message whether its flags are such; made by `bytes.translate` where that can be."""
    if mask > 0xFF or not isinstance(bits, array) or not _LOW_FIRST:
        return [flags & mask == want for flags in bits]
    table = bytes(low & mask == want for low in range(256))
    return bits.tobytes()[:: bits.itemsize].translate(table)


_LOW_FIRST: Final = array("I", (1,)).tobytes()[0] == 1
"""Whether the first octet of an integer is its lowest."""


def _has(uids: array[int], uid: int) -> bool:
    place = bisect_left(uids, uid)
    return place < len(uids) and uids[place] == uid


def _between(uids: array[int], batch: Sequence[int]) -> frozenset[int]:
    """Those of ascending UIDs that a batch can hold: a set of all would take too long."""
    if not batch:
        return frozenset()
    return frozenset(uids[bisect_left(uids, batch[0]) : bisect_right(uids, batch[-1])])


def _merged(one: array[int], other: array[int]) -> array[int]:
    """Ascending UIDs of both."""
    return array("I", sorted([*one, *other])) if other else one


def _among(
    numbers: Sequence[int], uids: Sequence[int], only: frozenset[int], *, among: bool
) -> tuple[Sequence[int], Sequence[int]]:
    kept = [(uid in only) is among for uid in uids]
    return list(compress(numbers, kept)), list(compress(uids, kept))


def _portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Rows whose contents are read in one step."""
    some: list[Row] = []
    room = CONTENT_OCTETS
    for row in rows:
        some.append(row)
        room -= row.size
        if room <= 0 or len(some) == CONTENT_ROWS:
            yield some
            some, room = [], CONTENT_OCTETS
    if some:
        yield some
