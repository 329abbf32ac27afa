"""One mailbox, shared by all sessions that have it open."""

from __future__ import annotations

from array import array
from collections.abc import (
    Callable,
    Collection,
    Hashable,
    Iterable,
    Mapping,
    MutableMapping,
    Sequence,
)
from typing import Protocol

from mailhub.mail.digest import Digest
from mailhub.mail.part import Part
from mailhub.mail.rights import Rights
from mailhub.ports.finding import Conversation, Found, SentOn, Sorting, Sought, Threadable
from mailhub.ports.message import (
    Change,
    Content,
    FlagAction,
    Identity,
    ModSeq,
    Placed,
    Ranges,
    Rendering,
    Stored,
    Uid,
    UidValidity,
)


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

        They survive the process at once, and the machine once `durable` returns.

        Raises:
            StoreRefused: LIMIT where no keyword is left, SERVER_BUG.
        """

    async def durable(self) -> None:
        """Return when all flags are durable that were changed before.

        Raises:
            StoreRefused: SERVER_BUG: they may not be.
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

    async def threadables_of(self, uids: Sequence[Uid]) -> Sequence[Threadable]:
        """These messages, ascending, as the index knows them."""

    async def related(self, ids: Collection[bytes], bases: Collection[str]) -> array[int]:
        """UIDs of those that bear or speak of one of these ids, or have one of these subjects.

        Perhaps of some more.
        """

    async def conversations(self, algorithm: str) -> Sequence[Conversation]:
        """What is kept of THREAD's results, in order; it may be out of date."""

    async def keep_conversations(
        self,
        algorithm: str,
        instead_of: Sequence[Conversation],
        conversations: Sequence[Conversation],
    ) -> None:
        """Keep some in the place of others."""

    async def release(self) -> None:
        """This session is done with it. Called once for each `MailStore.open`."""
