"""How much an account, or a domain's together, may send: so that a stolen password is worth little.

Pure: what was sent is an argument, counted by stretches of `SLOT` seconds.

Invariant: in no hour and no day, whenever it begins, is more sent than an allowance says. A
stretch that has partly passed counts whole: what is over is over by so much later at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.queueclass import named
from mailhub.policy.rule import Rule

SLOT: Final = 600
"""Seconds of a stretch: six of them are an hour."""
SLOTS: Final = {"hour": 6, "day": 144}
"""Stretches behind the one that has begun, some of which may still count."""


class Action(Enum):
    """What happens to mail beyond the allowance."""

    REFUSE = "refuse"
    HOLD = "hold"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Allowance:
    """How much may be sent; 0 is any number.

    Attributes:
        accounts: Whose: addresses, domains, ``*.domain``; empty is everybody's.
        together: The accounts of a domain have it together.
        new_per_day: Recipients that were not written to before.
    """

    name: str
    accounts: tuple[str, ...] = ()
    together: bool = False
    messages_per_hour: int = 0
    messages_per_day: int = 0
    recipients_per_hour: int = 0
    recipients_per_day: int = 0
    new_per_day: int = 0
    action: Action = Action.HOLD

    def applies(self, account: Path) -> bool:
        """Whether it is this account's."""
        return not self.accounts or named(account, self.accounts)

    def limits(self) -> list[tuple[str, int]]:
        """What is limited: keys of the configuration, and how much of each."""
        found = (
            ("messages per hour", self.messages_per_hour),
            ("messages per day", self.messages_per_day),
            ("recipients per hour", self.recipients_per_hour),
            ("recipients per day", self.recipients_per_day),
            ("new recipients per day", self.new_per_day),
        )
        return [(key, limit) for key, limit in found if limit]

    def subject(self, account: Path) -> str:
        """Whom it is counted for."""
        return account.domain if self.together else str(account).casefold()


SHIPPED: Final = (
    Allowance("accounts", recipients_per_hour=1000, recipients_per_day=5000, new_per_day=2000),
)
"""What a person does not reach, and a thief does within minutes."""


@dataclass(frozen=True, slots=True)
class Used:
    """What was sent in one stretch."""

    slot: int
    messages: int
    recipients: int
    new: int


@dataclass(frozen=True, slots=True)
class Excess:
    """An allowance that is exceeded.

    Attributes:
        key: Of the configuration: what is exceeded.
        limit: What was allowed.
    """

    allowance: Allowance
    subject: str
    key: str
    limit: int

    @property
    def rule(self) -> Rule:
        """The line that decides."""
        return Rule(f"limit {self.allowance.name}", self.key)

    @property
    def text(self) -> str:
        """In words."""
        return f"{self.subject} has sent more than {self.limit} {self.key}"

    def refusal(self) -> Refusal:
        """What the client is told where it is to be refused."""
        words = f"More than {self.limit} {self.key}; try again later"
        return Refusal(452, "7.1", words).by(self.rule)


def slot_of(now: float) -> int:
    """The stretch that a moment is in."""
    return int(now // SLOT)


def spent(
    allowance: Allowance, used: Iterable[Used], now: float
) -> list[tuple[str, int, str, int]]:
    """How much of an allowance is gone: key, limit, what is counted for it, and how much that is.

    What is counted is ``messages``, ``recipients`` or ``new``.
    """
    slot = slot_of(now)
    known = list(used)
    found = []
    for key, limit in allowance.limits():
        name, *_, span = key.split()
        first = slot - SLOTS[span]
        total = sum(getattr(it, name) for it in known if first <= it.slot <= slot)
        found.append((key, limit, name, total))
    return found


def exceeded(
    allowance: Allowance,
    subject: str,
    used: Iterable[Used],
    now: float,
    *,
    messages: int = 0,
    recipients: int = 0,
    new: int = 0,
) -> Excess | None:
    """What of an allowance would be exceeded by so much more; None if nothing would be."""
    more = {"messages": messages, "recipients": recipients, "new": new}
    for key, limit, name, total in spent(allowance, used, now):
        if more[name] and total + more[name] > limit:
            return Excess(allowance, subject, key, limit)
    return None
