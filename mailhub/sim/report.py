"""The report of a simulation: one page that needs nothing else, made to be looked at.

From above: the answer; how much arrived when; who was limited by what and when; each
provider by itself. With a second result each plot shows both: what was, dashed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from html import escape
from importlib.resources import files
from itertools import accumulate
from typing import Final

from mailhub.sim.manners import Why
from mailhub.sim.plots import (
    Box,
    area,
    bar,
    compact,
    dot,
    drawing,
    grid,
    line,
    round_up,
    spread,
    text,
)
from mailhub.sim.result import OUR_CONNECTIONS, OUR_PACE, Outcome, Result, duration

_COLOURS: Final = 10
"""Colours of providers that the style sheet has."""
_CAUSES: Final[dict[str, str]] = {
    Why.RATE.value: "rate",
    Why.CONNECTIONS.value: "connections",
    Why.GREYLISTED.value: "greylist",
    Why.BLOCKED.value: "blocked",
    Why.OUTAGE.value: "outage",
    Why.CAPACITY.value: "capacity",
    Why.SLOW.value: "capacity",
    Why.FAULTS.value: "faults",
    Why.TLS.value: "tls",
    Why.FULL.value: "full",
    OUR_CONNECTIONS: "ours",
    OUR_PACE: "pace",
}
"""Names of colours, by cause."""


def page(result: Result, before: Result | None = None) -> str:
    """The whole page; `before` is what another configuration came to."""
    sections = [
        _header(result, before),
        _tiles(result, before),
        _section(
            "How much arrived, and when",
            "The share of each provider's recipients that had it.",
            _arrivals(result, before),
        ),
        _section(
            "What stood in the way",
            "While recipients waited: what they were told, or why we did not ask. "
            "Dots are the moments at which half, 95 % and all had it.",
            _lanes(result) + _legend(result),
        ),
        _section("Each provider", "", _cards(result, before)),
        _footer(result),
    ]
    style = files(__package__).joinpath("report.css").read_text("utf-8")
    title = f"{result.hostname} in {result.world}"
    return (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<style>{style}</style></head><body><main>{''.join(sections)}</main></body></html>\n"
    )


def _section(title: str, words: str, inside: str) -> str:
    told = f"<p class='words'>{escape(words)}</p>" if words else ""
    return f"<section><h2>{escape(title)}</h2>{told}{inside}</section>"


# ---- The answer ----------------------------------------------------------------------------


def _header(result: Result, before: Result | None) -> str:
    answer, _, rest = result.answer.partition("; ")
    answer, but, given_up = answer.partition(", but ")
    rest = f"But {given_up}; {rest}" if but else rest[:1].upper() + rest[1:]
    facts = [
        f"{result.hostname} in the world <b>{escape(result.world)}</b>: {escape(result.about)}",
    ]
    if before is not None:
        facts.append(f"Before: {escape(before.answer)}")
    return (
        f"<header><p class='kicker'>{_number(result.recipients)} recipients, "
        f"{len(result.providers)} providers</p>"
        f"<h1>{escape(answer.rstrip('.'))}.</h1><p class='lead'>{escape(rest)}</p>"
        + "".join(f"<p class='fact'>{fact}</p>" for fact in facts)
        + "</header>"
    )


def _tiles(result: Result, before: Result | None) -> str:
    def tile(name: str, label: str, tone: str = "") -> str:
        value = getattr(result, name)
        share = f"{value / result.recipients:.1%}" if result.recipients and value else ""
        was = ""
        if before is not None and getattr(before, name) != value:
            was = f"<small>before: {_number(getattr(before, name))}</small>"
        return (
            f"<div class='tile {tone if value else ''}'><b>{_number(value)}</b>"
            f"<span>{label}</span><i>{share}</i>{was}</div>"
        )

    return (
        "<div class='tiles'>"
        + tile("delivered", "delivered", "good")
        + tile("bounced", "bounced", "bad")
        + tile("waiting", "still waiting", "bad")
        + tile("refused", "not taken by the hub", "bad")
        + tile("in_doubt", "in doubt: a final reply was lost")
        + tile("duplicates", "delivered twice", "bad")
        + (tile("complaints", "complaints", "bad") if result.complaints else "")
        + (tile("suppressed", "of the bounced: suppressed") if result.suppressed else "")
        + "</div>"
    )


# ---- Plots ---------------------------------------------------------------------------------


def _span(*results: Result | None) -> float:
    """Seconds that the plots show: to the last recipient, and a little more."""
    ends = []
    for result in results:
        if result is not None:
            bins = max((len(it.pace) for it in result.providers), default=1)
            whole = bins * result.bin
            ends.append(whole if result.waiting else min(whole, (result.done or whole) * 1.04))
    return max(ends) or 1.0


def _curve(outcome: Outcome, width: float) -> list[tuple[float, float]]:
    """Shares delivered, by the end of each bin."""
    total = outcome.recipients or 1
    counts = accumulate(pace * width / 60 for pace in outcome.pace)
    points = [(0.0, 0.0), (outcome.first, 0.0)]
    end = outcome.all or 0.0
    for number, count in enumerate(counts):
        moment = (number + 1) * width
        points.append((min(moment, end) if moment - width < end else moment, count / total))
    return points


def _colour(number: int) -> str:
    return f"var(--p{number % _COLOURS})"


def _arrivals(result: Result, before: Result | None) -> str:
    box = Box(1000, 380, 48, 150, 12, 28, _span(result, before))
    labels = [(share / 100, f"{share} %") for share in (0, 25, 50, 75, 100)]
    parts = [grid(box, labels)]
    if before is not None:
        names = {it.name: number for number, it in enumerate(result.providers)}
        parts += [
            line(
                box,
                _curve(it, before.bin),
                f'class="before" stroke="{_colour(names.get(it.name, 0))}"',
                f"{it.name}, before",
            )
            for it in before.providers
        ]
    ends = []
    for number, outcome in enumerate(result.providers):
        points = [it for it in _curve(outcome, result.bin) if it[0] <= box.span] or [(0.0, 0.0)]
        points.append((box.span, points[-1][1]))
        tip = f"{outcome.name}: {_times(outcome)}"
        parts.append(line(box, points, f'class="curve" stroke="{_colour(number)}"', tip))
        ends.append(box.y(points[-1][1]))
    edge = box.width - box.right
    for number, y in enumerate(spread(ends, 15, box.height - box.below)):
        name = result.providers[number].name
        parts.append(
            f'<line x1="{edge}" x2="{edge + 14}" y1="{ends[number]:.1f}" y2="{y:.1f}" '
            f'stroke="{_colour(number)}" stroke-width="1"/>'
        )
        parts.append(text(edge + 18, y + 4, name, f'class="name" style="fill:{_colour(number)}"'))
    return drawing(box, "Shares delivered over time", *parts)


def _times(outcome: Outcome) -> str:
    """When half, most and all had it."""
    pairs = (("50 %", outcome.half), ("95 %", outcome.most), ("all", outcome.all))
    return ", ".join(f"{name} after {duration(age)}" for name, age in pairs if age is not None)


def _lanes(result: Result) -> str:
    row, top = 30, 8
    height = top + row * len(result.providers) + 26
    box = Box(1000, height, 150, 12, top, 26, _span(result))
    parts = [grid(box)]
    for number, outcome in enumerate(result.providers):
        y = top + row * number
        parts.append(text(box.left - 10, y + 19, outcome.name, 'class="lane" text-anchor="end"'))
        if outcome.first >= 0:
            end = outcome.all if outcome.all is not None and not outcome.waiting else box.span
            parts.append(
                bar(
                    box,
                    outcome.first,
                    end,
                    y + 11,
                    8,
                    'class="under"',
                    f"{outcome.name}: under way",
                )
            )
        for stretch in outcome.limits:
            tip = f"{outcome.name}: {stretch.why}, {_when(stretch.start, stretch.end)}"
            style = f'fill="var(--{_CAUSES.get(stretch.why, "pace")})"'
            parts.append(bar(box, stretch.start, stretch.end, y + 7, 16, style, tip))
        for name, age in (("50 %", outcome.half), ("95 %", outcome.most), ("all", outcome.all)):
            if age is not None and age <= box.span:
                parts.append(dot(box, age, y + 15, 'class="mark"', f"{name} after {duration(age)}"))
    return drawing(box, "What limited each provider, and when", *parts)


def _when(start: float, end: float) -> str:
    return f"from {duration(start)} to {duration(end)}" if start else f"for {duration(end)}"


def _legend(result: Result) -> str:
    met = {stretch.why for outcome in result.providers for stretch in outcome.limits}
    items = "".join(
        f"<span><i style='background:var(--{colour})'></i>{escape(why)}</span>"
        for why, colour in _CAUSES.items()
        if why in met
    )
    return f"<p class='legend'>{items or 'Nothing stood in the way.'}</p>"


# ---- Cards ---------------------------------------------------------------------------------


def _cards(result: Result, before: Result | None) -> str:
    earlier = {it.name: it for it in before.providers} if before is not None else {}
    cards = [
        _card(outcome, earlier.get(outcome.name), number, result.bin)
        for number, outcome in enumerate(result.providers)
    ]
    return f"<div class='cards'>{''.join(cards)}</div>"


def _card(outcome: Outcome, before: Outcome | None, number: int, width: float) -> str:
    rows = [
        ("delivered", outcome.delivered, before.delivered if before else None),
        ("refused for now", outcome.deferred, before.deferred if before else None),
        ("bounced", outcome.bounced, before.bounced if before else None),
        ("suppressed", outcome.suppressed, before.suppressed if before else None),
        ("returned later", outcome.returned, before.returned if before else None),
        ("complaints", outcome.complaints, before.complaints if before else None),
        ("waiting", outcome.waiting, before.waiting if before else None),
        ("in doubt", outcome.in_doubt, before.in_doubt if before else None),
        ("twice", outcome.duplicates, before.duplicates if before else None),
    ]
    told = "".join(_row(*row) for row in rows if row[1] or row[2])
    reasons = "".join(
        f"<li><i style='background:var(--{_CAUSES.get(why, 'other')})'></i>{escape(why)}"
        f"<b>{_number(count)}</b></li>"
        for why, count in sorted(outcome.deferrals.items(), key=lambda it: -it[1])
    )
    limit = (
        f"<p class='limit'><i style='background:var(--{_CAUSES.get(outcome.limit, 'pace')})'></i>"
        f"{escape(outcome.limit)}</p>"
        if outcome.limit
        else "<p class='limit none'>nothing stood in the way</p>"
    )
    good = max(0.0, min(outcome.reputation / 100, 1.0))
    blocked = f", blocked us {outcome.blocks}×" if outcome.blocks else ""
    return (
        f"<article style='--own:{_colour(number)}'><h3>{escape(outcome.name)}</h3>{limit}"
        f"{_pace(outcome, width)}<p class='times'>{_times(outcome) or 'nothing delivered'}</p>"
        f"<table>{told}</table>"
        + (f"<ul class='reasons'>{reasons}</ul>" if reasons else "")
        + f"<p class='repute'>reputation<span><i style='width:{good:.0%}'></i></span>"
        f"{outcome.reputation:g}{blocked}</p>"
        + (f"<p class='source'>{escape(outcome.source)}</p>" if outcome.source else "")
        + "</article>"
    )


def _row(name: str, value: int, before: int | None) -> str:
    was = f"<td class='was'>{_number(before)}</td>" if before is not None else ""
    return f"<tr><th>{name}</th>{was}<td>{_number(value)}</td></tr>"


def _pace(outcome: Outcome, width: float) -> str:
    """Recipients a minute as an area, those waiting as a line, each to its own scale."""
    top = round_up(max(outcome.pace, default=0.0))
    whole = len(outcome.pace) * width
    end = whole if outcome.waiting or outcome.all is None else outcome.all
    box = Box(420, 140, 40, 10, 20, 24, min(whole, max(end * 1.05, 6 * width)), top)
    parts = [
        grid(box, [(0.0, "0"), (top, f"{compact(top)}")]),
        area(box, outcome.pace, width, 'fill="var(--own)" fill-opacity="0.75"'),
    ]
    most = max(outcome.queue, default=0)
    if most:
        waiting = replace(box, top=most)
        points = [(0.0, 0.0)]
        points += [
            ((place + 1) * width, float(it))
            for place, it in enumerate(outcome.queue)
            if place * width < box.span
        ]
        parts.append(line(waiting, points, 'class="queue"', f"waiting, {_number(most)} at most"))
    words = f"recipients a minute; dashed: waiting, {compact(most)} at most"
    parts.append(text(44, 11, words, 'class="tick"'))
    return drawing(box, f"{outcome.name}: pace and queue", *parts)


def _footer(result: Result) -> str:
    errors = _errors(result.errors)
    return (
        f"{errors}<footer>seed {escape(result.seed)} · campaign {escape(result.campaign)} · "
        f"{_number(result.events)} events · trace {result.digest[:16]} · "
        f"{duration(result.ended)} simulated</footer>"
    )


def _errors(errors: Sequence[str]) -> str:
    """What the hub logged as an error: there should be nothing."""
    if not errors:
        return ""
    items = "".join(f"<li>{escape(error[:400])}</li>" for error in _distinct(errors))
    return f"<section><h2>The hub logged errors</h2><ul class='errors'>{items}</ul></section>"


def _distinct(errors: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(errors))[:20]


def _number(value: float) -> str:
    """With thin spaces between thousands."""
    return f"{value:,}".replace(",", "\u202f")
