"""How a receiving provider behaves: what a ``[provider NAME]`` of a world file says.

Values and nothing else; `sim.memory` remembers by them, `sim.receiver` answers by them.
Every share is between 0 and 1, every duration seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailhub.mail.reply import Reply


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds; a `count` of 0 is no limit."""

    count: int = 0
    seconds: float = 3600.0

    def __bool__(self) -> bool:
        return self.count > 0

    @property
    def per_second(self) -> float:
        """How many that makes in a second."""
        return self.count / self.seconds


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of the world's time: from `start`, seconds after its beginning, for `length`."""

    start: float
    length: float

    @property
    def end(self) -> float:
        """When it is over."""
        return self.start + self.length


class Outage(Enum):
    """What an outage looks like from outside."""

    SILENT = "silent"
    """Nothing answers: calls time out, and connections that stand hear nothing more."""
    REFUSED = "refused"
    """Calls are refused."""
    BUSY = "busy"
    """Calls are answered with 421."""


class Stage(Enum):
    """Where a connection may be dropped."""

    BANNER = "banner"
    EHLO = "ehlo"
    MAIL = "mail"
    RCPT = "rcpt"
    DATA = "data"
    CONTENT = "content"
    """Amid the content."""
    REPLY = "reply"
    """Behind the content, which was *not* taken."""


class Pipelining(Enum):
    """What it makes of commands that come together (RFC 2920)."""

    YES = "yes"
    NO = "no"
    """It does not offer it."""
    DISORDERED = "out of order"
    """It offers it, and swaps the second reply of a batch with the third."""


class Certificate(Enum):
    """What TLS is like."""

    NONE = "none"
    GOOD = "good"
    SELF_SIGNED = "self-signed"
    EXPIRED = "expired"
    WRONG_NAME = "wrong name"
    BROKEN = "broken"
    """STARTTLS is offered, and the handshake fails."""
    REFUSED = "refused"
    """STARTTLS is offered, and answered with 454."""


_RATE: Final = Reply(451, "7.1", ("Too much mail from you for now",))
_CONNECTIONS: Final = Reply(421, "7.0", ("Too many connections from you",))
_BLOCKED: Final = Reply(554, "7.1", ("Your address is blocked here",))
_GREYLISTED: Final = Reply(451, "7.1", ("Greylisted, please come again",))
_UNKNOWN: Final = Reply(550, "1.1", ("No such user here",))
_FULL: Final = Reply(452, "2.2", ("The mailbox is full",))


class Dane(Enum):
    """What its TLSA records say (RFC 7672); they count where its zone is signed."""

    NONE = "none"
    GOOD = "good"
    WRONG = "wrong"
    """They belong to another certificate."""


class Sts(Enum):
    """What its MTA-STS policy says (RFC 8461)."""

    NONE = "none"
    ENFORCE = "enforce"
    TESTING = "testing"
    WRONG = "wrong"
    """It enforces, and names other hosts than its own."""
    MISSING = "missing"
    """It is announced, and not there."""


@dataclass(frozen=True, slots=True)
class Manners:
    """One provider.

    Attributes:
        name: What people call it.
        domains: Whose mail it takes; ``*`` for whatever nobody else takes.
        exchanges: Names of its hosts, the preferred ones first.
        weight: Its part of a campaign, in proportion to the others'.
        source: Where its limits are published; for the report.
        latency, jitter, bandwidth: Of its hosts' links.
        connections: At once from one address; 0 for any, as for all limits.
        connection_rate: New ones from one address.
        messages: Over one connection; then it closes without a word.
        recipients: In one message.
        rate: Recipients accepted from one address.
        capacity: Messages it can take from everybody: beyond, replies come late.
        size: Octets of a message.
        tarpit: Seconds before each reply.
        greylist: Seconds for which a triplet that was never seen is put off.
        greylist_memory: Seconds for which it is known afterwards.
        warm_up: Recipients accepted from an address before it has the full `rate`; until
            then it grows with them, from a tenth.
        block_above: Recipients tried from one address, accepted or not, above which it is blocked.
        block_complaints: Complaints in a day above which it is.
        block_unknown: The share of unknown recipients above which it is (of 50 at least).
        block_for: Seconds until it is forgiven.
        unknown: The share of addresses that do not exist.
        full: The share of mailboxes that are full.
        bounces: The share of messages accepted that bounce afterwards, after `bounce_delay`.
        complaints: The share of messages complained of, after `complaint_delay`.
        feedback: Whether complaints are told to the sender (RFC 5965).
        outages: When it is not there, and `outage` how that looks.
        drops: For stages, the share of times that the connection is dropped there.
        lost_replies: The share of messages that it takes without its reply getting through.
        dane: Its TLSA records; ``sts`` its MTA-STS policy.
        names_fault: What its DNS suffers from during `names_fails`.
        secure: Its zones are signed.
        model: ``package.module:Class`` of a `sim.receiver.Receiver` to use in place of ours.
    """

    name: str
    domains: tuple[str, ...] = ("*",)
    exchanges: tuple[str, ...] = ()
    weight: float = 0.0
    source: str = ""
    latency: float = 0.02
    jitter: float = 0.005
    bandwidth: int = 0
    connections: int = 0
    connection_rate: Rate = Rate()
    messages: int = 0
    recipients: int = 100
    rate: Rate = Rate()
    capacity: Rate = Rate()
    size: int = 0
    tarpit: float = 0.0
    greylist: float = 0.0
    greylist_memory: float = 36 * 86400.0
    warm_up: int = 0
    block_above: Rate = Rate()
    block_complaints: int = 0
    block_unknown: float = 0.0
    block_for: float = 86400.0
    unknown: float = 0.0
    full: float = 0.0
    bounces: float = 0.0
    bounce_delay: float = 600.0
    complaints: float = 0.0
    complaint_delay: float = 3600.0
    feedback: bool = False
    outages: tuple[Window, ...] = ()
    outage: Outage = Outage.SILENT
    drops: tuple[tuple[Stage, float], ...] = ()
    lost_replies: float = 0.0
    pipelining: Pipelining = Pipelining.YES
    tls: Certificate = Certificate.NONE
    dane: Dane = Dane.NONE
    sts: Sts = Sts.NONE
    names_fault: str = ""
    names_fails: tuple[Window, ...] = ()
    secure: bool = False
    says_rate: Reply = _RATE
    says_connections: Reply = _CONNECTIONS
    says_blocked: Reply = _BLOCKED
    says_greylisted: Reply = _GREYLISTED
    says_unknown: Reply = _UNKNOWN
    says_full: Reply = _FULL
    model: str = ""

    @property
    def chances(self) -> dict[Stage, float]:
        """The share of times that a connection is dropped, by stage."""
        return dict(self.drops)


class Why(Enum):
    """What stood between a message and its recipient: what a report tells."""

    RATE = "its rate limit"
    CONNECTIONS = "its limit of connections"
    BLOCKED = "it blocked us"
    GREYLISTED = "greylisting"
    OUTAGE = "its outage"
    CAPACITY = "its own capacity"
    SLOW = "its slow answers"
    FAULTS = "faults on the way"
    TLS = "what it says of its TLS"
    FULL = "full mailboxes"
    UNKNOWN = "unknown users"
    OTHER = "other refusals"


LIMITS: Final = (
    *(Why.BLOCKED, Why.OUTAGE, Why.RATE, Why.CONNECTIONS),
    *(Why.GREYLISTED, Why.FAULTS, Why.CAPACITY, Why.FULL),
)
"""What slows a campaign down, what is told first where several do."""
