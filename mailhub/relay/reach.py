"""Which of a host's addresses may be tried, and in which order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest

from mailhub.mail.reply import Refusal
from mailhub.policy.limits import Family
from mailhub.policy.provider import Source
from mailhub.policy.route import Shuffle


class UnnamedAddresses:
    """Local IPv6 addresses without a name, remembered for a while."""

    LONGEST = 3600.0
    """Seconds until it is looked again: somebody may have mended the DNS."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, address: str, now: float) -> None:
        """It has none."""
        self._until[address] = now + self.LONGEST

    def any(self, local: str, now: float) -> bool:
        """Whether `local` has none; ``""`` is whichever the kernel takes: that had none last."""
        if local:
            return self._until.get(local, 0.0) > now
        return any(until > now for until in self._until.values())


class Astray:
    """Hosts that lose their way among several commands at once, remembered for a while."""

    MOST = 10_000
    """How many; then the oldest go, which cost one connection to learn of again."""

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def add(self, host: str, until: float) -> None:
        """It does, as far as we know until then."""
        self._until.pop(host, None)
        self._until[host] = until
        if len(self._until) > self.MOST:
            del self._until[next(iter(self._until))]

    def has(self, host: str, now: float) -> bool:
        """Whether it does."""
        return self._until.get(host, now) > now


def usable(host: str, found: Sequence[str], source: Source, *, unnamed: bool) -> list[str]:
    """Those that a source reaches; `unnamed` says that it must not show itself over IPv6.

    Raises:
        Refusal: There are none.
    """
    reached = [address for address in found if source.reaches(address)]
    if not reached:
        words = f"The host {host} has no address that source {source.name} reaches"
        raise Refusal(451, "4.4", words)
    shown = [address for address in reached if not (unnamed and ":" in address)]
    if not shown:
        raise Refusal(451, "4.4", f"The host {host} takes IPv6 from named addresses only")
    return shown


def in_order(addresses: Sequence[str], family: Family, shuffle: Shuffle) -> list[str]:
    """IPv6 and IPv4 in turn, so that the lack of one costs one attempt; at random within each."""
    six = [address for address in addresses if ":" in address and family is not Family.IPV4]
    four = [address for address in addresses if ":" not in address and family is not Family.IPV6]
    shuffle(six)
    shuffle(four)
    first, second = (four, six) if family is Family.IPV4_FIRST else (six, four)
    return list(_zipped(first, second))


def _zipped(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    for pair in zip_longest(first, second):
        yield from (address for address in pair if address is not None)
