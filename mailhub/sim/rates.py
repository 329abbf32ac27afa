"""Whether a hub ever went faster than its configuration says: to providers, and for its accounts.

    ceiling = ceiling_of(settings, "mx.far.example")
    rates.begun("mx.here.example", "Far", ceiling, now)
    print(rates.faults)

What counts is what leaves on the wire, at the moment when it does, and what was accepted
from an account when that was said. It shares no arithmetic with `policy.pace` and
`policy.allowance`: moments are kept, and counted over every span of a limit's length.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from mailhub.config.settings import Settings
from mailhub.mail.address import Path
from mailhub.policy.allowance import Action, Allowance
from mailhub.policy.provider import Providers

MINUTE: Final = 60.0
HOUR: Final = 3600.0
DAY: Final = 86400.0
_WORD: Final = 1.0
"""Seconds that may lie between the judgement of a message from an account, and its 250."""


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What is configured for a provider's hosts, from one source; 0 is none.

    Attributes:
        messages: Over one connection.
        recipients: Of one message.
        spans: Lengths, and the messages that may begin within each.
    """

    name: str
    connections: int = 0
    messages: int = 0
    recipients: int = 0
    spans: tuple[tuple[float, int], ...] = ()


def ceiling_of(settings: Settings, host: str) -> Ceiling:
    """What a configuration says of a host; of one that nobody is known to run, for itself."""
    pool = settings.relay.pool
    provider = Providers(settings.providers).running(host)
    if provider is None:
        return Ceiling(host, pool.destination, pool.messages)
    spans = ((MINUTE, provider.per_minute), (HOUR, provider.per_hour), (DAY, provider.per_day))
    return Ceiling(
        provider.name,
        provider.connections or pool.destination,
        provider.messages or pool.messages,
        provider.recipients or 0,
        tuple((length, most) for length, most in spans if most),
    )


class Rates:
    """The moments of what has happened, and what was too fast.

    Attributes:
        faults: In words.
    """

    def __init__(self) -> None:
        self.faults: list[str] = []
        self._moments: defaultdict[tuple[str, str], deque[tuple[float, int]]] = defaultdict(deque)
        self._written_to: defaultdict[str, set[str]] = defaultdict(set)

    def begun(self, source: str, ceiling: Ceiling, now: float) -> None:
        """A message to a provider begins, from a source."""
        for length, most in ceiling.spans:
            self._count((f"{source} to {ceiling.name}", f"{length:.0f} s"), now, length, 1, most)

    def forget(self, source: str) -> None:
        """A source's clock was set: what it did before, it does not know of any more."""
        for key in [it for it in self._moments if it[0].startswith(f"{source} ")]:
            del self._moments[key]

    def open(self, source: str, ceiling: Ceiling, number: int) -> None:
        """There are so many connections to a provider."""
        self._limit(f"{source} to {ceiling.name}: connections", number, ceiling.connections)

    def message(self, source: str, ceiling: Ceiling, number: int) -> None:
        """This is the so manieth message of a connection."""
        self._limit(f"{source} to {ceiling.name}: messages", number, ceiling.messages)

    def recipient(self, source: str, ceiling: Ceiling, number: int) -> None:
        """This is the so manieth recipient of a message."""
        self._limit(f"{source} to {ceiling.name}: recipients", number, ceiling.recipients)

    def submitted(
        self,
        hub: str,
        allowances: Sequence[Allowance],
        account: Path,
        recipients: Sequence[str],
        now: float,
    ) -> None:
        """A message of an account's was accepted, to be sent."""
        for each in allowances:
            if not each.applies(account):
                continue
            subject = f"{hub}, limit {each.name}, {each.subject(account)}"
            known = self._written_to[subject]
            amounts = (
                ("messages per hour", HOUR, 1, each.messages_per_hour),
                ("messages per day", DAY, 1, each.messages_per_day),
                ("recipients per hour", HOUR, len(recipients), each.recipients_per_hour),
                ("recipients per day", DAY, len(recipients), each.recipients_per_day),
                ("new recipients per day", DAY, len({*recipients} - known), each.new_per_day),
            )
            known.update(recipients)
            for key, length, number, most in amounts:
                limit = 0 if each.action is Action.WARN else most
                self._count((subject, key), now, length - _WORD, number, limit)

    def _count(
        self, key: tuple[str, str], now: float, length: float, number: int, most: int
    ) -> None:
        moments = self._moments[key]
        moments.append((now, number))
        while moments[0][0] <= now - length:
            moments.popleft()
        self._limit(" in ".join(key), sum(it for _, it in moments), most)

    def _limit(self, what: str, number: int, most: int) -> None:
        if 0 < most < number:
            self.faults.append(f"{what}: {number}, where {most} may be")
