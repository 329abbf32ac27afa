"""When a deferred recipient is attempted again, when its sender is warned, and when we give up.

The first attempts follow soon, because most temporary refusals are greylisting,
which ends after a few minutes; later ones ever more rarely, so that a host that
is down for days costs little (RFC 5321 §4.5.4.1 asks for at least 30 minutes
between attempts only where nothing is known of the failure).

Nothing here knows a clock or randomness: both are arguments.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailhub.policy.rule import Rule

LIFETIME: Final = Rule("queue", "lifetime")
MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class Schedule:
    """How the life of a pending recipient goes on.

    Attributes:
        delays: Seconds to wait after the first, second, … failed attempt.
        factor: What the last of them is multiplied with for each attempt after that.
        maximum: No wait is longer than this, in seconds, but for `jitter`.
        jitter: The share of a wait by which it may be shorter or longer at
            random, so that what failed together does not come back together.
        lifetime: Seconds after arrival when a temporary failure becomes final:
            4 to 5 days (RFC 5321 §4.5.4.1).
        warning: Seconds after arrival when the sender is told of the delay; 0 for never.
    """

    delays: tuple[float, ...] = (
        MINUTE,
        5 * MINUTE,
        10 * MINUTE,
        15 * MINUTE,
        30 * MINUTE,
        HOUR,
    )
    factor: float = 1.5
    maximum: float = 4 * HOUR
    jitter: float = 0.1
    lifetime: float = 5 * DAY
    warning: float = 4 * HOUR

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) <= 0:
            raise ValueError("delays: at least one, each above zero")
        if self.factor < 1 or not 0 <= self.jitter < 1:
            raise ValueError("factor is at least 1, jitter at least 0 and less than 1")

    def delay(self, attempts: int, chance: float = 0.5) -> float:
        """Seconds to wait after `attempts` failed attempts, 1 or more.

        `chance`, from 0 up to 1 and drawn by the caller, says where in the
        jitter's range to end.
        """
        known = len(self.delays)
        if attempts <= known:
            wait = self.delays[attempts - 1]
        else:
            # Past the maximum the power no longer matters; unbounded, it would overflow.
            wait = self.delays[-1] * self.factor ** min(attempts - known, 64)
        return min(wait, self.maximum) * (1 + self.jitter * (2 * chance - 1))

    def due(
        self, arrived: float, now: float, attempts: int, *, warned: bool, chance: float
    ) -> float:
        """The moment of the next attempt.

        Never past the moments at which a temporary failure has consequences,
        the warning and the end: an attempt decides them, nothing else watches
        the clock.
        """
        due = now + self.delay(attempts, chance)
        if self.warning and not warned and now < arrived + self.warning:
            due = min(due, arrived + self.warning)
        if now < arrived + self.lifetime:
            due = min(due, arrived + self.lifetime)
        return due

    def rule(self, arrived: float, due: float, attempts: int) -> Rule:
        """What decided on the moment `due`, found by `due` after so many failed attempts."""
        if due == arrived + self.lifetime:
            return LIFETIME
        if self.warning and due == arrived + self.warning:
            return Rule("queue", "delay warning")
        if attempts <= len(self.delays):
            return Rule("queue", "delays")
        wait = self.delays[-1] * self.factor ** min(attempts - len(self.delays), 64)
        return Rule("queue", "longest delay" if wait > self.maximum else "factor")

    def warns(self, arrived: float, now: float) -> bool:
        """Whether a failure now is to be told as a delay."""
        return self.warning > 0 and now >= arrived + self.warning

    def expired(self, arrived: float, now: float) -> bool:
        """Whether a temporary failure now is final."""
        return now >= arrived + self.lifetime
