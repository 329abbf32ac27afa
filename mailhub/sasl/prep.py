"""Prepares user names and passwords, so that one secret typed on two devices is one string.

SASLprep (RFC 4013) as SCRAM demands it (RFC 5802 §2.2), and the same for PLAIN
and LOGIN, so that a password opens its account whichever way it comes.

Two deliberate leniencies, both towards OpaqueString (RFC 8265 §4.2): code points
that Unicode 3.2 did not know are kept as they are (nobody would understand why
an emoji is refused), and mixed directions are allowed.
"""

from __future__ import annotations

import stringprep
from typing import Final
from unicodedata import ucd_3_2_0

_PROHIBITED: Final = (
    stringprep.in_table_c21_c22,  # control characters
    stringprep.in_table_c3,  # private use
    stringprep.in_table_c4,  # non-characters
    stringprep.in_table_c5,  # surrogates
    stringprep.in_table_c6,  # unfit for plain text
    stringprep.in_table_c7,  # unfit for canonical representation
    stringprep.in_table_c8,  # changes of display
    stringprep.in_table_c9,  # tags
)


def prepared(text: str) -> str:
    """The text as it is compared and hashed.

    Raises:
        ValueError: Nothing is left of it, or it holds characters that are
            prohibited (RFC 4013 §2.3).
    """
    if text.isascii() and text.isprintable() and text:
        return text  # no step changes ASCII without controls
    text = _mapped(text)
    if not text:
        raise ValueError("empty")
    if any(prohibits(character) for character in text for prohibits in _PROHIBITED):
        raise ValueError("contains control or other unusable characters")
    return text


def _mapped(text: str) -> str:
    """Map and normalise (RFC 4013 §2.1, §2.2)."""
    kept = (
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    return ucd_3_2_0.normalize("NFKC", "".join(kept))
