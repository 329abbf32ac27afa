"""Who runs the hosts that mail goes to, and how we deal with them.

Thousands of domains are run by few providers. What counts there, connections,
messages an hour, reputation, counts for all of those domains together; so
domains are grouped by their mail exchanges and not by their names.

Pure: what the DNS said is an argument.

Invariants:

1. Every set of exchanges belongs to exactly one group. The best exchange decides:
   the longest pattern that it matches, else the set itself is the group.
2. The groups of two domains with the same exchanges are the same, in whatever
   order the DNS gave these.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Final

from mailhub.mail.value import value
from mailhub.policy.limits import Family
from mailhub.policy.retry import Wishes
from mailhub.policy.route import TlsDemand
from mailhub.ports.resolver import Mx


@value(frozen=True, slots=True)
class Source:
    """Where our connections come from, and what we call ourselves there.

    Attributes:
        name: Of its section; ``""`` for what the kernel chooses.
        ipv4: The local address; ``""`` leaves it to the kernel.
        ipv6: Likewise.
        helo: For EHLO; ``""`` for the hub's own name.
    """

    name: str = ""
    ipv4: str = ""
    ipv6: str = ""
    helo: str = ""

    def bind(self, address: str) -> tuple[str, int] | None:
        """The local address for a connection to `address`."""
        local = self.ipv6 if ":" in address else self.ipv4
        return (local, 0) if local else None

    def reaches(self, address: str) -> bool:
        """Whether it may be used for `address`: who names one family means that one."""
        if not (self.ipv4 or self.ipv6):
            return True
        return bool(self.ipv6 if ":" in address else self.ipv4)


ANY_SOURCE: Final = Source()


@value(frozen=True, slots=True)
class Provider:
    """How we deal with the hosts of one provider.

    What is None is as ``[relay]`` has it. A limit of 0 is none.

    Attributes:
        name: Of its section, or the exchanges for those that have none.
        mx: Patterns for the names of its exchanges: a host, or ``*.domain``.
        connections: Open at once, from each source.
        messages: Over one connection.
        recipients: In one message.
        per_minute: Messages, from each source; likewise `per_hour` and `per_day`.
        tls: What is asked of the encryption there.
        family: Which addresses are tried, and which first.
        named: Over IPv6 only from an address with a name (PTR) that leads back to it.
        sources: Names of the sources that are used, in turn.
        detour: The route that mail takes which they block; ``""`` for none.
        detour_for: Seconds for which it does, counted from the last block.
        probe: Seconds after which it is tried directly again.
        wishes: Where the schedule of its mail differs.
        listed: It has a section: its name is a person's, not a set of hosts.
    """

    name: str
    mx: tuple[str, ...] = ()
    connections: int | None = None
    messages: int | None = None
    recipients: int | None = None
    per_minute: int = 0
    per_hour: int = 0
    per_day: int = 0
    tls: TlsDemand | None = None
    family: Family | None = None
    named: bool = False
    sources: tuple[str, ...] = ()
    detour: str = ""
    detour_for: float = 6 * 3600.0
    probe: float = 3600.0
    wishes: Wishes = field(default_factory=Wishes)
    listed: bool = True

    def demand(self, hop: TlsDemand) -> TlsDemand:
        """What is asked of TLS by a provider and by a hop: never less than either insists on."""
        if self.tls is None or hop is TlsDemand.NONE:
            return hop
        if hop is TlsDemand.OPPORTUNISTIC:
            return self.tls
        return max(hop, self.tls, key=_STRICTNESS.index)


_STRICTNESS: Final = (
    TlsDemand.NONE,
    TlsDemand.OPPORTUNISTIC,
    TlsDemand.REQUIRED,
    TlsDemand.VERIFIED,
)


@value(frozen=True, slots=True)
class Providers:
    """All that are known, ready to be asked."""

    listed: tuple[Provider, ...] = ()
    _exact: dict[str, Provider] = field(init=False, repr=False, compare=False)
    _below: dict[str, Provider] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        patterns = [(pattern, it) for it in self.listed for pattern in it.mx]
        exact = {pattern: it for pattern, it in patterns if not pattern.startswith("*.")}
        below = {pattern[2:]: it for pattern, it in patterns if pattern.startswith("*.")}
        object.__setattr__(self, "_exact", exact)
        object.__setattr__(self, "_below", below)

    def of(self, hosts: Sequence[Mx]) -> Provider:
        """The provider of exchanges, which are given best first; at least one."""
        best = min(mx.preference for mx in hosts)
        for host in sorted(mx.host for mx in hosts if mx.preference == best):
            found = self.running(host)
            if found is not None:
                return found
        return Provider(" ".join(sorted(mx.host for mx in hosts)), listed=False)

    def running(self, host: str) -> Provider | None:
        """Who runs a host, if that is known: the longest pattern decides."""
        if host in self._exact:
            return self._exact[host]
        _, _, rest = host.partition(".")
        while rest:
            if rest in self._below:
                return self._below[rest]
            _, _, rest = rest.partition(".")
        return None

    def named(self, name: str) -> Provider | None:
        """The one with a section of this name."""
        return next((it for it in self.listed if it.name == name), None)


def duplicates(providers: Iterable[Provider]) -> dict[str, tuple[str, str]]:
    """Patterns that two providers have, and the names of the first two."""
    seen: dict[str, str] = {}
    found: dict[str, tuple[str, str]] = {}
    for provider in providers:
        for pattern in provider.mx:
            if pattern in seen and pattern not in found:
                found[pattern] = (seen[pattern], provider.name)
            seen.setdefault(pattern, provider.name)
    return found
