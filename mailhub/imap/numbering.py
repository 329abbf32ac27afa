"""Which commands speak of messages by their sequence numbers.

Amid those no EXPUNGE may be told, for it would change what the numbers mean (RFC 3501
§7.4.1, RFC 7162 §3.2.10); who has enabled UIDONLY may not use them at all (RFC 9586 §3).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass

from mailhub.imap import command as commands
from mailhub.imap.command import Command
from mailhub.imap.criteria import Numbers


def numbered(command: Command) -> bool:
    """Whether a command names messages by number, or is answered so."""
    return not getattr(command, "by_uid", True) or _numbered_key(command)


def barred(command: Command) -> bool:
    """Whether a client that has enabled UIDONLY may not say it (RFC 9586 §3)."""
    if isinstance(command, commands.Select):
        resync = command.how.resync
        return resync is not None and resync.numbers is not None
    return numbered(command)


def settled(command: Command) -> bool:
    """Whether numbers must mean the same from its first response to its last."""
    moves = (commands.Copy, commands.Replace)
    return not isinstance(command, moves) and numbered(command)


def _numbered_key(command: Command) -> bool:
    """Whether a SEARCH program holds sequence numbers; ``$`` is a set of UIDs (RFC 5182 §2.1)."""
    program = getattr(command, "program", None)
    return any(isinstance(key, Numbers) and not key.numbers.saved for key in _keys(program))


def _keys(key: object) -> Iterator[object]:
    yield key
    inner = key if isinstance(key, tuple) else ()
    if is_dataclass(key) and not isinstance(key, Numbers):
        inner = tuple(getattr(key, field.name) for field in fields(key))
    for each in inner:
        yield from _keys(each)
