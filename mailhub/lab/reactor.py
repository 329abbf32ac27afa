"""The reactor of a hub that serves this machine's sockets and talks to a world's hosts.

Time, and connections to other hosts, are the world's; who listens, listens on the real machine.
"""

from __future__ import annotations

from typing import Any

from mailhub.sim.network import Host, HostReactor


class LabReactor(HostReactor):
    """A host's reactor with ports of the machine.

    Args:
        real: The machine's reactor.
    """

    def __init__(self, host: Host, real: Any) -> None:
        super().__init__(host)
        self._real = real

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen on a port of the machine."""
        return self._real.listenTCP(port, factory, backlog, interface)

    def listenUNIX(self, address: str, factory: Any, *arguments: Any, **words: Any) -> Any:
        """Listen on a path of the machine."""
        return self._real.listenUNIX(address, factory, *arguments, **words)

    def callFromThread(self, callable: Any, *args: object, **kw: object) -> None:  # noqa: A002
        """Call something soon, from whatever thread."""
        self._real.callFromThread(callable, *args, **kw)
