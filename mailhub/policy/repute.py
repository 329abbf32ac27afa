"""How we stand with a provider, from one source: pace, suspension, detour, and what was heard last.

Every transition is a pure function of the state before, of what has happened, and
of the time. `news` says in words what has changed, for the operator.

Invariants:

1. Whatever holds mail back ends by itself at a moment that is known, unless an
   operator said otherwise: after it one message at a time tries, until one is taken.
2. What the operator ordered is undone by nobody else.
"""

from __future__ import annotations

import math
from dataclasses import field
from enum import Enum
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.mail.value import replace, value
from mailhub.policy import pace as pacing
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Verdict
from mailhub.policy.pace import Limits, Pace
from mailhub.policy.provider import Provider

FAILURES: Final = 5
"""Attempts in a row that reached nobody, after which nobody is expected there."""
REST: Final = 60.0
REST_LIMIT: Final = 900.0
"""Seconds until the next look at hosts that nobody answers on: at first, and at most."""
SUSPENSION_LIMIT: Final = 6 * 3600.0
"""Seconds of a suspension that follows another one: each is twice as long, up to this."""
EARLY: Final = frozenset({"connect", "banner", "ehlo", "starttls"})
"""Stages at which a complaint is about connections: there was no message yet."""


class Way(Enum):
    """Where a message for a provider goes."""

    DIRECT = "direct"
    DETOUR = "detour"
    WAIT = "wait"
    """Nowhere before `Repute.suspended`."""
    DEAD = "dead"
    """Nobody answers there; there is no use in trying before `Repute.rest`."""


@value(frozen=True, slots=True)
class Repute:
    """How we stand.

    Moments are 0 where there is none.

    Attributes:
        suspended: Until when nothing is sent; infinite for an operator's order without end.
        by: Whose order that is: ``operator`` or ``reply``.
        why: In words.
        term: Seconds of the last suspension for a reply.
        trial: One message at a time, until one is taken.
        detour: Until when mail takes another way.
        blocked: The reply that it does for.
        probe: When one message tries the direct way in the meantime.
        failures: Attempts in a row that reached nobody.
        rest: Until when no other is made.
        reply: What was heard last, and `cause` what stands behind it, if it was negative.
        heard: When.
        taken: Messages that were taken, ever; `refused` and `put_off` likewise.
    """

    pace: Pace = field(default_factory=Pace)
    suspended: float = 0.0
    by: str = ""
    why: str = ""
    term: float = 0.0
    trial: bool = False
    detour: float = 0.0
    blocked: str = ""
    probe: float = 0.0
    failures: int = 0
    rest: float = 0.0
    reply: str = ""
    cause: str = ""
    heard: float = 0.0
    taken: int = 0
    refused: int = 0
    put_off: int = 0

    @property
    def troubled(self) -> bool:
        """Whether the last attempt reached nobody: more of them should not hold up others."""
        return self.failures > 0

    @property
    def special(self) -> bool:
        """Whether there is something to remember over a restart."""
        held = self.suspended or self.detour or self.trial or self.rest
        return bool(held or self.pace.slowed or self.taken or self.refused or self.put_off)


def way(repute: Repute, provider: Provider, now: float) -> Way:
    """Where a message goes now."""
    if repute.suspended > now:
        return Way.WAIT
    if provider.detour and repute.detour > now and repute.probe > now:
        return Way.DETOUR
    return Way.DEAD if repute.rest > now else Way.DIRECT


def places(repute: Repute, limits: Limits) -> int:
    """How many messages may be on their way at once."""
    return 1 if repute.trial else repute.pace.places(limits)


# ---- What happens --------------------------------------------------------------------------


def begun(repute: Repute, provider: Provider, now: float) -> Repute:
    """A message is sent directly. The one that probes a detour is the only one that does."""
    probing = 0.0 < repute.probe <= now < repute.detour
    probe = now + provider.probe if probing else repute.probe
    return replace(repute, pace=pacing.sent(repute.pace, now), probe=probe)


def taken(repute: Repute, limits: Limits, reply: Reply, now: float) -> Repute:
    """A message was taken: whatever stood in the way has gone."""
    standing = repute.suspended > now
    return replace(
        repute,
        pace=pacing.grew(repute.pace, limits, now),
        suspended=repute.suspended if standing else 0.0,
        by=repute.by if standing else "",
        why=repute.why if standing else "",
        trial=False,
        term=0.0,
        detour=0.0,
        blocked="",
        probe=0.0,
        failures=0,
        rest=0.0,
        reply=reply.text,
        cause="",
        heard=now,
        taken=repute.taken + 1,
    )


def refused(
    repute: Repute,
    provider: Provider,
    limits: Limits,
    verdict: Verdict,
    reply: Reply,
    stage: str,
    now: float,
) -> Repute:
    """A message, or we ourselves, were refused for a reason."""
    after = replace(
        repute,
        failures=0,
        rest=0.0,
        reply=reply.text,
        cause=verdict.cause.value,
        heard=now,
        refused=repute.refused + reply.permanent,
        put_off=repute.put_off + (not reply.permanent),
    )
    if verdict.cause is Cause.RATE_LIMITED:
        slower = pacing.fell(after.pace, limits, now, of_connections=stage in EARLY)
        after = replace(after, pace=slower)
    elif verdict.cause is Cause.BLOCKED and provider.detour:
        until = now + provider.detour_for
        after = replace(
            after,
            detour=until,
            blocked=reply.text,
            probe=now + provider.probe,
            trial=False,
        )
    elif repute.trial:
        after = replace(after, trial=False, term=0.0)  # they talk to us: that was the question
    if verdict.rule is not None and verdict.rule.suspend:
        after = _suspended(after, verdict.rule.suspend, reply, now)
    return after


def _suspended(repute: Repute, seconds: float, reply: Reply, now: float) -> Repute:
    if repute.suspended > now:
        return repute
    term = min(max(2 * repute.term, seconds), max(SUSPENSION_LIMIT, seconds))
    return replace(repute, suspended=now + term, by="reply", why=reply.text, term=term, trial=True)


def unreached(repute: Repute, reply: Reply, now: float) -> Repute:
    """Nobody was reached, or nobody who can speak."""
    failures = repute.failures + 1
    rest, trial = repute.rest, repute.trial
    if failures >= FAILURES and rest <= now:
        rest = now + min(REST * 2 ** min(failures - FAILURES, 8), REST_LIMIT)
        trial = True
    return replace(
        repute,
        failures=failures,
        rest=rest,
        trial=trial,
        reply=reply.text,
        cause=Cause.UNREACHABLE.value,
        heard=now,
        put_off=repute.put_off + 1,
    )


# ---- What operators order ------------------------------------------------------------------


def suspend(repute: Repute, until: float, why: str) -> Repute:
    """Nothing more is sent until then; `math.inf` for until it is resumed."""
    return replace(repute, suspended=until, by="operator", why=why)


def resume(repute: Repute) -> Repute:
    """Send again as if nothing had been, but with what was counted and learnt about the pace."""
    return replace(
        repute,
        suspended=0.0,
        by="",
        why="",
        term=0.0,
        trial=False,
        detour=0.0,
        blocked="",
        probe=0.0,
        failures=0,
        rest=0.0,
    )


def set_pace(repute: Repute, rate: float, now: float) -> Repute:
    """Go at so many messages a minute, and from there by replies; 0 forgets what was learnt."""
    before = repute.pace
    top = max(before.top, rate)
    pace = replace(before, rate=rate, top=top, connections=0, moved=now, next=0.0)
    return replace(repute, pace=pace)


# ---- What is told of it --------------------------------------------------------------------


@value(frozen=True, slots=True)
class News:
    """Something about a provider that an operator should know.

    Attributes:
        text: What follows the provider's name in a sentence.
        urgent: Worth a letter, because something may have to be done.
    """

    text: str
    urgent: bool = False


def news(before: Repute, after: Repute, provider: Provider, now: float) -> tuple[News, ...]:
    """What has changed, if that is worth telling."""
    found: list[News] = []
    if after.suspended > now and before.suspended != after.suspended:
        told = f"is suspended{_until(after.suspended, now)} ({after.by}): {after.why}"
        # One that follows another was told with the first.
        found.append(News(told, urgent=after.by == "reply" and not before.term))
    if before.suspended and not after.suspended:
        found.append(News("is no longer suspended"))
    if after.detour > now >= before.detour:
        told = f"blocks us; its mail goes through {provider.detour}: {after.blocked}"
        found.append(News(told, urgent=True))
    if before.detour > now and not after.detour:
        found.append(News("takes mail from us again; the detour has ended", urgent=True))
    if after.rest > now >= before.rest and before.failures < FAILURES:
        found.append(News(f"is not reached, {after.failures} times in a row: {after.reply}"))
    if before.failures >= FAILURES and not after.failures:
        found.append(News("is reached again"))
    if after.pace.fell != before.pace.fell:
        told = f"wants us to go slower; now {told_pace(after.pace)}: {after.reply}"
        found.append(News(told))
    return tuple(found)


def told_pace(pace: Pace) -> str:
    """A pace in words."""
    parts = []
    if pace.rate:
        parts.append(f"{pace.rate:.3g} messages a minute")
    if pace.connections:
        parts.append(f"{pace.connections} connection{'s' if pace.connections > 1 else ''}")
    return ", ".join(parts) or "as configured"


def _until(moment: float, now: float) -> str:
    return "" if moment == math.inf else f" for {round(moment - now)} s"
