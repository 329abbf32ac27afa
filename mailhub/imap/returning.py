"""What a search is to return, and the ESEARCH response that says it.

``RETURN (…)`` of SEARCH, SORT and ESEARCH: RFC 4731 §3.1, with SAVE (RFC 5182 §2),
UPDATE and CONTEXT (RFC 5267 §4), PARTIAL (RFC 5267 §4.4, RFC 9394 §3.1) and RELEVANCY
(RFC 6203 §4).

Invariants:

1. Nothing is said of a result that is empty but COUNT, and PARTIAL's NIL.
2. What is said is in the order of the search: ascending for SEARCH, sorted for SORT;
   MIN and MAX are its first and its last (RFC 5267 §3.1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from mailhub.imap import item
from mailhub.imap.grammar import Tokens
from mailhub.imap.item import Item
from mailhub.imap.response import Bad, runs, string
from mailhub.imap.settings import Limits

_OPTIONS: Final = frozenset(
    {"MIN", "MAX", "ALL", "COUNT", "SAVE", "UPDATE", "CONTEXT", "PARTIAL", "RELEVANCY"}
)
# partial-range = partial-range-first / partial-range-last                 (RFC 9394 §4)
# partial-range-last = MINUS nz-number ":" MINUS nz-number
_PARTIAL: Final = re.compile(rb"(-?)([1-9][0-9]{0,9}):(-?)([1-9][0-9]{0,9})(?![0-9])")
_NUMBERS: Final = 2900
"""Numbers that are made into octets in one step: 62 KiB at most."""
_OPTION_LIMIT: Final = 20


@dataclass(frozen=True, slots=True)
class Partial:
    """Positions in a result, counted from 1, or from -1 at its end.

    Attributes:
        text: What the response repeats: the end that is counted from comes first.
    """

    low: int
    high: int
    text: str

    def of(self, numbers: Sequence[int]) -> Sequence[int]:
        """That part of a result, in its order."""
        if self.low < 0:
            count = len(numbers)
            return numbers[max(count + self.low, 0) : max(count + self.high + 1, 0)]
        return numbers[self.low - 1 : self.high]


@dataclass(frozen=True, slots=True)
class Returning:
    """RETURN's options, by name.

    Attributes:
        items: What UPDATE tells of each message that is new (RFC 5465 §7).
    """

    options: frozenset[str]
    partial: Partial | None = None
    items: tuple[Item, ...] = ()

    def __contains__(self, option: str) -> bool:
        return option in self.options

    @property
    def silent(self) -> bool:
        """Whether there will be no response at all: only SAVE was asked for (RFC 5182 §2.1)."""
        return self.options - {"CONTEXT"} == {"SAVE"}

    @property
    def bounds_only(self) -> bool:
        """Whether only the first or the last number, or both, is wanted."""
        return bool(self.options & {"MIN", "MAX"}) and not self.options & {
            "ALL", "COUNT", "PARTIAL", "RELEVANCY", "UPDATE",
        }  # fmt: skip

    def saved(self, numbers: Sequence[int]) -> Sequence[int]:
        """What SAVE keeps of a result, in its order (RFC 5182 §2.1): with MIN and MAX alone, those.

        With PARTIAL, and without COUNT, that part, and MIN and MAX if they were asked for
        (RFC 9394 §3.2).
        """
        partial = self.partial if not self.options & {"ALL", "COUNT"} else None
        if not numbers or (partial is None and not self.bounds_only):
            return numbers
        found = dict.fromkeys(numbers[:1] if "MIN" in self.options else ())
        found.update(dict.fromkeys(partial.of(numbers) if partial is not None else ()))
        found.update(dict.fromkeys(numbers[-1:] if "MAX" in self.options else ()))
        return list(found)


ALL: Final = Returning(frozenset({"ALL"}))
"""What ``RETURN ()`` means (RFC 4731 §3.1)."""


def parse_partial(tokens: Tokens) -> Partial:
    """A range of positions.

    Raises:
        Bad: It is none.
    """
    found = tokens.match(_PARTIAL)
    if found is None or found[1] != found[3]:
        raise Bad("Expected a range such as 1:100 or -1:-100")
    near, far = sorted((int(found[2]), int(found[4])))  # 4:2 is the same as 2:4
    if far > 2**32 - 1:
        raise Bad("A number in the range is too large")
    if found[1]:
        return Partial(-far, -near, f"-{near}:-{far}")
    return Partial(near, far, f"{near}:{far}")


def parse_returning(tokens: Tokens, limits: Limits) -> Returning | None:
    """``RETURN (…)`` with a space before and none behind; None where the next is another word.

    Raises:
        Bad: It does not parse, or contradicts itself.
    """
    # search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"
    if not tokens.maybe_word("RETURN"):
        return None
    tokens.space()
    partials: list[Partial] = []
    items: dict[Item, None] = {}

    def option() -> str:
        name = tokens.keyword()
        if name not in _OPTIONS:
            raise Bad(f"Unknown RETURN option {name}")
        if name == "PARTIAL":
            tokens.space()
            partials.append(parse_partial(tokens))
        elif name == "UPDATE" and tokens.maybe(b" ("):
            # modifier-update = "UPDATE" ["(" fetch-att *(SP fetch-att) ")"]   (RFC 5465 §8)
            items.update(dict.fromkeys(item.attributes(tokens, limits)))
        return name

    names = frozenset(tokens.parenthesised(option, _OPTION_LIMIT, empty=True))
    if partials and ("ALL" in names or len(partials) > 1):
        raise Bad("PARTIAL goes with neither ALL nor another PARTIAL")  # RFC 9394 §3.1
    if not names:
        return ALL
    return Returning(names, partials[0] if partials else None, tuple(items))


@dataclass(frozen=True, slots=True)
class Source:
    """What an ESEARCH response is about.

    Attributes:
        mailbox: Its name as it goes on the wire, of a search in several (RFC 7377 §2.1).
    """

    tag: bytes
    by_uid: bool
    mailbox: bytes = b""
    uid_validity: int = 0

    def begin(self) -> bytes:
        """``* ESEARCH (TAG "a" …) UID``."""
        about = b"TAG " + string(self.tag)
        if self.mailbox:
            about += b" MAILBOX %b UIDVALIDITY %d" % (self.mailbox, self.uid_validity)
        return b"* ESEARCH (%b)" % about + b" UID" * self.by_uid


def esearch(
    source: Source,
    returning: Returning,
    numbers: Sequence[int],
    *,
    modseq: int = 0,
    scores: Mapping[int, int] | None = None,
) -> Iterator[bytes]:
    """The response, in pieces.

    Args:
        source: What it is about.
        returning: What it is to say.
        numbers: The result, in the order of the search.
        modseq: Of those that are returned the highest MODSEQ, if it is to be said.
        scores: Relevancy of those that were found by a fuzzy key; of others it is 100.
    """
    head = source.begin()
    if numbers and "MIN" in returning:
        head += b" MIN %d" % numbers[0]
    if numbers and "MAX" in returning:
        head += b" MAX %d" % numbers[-1]
    if "COUNT" in returning:
        head += b" COUNT %d" % len(numbers)
    yield head
    shown = numbers
    if returning.partial is not None:
        shown = returning.partial.of(numbers)
        yield b" PARTIAL (%b " % returning.partial.text.encode()
        if shown:
            yield from set_pieces(shown)
        yield b")" if shown else b"NIL)"
    elif numbers and "ALL" in returning:
        yield b" ALL "
        yield from set_pieces(numbers)
    if modseq and numbers:
        yield b" MODSEQ %d" % modseq
    if shown and "RELEVANCY" in returning:
        known = scores or {}
        yield b" RELEVANCY ("
        for start in range(0, len(shown), _NUMBERS):
            some = [known.get(number, 100) for number in shown[start : start + _NUMBERS]]
            yield b" " * bool(start) + b" ".join(b"%d" % score for score in some)
        yield b")"
    yield b"\r\n"


def set_pieces(numbers: Sequence[int]) -> Iterator[bytes]:
    """Numbers as a set, in their order, in pieces; some are empty."""
    comma = b""
    last: tuple[int, int] | None = None
    for start in range(0, len(numbers), _NUMBERS):
        some: list[bytes] = []
        for low, high in runs(numbers[start : start + _NUMBERS]):
            if last is None:
                last = low, high
            elif low == last[1] + 1:
                last = last[0], high
            else:
                some.append(_range(last))
                last = low, high
        if some:
            yield comma + b",".join(some)
            comma = b","
        else:
            yield b""
    if last is not None:
        yield comma + _range(last)


def _range(ends: tuple[int, int]) -> bytes:
    low, high = ends
    return b"%d" % low if low == high else b"%d:%d" % ends
