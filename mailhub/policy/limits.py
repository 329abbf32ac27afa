"""What the hub allows itself: how much at once, how much in memory, how long it waits.

Those who obey these values live at the edge (`net`, `relay`); the values are here,
where the configuration can fill them in. Limits of the protocols are in their own
packages (`smtp.limits`, `imap.settings`, `pop3.settings`), the store's in `store.limits`.

Sizes are octets, durations seconds.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from mailhub.policy.loop import HOPS_LIMIT

# ---- Taking mail ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IntakeLimits:
    """What a message may be like, and how it is taken (`relay.intake`).

    Attributes:
        header: Octets of a header section. A longer one is refused on
            submission (552 5.3.4); from others it is judged by its beginning.
        hops: Received fields (RFC 5321 §6.3).
        piece: Octets of large content written in one go.
        hide_clients: Received does not tell the address of those who log in.
        urgent: Accounts, by address or domain, whose mail may go before others' (RFC 6710 §4.1);
            trusted networks may too.
    """

    header: int = 262_144
    hops: int = HOPS_LIMIT
    piece: int = 262_144
    hide_clients: bool = False
    urgent: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JournalLimits:
    """How accepted mail is written (`net.journal`).

    Attributes:
        inline: Octets of content up to which it lies in the database; beyond,
            in a file of its own.
        in_flight: Octets of content that may be on their way to the disk.
        batch: Changes written in one commit.
    """

    inline: int = 64 * 1024
    in_flight: int = 64 * 1024 * 1024
    batch: int = 256


@dataclass(frozen=True, slots=True)
class JourneyLimits:
    """How much is remembered of what happened to mail (`net.scribe`, `queue.journeys`).

    Attributes:
        keep: Seconds that a journey is kept after its message was accepted; 0 to write none.
        size: Octets on disk, beyond which the oldest finished journeys go.
        wait: Seconds that what happened may wait in memory before it is written.
        waiting: Events that may wait; what happens while there are more is not kept.
        mailbox: The name of the mailbox in which senders see what became of their
            mail; ``""`` for none.
        recent: Seconds that what has ended is shown there.
    """

    keep: float = 30 * 86400.0
    size: int = 1 << 30
    wait: float = 0.25
    waiting: int = 50_000
    mailbox: str = "Queue"
    recent: float = 2 * 86400.0


# ---- Delivering it -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class LocalLimits:
    """How filing and syncing are batched (`relay.local`).

    Attributes:
        batch: Messages filed in one job.
        sync_after: Seconds after which what was filed is synced at the latest.
        sync_count: Messages filed since the last sync that begin another one.
        sync_octets: Octets of content filed, likewise.
        pending: Messages accepted and not yet dropped above which the intake waits.
        pending_octets: Octets of content held in memory, likewise.
        retry_sync: Seconds before a sync that failed is tried again.
    """

    batch: int = 256
    sync_after: float = 2.0
    sync_count: int = 1000
    sync_octets: int = 16 * 1024 * 1024
    pending: int = 5000
    pending_octets: int = 64 * 1024 * 1024
    retry_sync: float = 5.0


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """How much the queue runner does at once (`relay.runner`, `relay.lane`).

    Attributes:
        attempts: Attempts under way, in all; more than may talk at once
            (`PoolLimits.total`), for names are looked up first, and turns waited for.
        attempts_per_hop: … and for one next hop, where nothing is known of its places
            (`relay.agents.Outbound.places`).
        recipients: Recipients in one attempt: 100 must be taken everywhere
            (RFC 5321 §4.5.3.1.8).
        ready: Recipients waiting in memory, in all.
        ready_per_hop: … and of one flow in one lane.
        page: Rows of the index looked at before others have their turn.
        cache: Octets of fresh content kept in memory until it is attempted.
        sleep: Seconds that the next moment is waited for at once, at most: the clock
            may be set meanwhile, or the machine may sleep.
        gather: Seconds that a failure may wait to be told together with others.
        grace: Seconds that attempts under way are given when the hub stops.
    """

    attempts: int = 400
    attempts_per_hop: int = 40
    recipients: int = 100
    ready: int = 10_000
    ready_per_hop: int = 500
    page: int = 200
    cache: int = 32 * 1024 * 1024
    sleep: float = 60.0
    gather: float = 60.0
    grace: float = 30.0


class Family(Enum):
    """Which addresses of a host are tried, and which first."""

    BOTH = "both"
    """IPv6 first, then in turn."""
    IPV4_FIRST = "ipv4-first"
    IPV4 = "ipv4"
    IPV6 = "ipv6"


@dataclass(frozen=True, slots=True)
class RemoteLimits:
    """How far one attempt goes (`relay.remote`).

    Attributes:
        hosts: Of a domain with many exchanges.
        addresses: In all, of all these hosts (RFC 5321 §5.1 asks for two at least).
        stagger: Seconds for which an address is waited for before the next of the same
            host is tried beside it.
    """

    hosts: int = 5
    addresses: int = 8
    stagger: float = 2.0
    family: Family = Family.BOTH


@dataclass(frozen=True, slots=True)
class ProtectionLimits:
    """What is asked about the TLS of other domains (`relay.protector`).

    Attributes:
        dane: TLSA records are obeyed, where the resolver's word on DNSSEC is trusted.
        sts: MTA-STS policies are obeyed.
        patience: Seconds that a message waits for a policy that is being fetched.
        failures: Domains of which it is remembered that their policy was not to be had.
    """

    dane: bool = True
    sts: bool = True
    patience: float = 10.0
    failures: int = 10_000


@dataclass(frozen=True, slots=True)
class PoolLimits:
    """How connections to other hosts are shared (`relay.pool`).

    Attributes:
        destination: Connections to one provider at once, where nothing else is said of it.
        total: Messages on their way at once, to all of them.
        messages: Sent over one connection before it is closed.
        idle: Seconds that a connection is kept for the next message.
        idle_total: Connections kept so.
        connect: Seconds for a TCP connection to be made.
        under_way: Messages that may be unanswered at once on a connection whose line is long,
            if the host takes chunks; as many are sent again if it breaks.
        singly: Seconds for which a host that lost its way among several commands gets one at
            a time.
        grace: Seconds that `Pool.stop` lets messages finish.
    """

    destination: int = 20
    total: int = 200
    messages: int = 100
    idle: float = 10
    idle_total: int = 100
    connect: float = 30
    under_way: int = 4
    singly: float = 86_400
    grace: float = 10


# ---- Looking names up ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class DnsLimits:
    """How long and how much of the DNS is remembered (`net.dns`).

    Attributes:
        entries: Answers in the cache.
        longest: Seconds that an answer is kept, whatever its TTL says.
        negative: Likewise for "no such thing" (RFC 2308 §5 says 1 to 3 hours).
        failure: Seconds after a failure before the same is asked again
            (RFC 2308 §7 allows 5 minutes).
    """

    entries: int = 20_000
    longest: float = 86_400
    negative: float = 3 * 3600
    failure: float = 5


@dataclass(frozen=True, slots=True)
class DnsPatience:
    """How long to wait for name servers, in seconds (`net.dnswire`).

    Attributes:
        rounds: For an answer by UDP: each round asks every server once.
        stream: For the whole of an answer by TCP.
    """

    rounds: tuple[float, ...] = (2.0, 4.0, 6.0)
    stream: float = 5.0
