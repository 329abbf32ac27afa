"""The hub's control socket: a word from the command line to the running hub.

``<state>/control`` is a Unix socket that only the hub's own user may open. A
client sends one line of JSON, ``{"do": "wake"}``, and gets one line back,
``{"ok": true, …}`` or ``{"ok": false, "error": "…"}``. What the command line
changes it changes in the databases; the socket only says that it did, so that
nothing polls and nothing depends on the socket.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any, Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver

from mailhub.config.longpath import short

Action = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""Carries out a client's JSON object; what it returns is added to the reply."""

SOCKET_NAME: Final = "control"
"""The socket's name in the state directory."""


class Control(LineOnlyReceiver):
    """One client of the socket."""

    delimiter = b"\n"
    MAX_LENGTH = 65536
    _log = Logger()
    factory: ControlFactory

    def lineReceived(self, line: bytes) -> None:
        """Carry out one request and answer it."""
        try:
            request = json.loads(line)
            action = self.factory.actions[request["do"]]
        except (ValueError, KeyError, TypeError, RecursionError):
            self._answer({"ok": False, "error": "no such request"})
            return
        try:
            self._answer({"ok": True, **action(request)})
        except Exception:
            self._log.failure("control request {request!r} failed", request=request)
            self._answer({"ok": False, "error": "failed; see the log"})

    def _answer(self, answer: Mapping[str, Any]) -> None:
        self.sendLine(json.dumps(answer).encode())


class ControlFactory(Factory):
    """Builds `Control` connections over a table of actions."""

    protocol = Control  # type: ignore[assignment]  # Twisted wants a Callable here
    noisy = False

    def __init__(self, actions: Mapping[str, Action]) -> None:
        self.actions = actions


class ControlService(Service):
    """Listens on the control socket while the hub runs.

    The socket is bound in `startService`, or in `bind` before, after twistd has
    dropped root: it must belong to the user that the hub runs as. A file left by a hub that
    was killed is removed first: a state directory belongs to one hub at a time.

    Raises:
        CannotListenError: From both: the socket cannot be made.
    """

    def __init__(self, directory: str, actions: Mapping[str, Action], reactor: Any) -> None:
        self._path = os.path.join(directory, SOCKET_NAME)
        self._factory = ControlFactory(actions)
        self._reactor = reactor
        self._port: IListeningPort | None = None
        self._address = ExitStack()  # as long as the socket is there

    def startService(self) -> None:
        """Bind the socket, if it is not bound yet."""
        super().startService()
        if self._port is None:
            self.bind()

    def bind(self) -> None:
        """Bind the socket: from here on requests wait to be answered."""
        with suppress(FileNotFoundError):
            os.unlink(self._path)
        address = self._address.enter_context(short(self._path))
        self._port = self._reactor.listenUNIX(address, self._factory, mode=0o600)

    def stopService(self) -> Deferred[None]:
        """Close it, and remove its file."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        port, self._port = self._port, None
        with self._address:
            if port is not None:
                await maybeDeferred(port.stopListening)
