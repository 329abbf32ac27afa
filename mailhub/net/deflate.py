"""A compressed connection: DEFLATE in both directions, flushed whenever we fall silent (RFC 4978).

Invariants:

1. What was given to `pack` can be read by the peer when `pack` has returned.
2. However far octets expand, at most `PIECE` come out at a time: the rest waits
   until it is asked for, as it came (a bomb does not go off here).
3. A connection costs `MEMORY` octets more than a plain one. The window of what the
   peer sends is the peer's choice, and takes half of them.
"""

from __future__ import annotations

import zlib
from typing import Final

PIECE: Final = 65_536
"""Octets that are unpacked in one step."""
MEMORY: Final = 80 * 1024
"""Octets that both directions need at most: 32 and 40 KiB, and what surrounds them."""

_LEVEL: Final = 4
_WINDOW: Final = 12
"""Bits of our window: 4 KiB, which is three times a common message's header section. With all
fifteen a connection would need 256 KiB for a tenth less to be sent."""
_MEMORY_LEVEL: Final = 5
"""Of zlib: 16 KiB for its tables."""
_WINDOW_OF_PEER: Final = 15


class Broken(Exception):
    """What came is not what DEFLATE makes."""


class Deflate:
    """Both directions of one connection.

    Attributes:
        ended: The peer has ended its stream, and can say nothing more.
    """

    __slots__ = ("_full", "_packing", "_unpacking", "ended")

    def __init__(self) -> None:
        # Negative: without zlib's header and checksum                       (RFC 4978 §4)
        self._packing = zlib.compressobj(_LEVEL, zlib.DEFLATED, -_WINDOW, _MEMORY_LEVEL)
        self._unpacking = zlib.decompressobj(-_WINDOW_OF_PEER)
        self._full = False
        self.ended = False

    @property
    def more(self) -> bool:
        """Whether there may be more to unpack without anything having come."""
        return self._full

    def pack(self, octets: bytes) -> bytes:
        """What to send for `octets`."""
        return self._packing.compress(octets) + self._packing.flush(zlib.Z_SYNC_FLUSH)

    def unpack(self, octets: bytes = b"") -> bytes:
        """What the peer said with `octets`, and what was left before; `PIECE` of it at most.

        Raises:
            Broken: That cannot be found out.
        """
        try:
            found = self._unpacking.decompress(self._unpacking.unconsumed_tail + octets, PIECE)
        except zlib.error as error:
            raise Broken(str(error)) from None
        self.ended = self._unpacking.eof
        self._full = len(found) == PIECE or bool(self._unpacking.unconsumed_tail)
        return found
