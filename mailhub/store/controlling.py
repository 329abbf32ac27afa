"""Access control lists read and changed, by those who may (RFC 4314 §3)."""

from __future__ import annotations

from mailhub.mail.address import parse_address
from mailhub.mail.reply import Refusal
from mailhub.mail.rights import (
    ANYONE,
    AUTHENTICATED,
    GROUP,
    NEGATIVE,
    NONE,
    OWNER,
    Acl,
    Rights,
    modified,
)
from mailhub.ports.store import StoreFault, StoreRefused
from mailhub.store import maildir
from mailhub.store.name import directory_of
from mailhub.store.placing import as_refused
from mailhub.store.sharing import Sharing
from mailhub.store.spot import Spot, no_such_mailbox
from mailhub.store.work import wholly


async def acl(sharing: Sharing, spot: Spot) -> Acl:
    """A mailbox's list, beginning with what its owner may do.

    Raises:
        StoreRefused: No right to ask; SERVER_BUG.
    """
    _must_exist(sharing, spot.need("a"))
    directory, owner = directory_of(spot.name), spot.store.account.path.key
    try:
        entries = spot.store.acls.get(directory).items()
        others = {name: given for name, given in entries if name not in (owner, OWNER)}
        return {owner: spot.store.rights(directory), **others}
    except OSError as error:
        raise as_refused(error) from error


async def change(sharing: Sharing, spot: Spot, identifier: str, letters: str | None) -> None:
    """Change an identifier's rights as SETACL says, or take it off the list (None).

    Raises:
        ValueError: A letter that is no right.
        StoreRefused: No right to; CANNOT for an identifier that means nobody; SERVER_BUG.
    """
    _must_exist(sharing, spot.need("a"))
    name = _checked(sharing, spot, identifier, known=letters is None)
    if letters is not None:
        modified(NONE, letters)
    directory = directory_of(spot.name)

    def job() -> None:
        spot.store.acls.change(directory, lambda entries: _apply(entries, name, letters))

    def after() -> None:
        sharing.recheck(spot.store)

    try:
        if letters is not None and not name.startswith(NEGATIVE):
            sharing.principals.note_sharing(spot.store.account.id, [name])
        async with sharing.annotating:
            await wholly(sharing.stores.disk, job, after)
        await sharing.relist([spot.store])
    except FileNotFoundError:  # it was deleted meanwhile
        raise no_such_mailbox() from None
    except OSError as error:
        raise as_refused(error) from error


def _apply(entries: dict[str, Rights], name: str, letters: str | None) -> None:
    """An entry without rights is none, but for an owner's, who without one may do everything."""
    given = NONE if letters is None else modified(entries.get(name, NONE), letters)
    if given or (letters is not None and name == OWNER):
        entries[name] = given
    else:
        entries.pop(name, None)


def _checked(sharing: Sharing, spot: Spot, identifier: str, *, known: bool) -> str:
    """An identifier as lists have it; one that is `known` may mean somebody who is no more.

    The owner's own address is spelt ``owner``, so that the list stays right if it moves.
    """
    sign = NEGATIVE if identifier.startswith(NEGATIVE) else ""
    name = identifier.removeprefix(NEGATIVE)
    owner = spot.store.account.path
    if name.casefold() in {ANYONE, AUTHENTICATED, OWNER}:
        return sign + name.casefold()
    if name.startswith(GROUP):
        if known or sharing.principals.is_group(name.removeprefix(GROUP)):
            return sign + name
        raise StoreRefused(StoreFault.CANNOT, "There is no such group")
    try:
        path = parse_address(name if "@" in name else f"{name}@{owner.domain}")
    except Refusal:
        raise StoreRefused(StoreFault.CANNOT, "Neither an address nor a group") from None
    if path.key == owner.key:
        return sign + OWNER
    if known or sharing.principals.account(path) is not None:
        return sign + path.key
    raise StoreRefused(StoreFault.CANNOT, "There is no such account")


def _must_exist(sharing: Sharing, spot: Spot) -> None:
    path = spot.store.path + b"/" + directory_of(spot.name)
    if not maildir.exists(sharing.ground.files, path):
        raise no_such_mailbox()
