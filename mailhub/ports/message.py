"""Messages as a mailbox's sessions see them: numbers, contents, changes."""

from __future__ import annotations

from enum import Enum
from typing import NewType, Protocol

from mailhub.mail.value import value

Uid = NewType("Uid", int)
Seq = NewType("Seq", int)
UidValidity = NewType("UidValidity", int)
ModSeq = NewType("ModSeq", int)
Ranges = tuple[tuple[int, int], ...]
"""Numbers as ascending, disjoint ranges, each (first, last)."""


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
class Stored:
    """What a STORE came to.

    Attributes:
        changed: Messages whose flags are others now.
        modified: Those left alone, for they had changed before (RFC 7162 §3.1.3).
    """

    changed: tuple[Uid, ...] = ()
    modified: tuple[Uid, ...] = ()


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


@value(frozen=True, slots=True)
class Appending:
    """One message of an APPEND.

    Attributes:
        flags: Names of system flags and keywords; unknown keywords are made.
        internal_date: Seconds since the epoch; None for now.
    """

    upload: Upload
    flags: tuple[str, ...] = ()
    internal_date: float | None = None


@value(frozen=True, slots=True)
class Placed:
    """Where messages went: COPYUID and APPENDUID (RFC 4315 §3).

    Attributes:
        sources: UIDs in the mailbox they came from; empty for APPEND.
        uids: UIDs in the mailbox they went to, in the same order.
    """

    uid_validity: UidValidity
    sources: tuple[Uid, ...]
    uids: tuple[Uid, ...]
