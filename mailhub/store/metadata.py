"""Annotations of mailboxes and of the server (RFC 5464), in a file beside what they describe.

::

    mailhub-metadata 1
    shared /shared/comment Zm9yIGV2ZXJ5Ym9keQ==
    bob@hub.example /private/comment bXkgb3du

A mailbox's lie in its maildir, so that they are renamed and deleted with it, survive the
index, and go along when the maildir is copied elsewhere.  Each line has whose entry it is
(its address, or ``shared``), the entry's name, and its value in base64.

Invariants:

1. A change is durable when it returns, and all of it is there or none.
2. Nobody sees another's private entries.
"""

from __future__ import annotations

import binascii
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote, unquote

from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store.durable import Corrupt, read_file, remove, replace
from mailhub.store.files import Files

FILE: Final = b"mailhub-metadata"
"""Its name in a mailbox's maildir, and in the hub's state directory for the server's own."""
SERVER_FILE: Final = b"mailhub-metadata-server"
"""Its name in an account's maildir, for what the account keeps of the server."""
SHARED: Final = "/shared/"
PRIVATE: Final = "/private/"

_HEADER: Final = b"mailhub-metadata 1"
_EVERYBODY: Final = "shared"

Entries = dict[tuple[str, str], bytes]
"""Values by whose they are, and by name."""


def parse(octets: bytes, path: bytes = FILE) -> Entries:
    """Read the file's text.

    Raises:
        Corrupt: Some of it is not as we write it.
    """
    header, *lines = octets.split(b"\n")
    if header != _HEADER:
        raise Corrupt(path, "not a mailhub-metadata file of version 1")
    found: Entries = {}
    for line in filter(None, lines):
        try:
            whose, name, value = line.decode("ascii").split(" ")
            found[unquote(whose), unquote(name)] = binascii.a2b_base64(value, strict_mode=True)
        except ValueError:
            raise Corrupt(path, f"not understood: {line[:80]!r}") from None
    return found


def render(entries: Mapping[tuple[str, str], bytes]) -> bytes:
    """The file's text."""
    lines = [
        b"%b %b %b"
        % (
            quote(whose, safe="@+=").encode(),
            quote(name, safe="/").encode(),
            binascii.b2a_base64(value, newline=False),
        )
        for (whose, name), value in sorted(entries.items())
    ]
    return b"".join(line + b"\n" for line in (_HEADER, *lines))


def visible(files: Files, path: bytes, who: str) -> dict[str, bytes]:
    """What an account may see of the annotations in a file, by name.

    Raises:
        OSError: The disk said no, or the file is not as we write it.
    """
    entries = _load(files, path)
    return {name: value for (whose, name), value in entries.items() if whose in (who, _EVERYBODY)}


def change(
    files: Files, path: bytes, who: str, changes: Mapping[str, bytes | None], limit: int
) -> None:
    """Set an account's annotations and shared ones, durably; None removes one.

    Raises:
        StoreRefused: TOO_MANY_ENTRIES: more than `limit` of one kind.
        OSError: The disk said no.
    """
    entries = _load(files, path)
    before = dict(entries)
    for name, value in changes.items():
        key = (_EVERYBODY if name.startswith(SHARED) else who, name)
        if value is None:
            entries.pop(key, None)
        else:
            entries[key] = value
    for whose in (who, _EVERYBODY):
        count = sum(owner == whose for owner, _ in entries)
        if count > max(limit, sum(owner == whose for owner, _ in before)):
            raise StoreRefused(StoreFault.TOO_MANY_ENTRIES, "Too many annotations")
    if entries == before:
        return
    if entries:
        replace(files, path, render(entries))
    else:
        remove(files, path)


def copy(files: Files, account: bytes, directory: bytes) -> None:
    """Let a mailbox have INBOX's annotations too, its visitors' among them (RFC 5464 §4.1).

    Raises:
        OSError: The disk said no.
    """
    for name in files.listdir(account):
        if name == FILE or name.startswith(FILE + b"."):
            octets = read_file(files, account + b"/" + name)
            if octets is not None:
                replace(files, b"/".join((account, directory, name)), octets)


def _load(files: Files, path: bytes) -> Entries:
    octets = read_file(files, path)
    if octets is None:
        return {}
    try:
        return parse(octets, path)
    except Corrupt as error:
        raise OSError(str(error)) from error
