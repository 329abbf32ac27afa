"""Commands on mailboxes that need not be selected (RFC 3501 §6.3)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress

from mailhub.imap import command as commands
from mailhub.imap import mutf7
from mailhub.imap.access import rights_response
from mailhub.imap.enabling import aware
from mailhub.imap.listing import Told, Wanted, patterns, response, root, rows, subscriptions
from mailhub.imap.metadata import metadata_response
from mailhub.imap.name import INBOX, SEPARATOR, composed, read
from mailhub.imap.response import No, Ok, quoted
from mailhub.imap.state import Output, State
from mailhub.mail.flag import DELETED
from mailhub.ports.store import StoreRefused


async def create(state: State, command: commands.Create) -> AsyncGenerator[Output, None]:
    """CREATE, perhaps with USE (RFC 6154 §3)."""
    # A separator at the end only announces children: not needed here      (RFC 3501 §6.3.3)
    octets = command.mailbox.removesuffix(SEPARATOR.encode())
    name = composed(state.name(octets))
    if name == INBOX:
        raise No("INBOX is always there", "ALREADYEXISTS")
    with state.by_us(name):
        await state.store.create(name, command.special_use)
    yield await _named(state, name, octets)
    yield Ok("Create completed", await _mailbox_id(state, name))


async def _mailbox_id(state: State, name: str) -> str:
    """The response code of a new mailbox (RFC 8474 §4.1); none for who may not look into it."""
    try:
        return f"MAILBOXID ({(await state.store.status(name)).mailbox_id})"
    except StoreRefused:
        return ""


async def delete(state: State, command: commands.Delete) -> AsyncGenerator[Output, None]:
    """DELETE (RFC 3501 §6.3.4)."""
    name = state.name(command.mailbox)
    if name == INBOX:
        raise No("INBOX cannot be deleted", "CANNOT")
    if state.selected is not None and state.selected.mailbox.name == name:
        await state.deselect()
    with state.by_us(name):
        await state.store.delete(name)
    yield await _named(state, name, command.mailbox)
    yield Ok("Delete completed")


async def rename(state: State, command: commands.Rename) -> AsyncGenerator[Output, None]:
    """RENAME (RFC 3501 §6.3.5)."""
    name = state.name(command.mailbox)
    octets = command.new.removesuffix(SEPARATOR.encode())
    new = composed(state.name(octets))
    if new == INBOX:
        raise No("INBOX is always there", "ALREADYEXISTS")
    with state.by_us(name, new):
        await state.store.rename(name, new)
    if await _named(state, name, command.mailbox) or await _named(state, new, octets):
        # What it is called by then comes with what it was called        (RFC 9051 §6.3.6)
        called = read(command.mailbox, utf8=state.manner.utf8)
        yield response(await state.store.list(), new, state.spelt, called)
    yield Ok("Rename completed")


async def _named(state: State, name: str, octets: bytes) -> bytes:
    """A LIST response, if a command called a mailbox otherwise than its name (RFC 9051 §6.3.9.7).

    Only clients that have enabled IMAP4rev2 know of such.
    """
    called = read(octets, utf8=state.manner.utf8)
    if state.manner.recent or called == name:
        return b""
    return response(await state.store.list(), name, state.spelt, called)


async def subscribe(state: State, command: commands.Subscribe) -> AsyncGenerator[Output, None]:
    """SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7)."""
    name = state.name(command.mailbox)
    with state.by_us(name):
        await (state.store.subscribe if command.wanted else state.store.unsubscribe)(name)
    yield Ok("Subscribe completed" if command.wanted else "Unsubscribe completed")


async def list_(state: State, command: commands.List) -> AsyncGenerator[Output, None]:
    """LIST, with RFC 5258's extensions."""
    if command.patterns == (b"",) and not command.extended:
        yield root(b"LIST")
    else:
        matches = patterns(
            command.reference, command.patterns, state.limits.name, utf8=state.manner.utf8
        )
        wanted = Wanted(matches, command.selection, command.returned, command.extended, state.spelt)
        more = bool(command.status or command.metadata or "MYRIGHTS" in command.returned)
        for batch in rows(await state.store.list(), wanted):
            if not more:
                yield b"".join(told.line for told in batch)
                continue
            for told in batch:
                yield told.line + (await _more(state, told, command) if told.asked else b"")
            yield b""
    yield Ok("List completed")


async def _more(state: State, told: Told, command: commands.List) -> bytes:
    """What is told of a mailbox behind its LIST response.

    Nothing of what cannot be had: it has gone meanwhile, or may not be read (RFC 5819 §2,
    RFC 8440 §4, RFC 9590 §3).
    """
    name, found = told.name, []
    if "MYRIGHTS" in command.returned and told.selectable:
        with suppress(StoreRefused):
            found.append(rights_response(state.spelt(name), await state.store.rights(name)))
    if command.status and told.selectable:
        with suppress(StoreRefused):
            found.append(await status_response(state, name, command.status))
    if command.metadata is not None:
        with suppress(StoreRefused):
            entries = await state.store.metadata(name)
            found.append(metadata_response(state.spelt(name), entries, command.metadata)[0])
    return b"".join(found)


async def lsub(state: State, command: commands.Lsub) -> AsyncGenerator[Output, None]:
    """LSUB (RFC 3501 §6.3.9)."""
    if command.pattern == b"":
        yield root(b"LSUB")
    else:
        listed = await state.store.list()
        for match in patterns(
            command.reference, [command.pattern], state.limits.name, utf8=state.manner.utf8
        ):
            yield b"".join(subscriptions(listed, match, state.spelt))
    yield Ok("Lsub completed")


def _told(state: State, name: str) -> bytes:
    """A name as the client is told it, without what a string needs around it."""
    return name.encode() if state.manner.utf8 else mutf7.encode(name)


async def namespace(state: State, _command: commands.Namespace) -> AsyncGenerator[Output, None]:
    """NAMESPACE: what is our own, and what others share with us (RFC 2342 §5)."""
    others = state.store.others
    shared = b'((%b "/"))' % quoted(_told(state, others)) if others else b"NIL"
    yield b'* NAMESPACE (("" "/")) %b NIL\r\n' % shared
    yield Ok("Namespace completed")


async def status(state: State, command: commands.Status) -> AsyncGenerator[Output, None]:
    """STATUS (RFC 3501 §6.3.10); of the selected mailbox too, though clients should not ask."""
    if "HIGHESTMODSEQ" in command.items:
        yield aware(state)
    yield await status_response(state, state.name(command.mailbox), command.items)
    yield Ok("Status completed")


async def status_response(state: State, name: str, items: Sequence[str]) -> bytes:
    """A STATUS response (RFC 3501 §7.2.4).

    Raises:
        StoreRefused: There is none to be had.
    """
    found = await state.store.status(name)
    values: dict[str, int | str] = {
        "MESSAGES": found.messages,
        "RECENT": found.recent,
        "UIDNEXT": found.uid_next,
        "UIDVALIDITY": found.uid_validity,
        "UNSEEN": found.unseen,
        "SIZE": found.size,
        "DELETED": found.deleted,
        "APPENDLIMIT": state.limits.append,  # the same for each mailbox          (RFC 7889 §2)
        "HIGHESTMODSEQ": found.highest_modseq,
        "MAILBOXID": f"({found.mailbox_id})",
    }
    if "DELETED-STORAGE" in items:
        values["DELETED-STORAGE"] = await _deleted_storage(state, name) if found.deleted else 0
    told = " ".join(f"{item} {values[item]}" for item in items)
    return b"* STATUS %b (%b)\r\n" % (state.spelt(name), told.encode())


async def _deleted_storage(state: State, name: str) -> int:
    """Octets that EXPUNGE would set free (RFC 9208 §4.1.4)."""
    mailbox = await state.store.open(name)
    pairs = zip(mailbox.flags, mailbox.sizes, strict=True)
    octets = sum(size for bits, size in pairs if bits & DELETED)
    await mailbox.release()
    return octets
