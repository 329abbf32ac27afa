"""When a deferred recipient is attempted again, when its sender is warned, and when we give up.

The first attempts follow soon, because most temporary refusals are greylisting,
which ends after a few minutes; later ones ever more rarely, so that a host that
is down for days costs little (RFC 5321 §4.5.4.1 asks for at least 30 minutes
between attempts only where nothing is known of the failure).

Nothing here knows a clock or randomness: both are arguments.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Any, Final

from mailhub.mail.value import replace, value
from mailhub.policy.cause import Cause
from mailhub.policy.rule import Rule

MINUTE: Final = 60.0
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


Delays = tuple[float, ...]


@value(frozen=True, slots=True)
class Causes:
    """Delays after failures whose cause is known, where that says more than that it failed.

    Greylisting hosts want to be asked again after one, five or fifteen minutes; a
    full mailbox is emptied by a person, and a block is lifted by one; what may
    have arrived is not to arrive twice within minutes. Empty is as for all others.

    Attributes: as `Cause` has them, in lower case.
    """

    rate_limited: Delays = (10 * MINUTE, 20 * MINUTE, 40 * MINUTE, HOUR)
    greylisted: Delays = (MINUTE, 5 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE, HOUR)
    blocked: Delays = (30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR)
    policy: Delays = (30 * MINUTE, HOUR, 2 * HOUR, 4 * HOUR)
    mailbox_full: Delays = (HOUR, 2 * HOUR, 4 * HOUR)
    tls: Delays = ()
    in_doubt: Delays = (15 * MINUTE, 30 * MINUTE, HOUR)
    dns: Delays = ()
    unreachable: Delays = ()
    busy: Delays = ()

    def of(self, cause: Cause | None) -> Delays:
        """The delays after a failure; empty for what is as any other."""
        delays: Delays = () if cause is None else getattr(self, cause.name.lower(), ())
        return delays


@value(frozen=True, slots=True)
class Schedule:
    """How the life of a pending recipient goes on.

    Attributes:
        delays: Seconds to wait after the first, second, … failed attempt.
        causes: Other delays, for those failures whose cause is known.
        factor: What the last of them is multiplied with for each attempt after that.
        maximum: No wait is longer than this, in seconds, but for `jitter`.
        jitter: The share of a wait by which it may be shorter or longer at
            random, so that what failed together does not come back together.
        lifetime: Seconds after arrival when a temporary failure becomes final:
            4 to 5 days (RFC 5321 §4.5.4.1).
        warning: Seconds after arrival when the sender is told of the delay; 0 for never.
        least: Attempts that are made whatever the clock says: a machine that slept
            for a week, or whose clock was set, gives nothing up for that.
        sections: For keys that are not those of ``[queue]``: the section they stand in.
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
    least: int = 3
    causes: Causes = field(default_factory=Causes)
    sections: Mapping[str, str] = field(default_factory=dict, hash=False, compare=False)

    def __post_init__(self) -> None:
        if not self.delays or min(self.delays) <= 0:
            raise ValueError("delays: at least one, each above zero")
        if self.factor < 1 or not 0 <= self.jitter < 1:
            raise ValueError("factor is at least 1, jitter at least 0 and less than 1")

    @property
    def longest(self) -> float:
        """Seconds that no wait exceeds."""
        return self.maximum * (1 + self.jitter)

    def delay(self, attempts: int, chance: float = 0.5, cause: Cause | None = None) -> float:
        """Seconds to wait after `attempts` failed attempts, 1 or more, the last for this cause.

        `chance`, from 0 up to 1 and drawn by the caller, says where in the
        jitter's range to end.
        """
        delays = self.causes.of(cause) or self.delays
        known = len(delays)
        if attempts <= known:
            wait = delays[attempts - 1]
        else:
            # Past the maximum the power no longer matters; unbounded, it would overflow.
            wait = delays[-1] * self.factor ** min(attempts - known, 64)
        return min(wait, self.maximum) * (1 + self.jitter * (2 * chance - 1))

    def due(
        self,
        arrived: float,
        now: float,
        attempts: int,
        *,
        warned: bool,
        chance: float,
        cause: Cause | None = None,
    ) -> float:
        """The moment of the next attempt.

        Never past the moments at which a temporary failure has consequences,
        the warning and the end: an attempt decides them, nothing else watches
        the clock.
        """
        due = now + self.delay(attempts, chance, cause)
        if self.warning and not warned and now < arrived + self.warning:
            due = min(due, arrived + self.warning)
        if now < arrived + self.lifetime:
            due = min(due, arrived + self.lifetime)
        return due

    def rule(self, arrived: float, due: float, attempts: int, cause: Cause | None = None) -> Rule:
        """What decided on the moment `due`, found by `due` after so many failed attempts."""
        if due == arrived + self.lifetime:
            return self.line("lifetime")
        if self.warning and due == arrived + self.warning:
            return self.line("delay warning")
        caused = self.causes.of(cause)
        delays = caused or self.delays
        if attempts <= len(delays):
            return self.line(caused_key(cause) if cause is not None and caused else "delays")
        wait = delays[-1] * self.factor ** min(attempts - len(delays), 64)
        return self.line("longest delay" if wait > self.maximum else "factor")

    def line(self, key: str) -> Rule:
        """The line of the configuration that a key of this schedule stands on."""
        return Rule(self.sections.get(key, "queue"), key)

    def warns(self, arrived: float, now: float) -> bool:
        """Whether a failure now is to be told as a delay."""
        return self.warning > 0 and now >= arrived + self.warning

    def expired(self, arrived: float, now: float, attempts: int) -> bool:
        """Whether a temporary failure now, the last of so many, is final."""
        return now >= arrived + self.lifetime and attempts >= self.least


def caused_key(cause: Cause) -> str:
    """The key that configures the delays after failures of one cause."""
    return f"{cause.value.replace('-', ' ')} delays"


KEYS: Final[Mapping[str, str]] = {
    "delays": "delays",
    **{f"causes.{cause.name.lower()}": caused_key(cause) for cause in Cause},
    "factor": "factor",
    "maximum": "longest delay",
    "lifetime": "lifetime",
    "warning": "delay warning",
}
"""The keys of the configuration that fill a schedule's attributes."""


@value(frozen=True, slots=True)
class Wishes:
    """What a class or a route wants otherwise than the schedule of all mail.

    Attributes:
        values: For attributes of `Schedule`, as `KEYS` names them.
        section: Where they are written.
    """

    section: str = ""
    values: tuple[tuple[str, Any], ...] = ()

    def applied(self, schedule: Schedule) -> Schedule:
        """The schedule with these wishes fulfilled.

        Who names delays means them for every cause that is not named too.
        """
        if not self.values:
            return schedule
        plain = {name: value for name, value in self.values if "." not in name}
        caused = {
            name.removeprefix("causes."): value
            for name, value in self.values
            if name.startswith("causes.")
        }
        if "delays" in plain:
            caused = {**dict.fromkeys(Causes.__slots__, ()), **caused}
        return replace(
            schedule,
            **plain,
            causes=replace(schedule.causes, **caused),
            sections={
                **schedule.sections,
                **{KEYS[name]: self.section for name, _ in self.values},
            },
        )
