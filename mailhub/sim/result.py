"""What a simulation came to: figures for each provider, what limited it and when, the answer.

Everything here is made of `simulation.Run` and can be written as JSON; the same run gives the
same octets.

How a limit is found: for each stretch of time in which recipients of a provider waited, what
was said to us most; if nothing was said, because we did not ask, what was said last; and if
we asked and were let in, it was our own doing: as many connections as we allow ourselves, or
our own pace.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any, Final

from mailhub.sim.books import SLOT, Account, Slot
from mailhub.sim.manners import LIMITS, Dane, Manners, Sts, Why
from mailhub.sim.simulation import COLLECTOR, Run

BINS: Final = 144
"""Stretches of time that a course is told in, at most."""
OUR_CONNECTIONS: Final = "our limit of connections"
OUR_PACE: Final = "our own pace"
_WORTH_TELLING: Final = 0.05
"""Refusals for each recipient delivered below which they limit nothing."""
_FEW: Final = 5
_FEW_PARTS: Final = 0.02
"""Recipients waiting that are stragglers: full mailboxes, late greylisting; and their share."""
_SHORT: Final = 10.0
"""Seconds behind their handing in that nobody minds."""
_LATE: Final = 3600.0
"""Seconds behind the last that was delivered, after which giving up is worth a word."""
_MOST: Final = 0.95
_NEARLY_ALL: Final = 0.99


@dataclass(frozen=True, slots=True)
class Stretch:
    """From when to when something limited us, in seconds of the world's age."""

    why: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one provider's part.

    Attributes:
        recipients: Those handed in; each is delivered, bounced, refused by the hub or waiting.
        duplicates: Recipients that got it again; `in_doubt` replies were lost.
        suppressed: Of those bounced, whom a suppression list kept it from.
        returned: Of those delivered, for whom it was returned afterwards; `complaints` likewise.
        deferrals: Refusals by their cause, for now or for good.
        half, most, nearly_all, all: Ages at which so many of those delivered had it.
        behind: Seconds from when nearly all were handed in to when nearly all had it.
        pace: Recipients a minute, by bins.
        queue: Recipients waiting, at the end of each bin.
        connections: The most that were open, by bins.
        limit: What limited it most; ``""`` for nothing.
        reputation: Of our worst address there, of 100.
        blocks: How often it blocked us.
        source: Where its limits are known from.
    """

    name: str
    recipients: int
    delivered: int
    bounced: int
    refused: int
    waiting: int
    duplicates: int
    in_doubt: int
    suppressed: int
    returned: int
    complaints: int
    deferrals: dict[str, int]
    first: float
    half: float | None
    most: float | None
    nearly_all: float | None
    all: float | None
    behind: float
    pace: tuple[float, ...]
    queue: tuple[int, ...]
    connections: tuple[int, ...]
    limits: tuple[Stretch, ...]
    limit: str
    reputation: float
    blocks: int
    source: str = ""

    @property
    def deferred(self) -> int:
        """Refusals for now."""
        final = {Why.UNKNOWN.value}
        return sum(count for why, count in self.deferrals.items() if why not in final)


@dataclass(frozen=True, slots=True)
class Result:
    """What came of it all.

    Attributes:
        answer: In one sentence.
        bin: Seconds of one bin.
        done: The age at which the last recipient had it; None if none had.
        given_up: Recipients that were given up an hour later or more; `given_up_at` is when the
            last of them was.
        ended: The age of the world at the end.
    """

    answer: str
    hostname: str
    world: str
    about: str
    campaign: str
    seed: str
    recipients: int
    delivered: int
    bounced: int
    refused: int
    waiting: int
    duplicates: int
    in_doubt: int
    suppressed: int
    returned: int
    complaints: int
    bin: float
    first: float
    done: float | None
    given_up: int
    given_up_at: float | None
    ended: float
    bottleneck: str
    digest: str
    events: int
    errors: tuple[str, ...]
    providers: tuple[Outcome, ...] = field(default=())

    def as_json(self) -> str:
        """All of it, the same octets for the same run."""
        return json.dumps(_plain(asdict(self)), indent=1, ensure_ascii=False)


def _plain(value: Any) -> Any:
    """Floats to the millisecond; the rest as it is."""
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value


# ---- Making it -----------------------------------------------------------------------------


def concluded(run: Run) -> Result:
    """What a run came to."""
    accounts = [it for it in run.ledger.accounts if it.handed_in and it.name != COLLECTOR]
    last = max((account.last for account in accounts), default=0.0)
    first = min((account.first for account in accounts if account.first >= 0), default=0.0)
    until = max(last, SLOT) if all(it.waiting == 0 for it in accounts) else run.ended
    width = SLOT * max(1, -(-int(until // SLOT + 1) // BINS))
    bins = int(until // width) + 1
    manners = {it.name: it for it in run.plan.atlas.providers}
    outcomes = [_outcome(run, it, manners.get(it.name), bins, width) for it in accounts]
    sums = {
        name: sum(getattr(outcome, name) for outcome in outcomes)
        for name in (
            *("recipients", "delivered", "bounced", "refused"),
            *("waiting", "duplicates", "in_doubt"),
            *("suppressed", "returned", "complaints"),
        )
    }
    bottleneck = _bottleneck(outcomes)
    done = last if sums["delivered"] else None
    late = _given_up(accounts, last + _LATE) if done is not None else Counter()
    sums["given_up"] = late.total()
    given_up_at = max(late, default=None)
    return Result(
        answer=_answer(sums, first, done, given_up_at, run.ended, bottleneck),
        hostname=run.plan.settings.hub.hostname,
        world=run.plan.atlas.name,
        about=run.plan.atlas.surface.about,
        campaign=run.plan.campaign.name,
        seed=run.plan.seed,
        bin=width,
        first=first,
        done=done,
        given_up_at=given_up_at,
        ended=run.ended,
        bottleneck=bottleneck.name if bottleneck is not None else "",
        digest=run.digest,
        events=run.events,
        errors=tuple(run.errors),
        providers=tuple(outcomes),
        **sums,
    )


def _given_up(accounts: Sequence[Account], after: float) -> Counter[float]:
    """How many were given up, by the age at which they were."""
    found: Counter[float] = Counter()
    for account in accounts:
        for number, slot in account.slots.items():
            if slot.gone and number * SLOT > after:
                found[number * SLOT] += slot.gone
    return found


def _outcome(
    run: Run, account: Account, manners: Manners | None, bins: int, width: float
) -> Outcome:
    slots = _binned(account, bins, width)
    queue = _queue(slots)
    limits = _limits(slots, queue, manners, width)
    return Outcome(
        name=account.name,
        recipients=account.handed_in,
        delivered=account.delivered,
        bounced=account.bounced,
        refused=account.refused,
        waiting=account.waiting,
        duplicates=account.duplicates,
        in_doubt=account.in_doubt,
        suppressed=account.suppressed,
        returned=account.returned,
        complaints=account.complaints,
        deferrals={why.value: account.deferrals[why] for why in Why if account.deferrals[why]},
        first=account.first,
        half=account.reached(0.5),
        most=account.reached(_MOST),
        nearly_all=account.reached(_NEARLY_ALL),
        all=account.last if account.delivered else None,
        behind=max(0.0, (account.reached(_NEARLY_ALL) or 0.0) - account.handed(_NEARLY_ALL)),
        pace=tuple(slot.delivered * 60 / width for slot in slots),
        queue=tuple(queue),
        connections=tuple(slot.connections for slot in slots),
        limits=tuple(limits),
        limit=_main(limits, queue, width),
        reputation=run.reputation.get(account.name, 100.0),
        blocks=run.blocks.get(account.name, 0),
        source=manners.source if manners is not None else "",
    )


def _binned(account: Account, bins: int, width: float) -> list[Slot]:
    """The course of things in so many stretches."""
    found = [Slot() for _ in range(bins)]
    for number in sorted(account.slots):
        slot = account.slots[number]
        into = found[min(int(number * SLOT // width), bins - 1)]
        into.handed_in += slot.handed_in
        into.delivered += slot.delivered
        into.gone += slot.gone
        into.connections = max(into.connections, slot.connections)
        into.refused.update(slot.refused)
    return found


def _queue(slots: Sequence[Slot]) -> list[int]:
    """How many wait at the end of each bin."""
    found, waiting = [], 0
    for slot in slots:
        waiting += slot.handed_in - slot.delivered - slot.gone
        found.append(max(waiting, 0))
    return found


# ---- What limited it -----------------------------------------------------------------------


def _limits(
    slots: Sequence[Slot], queue: Sequence[int], manners: Manners | None, width: float
) -> list[Stretch]:
    peak = max((slot.connections for slot in slots), default=0)
    few = max(_FEW, _FEW_PARTS * sum(slot.handed_in for slot in slots))
    labels, said, word = [], "", ""
    for number, (slot, waiting) in enumerate(zip(slots, queue, strict=True)):
        before = queue[number - 1] if number else slot.handed_in
        if max(waiting, before) <= few:  # stragglers limit nothing
            said = word = ""
            labels.append("")
            continue
        span = (number * width, (number + 1) * width)
        said = _said(slot, manners, span) or said
        word = _loudest(slot) or word
        if not slot.delivered and word:  # what they said is what we wait for
            said = word
        labels.append(said or _unsaid(manners, slot) or _ours(slot, waiting, peak))
    found, number = [], 0
    for label, same in groupby(labels):
        count = len(list(same))
        if label:
            found.append(Stretch(label, number * width, (number + count) * width))
        number += count
    return found


def _said(slot: Slot, manners: Manners | None, span: tuple[float, float]) -> str:
    """What they said to us most; ``""`` if that was not worth telling."""
    windows = manners.outages if manners is not None else ()
    if any(it.start < span[1] and it.end > span[0] for it in windows) and not slot.delivered:
        return Why.OUTAGE.value
    count = max(slot.refused[why] for why in LIMITS)
    return _loudest(slot) if count >= _WORTH_TELLING * slot.delivered else ""


def _loudest(slot: Slot) -> str:
    """What was said most, however seldom."""
    why = max(LIMITS, key=lambda it: (slot.refused[it], -LIMITS.index(it)))
    return why.value if slot.refused[why] else ""


def _unsaid(manners: Manners | None, slot: Slot) -> str:
    """What is known to hold us up though they say nothing."""
    if manners is None:
        return ""
    wrong = manners.sts is Sts.WRONG or (manners.dane is Dane.WRONG and manners.secure)
    if wrong and not slot.delivered:
        return Why.TLS.value  # what they publish forbids to send them anything
    return Why.SLOW.value if manners.tarpit > 0 else ""


def _ours(slot: Slot, waiting: int, peak: int) -> str:
    """What of our own doing it was that they waited."""
    if waiting <= slot.connections:
        return ""  # they are on their way
    return OUR_CONNECTIONS if slot.connections and slot.connections >= peak else OUR_PACE


def _main(limits: Sequence[Stretch], queue: Sequence[int], width: float) -> str:
    """What kept the most recipients waiting for the longest."""
    areas: Counter[str] = Counter()
    for stretch in limits:
        start, end = round(stretch.start / width), round(stretch.end / width)
        areas[stretch.why] += sum(queue[start:end])
    return max(sorted(areas), key=lambda why: areas[why]) if areas else ""


def _bottleneck(outcomes: Sequence[Outcome]) -> Outcome | None:
    """Who held most of its recipients up for the longest; None if nobody did."""
    stuck = max((it for it in outcomes if it.waiting), key=lambda it: it.waiting, default=None)
    if stuck is not None and stuck.waiting > stuck.recipients / 2:
        return stuck
    limited = [it for it in outcomes if it.limit]
    late = [it for it in limited if it.behind >= _SHORT]
    if late:
        return max(late, key=lambda it: (it.behind, it.delivered))
    # Nobody was late in the end: whoever kept the most waiting on the way.
    return max(limited, key=lambda it: sum(it.queue), default=None)


# ---- Words ---------------------------------------------------------------------------------


def duration(seconds: float) -> str:
    """As a person says it: ``3 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    parts = []
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60), ("s", 1)):
        count, whole = divmod(whole, length)
        if count:
            parts.append((f"{count} {unit}", length))
    return " ".join(text for text, _ in parts[:2])


def _answer(
    sums: dict[str, int],
    first: float,
    done: float | None,
    given_up_at: float | None,
    ended: float,
    bottleneck: Outcome | None,
) -> str:
    if done is None:
        return f"Nothing was delivered in {duration(ended)}."
    took = duration(done - first)
    if sums["waiting"]:
        start = f"Not done after {duration(ended)}: {_number(sums['waiting'])} still wait"
    else:
        start = f"Done in {took}"
        if given_up_at is not None:
            count = _number(sums["given_up"])
            start += f", but for {count} that were given up after {duration(given_up_at - first)}"
    if bottleneck is None:
        middle = "; nothing stood in the way"
    else:
        middle = f"; {bottleneck.name} is the bottleneck ({bottleneck.limit or 'it takes nothing'})"
    tail = [
        f"{_number(sums[name])} {words}"
        for name, words in (
            ("bounced", "bounced"),
            ("suppressed", "of them are on a suppression list"),
            ("refused", "were not taken by the hub"),
            ("duplicates", "came twice"),
        )
        if sums[name]
    ]
    return f"{start}{middle}.{' ' if tail else ''}{_sentence(tail)}"


def _sentence(parts: list[str]) -> str:
    return f"{', '.join(parts)}." if parts else ""


def _number(value: int) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
