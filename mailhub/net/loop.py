"""Turns of an epoll reactor, without the logging context that Twisted gives to each event.

That context names the protocol at work for the older of Twisted's two ways to log,
which we do not use, and takes longer than reading from a socket.

What is done here knows names that are Twisted's own. Where it finds others than it knows,
in a later Twisted, it leaves the reactor as it is: that costs time, and nothing else.
"""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any, Final

from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger

_TOLD: Final = ["selectable", "fd", "event"]
"""What whoever deals with an event is told."""
_log: Final = Logger()


def quicken(reactor: Any) -> bool:
    """Have the turns of a reactor be ours, if it is one whose turns we know; whether it is."""
    known = type(reactor) is EPollReactor and _as_we_know_it(reactor)
    if known:
        # Its loop asks the reactor for this method in each turn.
        vars(reactor)["doIteration"] = partial(_turn, reactor)
    return known


def _as_we_know_it(reactor: Any) -> bool:
    poll = getattr(getattr(reactor, "_poller", None), "poll", None)
    tell = getattr(reactor, "_doReadOrWrite", None)
    return (
        callable(poll)
        and isinstance(getattr(reactor, "_selectables", None), dict)
        and callable(tell)
        and list(inspect.signature(tell).parameters) == _TOLD
    )


def _turn(reactor: Any, timeout: float | None) -> None:
    """Wait for events, so many seconds at most, and tell those whom they are for."""
    known, tell = reactor._selectables, reactor._doReadOrWrite  # noqa: SLF001
    seconds = -1 if timeout is None else timeout
    for fd, event in reactor._poller.poll(seconds, len(known)):  # noqa: SLF001
        selectable = known.get(fd)  # who was told before may have closed it
        if selectable is not None:
            try:
                tell(selectable, fd, event)  # which deals with what reading or writing raises
            except Exception:  # and not with what is raised by those who hear of its end
                _log.failure("an event was not dealt with")
