"""What the index of a mailbox is asked: texts, orders, threads."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple


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


class Conversation(NamedTuple):
    """A thread, as it was arranged.

    Attributes:
        sent: What its place among threads goes by: when the message `uid` was sent.
        cluster: The least UID of the messages on which it depends (`imap.conversations`).
        shape: Its thread list (RFC 5256 §5), with ``%d`` for each message.
        uids: The messages, as an array of typecode ``I`` holds them.
    """

    sent: int
    uid: int
    cluster: int
    shape: bytes
    uids: bytes
