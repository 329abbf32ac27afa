r"""Annotations of levels: names that have mailboxes below them, and are none (RFC 5464 §4.1).

A level has no maildir that its annotations could lie in: they lie beside each other in a
directory of the account's, each in a file that is called as the level's maildir would be,
with a comma behind.

Invariants:

1. `settle`, after mailboxes were made, removed or renamed, leaves files of levels alone: what
   has become a mailbox has its annotations in its maildir, what is nothing any more has none.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Final

from mailhub.store import maildir, metadata
from mailhub.store.durable import read_file, remove, replace
from mailhub.store.files import Files
from mailhub.store.name import mailbox_of

DIRECTORY: Final = b"mailhub-levels"
"""Its name in the account's maildir."""


def place(files: Files, account: bytes, directory: bytes, *, make: bool) -> bytes | None:
    """The file of a level's annotations, whether there are any or not; None if it is no level.

    To write it have the directory that it lies in made.

    Raises:
        OSError: The disk said no.
    """
    below = (name for name in files.listdir(account) if name.startswith(directory + b"."))
    if not any(mailbox_of(it) and maildir.exists(files, account + b"/" + it) for it in below):
        return None
    if make:
        with suppress(FileExistsError):
            files.mkdir(account + b"/" + DIRECTORY, maildir.DIRECTORY_MODE)
    return _file(account, directory)


def settle(files: Files, account: bytes) -> None:
    """Let go of annotations of what is no level any more.

    Raises:
        OSError: The disk said no.
    """
    kept = _kept(files, account)
    mailboxes = maildir.directories(files, account) if kept else ()
    for directory in kept:
        file = _file(account, directory)
        if directory in mailboxes:
            octets = read_file(files, file)
            if octets is not None:
                replace(files, b"/".join((account, directory, metadata.FILE)), octets)
            remove(files, file)
        elif not any(other.startswith(directory + b".") for other in mailboxes):
            remove(files, file)


def rename(files: Files, account: bytes, old: bytes, new: bytes) -> None:
    """Let annotations follow a level, and levels below what was renamed.

    Raises:
        OSError: The disk said no.
    """
    for directory in _kept(files, account):
        if directory == old or directory.startswith(old + b"."):
            renamed = new + directory.removeprefix(old)
            files.rename(_file(account, directory), _file(account, renamed))


def _kept(files: Files, account: bytes) -> list[bytes]:
    """The levels that have annotations."""
    try:
        names = files.listdir(account + b"/" + DIRECTORY)
    except FileNotFoundError:
        return []
    return [name[:-1] for name in names if name.endswith(b",")]


def _file(account: bytes, directory: bytes) -> bytes:
    return b"/".join((account, DIRECTORY, directory + b","))
