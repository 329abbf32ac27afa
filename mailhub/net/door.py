"""A factory for a port that is bound before the hub may open its files.

twistd binds ports as root and opens everything else as the hub's own user; a
`Door` stands at the port meanwhile. Nobody can come in before it is opened: the
reactor does not run yet.
"""

from __future__ import annotations

from twisted.internet.interfaces import IAddress, IProtocol, IProtocolFactory
from twisted.internet.protocol import ServerFactory


class Door(ServerFactory):
    """Leads to the factory `behind` it, or nowhere while that is None."""

    noisy = False

    def __init__(self, name: str) -> None:
        self._name = name
        self.behind: IProtocolFactory | None = None

    def logPrefix(self) -> str:
        """What the log calls the port."""
        return self._name

    def buildProtocol(self, addr: IAddress) -> IProtocol | None:  # type: ignore[override]
        """A protocol of the factory behind; None, and the connection is closed, without one."""
        return None if self.behind is None else self.behind.buildProtocol(addr)
