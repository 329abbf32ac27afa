"""Writes octets to a transport: at once where that can be done, for most of what we say is short.

Invariant: octets leave in the order in which they were written, whichever way they go.

Whether something is before them in a connection's buffer only Twisted's own names tell. In a
Twisted that has others everything goes through the transport: that costs time, and nothing else.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.abstract import FileDescriptor
from twisted.internet.tcp import Connection


def _as_we_know_them() -> bool:
    """Whether this Twisted's connections have the buffers, and the marks, that we look at."""
    made = FileDescriptor(object())  # type: ignore[arg-type]  # it asks nothing of a reactor
    return (
        isinstance(getattr(made, "dataBuffer", None), bytes)
        and isinstance(getattr(made, "_tempDataBuffer", None), list)
        and all(hasattr(Connection, name) for name in ("TLS", "connected", "disconnecting"))
    )


KNOWN: Final = _as_we_know_them()
"""Octets may go past the transport."""


def write(transport: Any, octets: bytes) -> None:
    """Hand octets to the kernel now, if the transport allows; what is left is for its buffer.

    The reactor would first ask the kernel whether it may, and then ask it to
    tell no more: two system calls for each write, and a turn of the loop.
    """
    if octets and _at_once(transport):
        try:
            taken = transport.socket.send(octets)
        except OSError:
            taken = 0  # the kernel has no room, or the reactor will learn the same
        octets = octets[taken:]
    if octets:
        transport.write(octets)


def _at_once(transport: Any) -> bool:
    """Whether nothing stands between us and the kernel."""
    return (
        KNOWN
        and isinstance(transport, Connection)
        and bool(transport.connected)
        and not transport.TLS
        and not (transport.dataBuffer or transport._tempDataBuffer)  # noqa: SLF001
        and not transport.disconnecting
    )
