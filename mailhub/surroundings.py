"""What a hub needs of the world: production, tests and simulations each give their own."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from mailhub.config.settings import Settings
from mailhub.net.dns import DnsResolver, name_servers
from mailhub.ports.disk import Disk
from mailhub.ports.resolver import Resolver
from mailhub.ports.web import Web
from mailhub.store.files import Files

NONCE_OCTETS: Final = 18
"""Random octets of a SCRAM nonce."""
RESOLV_CONF: Final = "/etc/resolv.conf"


class Threads(Disk, Protocol):
    """A `ports.disk.Disk` that can be stopped."""

    async def stop(self) -> None:
        """Finish what is under way."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a hub needs of the world.

    Attributes:
        now: The date, seconds since the epoch.
        entropy: Gives so many octets that nobody can guess.
        chance: For what may be guessed: jitter, the order of equals.
        boot_id: Differs from one start of the machine to the next.
        threads: Makes a pool of so many threads, with a name.
        resolver: In place of the DNS, if there is one; ``web`` likewise, of HTTPS.
        system: The calls by which spool and store change the disk.
        both_families: Whether a socket on ``::`` takes IPv6 and IPv4.
    """

    reactor: Any
    now: Callable[[], float]
    entropy: Callable[[int], bytes]
    chance: random.Random
    boot_id: str
    threads: Callable[[int, str], Threads]
    resolver: Resolver | None = None
    web: Web | None = None
    system: Files = field(default_factory=Files)
    both_families: bool = False

    def nonce(self) -> str:
        """A nonce for SCRAM (RFC 5802 §5.1: printable, no comma)."""
        return self.entropy(NONCE_OCTETS).hex()

    def number(self, bits: int) -> int:
        """A number of so many bits that nobody can guess."""
        return int.from_bytes(self.entropy((bits + 7) // 8), "big") >> (-bits % 8)


def resolver_of(settings: Settings, world: Surroundings) -> Resolver:
    """Asks the DNS as it is configured."""
    dns = settings.dns
    return DnsResolver(
        world.reactor,
        dns.servers or name_servers(_read(RESOLV_CONF)),
        lambda: world.number(16),
        trusted=dns.trusted,
        limits=dns.cache,
        patience=dns.patience,
    )


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
