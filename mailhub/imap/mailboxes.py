"""Commands on mailboxes that need not be selected (RFC 3501 §6.3), and QUOTA (RFC 9208)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import Final

from mailhub.imap import command as commands
from mailhub.imap.enabling import aware
from mailhub.imap.listing import Told, Wanted, patterns, root, rows, subscriptions
from mailhub.imap.name import INBOX, SEPARATOR, encoded
from mailhub.imap.response import No, Ok, astring
from mailhub.imap.state import Output, State
from mailhub.mail.flag import DELETED
from mailhub.ports import StoreRefused, Usage

QUOTA_ROOT: Final = b""
"""An account has one quota root, and its name is empty (RFC 9208 §3.1)."""
STORAGE_UNIT: Final = 1024
"""Octets in one unit of the STORAGE resource (RFC 9208 §5.1)."""


async def create(state: State, command: commands.Create) -> AsyncGenerator[Output, None]:
    """CREATE, perhaps with USE (RFC 6154 §3)."""
    # A separator at the end only announces children: not needed here      (RFC 3501 §6.3.3)
    octets = command.mailbox.removesuffix(SEPARATOR.encode())
    name = state.name(octets)
    if name == INBOX:
        raise No("INBOX is always there", "ALREADYEXISTS")
    await state.store.create(name, command.special_use)
    yield Ok("Create completed")


async def delete(state: State, command: commands.Delete) -> AsyncGenerator[Output, None]:
    """DELETE (RFC 3501 §6.3.4)."""
    name = state.name(command.mailbox)
    if name == INBOX:
        raise No("INBOX cannot be deleted", "CANNOT")
    if state.selected is not None and state.selected.mailbox.name == name:
        await state.deselect()
    await state.store.delete(name)
    yield Ok("Delete completed")


async def rename(state: State, command: commands.Rename) -> AsyncGenerator[Output, None]:
    """RENAME (RFC 3501 §6.3.5)."""
    name = state.name(command.mailbox)
    new = state.name(command.new.removesuffix(SEPARATOR.encode()))
    if new == INBOX:
        raise No("INBOX is always there", "ALREADYEXISTS")
    await state.store.rename(name, new)
    yield Ok("Rename completed")


async def subscribe(state: State, command: commands.Subscribe) -> AsyncGenerator[Output, None]:
    """SUBSCRIBE and UNSUBSCRIBE (RFC 3501 §6.3.6, §6.3.7)."""
    name = state.name(command.mailbox)
    if command.wanted:
        await state.store.subscribe(name)
        yield Ok("Subscribe completed")
    else:
        await state.store.unsubscribe(name)
        yield Ok("Unsubscribe completed")


async def list_(state: State, command: commands.List) -> AsyncGenerator[Output, None]:
    """LIST, with RFC 5258's extensions."""
    if command.patterns == (b"",) and not command.extended:
        yield root(b"LIST")
    else:
        matches = patterns(command.reference, command.patterns, state.limits.name)
        wanted = Wanted(matches, command.selection, command.returned, command.extended)
        for batch in rows(await state.store.list(), wanted):
            if not command.status:
                yield b"".join(told.line for told in batch)
                continue
            for told in batch:
                yield told.line + await _listed_status(state, told, command.status)
            yield b""
    yield Ok("List completed")


async def _listed_status(state: State, told: Told, items: Sequence[str]) -> bytes:
    """A mailbox's STATUS behind its LIST response; none where there can be none (RFC 5819 §2)."""
    if not told.asked:
        return b""
    try:
        return await status_response(state, told.name, items)
    except StoreRefused:
        return b""  # it has gone meanwhile, or may not be read


async def lsub(state: State, command: commands.Lsub) -> AsyncGenerator[Output, None]:
    """LSUB (RFC 3501 §6.3.9)."""
    if command.pattern == b"":
        yield root(b"LSUB")
    else:
        listed = await state.store.list()
        for match in patterns(command.reference, [command.pattern], state.limits.name):
            yield b"".join(subscriptions(listed, match))
    yield Ok("Lsub completed")


async def namespace(_state: State, _command: commands.Namespace) -> AsyncGenerator[Output, None]:
    """NAMESPACE: everything is personal (RFC 2342 §5)."""
    yield b'* NAMESPACE (("" "/")) NIL NIL\r\n'
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
    return b"* STATUS %b (%b)\r\n" % (encoded(name), told.encode())


async def _deleted_storage(state: State, name: str) -> int:
    """Octets that EXPUNGE would set free (RFC 9208 §4.1.4)."""
    mailbox = await state.store.open(name)
    pairs = zip(mailbox.flags, mailbox.sizes, strict=True)
    octets = sum(size for bits, size in pairs if bits & DELETED)
    await mailbox.release()
    return octets


async def get_quota(state: State, command: commands.GetQuota) -> AsyncGenerator[Output, None]:
    """GETQUOTA (RFC 9208 §4.1.1)."""
    if command.root != QUOTA_ROOT:
        raise No("No such quota root", "NONEXISTENT")
    yield _quota(await state.store.usage())
    yield Ok("Getquota completed")


async def get_quota_root(
    state: State, command: commands.GetQuotaRoot
) -> AsyncGenerator[Output, None]:
    """GETQUOTAROOT (RFC 9208 §4.1.2)."""
    name = state.name(command.mailbox)
    if not any(row.name == name for row in await state.store.list()):
        raise No("No such mailbox", "NONEXISTENT")
    yield b"* QUOTAROOT %b %b\r\n" % (encoded(name), astring(QUOTA_ROOT) or b'""')
    yield _quota(await state.store.usage())
    yield Ok("Getquotaroot completed")


async def set_quota(_state: State, _command: commands.SetQuota) -> AsyncGenerator[Output, None]:
    """SETQUOTA is the operator's (RFC 9208 §4.1.3)."""
    raise No("Quotas are set by the operator", "NOPERM")
    yield b""


def _quota(usage: Usage) -> bytes:
    """Only what is limited is told (RFC 9208 §4.2.1)."""
    resources = []
    if usage.quota.octets:
        used = -(-usage.octets // STORAGE_UNIT)
        resources.append(f"STORAGE {used} {usage.quota.octets // STORAGE_UNIT}")
    if usage.quota.messages:
        resources.append(f"MESSAGE {usage.messages} {usage.quota.messages}")
    return b'* QUOTA "" (%b)\r\n' % " ".join(resources).encode()
