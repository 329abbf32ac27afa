"""Modified UTF-7: how IMAP4rev1 spells mailbox names outside US-ASCII (RFC 3501 §5.1.3).

Invariants:

1. ``decode(encode(name)) == name``, for each name without lone surrogates.
2. Each name has one spelling: what is not in that form does not decode, so two
   spellings never name one mailbox.
"""

from __future__ import annotations

import binascii
import re
from typing import Final

# modified BASE64: "," for "/", no "=" padding                              (RFC 3501 §5.1.3)
_SHIFTED: Final = re.compile(r"&([A-Za-z0-9+,]*)-")
_OUTSIDE: Final = re.compile(r"[^ -~]+|&")
_PRINTABLE: Final = re.compile(r"[ -~]*")


def encode(name: str) -> bytes:
    """A mailbox name as it goes over the wire.

    Raises:
        ValueError: It holds a lone surrogate.
    """
    return _OUTSIDE.sub(lambda found: _shift(found[0]), name).encode("ascii")


def decode(octets: bytes) -> str:
    """The mailbox name in Unicode.

    Raises:
        ValueError: Not modified UTF-7, or not in its one canonical form.
    """
    text = octets.decode("ascii")
    name = _SHIFTED.sub(lambda found: _unshift(found[1]), text)
    if not _PRINTABLE.fullmatch(text) or encode(name) != octets:
        raise ValueError("not modified UTF-7")
    return name


def _shift(text: str) -> str:
    if text == "&":
        return "&-"
    coded = binascii.b2a_base64(text.encode("utf-16-be"), newline=False).decode()
    return f"&{coded.rstrip('=').replace('/', ',')}-"


def _unshift(coded: str) -> str:
    if not coded:
        return "&"
    padded = coded.replace(",", "/") + "=" * (-len(coded) % 4)
    return binascii.a2b_base64(padded).decode("utf-16-be")
