"""Which journeys are looked for, and the checksums by which the names in them are found.

What a checksum finds is to be compared: `Wanted.fits` does.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from zlib import crc32

from mailhub.mail.value import value
from mailhub.queue.event import Accepted


class Kind(IntEnum):
    """What a name names."""

    SENDER = 1
    RECIPIENT = 2
    MESSAGE_ID = 3
    ACCOUNT = 4


@value(frozen=True, slots=True)
class Wanted:
    """Which journeys are looked for; all criteria must fit. Addresses in any case.

    Attributes:
        since: Accepted not before this moment.
    """

    sender: str | None = None
    recipient: str | None = None
    message_id: str | None = None
    account: str | None = None
    since: float = 0.0

    @property
    def keys(self) -> list[int]:
        """The checksums of its names."""
        names = (
            (Kind.MESSAGE_ID, self.message_id),
            (Kind.RECIPIENT, self.recipient),
            (Kind.SENDER, self.sender),
            (Kind.ACCOUNT, self.account),
        )
        return [_key(kind, name) for kind, name in names if name is not None]

    def fits(self, accepted: Accepted) -> bool:
        """Whether a message is one of those."""
        return (
            accepted.at >= self.since
            and (self.sender is None or _same(self.sender, accepted.sender))
            and (self.message_id is None or _same(self.message_id, accepted.message_id))
            and (self.account is None or _same(self.account, accepted.account))
            and (
                self.recipient is None
                or any(_same(self.recipient, it) for it in accepted.recipients)
            )
        )


def keys(accepted: Accepted) -> Iterable[int]:
    """The checksums of the names in a message."""
    yield _key(Kind.SENDER, accepted.sender)
    for recipient in accepted.recipients:
        yield _key(Kind.RECIPIENT, recipient)
    if accepted.message_id:
        yield _key(Kind.MESSAGE_ID, accepted.message_id)
    if accepted.account:
        yield _key(Kind.ACCOUNT, accepted.account)


def _key(kind: Kind, name: str) -> int:
    return kind << 32 | crc32(_folded(name).encode("utf-8", "replace"))


def _folded(name: str) -> str:
    """A name as it is compared: a Message-ID with or without its brackets."""
    return name.strip("<>").casefold()


def _same(one: str, other: str) -> bool:
    return _folded(one) == _folded(other)
