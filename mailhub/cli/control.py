"""The command line's half of the control socket: a word to the hub, if one runs.

What the command line changes it has changed already, in the databases, when it
says so here: a hub that does not run, or does not answer, is no mistake.
"""

from __future__ import annotations

import json
import os
import socket
from typing import Any, Final

PATIENCE: Final = 5.0
"""Seconds to wait for the hub's answer."""
ANSWER_LIMIT: Final = 1 << 20
"""Octets of an answer."""
PATH_LIMIT: Final = 100
"""Octets of a socket's path that every system takes (108 on Linux, with the final NUL)."""


def ask(path: str, request: dict[str, Any], patience: float = PATIENCE) -> dict[str, Any] | None:
    """The running hub's answer to a request; None if no hub answers."""
    directory = None
    try:
        if len(os.fsencode(path)) > PATH_LIMIT:
            # A longer path is reached through its directory's descriptor.
            directory = os.open(os.path.dirname(path), os.O_RDONLY)
            path = f"/proc/self/fd/{directory}/{os.path.basename(path)}"
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(patience)
            connection.connect(path)
            connection.sendall(json.dumps(request).encode() + b"\n")
            return _answer(connection)
    except OSError:
        return None
    finally:
        if directory is not None:
            os.close(directory)


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
