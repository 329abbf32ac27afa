"""Turns of an epoll reactor, without the logging context that Twisted gives to each event.

That context names the protocol at work for the older of Twisted's two ways to log,
which we do not use, and takes longer than reading from a socket.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from twisted.internet.epollreactor import EPollReactor


def quicken(reactor: Any) -> None:
    """Have the turns of a reactor be ours, if it is one whose turns we know."""
    if type(reactor) is EPollReactor:
        # Its loop asks the reactor for this method in each turn.
        vars(reactor)["doIteration"] = partial(_turn, reactor)


def _turn(reactor: Any, timeout: float | None) -> None:
    """Wait for events, so many seconds at most, and tell those whom they are for."""
    known, tell = reactor._selectables, reactor._doReadOrWrite  # noqa: SLF001
    seconds = -1 if timeout is None else timeout
    for fd, event in reactor._poller.poll(seconds, len(known)):  # noqa: SLF001
        selectable = known.get(fd)  # who was told before may have closed it
        if selectable is not None:
            tell(selectable, fd, event)  # which deals with whatever is raised there
