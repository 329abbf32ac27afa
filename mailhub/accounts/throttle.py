"""Slows down those who guess passwords. Pure: the moment is an argument, nothing is looked up.

Failures are counted for the client's network and for the account; each count
halves every `half_life`.  A few are free, then each further one doubles the
wait before the next check, and above a limit nothing is checked at all.

Invariants:

1. A network that has logged in to an account before (`Limits.proven`) is judged
   for that account by its own failures there alone, and is slowed at worst,
   never refused: nobody can lock a person out (but others' guesses from
   elsewhere stay refused). As long as a stranger would not be refused there, the right
   password opens at once, and only wrong ones wait: the other devices of somebody whose
   phone goes on with an old password notice nothing.
2. A network from which anybody has logged in within `WELCOME` is not refused for
   what others do there, and slowed less: it may be an office, or a webmail host.
3. An attempt counts as a failure from its beginning until its success: many at
   the same time gain nothing.
4. Memory is bounded by `Limits.places` entries for each kind of count.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass
from ipaddress import IPv6Address, IPv6Network, ip_address
from typing import Final

WELCOME: Final = 3600.0
"""Seconds for which a login makes its network welcome."""
WELCOME_SHARE: Final = 0.2
"""The share of `Limits.longest_delay` that a welcome network waits at most for what others did."""


@dataclass(frozen=True, slots=True)
class Limits:
    """How failed logins are slowed down.

    Attributes:
        free: Failures that cost no wait.
        first_delay: Seconds before the check that follows; doubled by each further failure.
        longest_delay: Seconds that a check is put off at most.
        address_refused: Failures of a network above which nothing is checked.
        account_refused: Failures on an account, from networks it does not know, likewise.
        half_life: Seconds in which a count halves.
        proven: Seconds for which a network that has logged in is known to the account.
        places: Networks, accounts and pairs of them that are remembered, each.
    """

    free: int = 4
    first_delay: float = 0.5
    longest_delay: float = 15.0
    address_refused: int = 40
    account_refused: int = 100
    half_life: float = 300.0
    proven: float = 30 * 86400.0
    places: int = 20_000


@dataclass(frozen=True, slots=True)
class Attempt:
    """A login that was begun.

    Attributes:
        delay: Seconds to wait before it is checked.
        known: The network had logged in to the account before.
        prompt: Only a wrong password need wait, and that after the check.
    """

    network: str
    account: str
    delay: float
    known: bool
    prompt: bool = False


class Throttle:
    """Counts failed logins, and says how long the next one must wait."""

    def __init__(self, limits: Limits | None = None) -> None:
        self._limits = limits or Limits()
        self._networks = _Counts(self._limits)
        self._accounts = _Counts(self._limits)
        self._pairs = _Counts(self._limits)
        self._proven = _Moments(self._limits.places)
        self._welcome = _Moments(self._limits.places)

    def obey(self, limits: Limits) -> None:
        """Judge by other limits from here on, with the failures and logins counted so far."""
        self._limits = limits
        for counts in (self._networks, self._accounts, self._pairs):
            counts.limits = limits
        for moments in (self._proven, self._welcome):
            moments.places = limits.places

    def begin(self, network: str, account: str, now: float) -> Attempt | None:
        """Begin an attempt; None if it will not be checked, which does not count either.

        `network` is what the function of that name makes of the client's address,
        or empty where that is not known: then it is not slowed. `account` is the
        key of the name given, whether it exists or not.
        """
        limits = self._limits
        pair = (network, account)
        if self._known(pair, now):
            count = self._pairs.count(pair, now)
            self._pairs.add(pair, 1, now)
            prompt = count < limits.address_refused
            return Attempt(network, account, self._delay(count), known=True, prompt=prompt)
        by_network = self._networks.count(network, now) if network else 0
        by_account = self._accounts.count(account, now)
        welcome = self._welcome.within(network, WELCOME, now)
        if by_account >= limits.account_refused:
            return None
        if by_network >= limits.address_refused and not welcome:
            return None
        self._networks.add(network, 1, now)
        self._accounts.add(account, 1, now)
        share = WELCOME_SHARE if welcome else 1.0
        of_network = min(self._delay(by_network), share * limits.longest_delay)
        return Attempt(network, account, max(of_network, self._delay(by_account)), known=False)

    def succeeded(self, attempt: Attempt, now: float) -> None:
        """The attempt was the account's owner: the network is known from here on.

        Its own earlier failures are forgiven, if it was known; others' never are.
        """
        pair = (attempt.network, attempt.account)
        self.withdrawn(attempt, now)
        self._pairs.forget(pair)
        self._proven.note(pair, now)
        self._welcome.note(attempt.network, now)

    def withdrawn(self, attempt: Attempt, now: float) -> None:
        """The attempt was not judged: it counts no more."""
        if attempt.known:
            self._pairs.add((attempt.network, attempt.account), -1, now)
        else:
            self._networks.add(attempt.network, -1, now)
            self._accounts.add(attempt.account, -1, now)

    def _known(self, pair: tuple[str, str], now: float) -> bool:
        return self._proven.within(pair, self._limits.proven, now)

    def _delay(self, count: int) -> float:
        over = count - self._limits.free
        if over < 0:
            return 0.0
        # Doubling stops long before it overflows: 2 ** 32 times anything is too long.
        delay = self._limits.first_delay * 2.0 ** min(over, 32)
        return min(delay, self._limits.longest_delay)


class _Moments:
    """When something happened last; the oldest are forgotten first."""

    def __init__(self, places: int) -> None:
        self.places = places
        self._moments: OrderedDict[object, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._moments)

    def within(self, key: object, seconds: float, now: float) -> bool:
        moment = self._moments.get(key)
        return moment is not None and now - moment < seconds

    def note(self, key: object, now: float) -> None:
        self._moments[key] = now
        self._moments.move_to_end(key)
        while len(self._moments) > self.places:
            self._moments.popitem(last=False)


class _Counts:
    """Counts that halve with time; the one that changed longest ago is forgotten first."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._counts: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def count(self, key: object, now: float) -> int:
        """The count now, rounded: a second's decay forgives nothing."""
        return round(self._exact(key, now))

    def _exact(self, key: object, now: float) -> float:
        kept = self._counts.get(key)
        if kept is None:
            return 0.0
        count, since = kept
        return count * math.exp2(-max(now - since, 0.0) / self.limits.half_life)

    def add(self, key: object, amount: float, now: float) -> None:
        count = self._exact(key, now) + amount
        if count <= 0.01:
            self._counts.pop(key, None)
            return
        self._counts[key] = (count, now)
        self._counts.move_to_end(key)
        while len(self._counts) > self.limits.places:
            self._counts.popitem(last=False)

    def forget(self, key: object) -> None:
        self._counts.pop(key, None)


def canonical(address: str) -> str:
    """A client's address in one spelling: an IPv4-mapped one as IPv4 (RFC 4291 §2.5.5.2).

    What is no IP address (a Unix socket's name) stays as it is.
    """
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(parsed)


def network(address: str) -> str:
    """What failures are counted for: an IPv4 address, or the /64 of an IPv6 address.

    A /64 is what one customer gets (RFC 6177 §2): single addresses of it cost nothing.
    """
    plain = canonical(address)
    if ":" not in plain:
        return plain
    try:
        return str(IPv6Network((plain, 64), strict=False))
    except ValueError:
        return plain
