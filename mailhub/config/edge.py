"""What the edge obeys, told without importing it: its packages are Twisted's, this one is not.

Each value here has the attributes and defaults of the edge's own, named beside
it; a test compares the two, and `like` makes one of the other.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Pool:
    """Connections to other hosts: `relay.pool.PoolLimits`."""

    destination: int = 20
    total: int = 200
    messages: int = 100
    idle: float = 10
    idle_total: int = 100
    connect: float = 30
    grace: float = 10


@dataclass(frozen=True, slots=True)
class Reach:
    """How far one attempt goes: `relay.remote.RemoteLimits`, but for the family's type."""

    hosts: int = 5
    addresses: int = 8
    family: str = "both"


@dataclass(frozen=True, slots=True)
class Runner:
    """How much the queue runner does at once: `relay.lane.Limits`."""

    attempts: int = 200
    attempts_per_hop: int = 20
    recipients: int = 100
    ready: int = 10_000
    ready_per_hop: int = 1000
    page: int = 200
    cache: int = 32 * 1024 * 1024
    sleep: float = 300.0
    grace: float = 30.0


@dataclass(frozen=True, slots=True)
class Intake:
    """What a message may be like: `relay.intake.Limits`."""

    header: int = 262_144
    hops: int = 100
    piece: int = 262_144
    hide_clients: bool = False


@dataclass(frozen=True, slots=True)
class Journal:
    """How accepted mail is written: `net.journal.Limits`."""

    inline: int = 64 * 1024
    in_flight: int = 64 * 1024 * 1024
    batch: int = 256


@dataclass(frozen=True, slots=True)
class DnsCache:
    """What is remembered of the DNS: `net.dns.DnsLimits`."""

    entries: int = 20_000
    longest: float = 86_400
    negative: float = 3 * 3600
    failure: float = 5


@dataclass(frozen=True, slots=True)
class DnsPatience:
    """How long to wait for name servers: `net.dnswire.Patience`."""

    rounds: tuple[float, ...] = (2.0, 4.0, 6.0)
    stream: float = 5.0


def like(kind: type[T], value: Any, **converted: object) -> T:
    """The edge's own value with the attributes of one of ours; `converted` wins."""
    attributes = {one.name: getattr(value, one.name) for one in fields(value)}
    return kind(**(attributes | converted))
