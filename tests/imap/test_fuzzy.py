"""FUZZY texts taken apart and scored."""

from __future__ import annotations

import pytest

from mailhub.imap.fuzzy import BEST, inexact


@pytest.mark.parametrize(
    ("text", "haystack", "score"),
    [
        ("RED BIG", "A RED BIG HOUSE", BEST),
        ("RED BIG", "BIG AND RED", 90),
        ("RED BIG", "RED", 0),
        ("SEPARATE", "SEPERATE", 45),
        ("SEPARATE RED", "RED SEPERATE", 67),
        ("SHORT", "SHROT", 0),
        ("", "ANYTHING", BEST),
    ],
)
def test_score(text: str, haystack: str, score: int) -> None:
    """All words must be there, of long ones a half; the text as written is best."""
    assert inexact(text).score(haystack.__contains__) == score


def test_pieces() -> None:
    """All that a score asks for is named before."""
    asked: list[str] = []
    text = inexact("SOME EXTRAORDINARY WORDS")

    def holds(piece: str) -> bool:
        asked.append(piece)
        return len(piece) < 14 and piece != text.phrase

    assert text.score(holds) > 0
    assert set(asked) <= set(text.pieces())


def test_bounded() -> None:
    """Of a very long text the first words count."""
    assert len(list(inexact(" ".join(f"W{n}" for n in range(1000))).pieces())) == 21
