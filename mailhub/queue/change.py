"""What can be written to the spool: one value for each kind of change.

Changes that belong together (a fate and the notice of it) are handed over
together and happen together or not at all.
"""

from __future__ import annotations

from dataclasses import field

from mailhub.mail.address import Path
from mailhub.mail.envelope import Recipient
from mailhub.mail.value import value
from mailhub.policy.returnpath import Ticket
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue.flow import COMMON, Flow
from mailhub.queue.item import Item
from mailhub.queue.journey import Attempted


class Stale(Exception):
    """The item is no longer as the change expects it: somebody else has changed it meanwhile.

    Nothing was written. Load it again and decide anew.
    """

    def __init__(self, queue_id: QueueId) -> None:
        self.queue_id = queue_id
        super().__init__(f"{queue_id} has changed meanwhile")


@value(frozen=True, slots=True)
class Accept:
    """A new item. `content` is None where it lies, synced, in the item's file."""

    item: Item
    content: bytes | None


@value(frozen=True, slots=True)
class Settle:
    """New fates for those recipients in which `before` and `after` differ.

    An item without an open recipient leaves the spool, once its sender has been told all.

    Attributes:
        owed: Places of recipients whose sender is to be told later.
        owed_at: When, at the latest.
    """

    before: Item
    after: Item
    attempts: tuple[Attempted, ...] = ()
    owed: tuple[int, ...] = ()
    owed_at: float = 0.0


@value(frozen=True, slots=True)
class Told:
    """The sender is told what was owed of all recipients of this part of an item."""

    item: Item


@value(frozen=True, slots=True)
class Filed:
    """These local recipients have the message in their mailboxes, not yet durably."""

    item: Item
    numbers: tuple[int, ...]


@value(frozen=True, slots=True)
class Drop:
    """These local recipients have the message durably; nobody wants to hear of it."""

    item: Item
    numbers: tuple[int, ...]
    at: float


@value(frozen=True, slots=True)
class Promised:
    """A message that is to be in a mailbox, whatever happens: see `ports.filing.Promise`."""

    queue_id: QueueId
    account: AccountId
    mailbox: str
    flags: tuple[str, ...]
    date: float
    content: bytes


@value(frozen=True, slots=True)
class Kept:
    """These promises are kept, or were never told to anybody."""

    queue_ids: tuple[QueueId, ...]


@value(frozen=True, slots=True)
class Select:
    """Which items, and which of their recipients; an empty one is all.

    Attributes:
        queue_ids: Only these items.
        sender: Only items from this reverse-path.
        sender_domain: Only items from reverse-paths of this domain.
        recipient: Only this forward-path.
        domain: Only forward-paths of this domain, or of one of these `domains`.
        account: Only items that this account has submitted.
    """

    queue_ids: tuple[QueueId, ...] = ()
    sender: Path | None = None
    sender_domain: str | None = None
    recipient: Path | None = None
    domain: str | None = None
    account: Path | None = None
    domains: tuple[str, ...] = ()


@value(frozen=True, slots=True)
class Flush:
    """Pending recipients are due `now`."""

    select: Select
    now: float


@value(frozen=True, slots=True)
class Hold:
    """Pending recipients are held."""

    select: Select
    why: str


@value(frozen=True, slots=True)
class Release:
    """Held recipients are pending again, and due `now`."""

    select: Select
    now: float


@value(frozen=True, slots=True)
class Cancel:
    """Pending and held recipients are dropped, and nobody is told."""

    select: Select
    now: float


@value(frozen=True, slots=True)
class Reroute:
    """Pending and held recipients go another way, the pending ones `now`.

    Attributes:
        route: The name of a route, ``direct`` for the exchanges of the domain, or
            ``host:port``; ``""`` for what the configuration says.
    """

    select: Select
    route: str
    now: float


@value(frozen=True, slots=True)
class Respread:
    """Recipients whose moment lies behind `latest` are due by then.

    For moments that were written when the clock was ahead. What its sender wants to be
    released later (RFC 4865) waits for that.

    Attributes:
        earliest: They are spread from here on, so that they do not all come back together.
    """

    select: Select
    earliest: float
    latest: float


Amend = Flush | Hold | Release | Cancel | Reroute | Respread
"""What operators do, in this process or another: to whatever is in a fitting state."""


@value(frozen=True, slots=True)
class Edit:
    """Other recipients for one item: an address corrected, or one more.

    Attributes:
        number: Whose path is replaced; None to add a recipient.
        account: Where the new path ends here: the account.
    """

    queue_id: QueueId
    number: int | None
    path: Path
    account: AccountId | None
    now: float


@value(frozen=True, slots=True)
class Count:
    """A message was sent, which counts for somebody's allowance.

    Attributes:
        recipients: To whom, each as a number.
    """

    subject: str
    slot: int
    recipients: tuple[int, ...]


@value(frozen=True, slots=True)
class Sent:
    """A message was handed on with a return path of ours.

    Attributes:
        ticket: What the return path names.
        sender: The reverse-path that it had.
        recipient: Whom it was for.
    """

    ticket: Ticket
    sender: Path
    recipient: Recipient
    envid: str | None = None


@value(frozen=True, slots=True)
class Returned:
    """What was sent has come back, and its sender is told.

    It is `Stale` where that was told before.
    """

    ticket: Ticket


@value(frozen=True, slots=True)
class Outlived:
    """What was sent before a day is known no more: some of it, for there may be much."""

    day: int


Change = (
    Sent | Returned | Outlived | Count | Accept | Settle | Told | Filed | Drop | Promised | Kept
)


@value(frozen=True, slots=True)
class Due:
    """A recipient whose moment has come.

    Attributes:
        local: It is a mailbox of ours whose first filing failed, or was put off.
        route: As `queue.item.Pending.route`.
    """

    due: float
    queue_id: QueueId
    number: int
    path: Path
    reverse_path: Path
    local: bool
    flow: Flow = COMMON
    route: str = ""


@value(frozen=True, slots=True)
class Strand:
    """All pending recipients of one flow and one domain: what the runner looks at first.

    Attributes:
        due: The moment of the first of them.
    """

    flow: Flow
    domain: str
    due: float


@value(frozen=True, slots=True)
class Unfiled:
    """Local recipients that a crash may have left without their message.

    Attributes:
        filed: Numbers whose filing is done, as this boot of the machine knows:
            they only have to be made durable, and dropped.
        unfiled: Numbers to be filed, perhaps once more.
    """

    item: Item
    unfiled: tuple[int, ...]
    filed: tuple[int, ...]


@value(frozen=True, slots=True)
class Counts:
    """How much the spool holds.

    Attributes:
        recipients: How many there are in each state, by the state's name in lower case.
        oldest: When the item arrived that has been here longest; None in an empty spool.
    """

    items: int
    recipients: dict[str, int] = field(default_factory=dict)
    oldest: float | None = None
