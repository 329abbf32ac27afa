"""The mailboxes of an account, and those that others share with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from mailhub.mail.rights import Acl, Rights
from mailhub.ports.accounts import Account, Quota
from mailhub.ports.mailbox import Mailbox
from mailhub.ports.message import Appending, ModSeq, Placed, Uid, UidValidity, Upload


class StoreFault(Enum):
    """Why the store would not; the values are IMAP response codes (RFC 5530)."""

    NONEXISTENT = "NONEXISTENT"
    ALREADY_EXISTS = "ALREADYEXISTS"
    OVER_QUOTA = "OVERQUOTA"
    CANNOT = "CANNOT"
    HAS_CHILDREN = "HASCHILDREN"
    IN_USE = "INUSE"
    LIMIT = "LIMIT"
    NO_PERMISSION = "NOPERM"
    TOO_MANY_ENTRIES = "METADATA TOOMANY"
    SERVER_BUG = "SERVERBUG"
    """An I/O error or a full disk: nothing was done."""


class StoreRefused(Exception):
    """The store would not, and nothing changed."""

    def __init__(self, fault: StoreFault, text: str) -> None:
        self.fault = fault
        self.text = text
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Listed:
    r"""One row of an account's list of mailboxes.

    Attributes:
        name: In Unicode, levels separated by ``/``; ``INBOX`` in capitals.
        selectable: False for a level that only has children, or a subscription
            to a mailbox that does not exist.
        special_use: ``\Sent`` and the like (RFC 6154 §2).
    """

    name: str
    selectable: bool
    subscribed: bool
    special_use: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Status:
    """The numbers of STATUS (RFC 3501 §6.3.10, RFC 8438, RFC 9051 §6.3.11).

    Attributes:
        mailbox_id: MAILBOXID (RFC 8474 §4.3).
    """

    messages: int
    recent: int
    unseen: int
    deleted: int
    size: int
    uid_next: Uid
    uid_validity: UidValidity
    highest_modseq: ModSeq
    mailbox_id: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What an account holds, and may hold.

    Attributes:
        mailboxes: Counted only where they are limited.
    """

    octets: int
    messages: int
    quota: Quota
    mailboxes: int = 0


class MailStore(Protocol):
    """All of one account's mailboxes. Names are as in `Listed`."""

    async def list(self) -> Sequence[Listed]:
        """Every mailbox, and every level above one, in order of names."""

    async def create(self, name: str, special_use: Sequence[str] = ()) -> None:
        """Make a mailbox, and the levels above it (RFC 3501 §6.3.3)."""

    async def delete(self, name: str) -> None:
        """Remove a mailbox and its messages; its children stay (RFC 3501 §6.3.4)."""

    async def rename(self, name: str, new: str) -> None:
        """Rename with children; from INBOX, move its messages (RFC 3501 §6.3.5)."""

    async def subscribe(self, name: str) -> None:
        """Add to the subscriptions, whether it exists or not."""

    async def unsubscribe(self, name: str) -> None:
        """Take off the subscriptions."""

    async def status(self, name: str) -> Status:
        """The numbers of a mailbox, open or not."""

    async def open(self, name: str) -> Mailbox:
        """The shared mailbox; `Mailbox.release` gives it back."""

    async def upload(self, size: int | None = None, name: str = "INBOX", freed: int = 0) -> Upload:
        """Begin an APPEND of a message of `size` octets to the mailbox `name`.

        Args:
            size: None where it is not known.
            name: Of the mailbox.
            freed: Octets of a message of the same quota that goes when this one is there.
        """

    async def append(self, name: str, messages: Sequence[Appending], freed: int = 0) -> Placed:
        """File uploaded messages, durably, all or none; ends the uploads either way."""

    async def usage(self) -> Usage:
        """What the account holds and may hold."""

    async def lock(self) -> AbstractAsyncContextManager[None]:
        """POP3's exclusive access to the maildrop (RFC 1939 §4); IMAP does not ask for it.

        Raises:
            StoreRefused: IN_USE by another POP3 session.
        """


class MailStores(Protocol):
    """Finds the mail store of an account."""

    async def of(self, account: Account) -> MailStore:
        """The account's store, made on first use with an INBOX."""


class Affair(Enum):
    """What may have happened to a mailbox, seen from outside."""

    MESSAGES = "messages came or went"
    FLAGS = "flags changed"
    CREATED = "created"
    DELETED = "deleted"
    RENAMED = "renamed"
    SUBSCRIBED = "subscribed"
    UNSUBSCRIBED = "unsubscribed"
    ANNOTATED = "annotated"
    GRANTED = "may be looked up now"
    REVOKED = "may not be looked up any more"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something has happened to a mailbox, open or not.

    Attributes:
        name: As in `Listed`; empty for the server.
        old: The name it had before it was renamed.
        entries: Names of annotations.
    """

    affair: Affair
    name: str
    old: str = ""
    entries: tuple[str, ...] = ()


class Reach(MailStore, Protocol):
    """All mailboxes that an account reaches: its own, and those that others share with it.

    Every method asks for the rights it needs, and raises `StoreRefused`: NO_PERMISSION,
    or NONEXISTENT where the account may not even know of the mailbox (RFC 4314 §6).

    Attributes:
        others: What the names of other accounts' mailboxes begin with, separator
            included; empty if nothing is shared.
        admin: The account may do what is the operator's to do.
    """

    @property
    def others(self) -> str: ...
    @property
    def admin(self) -> bool: ...

    def listen(self, told: Callable[[Notice], None]) -> None:
        """Call `told` with what happens to the account's own mailboxes, and to annotations."""

    async def overhear(self) -> None:
        """Tell whoever listens of others' mailboxes too, those that may be looked up.

        Raises:
            StoreRefused: SERVER_BUG.
        """

    def unlisten(self, told: Callable[[Notice], None]) -> None:
        """Stop doing so."""

    async def rights(self, name: str) -> Rights:
        """What the account may do with a mailbox."""

    async def owned(self, name: str) -> str:
        """The address of a mailbox's owner."""

    async def acl(self, name: str) -> Acl:
        """The access control list, with what the owner may do."""

    async def set_acl(self, name: str, identifier: str, change: str) -> None:
        """Change an identifier's rights as SETACL says (`rights.modified`).

        Raises:
            ValueError: A letter that is no right.
            StoreRefused: CANNOT for an identifier that means nobody.
        """

    async def delete_acl(self, name: str, identifier: str) -> None:
        """Take an identifier off the list."""

    async def metadata(self, name: str) -> Mapping[str, bytes]:
        """Annotations by entry name in lower case; the server's for an empty name."""

    async def set_metadata(self, name: str, changes: Mapping[str, bytes | None]) -> None:
        """Set annotations, or remove those that become None: all or none.

        Raises:
            StoreRefused: TOO_MANY_ENTRIES; CANNOT for a value that an entry may not have.
        """

    def watch_metadata(self, told: Callable[[str, Sequence[str]], None]) -> None:
        """Call `told` with name and entries after each change of annotations by others.

        An empty name is the server.
        """

    def unwatch_metadata(self) -> None:
        """Stop doing so."""

    async def url_key(self, mailbox_id: str) -> bytes | None:
        """The key with which the account's URLs of a mailbox are signed, if there is one."""

    async def make_url_key(self, mailbox_id: str, *, anew: bool) -> bytes:
        """That key, made where there is none, or `anew` so that older URLs are void.

        Raises:
            StoreRefused: SERVER_BUG.
        """

    async def forget_url_keys(self) -> None:
        """Let all the account's URLs be void."""

    async def quota_root(self, name: str) -> str:
        """The quota root of a mailbox: empty for the account's own, else its owner's address."""

    async def usage_of(self, root: str) -> Usage:
        """What a quota root holds and may hold."""

    async def set_quota(self, root: str, quota: Quota) -> None:
        """Limit a quota root."""


class Reaches(Protocol):
    """Finds what an account reaches."""

    async def of(self, account: Account) -> Reach:
        """The account's reach; its own store is made on first use with an INBOX."""

    async def named(self, address: str) -> Reach | None:
        """What the enabled account with this address reaches; None if there is none."""
