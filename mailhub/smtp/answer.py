"""Replies on their way to octets: whatever their texts hold, what leaves is well-formed."""

from __future__ import annotations

import re
from typing import Final

from mailhub.mail.reply import Reply

TEXT_LIMIT: Final = 480
"""Octets of text in a line of a reply, so that the line stays under 512 (RFC 5321 §4.5.3.1.5)."""

# textstring = 1*(%d09 / %d32-126)                                       (RFC 5321 §4.2)
_UNSAFE: Final = re.compile(r"[^ -~]")


def encode(reply: Reply, *, utf8: bool = False) -> bytes:
    """The octets of a reply.

    Texts may quote what a client or another server said: what is not printable
    becomes ``?``, non-ASCII as well unless the transaction has SMTPUTF8
    (RFC 6531 §3.7.4.1).
    """
    lines = tuple(_safe(line, utf8=utf8) for line in reply.lines)
    return bytes(reply if lines == reply.lines else Reply(reply.code, reply.detail, lines))


def _safe(text: str, *, utf8: bool) -> str:
    if text.isascii() and text.isprintable() and len(text) <= TEXT_LIMIT:
        return text
    if utf8:
        safe = "".join(letter if letter.isprintable() else "?" for letter in text)
        return safe.encode()[:TEXT_LIMIT].decode(errors="ignore")
    return _UNSAFE.sub("?", text)[:TEXT_LIMIT]


def ready(code: int, detail: str, *lines: str) -> bytes:
    """The octets of a reply that is always the same."""
    return bytes(Reply(code, detail, lines))
