"""Writes octets to a transport: at once where that can be done, for most of what we say is short.

Invariant: octets leave in the order in which they were written, whichever way they go.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from twisted.internet.tcp import Connection


def write(transport: Any, octets: bytes) -> None:
    """Hand octets to the kernel now, if the transport allows; what is left is for its buffer.

    The reactor would first ask the kernel whether it may, and then ask it to
    tell no more: two system calls for each write, and a turn of the loop.
    """
    if octets and _at_once(transport):
        with suppress(OSError):  # the kernel has no room, or the reactor will learn the same
            octets = octets[transport.socket.send(octets) :]
    if octets:
        transport.write(octets)


def _at_once(transport: Any) -> bool:
    """Whether nothing stands between us and the kernel."""
    return (
        isinstance(transport, Connection)
        and bool(transport.connected)
        and not transport.TLS
        and not (transport.dataBuffer or transport._tempDataBuffer)  # noqa: SLF001
        and not transport.disconnecting
    )
