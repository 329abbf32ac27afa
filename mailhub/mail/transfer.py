"""Transfer encodings undone piece by piece, for bodies too large to be held (RFC 2045 §6).

`charset.decode_body` does the same with a body that is in memory.

Invariants:

1. However a body is cut into pieces, what comes out is what `charset.decode_body`
   makes of it.  (Of quoted-printable that is promised only while its lines have at most
   `LINE` octets, thirteen times what RFC 2045 §6.7 allows: else memory would grow.)
2. Nothing raises on what a stranger sent.
"""

from __future__ import annotations

import binascii
from typing import Final, Protocol

from mailhub.mail.charset import unquoted

LINE: Final = 1_000
"""Octets of a line of quoted-printable that is not cut."""

_DIGITS: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_NO_DIGITS: Final = bytes(octet for octet in range(256) if octet not in _DIGITS)


class Decoding(Protocol):
    """A body on its way out of its encoding."""

    def feed(self, octets: bytes) -> bytes:
        """What the next octets come to, as far as it is certain."""

    def close(self) -> bytes:
        """What is left when the body has ended."""


class Identity:
    """7bit, 8bit and binary."""

    def feed(self, octets: bytes) -> bytes:
        """The same."""
        return octets

    def close(self) -> bytes:
        """Nothing is held back."""
        return b""


class Base64:
    """Groups of digits that padding ends; octets that are no digits are passed over."""

    def __init__(self) -> None:
        self._digits = b""  # fewer than four, of the group at hand

    def feed(self, octets: bytes) -> bytes:
        """What the next octets come to."""
        *ended, last = octets.split(b"=")
        found = []
        for group in ended:
            self._digits += group.translate(None, _NO_DIGITS)
            found.append(self.close())
        digits = self._digits + last.translate(None, _NO_DIGITS)
        whole = len(digits) & ~3
        self._digits = digits[whole:]
        found.append(binascii.a2b_base64(digits[:whole]))
        return b"".join(found)

    def close(self) -> bytes:
        """The octets of a group that is not whole; a single digit is none."""
        digits, self._digits = self._digits, b""
        if len(digits) % 4 == 1:
            digits = digits[:-1]
        return binascii.a2b_base64(digits + b"=" * (-len(digits) % 4))


class QuotedPrintable:
    """Lines, of which each can be decoded by itself."""

    def __init__(self) -> None:
        self._line = b""

    def feed(self, octets: bytes) -> bytes:
        """What the next whole lines come to."""
        text = self._line + octets
        end = text.rfind(b"\n") + 1
        if not end and len(text) > LINE:
            # No line at all; but "=41" and "=" CR LF are not cut
            mark = text.rfind(b"=", len(text) - 3)
            end = mark if mark >= 0 else len(text)
        self._line = text[end:]
        return unquoted(text[:end], last=False)

    def close(self) -> bytes:
        """The last line."""
        line, self._line = self._line, b""
        return unquoted(line, last=True)


DECODINGS: Final[dict[bytes, type[Decoding]]] = {
    b"7bit": Identity,
    b"8bit": Identity,
    b"binary": Identity,
    b"base64": Base64,
    b"quoted-printable": QuotedPrintable,
}
"""By the encoding's name in lower case: all that there are (RFC 2045 §6.1)."""
