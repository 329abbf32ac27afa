r"""Access control lists as they lie on disk: Dovecot's ``dovecot-acl``, in each mailbox's maildir.

::

    owner lrwstipekxa
    user=bob@hub.example lr
    group=team lrs
    -user=eve@hub.example a

The file is the truth, and both programs read it; a mailbox without one is its owner's
alone.  Lines that mean nothing to us grant nothing, and stay.

Invariants:

1. A list is read anew whenever its file has changed, whoever changed it.
2. A change is durable when it returns, and all of it is there or none.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from mailhub.mail.rights import (
    ALL,
    ANYONE,
    AUTHENTICATED,
    GROUP,
    NEGATIVE,
    OWNER,
    Acl,
    Rights,
    rights,
    union,
)
from mailhub.store.durable import read_file, remove, replace
from mailhub.store.files import Files

FILE: Final = b"dovecot-acl"
EMPTY: Final[Acl] = MappingProxyType({})

_USER: Final = "user="
_GROUP: Final = "group="
_ALIASES: Final = {"anonymous": ANYONE}
_PLAIN: Final = frozenset({ANYONE, AUTHENTICATED, OWNER})
_LINE: Final = re.compile(r'(-?)(?:"((?:[^"\\]|\\.)*)"|(\S+))(?: +([A-Za-z]*)(?::(.*))?)?')
_ESCAPED: Final = re.compile(r"\\(.)")
_WORDS: Final[Mapping[str, str]] = {
    "lookup": "l",
    "read": "r",
    "write-seen": "s",
    "write": "w",
    "insert": "i",
    "post": "p",
    "create": "k",
    "delete": "x",
    "write-deleted": "t",
    "expunge": "e",
    "admin": "a",
}
"""Dovecot's names of rights, which a line may have behind a colon."""


def parse(octets: bytes, domain: str) -> tuple[dict[str, Rights], list[str]]:
    """A list, and the lines that mean nothing to us; users without a domain are in `domain`."""
    found: dict[str, Rights] = {}
    others = []
    for line in octets.decode("utf-8", "surrogateescape").splitlines():
        entry = _LINE.fullmatch(line.strip())
        identifier = _identifier(entry, domain) if entry is not None else None
        if entry is None or identifier is None:
            others.append(line)
            continue
        words = (entry[5] or "").split()
        letters = (entry[4] or "") + "".join(_WORDS.get(word, "") for word in words)
        known = rights(letter for letter in letters if letter in ALL)
        found[identifier] = union(found.get(identifier, ""), known)
    return found, others


def _identifier(entry: re.Match[str], domain: str) -> str | None:
    """A line's identifier as it is spelt on the wire."""
    sign = entry[1]
    name = entry[3] if entry[2] is None else _ESCAPED.sub(r"\1", entry[2])
    name = _ALIASES.get(name, name)
    if name in _PLAIN:
        return sign + name
    if name.startswith(_USER):
        user = name.removeprefix(_USER)
        return sign + (user if "@" in user else f"{user}@{domain}").casefold()
    if name.startswith(_GROUP):
        return sign + GROUP + name.removeprefix(_GROUP)
    return None


def render(acl: Acl, others: list[str]) -> bytes:
    """The file's text."""
    lines = [*others, *(f"{_spelt(name)} {given}" for name, given in acl.items())]
    return "".join(line + "\n" for line in lines).encode("utf-8", "surrogateescape")


def _spelt(identifier: str) -> str:
    sign = NEGATIVE if identifier.startswith(NEGATIVE) else ""
    name = identifier.removeprefix(NEGATIVE)
    if name.startswith(GROUP):
        name = _GROUP + name.removeprefix(GROUP)
    elif name not in _PLAIN:
        name = _USER + name
    if re.search(r'[\s"\\]', name):
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return sign + name


class Acls:
    """The lists of one account's mailboxes, by directory.

    Args:
        domain: The owner's.
    """

    def __init__(self, files: Files, account: bytes, domain: str) -> None:
        self._files = files
        self._account = account
        self._domain = domain
        self._kept: dict[bytes, tuple[object, Acl]] = {}

    def get(self, directory: bytes) -> Acl:
        """A mailbox's list: one stat(2), and a small file to read where it has changed.

        Raises:
            OSError: The disk said no; nobody but its owner may count on anything.
        """
        path = self._path(directory)
        try:
            status = self._files.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            self._kept.pop(directory, None)
            return EMPTY
        stamp = (status.st_mtime_ns, status.st_ino, status.st_size)
        kept = self._kept.get(directory)
        if kept is None or kept[0] != stamp:
            acl, _ = parse(read_file(self._files, path) or b"", self._domain)
            kept = self._kept[directory] = (stamp, acl)
        return kept[1]

    def change(self, directory: bytes, change: Callable[[dict[str, Rights]], None]) -> None:
        """Change a mailbox's list durably. Blocking.

        Raises:
            OSError: The disk said no; the list is as it was.
        """
        path = self._path(directory)
        acl, others = parse(read_file(self._files, path) or b"", self._domain)
        change(acl)
        if acl or others:
            replace(self._files, path, render(acl, others))
        else:
            remove(self._files, path)
        self._kept.pop(directory, None)

    def inherit(self, directory: bytes, parent: bytes) -> None:
        """Give a new mailbox the list of the one above it (RFC 4314 §4). Blocking.

        Raises:
            OSError: The disk said no.
        """
        octets = read_file(self._files, self._path(parent))
        if octets is not None:
            replace(self._files, self._path(directory), octets)

    def _path(self, directory: bytes) -> bytes:
        return b"/".join((self._account, directory, FILE) if directory else (self._account, FILE))
