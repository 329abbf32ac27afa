"""One hub at a time in a state directory.

The lock is the kernel's, on a file: it ends with the process that holds it,
however that ends, and the file that is left means nothing.
"""

from __future__ import annotations

import fcntl
import os
import weakref
from typing import Final

NAME: Final = "lock"
"""The file in the state directory. It holds the process id of whoever had the lock last."""


class InUse(Exception):
    """Another process holds the lock; the text is one line for the operator."""


class StateLock:
    """The right to use a state directory."""

    def __init__(self, directory: str) -> None:
        self._directory = directory
        self._held: weakref.finalize[..., StateLock] | None = None

    def take(self) -> None:
        """Have the lock from here on; nothing happens where we have it already.

        Not to be called before a fork: parent and child would both have it.

        Raises:
            InUse: Somebody else has it.
            OSError: The file cannot be made.
        """
        if self._held is not None:
            return
        path = os.path.join(self._directory, NAME)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(descriptor, 0)
            os.write(descriptor, b"%d\n" % os.getpid())
        except BlockingIOError:
            holder = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            text = f"{self._directory} is in use by another mailhub (pid {holder})"
            raise InUse(text) from None
        except OSError as error:
            os.close(descriptor)
            raise OSError(error.errno, error.strerror, path) from None
        self._held = weakref.finalize(self, os.close, descriptor)

    def release(self) -> None:
        """Let others have it."""
        if self._held is not None:
            self._held()
            self._held = None
