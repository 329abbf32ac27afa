"""FUZZY texts: what is meant rather than what was written (RFC 6203 §3).

The words count, in any order; of a long word one half is enough, so that a slip of
the pen in the other does not matter. How well it fits is a score.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

BEST: Final = 100
"""The score of a message that holds the text as it was written (RFC 6203 §4: 1 to 100)."""
_WORDS: Final = 90
"""The score of one that holds all the words."""
_WORDS_LIMIT: Final = 20
"""Words of a text that count; the rest need not be there."""
_LONG: Final = 8
"""Characters from which a word is long: its halves still say something."""


@dataclass(frozen=True, slots=True)
class Inexact:
    """A folded text, taken apart: each word with its halves, if it is long."""

    phrase: str
    words: tuple[tuple[str, ...], ...]

    def pieces(self) -> Iterator[str]:
        """All strings that are looked for."""
        yield self.phrase
        for word in self.words:
            yield from word

    def score(self, holds: Callable[[str], bool]) -> int:
        """How well a message fits that `holds` some of the pieces; 0 if not at all."""
        if holds(self.phrase):
            return BEST
        total = 0
        for whole, *halves in self.words:
            if holds(whole):
                total += 2
            elif any(map(holds, halves)):
                total += 1
            else:
                return 0
        return _WORDS * total // (2 * len(self.words)) if self.words else 0


def inexact(folded: str) -> Inexact:
    """Take a folded text apart."""
    words = dict.fromkeys(folded.split()[:_WORDS_LIMIT])
    return Inexact(folded, tuple(_with_halves(word) for word in words))


def _with_halves(word: str) -> tuple[str, ...]:
    middle = len(word) // 2
    return (word, word[:middle], word[middle:]) if len(word) >= _LONG else (word,)
