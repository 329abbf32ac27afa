r"""Cuts SMTP's byte stream into the pieces the session asks for: lines, content, chunks.

Invariants:

1. Only CR LF ends a line (RFC 5321 §2.3.8), and only CR LF ``.`` CR LF ends
   content (RFC 5321 §4.1.1.4). A bare CR or LF is refused, in commands and in
   content alike: two servers that disagree about where a message ends can be
   made to see two different messages. For a peer that is normalised a bare one
   is mended, and still ends no content.
2. A fault in content does not end it: what follows is dropped up to its true
   end, so that no octet of content is ever taken for a command.
3. Memory is bounded by the limit of a command line plus one read.
4. The pieces joined, and the fault, depend on the octets, never on how they
   were split on arrival.
"""

from __future__ import annotations

import re
from typing import Final

from mailhub.mail.reply import Refusal

_END: Final = b"\r\n.\r\n"
_LONE_CR: Final = re.compile(rb"\r(?!\n)")
_NOT_LINE_ENDS: Final = bytes(octet for octet in range(256) if octet not in b"\r\n")
_DOTTED: Final = re.compile(rb"\r\n\.")
_BARE: Final = re.compile(rb"\r(?!\n)|(?<!\r)\n")
_MENDED: Final = re.compile(rb"\r+\n?|\n")
_START_KEPT: Final = 16


class BadLine(Refusal):
    """A line that is no line of SMTP; `start` is what it began with."""

    def __init__(self, start: bytes, text: str, *, too_long: bool = False) -> None:
        self.start = start[:_START_KEPT]
        self.too_long = too_long
        super().__init__(500, "5.2", text)


class Reader:
    """Buffers what has arrived, and takes pieces off its front.

    Attributes:
        fault: Why the content at hand cannot be accepted, once that is known.
    """

    __slots__ = (
        "_at",
        "_buffer",
        "_column",
        "_complete",
        "_held",
        "_left",
        "_line_limit",
        "_normalise",
        "_overlong",
        "_strict",
        "_stuffed",
        "_text_limit",
        "_virtual",
        "fault",
    )

    def __init__(self, line_limit: int, text_limit: int, *, normalise: bool = False) -> None:
        self._line_limit = line_limit
        self._text_limit = text_limit
        self._normalise = normalise
        self._buffer = b""
        self._at = 0
        self._overlong: bytes | None = None  # how a line began whose rest is being dropped
        self._held = b""  # octets of content that mean something only with those to come
        self._virtual = 0  # octets of `_held` that are not content: the CR LF that ended DATA
        self._complete = False  # the end was seen behind the octets given out last
        self._stuffed = False  # some line given out last begins with a dot
        self._column = 0  # octets of the present line of content that were given out
        self._left = 0  # octets of the chunk at hand still to come
        self._strict = True
        self.fault: Refusal | None = None

    @property
    def pending(self) -> int:
        """Octets that have arrived and were not taken."""
        return len(self._buffer) - self._at + len(self._overlong or b"")

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        if self._at < len(self._buffer):
            self._buffer = self._buffer[self._at :] + octets
        else:
            self._buffer = octets
        self._at = 0

    # ---- Lines -----------------------------------------------------------------------------

    def line(self) -> bytes | None:
        """Take a command line, without its CR LF; None while none is whole.

        Raises:
            BadLine: 500 5.5.2 for one that is too long (RFC 5321 §4.5.3.1.4),
                or has a bare CR or LF. It is gone; the next call goes on behind it.
        """
        buffer, start = self._buffer, self._at
        end = buffer.find(b"\n", start)
        if end < 0:
            if self._overlong is not None or len(buffer) - start > self._line_limit:
                self._overlong = self._overlong or buffer[start : start + _START_KEPT]
                self._buffer, self._at = b"", 0
            return None
        self._at = end + 1
        if self._overlong is not None:
            began, self._overlong = self._overlong, None
            raise BadLine(began, "Line too long", too_long=True)
        line = buffer[start:end]
        if len(line) >= self._line_limit:
            raise BadLine(line, "Line too long", too_long=True)
        if line[-1:] == b"\r":
            line = line[:-1]
        elif not self._normalise:
            # Refused, and not joined with the next line: a person who typed it sees why.
            raise BadLine(line, "A line ends with CR LF, not with LF alone")
        if self._normalise:
            line = line.rstrip(b"\r")
        if b"\r" in line:
            raise BadLine(line, "A CR without LF is not allowed")
        return line

    # ---- Content ---------------------------------------------------------------------------

    def open(self, *, chunked: bool = False, binary: bool = False) -> None:
        """Content begins behind what was taken last.

        It comes with DATA, or `chunked` in BDATs (RFC 3030 §2); where `binary`
        it has no lines, and nothing to check (RFC 3030 §3).
        """
        # While inside DATA's content what is held begins with a CR LF, so that
        # a dot behind any CR LF is a dot that begins a line (RFC 5321 §4.5.2).
        self._held = b"" if chunked else b"\r\n"
        self._virtual = len(self._held)
        self._complete = False
        self._column = 0
        self._strict = not binary
        self.fault = None

    def spoil(self, fault: Refusal) -> None:
        """Give out no more of the content at hand: it cannot be accepted."""
        if self.fault is None:
            self.fault = fault

    def content(self) -> bytes | None:
        """Take what is here of DATA's content, transparency undone (RFC 5321 §4.5.2).

        Returns:
            None while there is nothing new, then pieces, then ``b""`` at the end.
        """
        if not self._complete:
            body = self._body()
            if body and self.fault is None:
                vetted = self._vetted(body, dotted=True)
                if vetted:
                    return vetted
            if not self._complete:
                return None
        self._complete = False
        return b""

    def _body(self) -> bytes:
        """The octets before the end, or before what may yet become the end."""
        if self._at >= len(self._buffer):
            return b""
        data = self._held + self._buffer[self._at :]
        self._buffer, self._at = b"", 0
        dotted = _DOTTED.search(data)
        end = data.find(_END, dotted.start()) if dotted is not None else -1
        self._stuffed = dotted is not None and dotted.start() != end
        if end >= 0:
            self._complete = True
            self._held, self._buffer = b"", data[end + len(_END) :]
            return data[: end + 2]
        held = _ambiguous(data)
        self._held = data[len(data) - held :] if held else b""
        return data[: len(data) - held] if held else data

    def expect(self, size: int) -> None:
        """A chunk of `size` octets comes next."""
        self._left = size

    def chunk(self) -> bytes | None:
        """Take what is here of a chunk.

        Returns:
            None while there is nothing new, then pieces, then ``b""`` at its end.
        """
        if not self._left:
            return b""
        taken = self._buffer[self._at : self._at + self._left]
        self._at += len(taken)
        self._left -= len(taken)
        if self.fault is None and taken:
            vetted = self._vetted(taken, dotted=False) if self._strict else taken
            if vetted:
                return vetted
        return None if self._left else b""

    def complete(self) -> bytes:
        """The last chunk has ended: what was held back, if anything was."""
        held, self._held = self._held, b""
        if held and self.fault is None:
            if self._normalise:
                return b"\r\n"
            self.fault = _bare()
        return b""

    # ---- Lines of content ------------------------------------------------------------------

    def _vetted(self, body: bytes, *, dotted: bool) -> bytes:
        """Content with its line ends checked or mended; ``b""`` once it has a fault."""
        if not dotted:
            body = self._held + body
            self._held = body[-1:] if body.endswith(b"\r") else b""
            body = body[: len(body) - len(self._held)]
        whole = _whole(body)
        if not whole:
            if not self._normalise:
                return self._refused(body, dotted=dotted)
            if self._held.startswith(b"\r"):
                body = body.rstrip(b"\r")  # a run of CRs is one line end, however it was cut
            body = _MENDED.sub(b"\r\n", body)
        if dotted:
            if self._stuffed or not whole:
                body = body.replace(b"\r\n.", b"\r\n")
            if self._virtual and body:
                body, self._virtual = body[2:], 0
        if self._too_long(body):
            self.fault = _long()
            return b""
        return body

    def _refused(self, body: bytes, *, dotted: bool) -> bytes:
        """Note the first fault of a body that has a bare CR or LF."""
        found = _BARE.search(body)
        before = body[: found.start()] if found is not None else body
        if dotted:
            before = before.replace(b"\r\n.", b"\r\n")[self._virtual :]
        self.fault = _long() if self._too_long(before) else _bare()
        return b""

    def _too_long(self, text: bytes) -> bool:
        """Whether a line is over the limit (RFC 5321 §4.5.3.1.6).

        Jumps from one line's start to the last that the limit allows, so that
        it looks at each place once and at few of the lines.
        """
        start, size, limit = -self._column, len(text), self._text_limit
        while size - start > limit:
            start = text.rfind(b"\n", max(start, 0), start + limit) + 1
            if start == 0:
                return True
        last = text.rfind(b"\n")
        self._column = size - last - 1 if last >= 0 else self._column + size
        return False


def _whole(body: bytes) -> bool:
    """Whether each CR and each LF is half of a CR LF.

    If they alternate, and a LF is behind each CR, there is none left over. That
    costs a tenth of a regular expression that looks for a bare one.
    """
    ends = body.translate(None, _NOT_LINE_ENDS)
    return ends == b"\r\n" * (len(ends) // 2) and _LONE_CR.search(body) is None


def _ambiguous(data: bytes) -> int:
    """How many octets at the end of content mean something only with those to come."""
    tail = data[-4:]
    for size in (4, 3, 2, 1):
        if tail.endswith(_END[:size]):
            return size
    # For a peer that is normalised this begins a line, too, and a dot may follow.
    return 1 if tail.endswith(b"\n") else 0


def _bare() -> Refusal:
    return Refusal(550, "6.0", "A bare CR or LF is not allowed: lines end with CR LF")


def _long() -> Refusal:
    return Refusal(500, "6.0", "A line of the content is too long")
