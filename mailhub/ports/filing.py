"""Local delivery's way into the store, and promises that precede it."""

from __future__ import annotations

from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from mailhub.mail.value import value
from mailhub.ports.accounts import Account
from mailhub.ports.message import Uid
from mailhub.ports.store import StoreRefused


@value(frozen=True, slots=True)
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


@value(frozen=True, slots=True)
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


class Unsettled(Protocol):
    """What the spool still answers for though it is in its mailbox already."""

    def any(self, account: Account) -> bool:
        """Whether there may be something of an account's."""

    async def settle(self, account: Account, uniques: Collection[str]) -> None:
        """Wait until messages with these unique parts are durable, and the spool's no more.

        Raises:
            StoreRefused: SERVER_BUG: the disk said no.
        """


class Filer(Protocol):
    """Local delivery's way into the store: quick first, durable later.

    Attributes:
        failures: How often making something durable has failed. What was put into mailboxes
            before such a failure may be lost, whatever a later sync says.
    """

    @property
    def failures(self) -> int: ...

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

    async def settle(self, accounts: Sequence[Account], doubtful: Sequence[Promise] = ()) -> None:
        """Make everything durable that lies in these accounts' maildirs.

        What is `doubtful` is written anew before that.

        Raises:
            OSError: The disk said no.
        """
