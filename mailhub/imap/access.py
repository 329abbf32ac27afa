"""SETACL, DELETEACL, GETACL, LISTRIGHTS and MYRIGHTS (RFC 4314 §3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from mailhub.imap import command as commands
from mailhub.imap.response import Bad, Ok, astring, string
from mailhub.imap.state import Output, State
from mailhub.mail.rights import ALL, OWNER, OWNERS, VIRTUAL, Rights, shown


async def set_acl(state: State, command: commands.SetAcl) -> AsyncGenerator[Output, None]:
    """SETACL, and DELETEACL."""
    name, identifier = state.name(command.mailbox), _identifier(command.identifier)
    if command.change is None:
        await state.store.delete_acl(name, identifier)
        yield Ok("Deleteacl completed")
        return
    try:
        await state.store.set_acl(name, identifier, command.change.decode("latin-1"))
    except ValueError as error:
        raise Bad(f"No such right: {error}") from None  # RFC 4314 §3.1
    yield Ok("Setacl completed")


async def get_acl(state: State, command: commands.GetAcl) -> AsyncGenerator[Output, None]:
    """GETACL."""
    name = state.name(command.mailbox)
    entries = [
        b" %b %b" % (astring(identifier.encode()), _rights(given))
        for identifier, given in (await state.store.acl(name)).items()
    ]
    yield b"* ACL %b%b\r\n" % (state.spelt(name), b"".join(entries))
    yield Ok("Getacl completed")


async def list_rights(state: State, command: commands.ListRights) -> AsyncGenerator[Output, None]:
    """LISTRIGHTS: an owner has some whatever the list says, and all others none."""
    name, identifier = state.name(command.mailbox), _identifier(command.identifier)
    owner = await state.store.owned(name)
    always = OWNERS if identifier.casefold() in (owner, OWNER) else ""
    each = [letter for letter in (*ALL, *VIRTUAL) if letter not in always]
    yield b"* LISTRIGHTS %b %b %b %b\r\n" % (
        state.spelt(name),
        astring(identifier.encode()),
        _rights(Rights(always)),
        " ".join(each).encode(),
    )
    yield Ok("Listrights completed")


async def my_rights(state: State, command: commands.MyRights) -> AsyncGenerator[Output, None]:
    """MYRIGHTS."""
    name = state.name(command.mailbox)
    yield rights_response(state.spelt(name), await state.store.rights(name))
    yield Ok("Myrights completed")


def rights_response(name: bytes, rights: Rights) -> bytes:
    """The MYRIGHTS response (RFC 4314 §3.8), of a name as the client is told it."""
    return b"* MYRIGHTS %b %b\r\n" % (name, _rights(rights))


def _rights(rights: Rights) -> bytes:
    return shown(rights).encode() or string(b"")


def _identifier(octets: bytes) -> str:
    """Identifiers are UTF-8 (RFC 4314 §3)."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        raise Bad("An identifier is UTF-8") from None
    if not text or not text.isprintable():
        raise Bad("Not an identifier")
    return text
