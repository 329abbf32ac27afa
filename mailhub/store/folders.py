"""The directories of an account's mailboxes: listed, removed, renamed. Blocking."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from mailhub.ports.store import Listed, StoreFault, StoreRefused
from mailhub.store import maildir, quota, subscriptions, uidlist
from mailhub.store.durable import Corrupt, sync_directory
from mailhub.store.files import Files
from mailhub.store.ground import Ground
from mailhub.store.guess import special_uses
from mailhub.store.index import Index, IndexLost
from mailhub.store.name import INBOX, SEPARATOR, checked, directory_of, mailbox_of, parents
from mailhub.store.profile import Profiles


def names(files: Files, account: bytes) -> list[str]:
    """The names of an account's mailboxes."""
    found = (mailbox_of(directory) for directory in maildir.directories(files, account))
    return [name for name in found if name is not None]


def listed(files: Files, account: bytes, uses: Mapping[bytes, tuple[str, ...]]) -> Sequence[Listed]:
    """Every mailbox, every level above one, every subscription, in order of names."""
    there = set(names(files, account))
    used = {mailbox_of(directory): these for directory, these in uses.items()}
    subscribed = {name for name in subscriptions.load(files, account) if isinstance(name, str)}
    levels = {level for name in there for level in parents(name)}
    return [
        Listed(
            name,
            selectable=name in there,
            subscribed=name in subscribed,
            special_use=used.get(name, ()) if name in there else (),
        )
        for name in sorted(there | levels | subscribed)
    ]


def delete(ground: Ground, account: bytes, directory: bytes, profiles: Profiles) -> None:
    """Remove a mailbox's directory.

    Raises:
        StoreRefused: NONEXISTENT; HAS_CHILDREN for a level without a mailbox.
        OSError: The disk said no; it may be half gone, but is out of sight.
    """
    files, path = ground.files, account + b"/" + directory
    if not maildir.exists(files, path):
        below = directory + b"."
        if any(other.startswith(below) for other in maildir.directories(files, account)):
            # RFC 9051 §6.3.5, §7.1
            raise StoreRefused(StoreFault.HAS_CHILDREN, "There is no mailbox, only levels below")
        raise StoreRefused(StoreFault.NONEXISTENT, "No such mailbox")
    with suppress(Corrupt):
        uid_list = uidlist.load(files, path)
        if uid_list is not None:
            profiles.retire(uid_list.uid_validity)
    maildir.destroy(files, path, account + b"/tmp/" + ground.unique().encode())
    profiles.use(directory, ())
    quota.forget(files, account)


def moves(ground: Ground, account: bytes, name: str, new: str) -> list[tuple[str, str]]:
    """Old and new names of a mailbox and its children.

    Raises:
        StoreRefused: NONEXISTENT, ALREADY_EXISTS, or CANNOT for a child's new name.
    """
    there = names(ground.files, account)
    below = name + SEPARATOR
    concerned = [other for other in there if other == name or other.startswith(below)]
    if not concerned:
        raise StoreRefused(StoreFault.NONEXISTENT, "No such mailbox")
    pairs = [
        (other, checked(new + other[len(name) :], ground.limits)) for other in sorted(concerned)
    ]
    if new in there or any(target in there for _, target in pairs):
        raise StoreRefused(StoreFault.ALREADY_EXISTS, "Mailbox exists already")
    return pairs


def rename(
    ground: Ground,
    account: bytes,
    pairs: Iterable[tuple[str, str]],
    profiles: Profiles,
    index: Index,
    renewed: list[bytes],
) -> None:
    """Rename mailboxes' directories, all or none, durably.

    Those that needed a new UIDVALIDITY are added to `renewed`.

    Raises:
        OSError: The disk said no; those before are named back.
    """
    files = ground.files
    done: list[tuple[bytes, bytes]] = []
    try:
        for name, new in pairs:
            old_directory, directory = directory_of(name), directory_of(new)
            files.rename(account + b"/" + old_directory, account + b"/" + directory)
            done.append((old_directory, directory))
        sync_directory(files, account)
    except OSError:
        for old_directory, directory in reversed(done):
            with suppress(OSError):
                files.rename(account + b"/" + directory, account + b"/" + old_directory)
        raise
    for old_directory, directory in done:
        uses = profiles.get().uses.get(old_directory, ())
        profiles.use(old_directory, ())
        profiles.use(directory, uses)
        if _renew(files, account + b"/" + directory, profiles):
            renewed.append(directory)
    with suppress(OSError, IndexLost), index.transaction() as transaction:
        for old_directory, directory in done:
            transaction.rename_mailbox(old_directory, directory)


def _renew(files: Files, path: bytes, profiles: Profiles) -> bool:
    """Give a mailbox a new UIDVALIDITY, if its new name may have shown a greater one."""
    try:
        uid_list = uidlist.load(files, path)
    except Corrupt:
        return True
    if uid_list is None:
        return False
    renew = uid_list.uid_validity < profiles.get().retired
    profiles.retire(uid_list.uid_validity)
    if renew:
        uidlist.save(files, path, replace(uid_list, uid_validity=profiles.next_uid_validity()))
    return renew


def make_account(
    ground: Ground,
    account: bytes,
    profiles: Profiles,
    mailboxes: Mapping[str, Sequence[str]],
) -> None:
    """Make an account's maildir with its first mailboxes, unless it is there.

    Raises:
        OSError: The disk said no.
    """
    files = ground.files
    if maildir.exists(files, account):
        # A maildir that Dovecot or another program made has its own mailboxes, and keeps to them.
        profiles.begin(
            lambda: {
                directory_of(name): uses
                for name, uses in special_uses(names(files, account)).items()
            }
        )
        return
    maildir.make_directories(files, account)
    profiles.begin(dict)
    for name, uses in mailboxes.items():
        directory = directory_of(name)
        maildir.make(files, account + b"/" + directory, folder=True)
        if uses:
            profiles.use(directory, tuple(uses))
    if mailboxes:  # many clients show nothing but what is subscribed
        subscriptions.begin(files, account, [INBOX, *mailboxes], ground.unique())
    maildir.make(files, account, folder=False)
