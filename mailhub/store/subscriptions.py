r"""An account's subscriptions, in the file that Dovecot uses too.

Version 2 begins with ``V\t2`` and an empty line, then has a name a line, its
levels separated by tabs; before Dovecot 2.2 there was no header, and levels
were separated by dots. We read both and write version 2. Levels are in modified
UTF-7. Names that do not decode are kept, and not shown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mailhub.imap.name import canonical
from mailhub.store.durable import read_file, replace, write_file
from mailhub.store.files import Files
from mailhub.store.name import INBOX, directory_of, mailbox_of

FILE: Final = b"subscriptions"
"""Its name, in the account's maildir."""

_HEADER: Final = b"V\t2"


def parse(octets: bytes) -> list[str | bytes]:
    """The names in the file, in its order; octets stand for lines that are no names."""
    header, *lines = octets.split(b"\n")
    if header != _HEADER:
        separator, lines = b".", [header, *lines]
    else:
        separator = b"\t"
    return [_name(line, separator) for line in lines if line]


def _name(line: bytes, separator: bytes) -> str | bytes:
    if line.upper() == INBOX.encode():
        return INBOX
    levels = line.split(separator)
    if separator == b"\t" and any(b"." in level for level in levels):
        return line
    name = mailbox_of(b"." + b".".join(levels))
    return line if name is None else name


def render(names: list[str | bytes]) -> bytes:
    """The file's text, version 2."""
    lines = [_HEADER, b"", *(name if isinstance(name, bytes) else _line(name) for name in names)]
    return b"".join(line + b"\n" for line in lines)


def _line(name: str) -> bytes:
    return name.encode() if name == INBOX else directory_of(name)[1:].replace(b".", b"\t")


def load(files: Files, maildir: bytes) -> list[str | bytes]:
    """An account's subscriptions."""
    return parse(read_file(files, maildir + b"/" + FILE) or b"")


def begin(files: Files, maildir: bytes, names: Sequence[str], unique: str) -> None:
    """Subscribe a new account to its first mailboxes, unless it has a file already.

    Several threads may do so at once, each with another `unique` text: they agree.

    Raises:
        OSError: The disk said no.
    """
    path = maildir + b"/" + FILE
    if read_file(files, path) is None:
        temporary = b"%b.%b" % (path, unique.encode())
        write_file(files, temporary, (render(list(names)),), sync=True)
        files.rename(temporary, path)


def change(
    files: Files, maildir: bytes, name: str, *, subscribed: bool, limit: int | None = None
) -> bool:
    """Add or take off a name, durably; False if there would be more than `limit`."""
    names = load(files, maildir)
    name = canonical(name)
    if (name in names) == subscribed:
        return True
    if subscribed and limit is not None and len(names) >= limit:
        return False
    if subscribed:
        names.append(name)
    else:
        names = [other for other in names if other != name]
    replace(files, maildir + b"/" + FILE, render(names))
    return True
