"""IMAP commands as values (RFC 3501 §6): frozen, and knowing nothing of the session.

`imap.syntax` makes them of octets; `imap.session` says when each is allowed.
Mailbox names are still the octets that were sent.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailhub.imap import criteria, item
from mailhub.imap.composition import Stretch
from mailhub.imap.modifier import PLAINLY, Selecting, Since
from mailhub.imap.returning import Partial, Returning
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.watching import Watch
from mailhub.ports.finding import Sorting
from mailhub.ports.message import FlagAction


@dataclass(frozen=True, slots=True)
class Command:
    """Any command."""


# ---- In any state (RFC 3501 §6.1) ----


@dataclass(frozen=True, slots=True)
class Capability(Command):
    """CAPABILITY."""


@dataclass(frozen=True, slots=True)
class Noop(Command):
    """NOOP."""


@dataclass(frozen=True, slots=True)
class Logout(Command):
    """LOGOUT."""


@dataclass(frozen=True, slots=True)
class Id(Command):
    """ID (RFC 2971); what the client says of itself is dropped."""


@dataclass(frozen=True, slots=True)
class Compress(Command):
    """COMPRESS (RFC 4978)."""

    mechanism: str


# ---- Before login (RFC 3501 §6.2) ----


@dataclass(frozen=True, slots=True)
class StartTls(Command):
    """STARTTLS."""


@dataclass(frozen=True, slots=True)
class Authenticate(Command):
    """AUTHENTICATE.

    Attributes:
        initial: The initial response still in base64, ``=`` for an empty one
            (RFC 4959 §3); None without.
    """

    mechanism: str
    initial: bytes | None


@dataclass(frozen=True, slots=True)
class Login(Command):
    """LOGIN."""

    user: bytes
    password: bytes


# ---- After login (RFC 3501 §6.3) ----


@dataclass(frozen=True, slots=True)
class Unauthenticate(Command):
    """UNAUTHENTICATE (RFC 8437)."""


@dataclass(frozen=True, slots=True)
class Enable(Command):
    """ENABLE (RFC 5161)."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Select(Command):
    """SELECT, or EXAMINE where `read_only`."""

    mailbox: bytes
    read_only: bool
    how: Selecting = PLAINLY


@dataclass(frozen=True, slots=True)
class Create(Command):
    """CREATE, perhaps for a special use (RFC 6154 §3)."""

    mailbox: bytes
    special_use: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Delete(Command):
    """DELETE."""

    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Rename(Command):
    """RENAME."""

    mailbox: bytes
    new: bytes


@dataclass(frozen=True, slots=True)
class Subscribe(Command):
    """SUBSCRIBE, or UNSUBSCRIBE where not `wanted`."""

    mailbox: bytes
    wanted: bool


@dataclass(frozen=True, slots=True)
class List(Command):
    """LIST (RFC 3501 §6.3.8, RFC 5258).

    Attributes:
        extended: Any of RFC 5258's syntax was used.
        status: STATUS items to be told of each mailbox (RFC 5819 §2).
        metadata: Annotations likewise (RFC 9590 §2).
    """

    reference: bytes
    patterns: tuple[bytes, ...]
    selection: frozenset[str] = frozenset()
    returned: frozenset[str] = frozenset()
    extended: bool = False
    status: tuple[str, ...] = ()
    metadata: Asked | None = None


@dataclass(frozen=True, slots=True)
class Lsub(Command):
    """LSUB."""

    reference: bytes
    pattern: bytes


@dataclass(frozen=True, slots=True)
class Namespace(Command):
    """NAMESPACE (RFC 2342)."""


@dataclass(frozen=True, slots=True)
class Status(Command):
    """STATUS; items in the order asked for."""

    mailbox: bytes
    items: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Append(Command):
    """APPEND up to its first literal that is streamed, or without one to its end."""

    mailbox: bytes
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class Replace(Command):
    """REPLACE and UID REPLACE (RFC 8508 §3), as far as `Append` goes."""

    number: SequenceSet
    by_uid: bool
    mailbox: bytes
    stretch: Stretch


@dataclass(frozen=True, slots=True)
class GetQuota(Command):
    """GETQUOTA (RFC 9208 §4.1.1)."""

    root: bytes


@dataclass(frozen=True, slots=True)
class GetQuotaRoot(Command):
    """GETQUOTAROOT (RFC 9208 §4.1.2)."""

    mailbox: bytes


@dataclass(frozen=True, slots=True)
class SetQuota(Command):
    """SETQUOTA (RFC 9208 §4.1.3).

    Attributes:
        limits: By resource, in its unit.
    """

    root: bytes
    limits: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class SetAcl(Command):
    """SETACL (RFC 4314 §3.1), or DELETEACL (RFC 4314 §3.2) where `change` is None.

    Attributes:
        change: Rights, perhaps behind ``+`` or ``-``.
    """

    mailbox: bytes
    identifier: bytes
    change: bytes | None


@dataclass(frozen=True, slots=True)
class GetAcl(Command):
    """GETACL (RFC 4314 §3.3)."""

    mailbox: bytes


@dataclass(frozen=True, slots=True)
class ListRights(Command):
    """LISTRIGHTS (RFC 4314 §3.4)."""

    mailbox: bytes
    identifier: bytes


@dataclass(frozen=True, slots=True)
class MyRights(Command):
    """MYRIGHTS (RFC 4314 §3.5)."""

    mailbox: bytes


@dataclass(frozen=True, slots=True)
class Asked:
    """Which annotations are asked for (RFC 5464 §4.2).

    Attributes:
        entries: Names in lower case.
        depth: Levels below each entry that are wanted too; None for all.
        longest: Octets of values that are wanted; None for any.
    """

    entries: tuple[str, ...]
    depth: int | None = 0
    longest: int | None = None


@dataclass(frozen=True, slots=True)
class GetMetadata(Command):
    """GETMETADATA (RFC 5464 §4.2); an empty mailbox is the server."""

    mailbox: bytes
    asked: Asked


@dataclass(frozen=True, slots=True)
class SetMetadata(Command):
    """SETMETADATA (RFC 5464 §4.3); None removes an entry."""

    mailbox: bytes
    changes: Mapping[str, bytes | None]


@dataclass(frozen=True, slots=True)
class ResetKey(Command):
    """RESETKEY (RFC 4467 §7); without a mailbox, of all of them."""

    mailbox: bytes | None
    mechanisms: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GenUrlAuth(Command):
    """GENURLAUTH (RFC 4467 §7): URLs, each with the mechanism by which it is to be signed."""

    urls: tuple[tuple[bytes, str], ...]


@dataclass(frozen=True, slots=True)
class UrlFetch(Command):
    """URLFETCH (RFC 4467 §7): URLs, each with what is wanted of it, if that was said (RFC 5524)."""

    urls: tuple[tuple[bytes, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class Idle(Command):
    """IDLE (RFC 2177)."""


@dataclass(frozen=True, slots=True)
class Notify(Command):
    """NOTIFY (RFC 5465).

    Attributes:
        watches: None for NOTIFY NONE.
        status: STATUS of what is watched is told first.
    """

    watches: tuple[Watch, ...] | None
    status: bool


# ---- With a mailbox selected (RFC 3501 §6.4) ----


@dataclass(frozen=True, slots=True)
class Check(Command):
    """CHECK."""


@dataclass(frozen=True, slots=True)
class Close(Command):
    """CLOSE, or UNSELECT (RFC 3691) where not `expunge`."""

    expunge: bool


@dataclass(frozen=True, slots=True)
class Expunge(Command):
    """EXPUNGE; UID EXPUNGE (RFC 4315 §2.1) has `uids`."""

    uids: SequenceSet | None


@dataclass(frozen=True, slots=True)
class Search(Command):
    """SEARCH and UID SEARCH.

    Attributes:
        returning: What RETURN asks for (RFC 4731 §3.1); None without it.
        charset: One was named.
    """

    program: criteria.Key
    by_uid: bool
    returning: Returning | None = None
    charset: bool = False


@dataclass(frozen=True, slots=True)
class Sort(Command):
    """SORT and UID SORT (RFC 5256 §3)."""

    sorting: tuple[Sorting, ...]
    program: criteria.Key
    by_uid: bool
    returning: Returning | None = None


@dataclass(frozen=True, slots=True)
class Thread(Command):
    """THREAD and UID THREAD (RFC 5256 §3)."""

    algorithm: str
    program: criteria.Key
    by_uid: bool


@dataclass(frozen=True, slots=True)
class CancelUpdate(Command):
    """CANCELUPDATE (RFC 5267 §4.3.5)."""

    tags: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class UidBatches(Command):
    """UIDBATCHES (RFC 10022 §3.1).

    Attributes:
        size: Messages in a batch.
        wanted: The first batch and the last, counted from the newest; None for all.
    """

    size: int
    wanted: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class MultiSearch(Command):
    """ESEARCH: a search in several mailboxes (RFC 7377 §2).

    Attributes:
        sources: None for the selected mailbox.
    """

    sources: tuple[Source, ...] | None
    program: criteria.Key
    returning: Returning


@dataclass(frozen=True, slots=True)
class Source:
    """Where to search.

    Attributes:
        kind: ``SELECTED INBOXES PERSONAL SUBSCRIBED SUBTREE SUBTREE-ONE MAILBOXES``.
        mailboxes: Names, for the last three.
    """

    kind: str
    mailboxes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetch(Command):
    """FETCH and UID FETCH; with UID among `items` for the latter.

    Attributes:
        since: Only what changed after that (RFC 7162 §3.1.4.1).
        partial: Only these of the messages that there are (RFC 9394 §3.2).
    """

    numbers: SequenceSet
    items: tuple[item.Item, ...]
    by_uid: bool
    since: Since | None = None
    partial: Partial | None = None


@dataclass(frozen=True, slots=True)
class Store(Command):
    """STORE and UID STORE.

    Attributes:
        unchanged_since: Leaves messages alone that changed after that (RFC 7162 §3.1.3).
    """

    numbers: SequenceSet
    action: FlagAction
    silent: bool
    flags: tuple[str, ...]
    by_uid: bool
    unchanged_since: int | None = None


@dataclass(frozen=True, slots=True)
class Copy(Command):
    """COPY and UID COPY; MOVE and UID MOVE (RFC 6851) where `move`."""

    numbers: SequenceSet
    mailbox: bytes
    by_uid: bool
    move: bool
