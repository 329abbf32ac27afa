"""The keys that sign an account's URLs (RFC 4467 §2.2), in a file of its maildir.

::

    mailhub-urlkeys 1
    F80ebefafcf9cb6e084af223a 3f6c…

One key for each mailbox that the account ever had a URL signed for, by MAILBOXID: a
mailbox that is made anew under an old name has another key, and one that is renamed keeps
its own.

Invariants:

1. A change is durable when it returns.
2. Of more than `MOST` keys the oldest go: URLs of mailboxes long forgotten stop to work.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mailhub.store.durable import Corrupt, read_file, remove, replace
from mailhub.store.files import Files

FILE: Final = b"mailhub-urlkeys"
"""Its name, in the account's maildir."""
KEY_OCTETS: Final = 32
"""Of a key: twice what RFC 4467 §2.2 demands."""
MOST: Final = 5000
"""Keys of one account."""

_HEADER: Final = b"mailhub-urlkeys 1"


def parse(octets: bytes, path: bytes = FILE) -> dict[str, bytes]:
    """Read the file's text.

    Raises:
        Corrupt: Some of it is not as we write it.
    """
    header, *lines = octets.split(b"\n")
    if header != _HEADER:
        raise Corrupt(path, "not a mailhub-urlkeys file of version 1")
    found = {}
    for line in filter(None, lines):
        try:
            mailbox, key = line.decode("ascii").split(" ")
            found[mailbox] = bytes.fromhex(key)
        except ValueError:
            raise Corrupt(path, "a line is not understood") from None
    return found


def render(keys: Mapping[str, bytes]) -> bytes:
    """The file's text."""
    lines = [f"{mailbox} {key.hex()}".encode() for mailbox, key in keys.items()]
    return b"".join(line + b"\n" for line in (_HEADER, *lines))


def load(files: Files, maildir: bytes) -> dict[str, bytes]:
    """An account's keys by MAILBOXID, the oldest first.

    Raises:
        OSError: The disk said no, or the file is not as we write it.
    """
    path = maildir + b"/" + FILE
    octets = read_file(files, path)
    if octets is None:
        return {}
    try:
        return parse(octets, path)
    except Corrupt as error:
        raise OSError(str(error)) from error


def put(files: Files, maildir: bytes, mailbox: str, fresh: bytes, *, anew: bool) -> bytes:
    """The key of a mailbox: what it has, or `fresh` where it has none or is to have it `anew`.

    Raises:
        OSError: The disk said no; nothing has changed, as far as it lets us know.
    """
    keys = load(files, maildir)
    known = keys.get(mailbox)
    if known is not None and not anew:
        return known
    keys.pop(mailbox, None)
    keys[mailbox] = fresh
    while len(keys) > MOST:
        del keys[next(iter(keys))]
    replace(files, maildir + b"/" + FILE, render(keys))
    return fresh


def clear(files: Files, maildir: bytes) -> None:
    """Forget all keys, durably."""
    remove(files, maildir + b"/" + FILE)
