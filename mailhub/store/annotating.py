r"""Annotations read and changed, by those who may (RFC 5464 §3.3).

A mailbox's special uses are its entry ``/private/specialuse`` (RFC 6154 §4): they lie with
the account's other facts about its mailboxes, and only an owner has them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final
from urllib.parse import quote

from mailhub.ports.accounts import Account
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import levels, maildir, metadata
from mailhub.store.account import AccountStore
from mailhub.store.files import Files
from mailhub.store.metadata import FILE, SERVER_FILE, SHARED
from mailhub.store.name import directory_of
from mailhub.store.placing import as_refused
from mailhub.store.sharing import Sharing
from mailhub.store.spot import Spot, no_such_mailbox
from mailhub.store.work import wholly

SPECIAL_USE: Final = "/private/specialuse"
"""RFC 6154 §4."""
USES: Final = frozenset(
    {"\\All", "\\Archive", "\\Drafts", "\\Flagged", "\\Junk", "\\Sent", "\\Trash"}
)
"""RFC 6154 §2."""


async def mailbox_entries(sharing: Sharing, spot: Spot, account: Account) -> Mapping[str, bytes]:
    """What an account may see of a mailbox's annotations.

    Raises:
        StoreRefused: No right to; NONEXISTENT; SERVER_BUG.
    """
    spot.need("l").need_any("rswip")
    directory, files = directory_of(spot.name), sharing.ground.files

    def job() -> dict[str, bytes]:
        found: dict[str, bytes] = {}
        for file in _places(files, spot, account, make=False):
            found.update(metadata.visible(files, file, account.path.key))
        uses = spot.store.profiles.get().uses.get(directory, ()) if spot.own else ()
        return {**found, SPECIAL_USE: " ".join(uses).encode()} if uses else found

    try:
        return await sharing.stores.disk.run(job)
    except OSError as error:
        raise as_refused(error) from error


async def change_mailbox(
    sharing: Sharing, spot: Spot, account: Account, changes: Mapping[str, bytes | None]
) -> None:
    """Set a mailbox's annotations, or remove those that become None.

    Raises:
        StoreRefused: No right to; NONEXISTENT; CANNOT; TOO_MANY_ENTRIES; SERVER_BUG.
    """
    spot.need("l").need_any("rswip")
    if any(name.startswith(SHARED) for name in changes):
        spot.need("w")
    rest = dict(changes)
    special = SPECIAL_USE in rest
    uses = _uses(rest.pop(SPECIAL_USE, None), spot) if special else ()
    directory, files = directory_of(spot.name), sharing.ground.files
    limit = sharing.ground.limits.annotations

    def job() -> None:
        shared_file, private_file = _places(files, spot, account, make=True)
        if special and not maildir.exists(files, _maildir(spot)):
            raise StoreRefused(StoreFault.CANNOT, "Special uses are for mailboxes")
        shared = {name: value for name, value in rest.items() if name.startswith(SHARED)}
        private = {name: value for name, value in rest.items() if name not in shared}
        if shared_file == private_file:
            shared, private = rest, {}
        for file, these in ((private_file, private), (shared_file, shared)):
            if these:
                metadata.change(files, file, account.path.key, these, limit)
        if special:
            spot.store.profiles.use(directory, uses)

    await _ordered(sharing, job)


def _places(files: Files, spot: Spot, account: Account, *, make: bool) -> tuple[bytes, bytes]:
    """The file of shared annotations and that of private ones.

    A visitor's are in one of its own, so that many visitors do not make each other's long.

    Raises:
        StoreRefused: NONEXISTENT: there is no such mailbox, nor one below.
        OSError: The disk said no.
    """
    path = _maildir(spot) + b"/" + FILE
    if not maildir.exists(files, _maildir(spot)):
        level = None
        if spot.own:
            level = levels.place(files, spot.store.path, directory_of(spot.name), make=make)
        if level is None:
            raise no_such_mailbox()
        return level, level
    if spot.own:
        return path, path
    return path, path + b"." + quote(account.path.key, safe="@+=").encode()


def _maildir(spot: Spot) -> bytes:
    return b"/".join(part for part in (spot.store.path, directory_of(spot.name)) if part)


def _uses(value: bytes | None, spot: Spot) -> tuple[str, ...]:
    """The special uses in an entry's value.

    Raises:
        StoreRefused: CANNOT: not uses that there are, or not the owner's to have (RFC 6154 §4).
    """
    if not spot.own:
        raise StoreRefused(StoreFault.CANNOT, "Special uses are the owner's to give")
    named = {use.lower(): use for use in USES}
    uses = (value or b"").decode("latin-1").split()
    if unknown := [use for use in uses if use.lower() not in named]:
        raise StoreRefused(StoreFault.CANNOT, f"No such special use: {unknown[0]}")
    return tuple(dict.fromkeys(named[use.lower()] for use in uses))


async def server_entries(sharing: Sharing, own: AccountStore) -> Mapping[str, bytes]:
    """What an account may see of the server's annotations.

    Raises:
        StoreRefused: SERVER_BUG.
    """
    files, who = sharing.ground.files, own.account.path.key

    def job() -> dict[str, bytes]:
        shared = metadata.visible(files, sharing.root + b"/" + FILE, who)
        return {**shared, **metadata.visible(files, own.path + b"/" + SERVER_FILE, who)}

    try:
        return await sharing.stores.disk.run(job)
    except OSError as error:
        raise as_refused(error) from error


async def change_server(
    sharing: Sharing, own: AccountStore, changes: Mapping[str, bytes | None], *, admin: bool
) -> None:
    """Set the server's annotations: private ones by everybody, shared ones by admins.

    Raises:
        StoreRefused: NO_PERMISSION; TOO_MANY_ENTRIES; SERVER_BUG.
    """
    shared = {name: value for name, value in changes.items() if name.startswith(SHARED)}
    private = {name: value for name, value in changes.items() if name not in shared}
    if shared and not admin:
        raise StoreRefused(
            StoreFault.NO_PERMISSION, "Shared annotations of the server are the operator's"
        )
    files, who = sharing.ground.files, own.account.path.key
    limit = sharing.ground.limits.annotations

    def job() -> None:
        if private:
            metadata.change(files, own.path + b"/" + SERVER_FILE, who, private, limit)
        if shared:
            metadata.change(files, sharing.root + b"/" + FILE, who, shared, limit)

    await _ordered(sharing, job)


async def _ordered(sharing: Sharing, job: Callable[[], None]) -> None:
    """One change at a time: files are read, changed and written whole."""
    try:
        async with sharing.annotating:
            await wholly(sharing.stores.disk, job, lambda: None)
    except FileNotFoundError:  # the mailbox was deleted meanwhile
        raise no_such_mailbox() from None
    except OSError as error:
        raise as_refused(error) from error
