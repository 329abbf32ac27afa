"""The operating system's calls that the store makes, in one place.

A test hands in a `Files` of its own, and makes any call fail. Paths are octets:
what another program put into a maildir need not be text.
"""

from __future__ import annotations

import ctypes
import errno
import os
import sqlite3
from collections.abc import Callable
from typing import Final


class Files:
    """`os`, as far as the store uses it."""

    open = staticmethod(os.open)
    close = staticmethod(os.close)
    read = staticmethod(os.read)
    pread = staticmethod(os.pread)
    write = staticmethod(os.write)
    fsync = staticmethod(os.fsync)
    fdatasync = staticmethod(getattr(os, "fdatasync", os.fsync))
    rename = staticmethod(os.rename)
    link = staticmethod(os.link)
    unlink = staticmethod(os.unlink)
    mkdir = staticmethod(os.mkdir)
    rmdir = staticmethod(os.rmdir)
    stat = staticmethod(os.stat)
    fstat = staticmethod(os.fstat)
    utime = staticmethod(os.utime)
    makedirs = staticmethod(os.makedirs)
    connect = staticmethod(sqlite3.connect)

    def listdir(self, path: bytes) -> list[bytes]:
        """The names in a directory, in no order."""
        return os.listdir(path)

    def syncfs(self, descriptor: int) -> bool:
        """Make all of a file system durable; False where the system cannot.

        Raises:
            OSError: Something could not be written; since Linux 5.8 this also
                tells of pages whose write failed earlier.
        """
        if _SYNCFS is None:
            return False
        if _SYNCFS(descriptor) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
        return True


def _find_syncfs() -> Callable[[int], int] | None:
    try:
        function: Callable[[int], int] = ctypes.CDLL(None, use_errno=True).syncfs
    except (OSError, AttributeError):
        return None
    return function


_SYNCFS: Final = _find_syncfs()
"""syncfs(2), if this is Linux."""

CANNOT_LINK: Final = frozenset(
    {errno.EXDEV, errno.EMLINK, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS}
)
"""Errors of link(2) that mean: copy it instead."""
