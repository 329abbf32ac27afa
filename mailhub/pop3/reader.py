"""Cuts POP3's byte stream into lines.

Invariants:

1. Memory is bounded by the line limit plus one read, whatever the peer sends.
2. The lines depend on the octets, never on how they were split on arrival.
3. An overlong line costs one error, when its end has come, and no octet of it
   is taken for a command.

A bare LF ends a line like CR LF (RFC 1939 §3) does: POP3 carries no mail inwards,
so two readings of a line cannot differ in a way that matters.
"""

from __future__ import annotations


class Overlong(Exception):
    """A line was longer than the limit; it is gone."""


class Reader:
    """Buffers what has arrived, and takes lines off its front."""

    __slots__ = ("_at", "_buffer", "_dropping")

    def __init__(self) -> None:
        self._buffer = b""
        self._at = 0
        self._dropping = False  # the beginning of an overlong line is gone already

    @property
    def pending(self) -> bool:
        """Whether octets have arrived and were not taken."""
        return self._at < len(self._buffer) or self._dropping

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived."""
        self._buffer = self._buffer[self._at :] + octets if self.pending else octets
        self._at = 0

    def line(self, limit: int) -> bytes | None:
        """The next line, without its end; None while none is whole.

        Raises:
            Overlong: It had more than `limit` octets, its end included.
        """
        start, end = self._at, self._buffer.find(b"\n", self._at) + 1
        if not end:
            if len(self._buffer) - start > limit:
                self._dropping = True
                self._buffer, self._at = b"", 0
            return None
        self._at = end
        if self._dropping or end - start > limit:
            self._dropping = False
            raise Overlong
        return self._buffer[start : end - 1].removesuffix(b"\r")
