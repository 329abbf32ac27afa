"""GETQUOTA, GETQUOTAROOT and SETQUOTA (RFC 9208).

An account has one quota root: the empty name to itself, its address to all others.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Final

from mailhub.imap import command as commands
from mailhub.imap.accounts import RESOURCES
from mailhub.imap.response import No, Ok, astring, string
from mailhub.imap.state import Output, State
from mailhub.ports.accounts import Quota
from mailhub.ports.store import Usage

STORAGE_UNIT: Final = 1024
"""Octets in one unit of the STORAGE resource (RFC 9208 §5.1)."""


async def get_quota(state: State, command: commands.GetQuota) -> AsyncGenerator[Output, None]:
    """GETQUOTA (RFC 9208 §4.1.1)."""
    root = _root(command.root)
    yield _response(root, await state.store.usage_of(root))
    yield Ok("Getquota completed")


async def get_quota_root(
    state: State, command: commands.GetQuotaRoot
) -> AsyncGenerator[Output, None]:
    """GETQUOTAROOT (RFC 9208 §4.1.2)."""
    name = state.name(command.mailbox)
    root = await state.store.quota_root(name)
    yield b"* QUOTAROOT %b %b\r\n" % (state.spelt(name), _shown(root))
    yield _response(root, await state.store.usage_of(root))
    yield Ok("Getquotaroot completed")


async def set_quota(state: State, command: commands.SetQuota) -> AsyncGenerator[Output, None]:
    """SETQUOTA: what is not named is unlimited (RFC 9208 §4.1.3)."""
    root, limits = _root(command.root), command.limits
    if unknown := limits.keys() - RESOURCES:
        raise No(f"{min(unknown)} cannot be limited", "CANNOT")
    octets = limits.get("STORAGE", 0) * STORAGE_UNIT
    if octets >= 1 << 63:
        raise No("Nobody has so much", "LIMIT")
    wanted = Quota(octets, limits.get("MESSAGE", 0), limits.get("MAILBOX", 0))
    await state.store.set_quota(root, wanted)
    yield _response(root, await state.store.usage_of(root))
    yield Ok("Setquota completed")


def _root(octets: bytes) -> str:
    return octets.decode("utf-8", "replace")


def _shown(root: str) -> bytes:
    return astring(root.encode()) if root else string(b"")


def _response(root: str, usage: Usage) -> bytes:
    """Only what is limited is told (RFC 9208 §4.2.1)."""
    quota, resources = usage.quota, []
    if quota.octets:
        used = -(-usage.octets // STORAGE_UNIT)
        resources.append(f"STORAGE {used} {quota.octets // STORAGE_UNIT}")
    if quota.messages:
        resources.append(f"MESSAGE {usage.messages} {quota.messages}")
    if quota.mailboxes:
        resources.append(f"MAILBOX {usage.mailboxes} {quota.mailboxes}")
    return b"* QUOTA %b (%b)\r\n" % (_shown(root), " ".join(resources).encode())
