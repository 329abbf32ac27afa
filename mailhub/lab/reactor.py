"""The reactor of a hub that serves this machine's sockets and talks to a world's hosts.

Time, and connections to other hosts, are the world's; who listens, listens on the real machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from mailhub.sim.network import Host, HostReactor

_NONE: Final[Mapping[int, int]] = {}


class LabReactor(HostReactor):
    """A host's reactor with ports of the machine.

    Args:
        real: The machine's reactor.
        also: Ports of the machine that the world's hosts reach too, each by another number.
    """

    def __init__(self, host: Host, real: Any, also: Mapping[int, int] = _NONE) -> None:
        super().__init__(host)
        self._real = real
        self._also = also

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen on a port of the machine, and perhaps on one of the world's host."""
        if port in self._also:
            super().listenTCP(self._also[port], factory)
        return self._real.listenTCP(port, factory, backlog, interface)

    def listenUNIX(self, address: str, factory: Any, *arguments: Any, **words: Any) -> Any:
        """Listen on a path of the machine."""
        return self._real.listenUNIX(address, factory, *arguments, **words)

    def callFromThread(self, callable: Any, *args: object, **kw: object) -> None:  # noqa: A002
        """Call something soon, from whatever thread."""
        self._real.callFromThread(callable, *args, **kw)
