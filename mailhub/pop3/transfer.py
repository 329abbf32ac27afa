r"""Multi-line responses: contents made transparent piece by piece, and TOP's cut through them.

Invariants:

1. The octets sent depend on the content, never on how it was cut into pieces.
2. A line ``.`` CR LF ends a response and stands nowhere else in it, for clients that end
   lines at LF as well: a dot behind any LF is doubled (RFC 1939 §3).
3. A response ends in CR LF ``.`` CR LF, whatever the content ends in.
"""

from __future__ import annotations

from typing import Final

PIECE: Final = 40_960
"""Octets of a content read at a time: transparency makes at most 60 KiB of them."""
END: Final = b".\r\n"
"""The line that ends a multi-line response (RFC 1939 §3)."""


class Stuffing:
    """Makes one content transparent."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last = b"\r\n"  # the last two octets that were given

    def take(self, octets: bytes) -> bytes:
        """The next octets, as they are sent."""
        stuffed = octets.replace(b"\n.", b"\n..")
        if octets.startswith(b".") and self._last.endswith(b"\n"):
            stuffed = b"." + stuffed
        self._last = (self._last + octets[-2:])[-2:]
        return stuffed

    def end(self) -> bytes:
        """What ends the response: a line end is added where the content has none."""
        return END if self._last == b"\r\n" else b"\r\n" + END


class Top:
    """Cuts a content behind its header section and some lines of its body (RFC 1939 §7).

    Attributes:
        done: Nothing more is wanted.
    """

    __slots__ = ("_lines", "_tail", "done")

    def __init__(self, lines: int) -> None:
        self.done = False
        self._lines = lines  # of the body, still wanted
        # The last three octets while the header lasts, as if an empty line could come first
        self._tail: bytes | None = b"\n"

    def take(self, octets: bytes) -> bytes:
        """What is wanted of the next octets."""
        body = 0
        if self._tail is not None:
            body = self._header_end(octets)
            if body < 0:
                return octets
        return octets[: self._cut(octets, body)]

    def _header_end(self, octets: bytes) -> int:
        """Where the body begins in `octets`; -1 if not in there."""
        tail = self._tail or b""
        joined = tail + octets
        ends = [
            found + len(mark) for mark in (b"\n\r\n", b"\n\n") if (found := joined.find(mark)) >= 0
        ]
        if not ends:
            self._tail = joined[-3:]
            return -1
        self._tail = None
        return min(ends) - len(tail)

    def _cut(self, octets: bytes, body: int) -> int:
        """Where to stop; the end of `octets` if they are all wanted."""
        held = octets.count(b"\n", body)
        if held < self._lines:
            self._lines -= held
            return len(octets)
        self.done = True
        if held == self._lines and octets.endswith(b"\n"):
            return len(octets)
        return len(octets) - len(octets[body:].split(b"\n", self._lines)[-1])
