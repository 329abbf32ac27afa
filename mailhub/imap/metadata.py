"""GETMETADATA and SETMETADATA: annotations of mailboxes and of the server (RFC 5464)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence

from mailhub.imap import command as commands
from mailhub.imap.command import Asked
from mailhub.imap.response import No, Ok, astring, literal8, string
from mailhub.imap.state import Output, State


async def get_metadata(state: State, command: commands.GetMetadata) -> AsyncGenerator[Output, None]:
    """GETMETADATA (RFC 5464 §4.2)."""
    name = _name(state, command.mailbox)
    entries = await state.store.metadata(name)
    response, longest = metadata_response(_shown(state, name), entries, command.asked)
    yield response
    # Values that were too long for the client are left out, and counted    (RFC 5464 §4.2.1)
    yield Ok("Getmetadata completed", f"METADATA LONGENTRIES {longest}" if longest else "")


async def set_metadata(state: State, command: commands.SetMetadata) -> AsyncGenerator[Output, None]:
    """SETMETADATA: all or nothing (RFC 5464 §4.3)."""
    name, limit = _name(state, command.mailbox), state.limits.annotation
    if any(len(value or b"") > limit for value in command.changes.values()):
        raise No("The value is too long", f"METADATA MAXSIZE {limit}")
    with state.by_us(name):
        await state.store.set_metadata(name, command.changes)
    yield Ok("Setmetadata completed")


def metadata_response(name: bytes, entries: Mapping[str, bytes], asked: Asked) -> tuple[bytes, int]:
    """The METADATA response with values (RFC 5464 §4.4.1), and the longest that was left out.

    An entry that was asked for by its own name and is not there is NIL.
    """
    found, longest = [], 0
    for entry in _wanted(entries, asked):
        value = entries.get(entry)
        if value is not None and asked.longest is not None and len(value) > asked.longest:
            longest = max(longest, len(value))
        else:
            found.append(b"%b %b" % (astring(entry.encode()), _value(value)))
    if not found:
        return b"", longest
    return b"* METADATA %b (%b)\r\n" % (name, b" ".join(found)), longest


def _wanted(entries: Mapping[str, bytes], asked: Asked) -> Iterator[str]:
    """Names of entries, each once: those asked for, and as far below them as was asked."""
    told: set[str] = set()
    for top in asked.entries:
        below = sorted(
            entry
            for entry in entries
            if asked.depth != 0
            and entry.startswith(top + "/")
            and (asked.depth is None or entry.count("/") == top.count("/") + 1)
        )
        itself = [top] if top in entries or asked.depth == 0 else []
        for entry in (*itself, *below):
            if entry not in told:
                told.add(entry)
                yield entry


def tell(state: State) -> Iterator[bytes]:
    """Tell the client whose annotations others have changed, if it asked for that."""
    while state.annotated:
        name = next(iter(state.annotated))
        yield changed_response(_shown(state, name), list(state.annotated.pop(name)))


def changed_response(name: bytes, entries: Sequence[str]) -> bytes:
    """The METADATA response that tells of changes without values (RFC 5464 §4.4.2)."""
    return b"* METADATA %b %b\r\n" % (
        name,
        b" ".join(astring(entry.encode()) for entry in entries),
    )


def _value(value: bytes | None) -> bytes:
    if value is None:
        return b"NIL"
    return literal8(value) if b"\0" in value else string(value)


def _name(state: State, octets: bytes) -> str:
    """A mailbox's name; empty for the server (RFC 5464 §4.2)."""
    return state.name(octets) if octets else ""


def _shown(state: State, name: str) -> bytes:
    return state.spelt(name) if name else string(b"")
