"""Flags: bits, names and letters."""

from __future__ import annotations

from mailhub.mail.flag import KEYWORD_LIMIT, KEYWORD_SHIFT, MAILDIR_LETTERS, SYSTEM_FLAGS


def test_bits_do_not_overlap() -> None:
    """Every system flag has a bit of its own, below the keywords, which fit 32 bits."""
    bits = list(SYSTEM_FLAGS.values())
    assert sum(bits) == (1 << KEYWORD_SHIFT) - 1
    assert len(set(bits)) == len(bits)
    assert KEYWORD_SHIFT + KEYWORD_LIMIT <= 32


def test_letters_are_sorted() -> None:
    """A maildir name spells its letters in ASCII order, and every system flag has one."""
    assert list(MAILDIR_LETTERS) == sorted(MAILDIR_LETTERS)
    assert set(MAILDIR_LETTERS.values()) == set(SYSTEM_FLAGS.values())
