"""Counts connections, in all and by address, and says when there are too many.

One object may stand before several listeners. Limits may be changed while it is
in use: connections that are in stay in.
"""

from __future__ import annotations

import ipaddress
from enum import Enum
from functools import lru_cache


class Full(Enum):
    """Why nobody is let in."""

    IN_ALL = "in all"
    FROM_THERE = "from there"


class Turnstile:
    """Lets connections in, up to limits; 0 is none.

    An IPv6 site is one customer with 2⁶⁴ addresses, so they are counted as one.

    Attributes:
        total: Connections in all.
        per_address: Connections from one IPv4 address, or one IPv6 /64.
        inside: How many there are.
    """

    def __init__(self, total: int = 0, per_address: int = 0) -> None:
        self.total = total
        self.per_address = per_address
        self.inside = 0
        self._from: dict[str, int] = {}

    def enter(self, address: str) -> Full | None:
        """Let a connection in and count it, or say why not."""
        if self.total and self.inside >= self.total:
            return Full.IN_ALL
        origin = _origin(address)
        count = self._from.get(origin, 0)
        if self.per_address and count >= self.per_address:
            return Full.FROM_THERE
        self._from[origin] = count + 1
        self.inside += 1
        return None

    def leave(self, address: str) -> None:
        """A connection that was let in has ended."""
        origin = _origin(address)
        count = self._from.get(origin, 0)
        if count > 1:
            self._from[origin] = count - 1
        else:
            self._from.pop(origin, None)
        self.inside -= 1


@lru_cache(maxsize=1024)
def _origin(address: str) -> str:
    if ":" not in address:
        return address
    try:
        return str(ipaddress.IPv6Network((address.partition("%")[0], 64), strict=False))
    except ValueError:
        return address
