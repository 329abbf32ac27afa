"""Cuts what a server sends into replies.

Invariants:

1. Memory is bounded by `ReplyLimits` plus one read, whatever the server sends.
2. The replies depend on the octets, never on how they were split on arrival.
3. No text of a server holds a control character: it ends up in logs, in DSNs
   and on terminals.

A line may end with LF alone. That is harmless here, unlike in content: nothing
in a reply is obeyed, and both readings of it give the same text. Old servers do it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from mailhub.mail.reply import Reply

# Reply-line = *( Reply-code "-" [ textstring ] CRLF )
#              Reply-code [ SP textstring ] CRLF              (RFC 5321 §4.2)
# Reply-code = %x32-35 %x30-35 %x30-39; any second digit is met in practice
_LINE: Final = re.compile(rb"([2-5][0-9][0-9])(?:([ -])(.*))?", re.DOTALL)

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@dataclass(frozen=True, slots=True)
class ReplyLimits:
    """How much of one reply we take.

    Attributes:
        line: Octets of a line with its end. The standard says 512 (RFC 5321
            §4.5.3.1.5); servers that quote policies and links exceed it.
        lines: Lines of a reply.
        octets: All lines of a reply together.
    """

    line: int = 4096
    lines: int = 200
    octets: int = 65536


REPLY_LIMITS: Final = ReplyLimits()


_SHORT: Final = 128
"""Octets of a line that is worth remembering."""


class Garbled(Exception):
    """What the server sent is no reply: nothing more on this connection can be understood."""


class ReplyReader:
    """The server's octets, taken as they come and given back as replies."""

    def __init__(self, limits: ReplyLimits = REPLY_LIMITS) -> None:
        self._limits = limits
        self._buffer = bytearray()
        self._scanned = 0  # no LF before this
        self._code = b""
        self._texts: list[str] = []
        self._octets = 0

    def __bool__(self) -> bool:
        """Whether octets are at hand that no reply has been made of."""
        return bool(self._buffer or self._texts)

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived. Only stores them."""
        self._buffer += octets

    def next(self) -> Reply | None:
        """The next reply; None while none is whole.

        Raises:
            Garbled: A line that is not a reply's, a reply whose lines differ in
                code (RFC 5321 §4.2.1), or one beyond the limits.
        """
        while True:
            end = self._buffer.find(b"\n", self._scanned)
            if (end if end >= 0 else len(self._buffer)) >= self._limits.line:
                raise Garbled(f"a reply line of more than {self._limits.line} octets")
            if end < 0:
                self._scanned = len(self._buffer)
                return None
            line = bytes(self._buffer[:end]).removesuffix(b"\r")
            del self._buffer[: end + 1]
            self._scanned = 0
            if not self._texts and len(line) <= _SHORT and (alone := _alone(line)) is not None:
                return alone
            if self._take(line):
                reply = Reply.parse(int(self._code), self._texts)
                self._code, self._texts, self._octets = b"", [], 0
                return reply

    def _take(self, line: bytes) -> bool:
        """Add a line to the reply at hand; say whether it was the last."""
        found = _LINE.fullmatch(line)
        if found is None:
            raise Garbled(f"what is no reply: {_shown(line[:80])!r}")
        if self._code not in (b"", found[1]):
            raise Garbled(f"a reply that is {self._code.decode()} and {found[1].decode()}")
        self._code = found[1]
        self._texts.append(_shown(found[3] or b""))
        self._octets += len(line)
        if len(self._texts) > self._limits.lines or self._octets > self._limits.octets:
            raise Garbled("a reply without end")
        return found[2] != b"-"


@lru_cache(maxsize=1024)
def _alone(line: bytes) -> Reply | None:
    """The reply that one line is, if it is one: servers say the same again and again."""
    found = _LINE.fullmatch(line)
    if found is None or found[2] == b"-":
        return None
    return Reply.parse(int(found[1]), [_shown(found[3] or b"")])


def _shown(octets: bytes) -> str:
    text = octets.decode("utf-8", "replace")
    return text if text.isprintable() else _CONTROL.sub("?", text)
