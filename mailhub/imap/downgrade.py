"""Rendered values for clients that have not enabled UTF8=ACCEPT (RFC 6855 §7).

Text outside US-ASCII in ENVELOPE and BODYSTRUCTURE, which only a client that has enabled it
expects, is told as encoded words (RFC 2047 §2), as RFC 6858 §2 does with a header section:
names and subjects are read by every client.  Octets that are no UTF-8 have no charset that
one could name: they stay as they came, in literals.

Header sections themselves are never changed: their octets may be signed.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

CHARACTERS: Final = 11
"""Characters in one encoded word: of four octets each they fill its 75 (RFC 2047 §2)."""

_LITERAL: Final = re.compile(rb"\{([0-9]+)\}\r\n")


def downgraded(value: bytes) -> bytes:
    """A rendered value, with its literals in UTF-8 as encoded words."""
    if value.isascii():
        return value
    found: list[bytes] = []
    place = 0
    while (literal := _LITERAL.search(value, place)) is not None:
        end = literal.end() + int(literal[1])
        text = _encoded(value[literal.end() : end]) or value[literal.start() : end]
        found += [value[place : literal.start()], text]
        place = end
    return b"".join([*found, value[place:]])


def _encoded(octets: bytes) -> bytes | None:
    """A quoted string of encoded words; None where they would say no more."""
    if octets.isascii():
        return None
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return None
    words = [
        b"=?utf-8?B?%b?=" % binascii.b2a_base64(text[at : at + CHARACTERS].encode(), newline=False)
        for at in range(0, len(text), CHARACTERS)
    ]
    return b'"' + b" ".join(words) + b'"'
