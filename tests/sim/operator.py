"""An operator who changes the queue of a hub, as `mailhub queue` does: in its database."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing, suppress
from functools import wraps
from typing import Concatenate, ParamSpec, cast

from twisted.internet.protocol import Protocol

from mailhub.mail.address import parse_address
from mailhub.net.control import SOCKET_NAME
from mailhub.ports.outgoing import QueueId
from mailhub.queue.amend import START, At
from mailhub.queue.change import Amend, Cancel, Edit, Hold, Release, Reroute, Select
from mailhub.queue.spool import Spool
from mailhub.sim import evidence
from mailhub.sim.hub import SimHub
from mailhub.sim.judge import Judge, id_of
from tests.sim.machines import Client

_SOON = 1.0
"""Seconds behind its waking that he finds a machine to work."""


class _Word(Protocol):
    """Says one thing to the hub."""

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(json.dumps({"do": "wake"}).encode() + b"\n")

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.loseConnection()


P = ParamSpec("P")


Deed = Callable[Concatenate["Operator", P], None]


def _awake(deed: Deed[P]) -> Deed[P]:
    """What an operator does on a machine that sleeps is done when it wakes."""

    @wraps(deed)
    def done(self: Operator, *arguments: P.args, **words: P.kwargs) -> None:
        hub = self._hub
        if hub.host.life.wakes > hub.world.now:
            hub.world.at(hub.host.life.wakes - hub.world.start + _SOON, done, self, *arguments)
        else:
            deed(self, *arguments, **words)

    return cast("Deed[P]", done)


class Operator:
    """One of a hub's."""

    def __init__(self, judge: Judge, hub: SimHub) -> None:
        self._judge = judge
        self._hub = hub

    @_awake
    def drop(self, name: str) -> None:
        """Remove a message; it may be on its way."""
        for queue_id in self._ids(name):
            self._judge.cancelled(name)
            if self._amend(Cancel(Select(queue_ids=(queue_id,)), self._hub.host.now())):
                self._judge.cancelled(name, surely=self._hub)

    @_awake
    def hold(self, name: str) -> None:
        """Keep a message."""
        for queue_id in self._ids(name):
            self._amend(Hold(Select(queue_ids=(queue_id,)), "to look at it"))

    @_awake
    def release(self, select: Select) -> None:
        """Let messages go."""
        self._amend(Release(select, self._hub.host.now()))

    @_awake
    def reroute(self, name: str, route: str) -> None:
        """Send a message another way."""
        for queue_id in self._ids(name):
            self._amend(Reroute(Select(queue_ids=(queue_id,)), route, self._hub.host.now()))

    @_awake
    def edit(self, name: str, old: str, new: str) -> None:
        """Correct a recipient."""
        for queue_id in self._ids(name):
            with closing(self._spool()) as spool:
                item = spool.load(queue_id)
                assert item is not None, "it waits"
                paths = [str(each.path) for each in item.envelope.recipients]
                if old not in paths:
                    continue
                self._judge.edited(name, old, new)
                change = Edit(
                    queue_id, paths.index(old), parse_address(new), None, self._hub.host.now()
                )
                with suppress(OSError):  # the disk says no
                    spool.edit(change)
            self._wake()

    # ---- What they share -------------------------------------------------------------------

    def _spool(self) -> Spool:
        hub = self._hub
        return Spool(hub.settings.hub.spool, connect=hub.disk.connect, system=hub.disk)

    def _ids(self, name: str) -> list[QueueId]:
        """Where a message waits, if the machine runs."""
        if self._hub.hub is None:
            return []
        waits = evidence.waiting(self._hub)
        return list(dict.fromkeys(it.queue_id for it in waits if it.key[0] == id_of(name)))

    def _amend(self, change: Amend) -> bool:
        """Change the queue; whether it was still the same life of the machine afterwards."""
        hub = self._hub
        if hub.hub is None:
            return False
        life, at = hub.host.life, START
        try:
            with closing(self._spool()) as spool:
                where: At | None = at
                while where is not None:
                    _, where = spool.amend(change, where)
        except OSError:
            return False
        if hub.host.life is not life:
            return False
        self._wake()
        return True

    def _wake(self) -> None:
        host = self._hub.host
        host.reactor.connectUNIX(f"{self._hub.state}/{SOCKET_NAME}", Client(_Word()))
