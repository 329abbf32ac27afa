"""i;unicode-casemap: what is equal, and what stays as it is."""

from __future__ import annotations

import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.collation import SLICE, fold, fold_long


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Hello", "hELLO"),
        ("größe", "GRÖSSE".replace("SS", "ß")),
        ("Ångström", "A\u030angstro\u0308m"),
        ("ﬁrst", "FIRST"),
        ("ΣΊΣΥΦΟΣ", "σίσυφος"),
        ("ｆｕｌｌ", "Full"),
        ("ǆ", "ǅ"),
        ("ſ", "s"),
        ("\0", "\ufffd"),
    ],
)
def test_equal(one: str, other: str) -> None:
    """Case, composition and width make no difference (RFC 5051 §2)."""
    assert fold(one) == fold(other)


@pytest.mark.parametrize(("one", "other"), [("e", "é"), ("ß", "SS"), ("a b", "a  b"), ("о", "o")])
def test_different(one: str, other: str) -> None:
    """Accents, blanks and scripts do; ß has no simple titlecase form."""
    assert fold(one) != fold(other)


def test_long() -> None:
    """A long text is folded in slices, with the same result."""
    text = "Überlänge e\u0301\n" * (SLICE // 4)
    assert fold_long(text) == fold(text)


@pytest.mark.parametrize(
    "text",
    [
        "\u0301\u0323" * 150_000,
        "a" + "\u0344" * 100_000 + "\u0323" * 100_000,
        "\U0001d165\u0301" * 100_000,
    ],
)
def test_marks_without_end(text: str) -> None:
    """A letter with a hundred thousand accents takes no longer than as many letters."""
    began = time.process_time()
    folded = fold_long(text)
    assert time.process_time() - began < 1.0
    assert fold(folded) == folded == fold(text)


def test_rare_letters() -> None:
    """Letters that only look like marks from afar stay together."""
    assert fold("\U00020000" * 100) == "\U00020000" * 100


@given(
    st.lists(
        st.tuples(
            st.sampled_from("e\u1fb7\u0301\u0344\u0345\u0323\U0001d165\n"), st.integers(1, 99)
        )
    )
)
def test_many_marks(runs: list[tuple[str, int]]) -> None:
    """Folding twice is folding once, however many marks there are."""
    text = "".join(letter * count for letter, count in runs)
    assert fold(fold(text)) == fold(text)


def test_substring() -> None:
    """A letter is found in itself with an accent, as Dovecot finds it."""
    assert fold("cafe") in fold("un café")


@given(st.text(st.characters(), max_size=12))
def test_fold(text: str) -> None:
    """Folding twice is folding once; the result is decomposed, and can be written as UTF-8."""
    folded = fold(text)
    assert fold(folded) == folded == unicodedata.normalize("NFKD", folded)
    folded.encode()
    assert "\0" not in folded


@given(st.text(max_size=12))
def test_case(text: str) -> None:
    """Simple case is disregarded, wherever each letter has one."""
    if all(len(it.upper()) == 1 and it.upper().lower() == it for it in text):
        assert fold(text) == fold(text.upper())
