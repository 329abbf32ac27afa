"""SASLprep, by the examples of its own RFC, and the places where we are more lenient."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.sasl.prep import prepared


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("I\u00adX", "IX"),  # SOFT HYPHEN mapped to nothing
        ("user", "user"),
        ("USER", "USER"),  # case is kept
        ("\u00aa", "a"),  # NFKC
        ("\u2168", "IX"),
        ("a\u00a0b\u3000c", "a b c"),  # non-ASCII spaces
        ("  x ", "  x "),
        ("🐎", "🐎"),  # unknown to Unicode 3.2, kept
        ("\u0627\u0031", "\u06271"),  # mixed directions, kept
    ],
)
def test_examples(text: str, result: str) -> None:
    """RFC 4013 §3, but for unassigned code points and directions."""
    assert prepared(text) == result


@pytest.mark.parametrize(
    "text",
    ["", "\u00ad", "\x07", "a\x7f", "\u0080", "\ue000", "\ufdd0", "\udc80", "\u202e", "\ufff9"],
)
def test_prohibited(text: str) -> None:
    """Controls, surrogates, non-characters and the like are no text (RFC 4013 §2.3)."""
    with pytest.raises(ValueError, match=r"empty|unusable"):
        prepared(text)


@given(st.text())
def test_stable(text: str) -> None:
    """What was prepared is prepared."""
    try:
        once = prepared(text)
    except ValueError:
        return
    assert prepared(once) == once
