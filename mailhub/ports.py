"""What the core asks of the world: interfaces, and the values that cross them.

Sessions and policies are written against these alone; `mailhub.service` plugs
the store, the spool, the accounts and the network in.  Everything that may
wait is ``async def``: an implementation that need not wait simply returns, and
tests run the coroutine to its end in one step.

Nothing here knows Twisted, a clock or a disk.
"""

from __future__ import annotations

from array import array
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Hashable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, NamedTuple, NewType, ParamSpec, Protocol, TypeVar

from mailhub.mail.address import Path
from mailhub.mail.digest import Digest
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.part import Part
from mailhub.mail.reply import Reply
from mailhub.mail.rights import Acl, Rights
from mailhub.policy.cause import Cause

P = ParamSpec("P")
T = TypeVar("T")

AccountId = NewType("AccountId", int)
QueueId = NewType("QueueId", str)
Uid = NewType("Uid", int)
Seq = NewType("Seq", int)
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)

Ranges = tuple[tuple[int, int], ...]
"""Numbers as ascending, disjoint ranges, each (first, last)."""


# ---- Conversations -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tls:
    """What a finished handshake agreed on.

    Attributes:
        version: As OpenSSL names it, ``TLSv1.3``.
        cipher: The cipher suite's name.
        binding: Gives channel binding data for ``tls-exporter`` (RFC 9266) or
            ``tls-server-end-point`` (RFC 5929 §4); None for a type it has not.
    """

    version: str
    cipher: str
    binding: Callable[[str], bytes | None] = field(compare=False)


@dataclass(frozen=True, slots=True)
class Client:
    """Who is at the other end of a conversation: the facts that policies judge.

    Attributes:
        address: IP address in canonical text form, without brackets.
        port: The client's port.
        helo: What it called itself in EHLO or HELO, verbatim; ``""`` before.
        protocol: The ``with`` keyword of Received (RFC 3848): ``ESMTPSA`` …
        account: Who has logged in, if anybody.
        submission: It speaks to a submission port (RFC 6409).
    """

    address: str
    port: int
    tls: Tls | None = None
    helo: str = ""
    protocol: str = "SMTP"
    account: Account | None = None
    submission: bool = False


class Session(Protocol):
    """One protocol's half of a conversation, without a socket: `net.conversation` drives it.

    Attributes:
        patience: Seconds of silence after which the peer is told `timed_out`.
        closed: Nothing more will be said.
        wants_tls: The answer just given agreed to STARTTLS (or STLS): once it
            has left, the transport must be upgraded and `secured` called. A
            session sets it only when it has read every octet that arrived.
        wake: Set by the driver; the session calls it when it has something to
            say unasked (IMAP's untagged responses while idling). The driver
            then calls `respond` again. Must be safe to call at any time.
    """

    patience: float
    closed: bool
    wants_tls: bool
    wake: Callable[[], None]

    async def greet(self) -> bytes:
        """The greeting; asked for once, under implicit TLS after `secured`."""

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived. Only stores them."""

    def respond(self) -> AsyncGenerator[bytes, None]:
        """Answer all that can be answered now, then return.

        The driver sends what is yielded in order, and waits for a slow peer
        between two pieces (at most 64 KiB each). An empty piece asks that others
        have their turn before more is computed.
        """

    def secured(self, tls: Tls) -> None:
        """The handshake has succeeded: forget what was learnt in the clear (RFC 3207 §4.2)."""

    def timed_out(self) -> bytes:
        """The farewell to a peer that was silent for `patience` seconds."""

    def going_down(self) -> bytes:
        """The farewell of a hub that stops: 421, BYE, or nothing."""

    async def close(self) -> None:
        """The conversation has ended, however: abort drafts, release mailboxes. Called once."""


# ---- Accounts and logins -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Quota:
    """Limits of an account; 0 is none.

    Attributes:
        octets: Sum of the sizes of all messages.
        messages: Their number.
        mailboxes: The number of its mailboxes, INBOX included.
    """

    octets: int = 0
    messages: int = 0
    mailboxes: int = 0


@dataclass(frozen=True, slots=True)
class Account:
    """A person's account.

    Attributes:
        path: Its address, in the spelling it was created with.
        maildir: Its maildir, relative to the hub's state directory.
        admin: It belongs to the operator, and may do over IMAP what is the operator's to do.
    """

    id: AccountId
    path: Path
    maildir: str
    quota: Quota = Quota()
    enabled: bool = True
    admin: bool = False


class LoginFault(Enum):
    """Why a login was refused."""

    CREDENTIALS = "credentials"
    """Wrong, unknown, or disabled: deliberately one and the same."""
    THROTTLED = "throttled"
    """Too many failures from there; nothing was checked."""
    UNAVAILABLE = "unavailable"
    """We could not check: the database or the hashing pool failed or is full."""


class LoginRefused(Exception):
    """No login; `fault` says why, for each protocol to word it."""

    def __init__(self, fault: LoginFault) -> None:
        self.fault = fault
        super().__init__(fault.value)


@dataclass(frozen=True, slots=True)
class ScramKeys:
    """What a server keeps of a password for SCRAM-SHA-256 (RFC 5802 §3)."""

    salt: bytes
    iterations: int
    stored_key: bytes
    server_key: bytes


@dataclass(frozen=True, slots=True)
class ScramProof:
    """A client's proof, and what it was computed over (RFC 5802 §3)."""

    auth_message: bytes
    proof: bytes


class Logins(Protocol):
    """The one door for credentials, as one client's conversation sees it.

    Each method may take as long as a slowed-down failure takes, and raises
    `LoginRefused`.
    """

    async def password(self, username: str, password: str) -> Account:
        """The account that this name and password open."""

    async def scram_keys(self, username: str) -> ScramKeys:
        """The keys of an account; made up, but the same each time, for an unknown one."""

    async def scram(self, username: str, proof: ScramProof) -> Account:
        """The account, if `proof` fits the keys that `scram_keys` gave."""


class Directory(Protocol):
    """Who is hosted here. Paths are compared by `Path.key`; nothing is expanded or stripped."""

    async def hosted(self, domain: str) -> bool:
        """Whether mail for this domain ends here."""

    async def account(self, path: Path) -> Account | None:
        """The account with exactly this address, enabled or not."""

    async def alias(self, path: Path) -> tuple[Path, ...] | None:
        """What an alias stands for; None if there is no such alias."""

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:
        """Where mail for unknown local parts of a hosted domain goes; None for nowhere."""

    async def postmaster(self, domain: str) -> Path | None:
        """Who gets postmaster@ and abuse@ where neither is an account nor an alias."""


# ---- Mail coming in ------------------------------------------------------------------------


class Intake(Protocol):
    """Takes mail in: asked by an SMTP session at each step of a transaction.

    Every method raises `mail.reply.Refusal` to refuse.
    """

    async def sender(self, client: Client, envelope: Envelope) -> None:
        """MAIL: may this client send from this reverse-path, with these options?"""

    async def recipient(self, client: Client, envelope: Envelope, recipient: Recipient) -> None:
        """RCPT: shall we take mail from this client for this recipient?"""

    async def draft(self, client: Client, envelope: Envelope) -> Draft:
        """DATA or the first BDAT: be ready for content."""


class Draft(Protocol):
    """Content on its way in. Exactly one of `commit` and `abort` ends it."""

    async def write(self, octets: bytes) -> None:
        """Take more content: CR LF line ends, transparency undone.

        Raises:
            Refusal: 552 5.3.4 too big, 452 4.3.1 disk full, 451 4.3.0 I/O error. The
                session then discards the rest of the content, aborts, and replies.
        """

    async def commit(self) -> Reply:
        """Make the message durable and answer for it: ``250 2.0.0 … queued as …``.

        Raises:
            Refusal: It is not ours: nothing was kept.
        """

    async def abort(self) -> None:
        """Forget all of it. Harmless after a failed `write` or `commit`."""


# ---- Mail going out ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Attempt:
    """One connection's worth of trying to hand a message on: the facts, for queue and journey.

    Attributes:
        started: Seconds since the epoch; `ended` likewise.
        host: The name we meant to reach, ``mx.example.net``.
        address: The IP address, or ``""`` if none was found.
        tls: ``"TLSv1.3 TLS_AES_256_GCM_SHA384"``, or ``""`` in the clear.
        certificate: What the certificate was worth: ``"verified"``, ``"verified by DANE"``,
            ``"unverified: …"``, ``""``.
        reused: The connection had carried a message before.
        stage: How far it got: ``connect banner ehlo starttls auth mail rcpt data content done``.
        reply: The last thing said there, or our own words for a failure to reach it.
        in_doubt: The connection was lost between the final dot and the reply to it.
        dialogue: What was said for this message, line by line, theirs behind
            ``<<<``, ours behind ``>>>``; without content and secrets, and
            bounded (`smtp.record`).
        provider: Who runs the host: the name of a ``[provider NAME]``, or ``""``.
        source: The ``[source NAME]`` that it was sent from, or ``""``.
    """

    started: float
    ended: float
    host: str
    address: str
    port: int
    tls: str
    certificate: str
    reused: bool
    stage: str
    reply: Reply
    in_doubt: bool = False
    dialogue: tuple[str, ...] = ()
    provider: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A name that was looked up for an attempt.

    Attributes:
        started: Seconds since the epoch; `ended` likewise.
        question: ``MX far.example``.
        answer: The records, or why there are none.
        authentic: As in `Answer`.
    """

    started: float
    ended: float
    question: str
    answer: str
    authentic: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of trying to deliver one envelope.

    Attributes:
        replies: One for each recipient, in order: the far side's words, or
            ours (4.4.x and 5.4.x) where nobody could be asked.
        attempts: Every connection tried, in order.
        hosts: For each recipient the name of the host whose words its reply
            are, ``""`` where they are ours (Remote-MTA of a DSN).
        dsn: For each recipient whether the host that took it announced DSN and
            so reports from there on (RFC 3461 §5.2.1). Empty is all unknown.
        causes: For each recipient what stands behind a negative reply, None
            for a positive one. Empty is all unknown.
        lookups: Every name that was looked up, in order.
        provider: Who was to take it: the name of a ``[provider NAME]``, else
            the exchanges that were found; ``""`` where none were.
        put_off: Nothing was attempted now, for the pace's sake or because the
            provider is suspended: this is no failure and no attempt, and the
            moment (seconds since the epoch) is when to come again. `replies`
            then say why, all of them temporary and ours.
    """

    replies: tuple[Reply, ...]
    attempts: tuple[Attempt, ...]
    hosts: tuple[str, ...] = ()
    dsn: tuple[bool, ...] = ()
    causes: tuple[Cause | None, ...] = ()
    lookups: tuple[Lookup, ...] = ()
    provider: str = ""
    put_off: float | None = None


# ---- Mailboxes -----------------------------------------------------------------------------


class StoreFault(Enum):
    """Why the store would not; the values are IMAP response codes (RFC 5530)."""

    NONEXISTENT = "NONEXISTENT"
    ALREADY_EXISTS = "ALREADYEXISTS"
    OVER_QUOTA = "OVERQUOTA"
    CANNOT = "CANNOT"
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


@dataclass(frozen=True, slots=True)
class Summary:
    """What the index keeps of a message's content, rendered for IMAP.

    Attributes:
        envelope: The ENVELOPE data item's value (RFC 3501 §7.4.2).
        body: BODY's, without extension data.
        bodystructure: BODYSTRUCTURE's.
        preview: PREVIEW's: the beginning of the text, on one line (RFC 8970 §3.1).
        thread: What THREADID says (RFC 8474 §5.2); empty if the message belongs to none.
    """

    envelope: bytes
    body: bytes
    bodystructure: bytes
    preview: bytes = b""
    thread: bytes = b""


class Rendering(Enum):
    """One of the values of a `Summary`; its own value is that attribute's name."""

    ENVELOPE = "envelope"
    BODY = "body"
    BODYSTRUCTURE = "bodystructure"
    PREVIEW = "preview"
    THREAD = "thread"


@dataclass(frozen=True, slots=True)
class Identity:
    """What a message is, wherever it lies, and since when it lies here.

    Attributes:
        email: EMAILID (RFC 8474 §5.1): stays with it when it is copied or moved.
        thread: THREADID (RFC 8474 §5.2).
        saved: SAVEDATE (RFC 8514 §4.1), seconds since the epoch.
    """

    email: bytes
    thread: bytes
    saved: int


class Change(Enum):
    """What may have happened to a message."""

    ARRIVED = "arrived"
    FLAGGED = "flagged"
    EXPUNGED = "expunged"


class FlagAction(Enum):
    """STORE's three ways (RFC 3501 §6.4.6)."""

    REPLACE = "FLAGS"
    ADD = "+FLAGS"
    REMOVE = "-FLAGS"


@dataclass(frozen=True, slots=True)
class Stored:
    """What a STORE came to.

    Attributes:
        changed: Messages whose flags are others now.
        modified: Those left alone, for they had changed before (RFC 7162 §3.1.3).
    """

    changed: tuple[Uid, ...] = ()
    modified: tuple[Uid, ...] = ()


class Place(Enum):
    """Where the index looks for text: in the values of all fields of a name, or in more."""

    SUBJECT = "subject"
    FROM = "sender"
    TO = "recipient"
    CC = "copied"
    BCC = "blind"
    HEAD = "head"
    """The header section, each field with its name: `mail.digest.Digest.head`."""
    BODY = "body"
    TEXT = "text"
    """Header section or body."""


@dataclass(frozen=True, slots=True)
class Sought:
    """A text sought in a place.

    Attributes:
        text: Folded (`mail.collation.fold`).
    """

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class SentOn:
    """The day of the Date field, that of arrival without one, compared with a day.

    Attributes:
        comparison: ``<``, ``=`` or ``>=``.
        day: Days since 1970-01-01.
    """

    comparison: str
    day: int


@dataclass(frozen=True, slots=True)
class Found:
    """What the index found: UIDs in ascending order, typecode ``I``.

    Attributes:
        sure: These match, and none but these and some of `unsure` do.
        unsure: These may; only the message itself can tell.
    """

    sure: array[int]
    unsure: array[int] = field(default_factory=lambda: array("I"))


class SortKey(Enum):
    """What SORT goes by (RFC 5256 §3, RFC 5957 §4)."""

    ARRIVAL = "ARRIVAL"
    CC = "CC"
    DATE = "DATE"
    DISPLAYFROM = "DISPLAYFROM"
    DISPLAYTO = "DISPLAYTO"
    FROM = "FROM"
    RELEVANCY = "RELEVANCY"
    """How well a fuzzy search fits, the best first (RFC 6203 §5); given along."""
    SIZE = "SIZE"
    SUBJECT = "SUBJECT"
    TO = "TO"


@dataclass(frozen=True, slots=True)
class Sorting:
    """One sort criterion, perhaps reversed."""

    key: SortKey
    reverse: bool = False


class Threadable(NamedTuple):
    """What THREAD needs to know of a message.

    Attributes:
        sent: The Date field, or the arrival without one; seconds since the epoch.
        reply: Its subject says that it is a reply, or forwarded.
        base: The base subject, folded.
        ids: `mail.digest.Digest.thread`.
    """

    uid: int
    sent: int
    reply: bool
    base: str
    ids: bytes


class Content(Protocol):
    """The octets of one message, CR LF line ends, open for reading.

    Attributes:
        size: Octets in all: RFC822.SIZE.
    """

    size: int

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """The octets at `offset`; all that follow where `length` is None."""

    def close(self) -> None:
        """Let go of the file, if there is one."""


class Upload(Protocol):
    """A message on its way into a mailbox by APPEND; ended by `MailStore.append` or `abort`."""

    async def write(self, octets: bytes) -> None:
        """Take more of it.

        Raises:
            StoreRefused: OVER_QUOTA or SERVER_BUG.
        """

    async def abort(self) -> None:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class Appending:
    """One message of an APPEND.

    Attributes:
        flags: Names of system flags and keywords; unknown keywords are made.
        internal_date: Seconds since the epoch; None for now.
    """

    upload: Upload
    flags: tuple[str, ...] = ()
    internal_date: float | None = None


@dataclass(frozen=True, slots=True)
class Placed:
    """Where messages went: COPYUID and APPENDUID (RFC 4315 §3).

    Attributes:
        sources: UIDs in the mailbox they came from; empty for APPEND.
        uids: UIDs in the mailbox they went to, in the same order.
    """

    uid_validity: UidValidity
    sources: tuple[Uid, ...]
    uids: tuple[Uid, ...]


class Mailbox(Protocol):
    """A mailbox, shared by all sessions that have it open.

    The arrays run parallel, in ascending order of UID, and always show what is
    true now. What a client has been told is the session's own affair: it
    remembers a `cursor`, and asks for the `changes` since.

    Attributes:
        mailbox_id: MAILBOXID: the same whatever it is called (RFC 8474 §4).
        rights: What this session's account may do with it, asked anew each time: a right
            that is taken away is missed at once.
        ended: Why nobody may go on with it, said to the client as the connection ends;
            empty while all is well.
        keywords: Names of the keyword bits, from `flag.KEYWORD_SHIFT` up.
        uids: typecode ``I``.
        flags: `Flags` bits, typecode ``I``.
        modseqs: typecode ``Q``.
        sizes: RFC822.SIZE, typecode ``Q``.
        dates: INTERNALDATE, seconds since the epoch, typecode ``q``.
        cursor: Grows with each change.
    """

    @property
    def name(self) -> str: ...
    @property
    def mailbox_id(self) -> str: ...
    @property
    def uid_validity(self) -> UidValidity: ...
    @property
    def rights(self) -> Rights: ...
    @property
    def ended(self) -> str: ...
    @property
    def uid_next(self) -> Uid: ...
    @property
    def highest_modseq(self) -> ModSeq: ...
    @property
    def keywords(self) -> Sequence[str]: ...
    @property
    def uids(self) -> array[int]: ...
    @property
    def flags(self) -> array[int]: ...
    @property
    def modseqs(self) -> array[int]: ...
    @property
    def sizes(self) -> array[int]: ...
    @property
    def dates(self) -> array[int]: ...
    @property
    def cursor(self) -> int: ...

    def position(self, uid: Uid) -> int | None:
        """The index of `uid` in the arrays, or None if it is gone."""

    def changes(self, cursor: int) -> Sequence[tuple[Change, Uid]] | None:
        """What has happened since `cursor`, oldest first; None if that is too long ago."""

    def take_recent(self) -> frozenset[Uid]:
        r"""UIDs no session has seen yet: the caller's ``\Recent`` (RFC 3501 §2.3.2)."""

    def watch(self, woken: Callable[[], None]) -> None:
        """Call `woken` after each change, whoever made it."""

    def unwatch(self, woken: Callable[[], None]) -> None:
        """Stop doing so."""

    async def refresh(self) -> None:
        """See what other programs did to the maildir since we last looked."""

    def doubtful(self, modseq: ModSeq) -> bool:
        """Whether who knows all up to `modseq` may know what never was.

        A crash of the machine may take from us what clients were told already. Whoever
        was told so much must be told everything anew.
        """

    async def vanished(self, modseq: ModSeq) -> Ranges | None:
        """UIDs of messages that left after `modseq`; None if that is not known any more."""

    async def store(
        self,
        uids: Sequence[Uid],
        action: FlagAction,
        names: Iterable[str],
        unchanged_since: ModSeq | None = None,
    ) -> Stored:
        r"""Change flags, unless they changed after `unchanged_since`; unknown keywords are made.

        Raises:
            StoreRefused: LIMIT where no keyword is left, SERVER_BUG.
        """

    async def expunge(self, uids: Sequence[Uid]) -> tuple[Uid, ...]:
        """Remove these messages for good, flagged or not; those removed are returned."""

    async def copy(self, uids: Sequence[Uid], target: str) -> Placed:
        """Copy to another mailbox with flags and dates, all or none (RFC 3501 §6.4.7).

        Raises:
            StoreRefused: NONEXISTENT target, OVER_QUOTA, SERVER_BUG.
        """

    async def move(self, uids: Sequence[Uid], target: str) -> Placed:
        """Move likewise (RFC 6851)."""

    async def content(self, uid: Uid) -> Content | None:
        """The message's octets; None if it is gone. Cheap to call in ascending order."""

    async def whole(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """The octets of messages, all of which are small; None for those that are gone."""

    async def structure(self, uid: Uid) -> Part | None:
        """A message's structure, worked out anew: keep it. None if it is gone."""

    async def headers(self, uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """The header sections, each with its empty line; None for those that are gone.

        Long ones are `header.bounded`.
        """

    async def fields(self, names: Sequence[bytes], uids: Sequence[Uid]) -> Sequence[bytes | None]:
        """These fields of the header sections, as `header.wanted` gives them; None likewise.

        Quick for names that were asked for before.
        """

    async def rendered(
        self, what: Rendering, uids: Sequence[Uid], *, make: bool = True
    ) -> Sequence[bytes | None]:
        """What the index keeps of each of `uids`; None for those that are gone.

        What it does not keep yet is made first, or None too where not `make`.
        """

    async def identities(self, uids: Sequence[Uid]) -> Sequence[Identity | None]:
        """What each is, and since when; None for those that are gone."""

    @property
    def memo(self) -> MutableMapping[Hashable, object]:
        """What sessions have worked out about all its messages: a few results.

        It is emptied when messages come or go.
        """

    async def learn(self) -> int:
        """Have the index take in some messages that it does not know yet; how many are left.

        To be called until it gives 0, before what is below is asked.
        """

    async def digests(self, uids: Sequence[Uid]) -> Sequence[Digest | None]:
        """What can be found in each message, made of its octets; None for those that are gone."""

    async def find(self, sought: Sought | SentOn) -> Found | None:
        """What the index finds among the messages it knows; None where it cannot tell."""

    async def order(
        self,
        criteria: Sequence[Sorting],
        among: Sequence[Uid] | None = None,
        scores: Mapping[int, int] | None = None,
    ) -> array[int]:
        """UIDs of the messages that the index knows, sorted; those that are equal, ascending.

        Args:
            criteria: What goes first.
            among: Only these: few of them.
            scores: For RELEVANCY, by UID; 100 for all others.
        """

    async def threadables(self, first: Uid, limit: int) -> Sequence[Threadable]:
        """Up to `limit` messages from `first` on, as the index knows them."""

    async def release(self) -> None:
        """This session is done with it. Called once for each `MailStore.open`."""


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

    async def upload(self, size: int | None = None, name: str = "INBOX") -> Upload:
        """Begin an APPEND of a message of `size` octets to the mailbox `name`."""

    async def append(self, name: str, messages: Sequence[Appending]) -> Placed:
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


@dataclass(frozen=True, slots=True)
class Filing:
    """A message to be put into an account's mailbox by local delivery.

    Attributes:
        unique: The middle of its maildir name: unique on this hub, and the same
            when the filing is repeated after a crash, which makes it idempotent.
        arrived: Seconds since the epoch: INTERNALDATE.
        head: Trace fields of final delivery that precede the content.
        content: The octets; or the path of a file that holds them.
        skip: Octets at the start of that file that are not content.
        linkable: That file begins with just this `head`: it may be hard-linked.
    """

    account: Account
    unique: str
    arrived: float
    head: bytes
    content: bytes | str
    size: int
    skip: int = 0
    linkable: bool = False
    mailbox: str = "INBOX"


@dataclass(frozen=True, slots=True)
class Promise:
    """A message that a session was told is in a mailbox, while its file is not synced yet.

    Attributes:
        unique: The middle of its maildir name, as in `Filing`.
        flags: Names of system flags and keywords.
        date: INTERNALDATE, seconds since the epoch.
    """

    account: Account
    mailbox: str
    unique: str
    content: bytes
    flags: tuple[str, ...]
    date: float


class Ledger(Protocol):
    """Keeps promises: small messages are durable here before their files are.

    Attributes:
        limit: Octets of a message that it takes.
    """

    limit: int

    def unique(self) -> str:
        """A `Promise.unique` for a promise to come."""

    def promise(self, promises: Sequence[Promise]) -> Awaitable[None]:
        """Begin to write promises; awaited, it returns once they are durable.

        Raises:
            OSError: The disk said no: nothing was promised.
        """

    def keep(self, promises: Sequence[Promise]) -> None:
        """Their messages are in the mailbox: sync them some time, then let the promises go."""

    def forget(self, promises: Sequence[Promise]) -> None:
        """Nobody was told: let the promises go, once they are written."""


class Filer(Protocol):
    """Local delivery's way into the store: quick first, durable later."""

    async def file(self, filings: Sequence[Filing]) -> Sequence[StoreRefused | None]:
        """Put each message into its mailbox, visible at once, not yet synced.

        A filing that was carried out before (same `unique`) is left alone.
        """

    def uid(self, filing: Filing) -> Uid | None:
        """The UID of what was filed just now; None if the mailbox gives it one later."""

    async def sync(self, filings: Sequence[Filing]) -> None:
        """Make filed messages durable; when this returns the spool may forget them.

        Raises:
            OSError: The disk said no; they may not be forgotten.
        """

    async def redeem(self, promises: Sequence[Promise]) -> None:
        """Put promised messages into one mailbox, those that have not been there.

        Raises:
            StoreRefused: NONEXISTENT if the mailbox has gone, SERVER_BUG.
        """

    async def settle(self, accounts: Sequence[Account]) -> None:
        """Make everything durable that lies in these accounts' maildirs.

        Raises:
            OSError: The disk said no.
        """


# ---- Names of hosts ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Answer(Generic[T]):
    """The records of a name; none if the name exists without such records.

    Attributes:
        authentic: Signed, checked by a resolver that the operator trusts.
    """

    records: tuple[T, ...]
    authentic: bool = False


@dataclass(frozen=True, slots=True, order=True)
class Mx:
    """An MX record; `host` is a domain in lower case without final dot, ``""`` for the root."""

    preference: int
    host: str


@dataclass(frozen=True, slots=True)
class Tlsa:
    """A TLSA record: three numbers and data, as RFC 6698 §2.1 has them."""

    usage: int
    selector: int
    matching: int
    data: bytes


class NoSuchDomain(Exception):
    """The name does not exist (NXDOMAIN): asking again will not help soon."""


class LookupFailed(Exception):
    """No answer: a time-out, SERVFAIL, or nonsense. Asking later may help."""


class Resolver(Protocol):
    """Asks the DNS. Each method follows CNAMEs, and raises `NoSuchDomain` or `LookupFailed`."""

    async def mx(self, domain: str) -> Answer[Mx]:
        """The MX records of a domain."""

    async def addresses(self, host: str) -> Answer[str]:
        """The IPv4 and IPv6 addresses of a host, as text."""

    async def txt(self, name: str) -> Answer[bytes]:
        """The TXT records of a name, each with its strings joined."""

    async def ptr(self, address: str) -> Answer[str]:
        """The host names of an IP address."""

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        """The TLSA records of a name, ``_25._tcp.mx.example``."""


# ---- The web -------------------------------------------------------------------------------


class FetchFailed(Exception):
    """Nothing came of a request; the text says why.

    Attributes:
        untrusted: The server's certificate was no good.
    """

    def __init__(self, text: str, *, untrusted: bool = False) -> None:
        self.untrusted = untrusted
        super().__init__(text)


class Web(Protocol):
    """Talks HTTPS to servers whose certificates are verified; redirections are not followed."""

    async def get(self, host: str, path: str, limit: int) -> bytes:
        """A plain text of at most `limit` octets.

        Raises:
            FetchFailed: Anything else came, or nothing in time.
        """

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        """Hand over octets of a media type. Raises likewise."""


# ---- Disks and threads ---------------------------------------------------------------------


class Disk(Protocol):
    """The one seam at which blocking work leaves the event loop."""

    async def run(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do blocking work in a thread, and wait for it.

        Work that has begun runs to its end, even if whoever waits is cancelled.
        """

    async def brief(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        """Do work that takes tens of microseconds while the disk is quick.

        It may then be done in place, because handing it to a thread would cost
        more than it takes; on a disk that is not quick it is as `run`.
        """

    def lock(self) -> AbstractAsyncContextManager[None]:
        """A lock for ``async with``; those who wait get it in order. Use one object throughout."""
