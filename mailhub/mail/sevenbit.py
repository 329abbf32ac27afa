"""A message in 7 bits, for a server that takes no more: its parts are encoded anew (RFC 6152 §3).

What a reader sees stays the same; what is signed over the octets (DKIM) does not.

Invariants:

1. The result is ASCII, with lines of at most 76 octets where something was encoded; all that
   was ASCII before stays as it was, but for the labels of the parts around it.
2. Nothing is encoded that may not be: multiparts and messages never (RFC 2045 §6.4), nor a part of
   a signed or encrypted multipart (RFC 1847 §2.1), nor a header.
"""

from __future__ import annotations

import re
from base64 import b64encode
from binascii import b2a_qp
from typing import Final

from mailhub.mail.part import Part, parse

_LINE: Final = 57
"""Octets that make a line of 76 digits of base64 (RFC 2045 §6.8)."""
_LABEL: Final = re.compile(
    rb"^content-transfer-encoding[ \t]*:[^\n]*\n(?:[ \t][^\n]*\n)*", re.IGNORECASE | re.MULTILINE
)
_PLAIN: Final = (b"7bit", b"8bit", b"binary")
"""Encodings that are none."""
_SEALED: Final = (b"signed", b"encrypted")


class Impossible(Exception):
    """It cannot be said in 7 bits."""


def seven_bit(content: bytes) -> bytes:
    """A message with CR LF line ends in 7 bits.

    Raises:
        Impossible: A header is not ASCII, or something that must not be encoded.
    """
    if content.isascii():
        return content
    return _entity(content, parse(content), message=True)


def _entity(content: bytes, part: Part, *, message: bool) -> bytes:
    octets = content[part.start : part.end]
    if octets.isascii():
        return octets
    header = content[part.start : part.body]
    if not header.isascii():
        raise Impossible("the header is not ASCII")
    fields = part.fields if message and part.fields is not None else None
    if fields is not None and b"mime-version" not in fields:
        # Without it no label counts, whatever readers make of that       (RFC 2045 §4)
        header = b"%bMIME-Version: 1.0\r\n\r\n" % _fields(header)
    if part.children:
        return _labelled(header, b"7bit") + _around(content, part)
    if part.type.lower() in (b"multipart", b"message"):
        raise Impossible("a part that must not be encoded is not ASCII")
    if part.encoding.lower() not in _PLAIN:
        raise Impossible("what is encoded already is not ASCII")
    body = content[part.body : part.end]
    if fields is not None and b"content-type" not in fields:
        header = _typed(header, body)
    if part.type.lower() == b"text" and b"\0" not in body:
        return _labelled(header, b"quoted-printable") + _quoted(body)
    return _labelled(header, b"base64") + _base64(body)


def _around(content: bytes, part: Part) -> bytes:
    """The body of a multipart, or of a message within: its children, and what is between them."""
    if part.is_multipart and part.subtype.lower() in _SEALED:
        raise Impossible("what is signed or encrypted is not ASCII")
    pieces, at = [], part.body
    for child in part.children:
        pieces += [content[at : child.start], _entity(content, child, message=part.is_message)]
        at = child.end
    pieces.append(content[at : part.end])
    if not b"".join(pieces).isascii():
        raise Impossible("what stands between the parts is not ASCII")
    return b"".join(pieces)


def _labelled(header: bytes, encoding: bytes) -> bytes:
    """A header section with this Content-Transfer-Encoding."""
    fields = _fields(_LABEL.sub(b"", header))
    return b"%bContent-Transfer-Encoding: %b\r\n\r\n" % (fields, encoding)


def _fields(header: bytes) -> bytes:
    """A header section without the empty line that ends it."""
    ended = header.endswith(b"\r\n\r\n") or header == b"\r\n"
    return header.removesuffix(b"\r\n") if ended else header


def _typed(header: bytes, body: bytes) -> bytes:
    """The header of a message that says nothing of its text."""
    try:
        body.decode()
        charset = b"utf-8"
    except UnicodeDecodeError:
        charset = b"unknown-8bit"  # RFC 1428 §3
    return b"%bContent-Type: text/plain; charset=%b\r\n\r\n" % (_fields(header), charset)


def _quoted(body: bytes) -> bytes:
    # The line end tells `b2a_qp` which ones to write.
    return b2a_qp(body + b"\r\n", istext=True).removesuffix(b"\r\n")


def _base64(body: bytes) -> bytes:
    lines = [b64encode(body[at : at + _LINE]) for at in range(0, len(body), _LINE)]
    return b"\r\n".join(lines) + (b"\r\n" if body.endswith(b"\n") else b"")
