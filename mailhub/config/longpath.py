"""Unix sockets whose path is longer than an address may be."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LIMIT: Final = 100
"""Octets of a socket's path that every system takes (Linux 107, others less)."""


@contextmanager
def short(path: str) -> Iterator[str]:
    """A path that is short enough for a socket and means the same, while in the ``with``.

    A longer one is reached through its directory's descriptor.

    Raises:
        OSError: The directory cannot be opened.
    """
    if len(os.fsencode(path)) <= LIMIT:
        yield path
        return
    directory = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield f"/proc/self/fd/{directory}/{os.path.basename(path)}"
    finally:
        os.close(directory)
