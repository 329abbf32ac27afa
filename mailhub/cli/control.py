"""The command line's half of the control socket: a word to the hub, if one runs.

What the command line changes it has changed already, in the databases, when it
says so here: a hub that does not run, or does not answer, is no mistake.
"""

from __future__ import annotations

import json
import socket
from typing import Any, Final

from mailhub.config.longpath import short

PATIENCE: Final = 5.0
"""Seconds to wait for the hub's answer."""
ANSWER_LIMIT: Final = 1 << 20
"""Octets of an answer."""


def ask(path: str, request: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any] | None:
    """The running hub's answer to a request; None if no hub answers."""
    try:
        with short(path) as address, socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(patience)
            connection.connect(address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _answer(connection)
    except OSError:
        return None


def wake(path: str) -> bool:
    """Tell the hub that the queue has changed; whether one was told."""
    return ask(path, {"do": "wake"}) is not None


def _answer(connection: socket.socket) -> dict[str, Any] | None:
    heard = b""
    while not heard.endswith(b"\n") and len(heard) < ANSWER_LIMIT:
        octets = connection.recv(65536)
        if not octets:
            break
        heard += octets
    try:
        answer = json.loads(heard)
    except ValueError:
        return None
    return answer if isinstance(answer, dict) else None
