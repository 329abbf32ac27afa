"""Plots as SVG: numbers in, text out, nothing to load.

A plot is drawn in a box of its own units; the page scales it. Colours are names of CSS
variables, so that the page decides them, by day and by night.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from typing import Final

_STEPS: Final = (
    *(1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200),
    *(86400, 172800, 345600, 864000),
)
"""Seconds between two ticks of a time axis."""
_TICKS: Final = 8
_TICK_WIDTH: Final = 62.0
"""What the words of one take, at most."""


@dataclass(frozen=True, slots=True)
class Box:
    """A plot's place: the area inside its axes, in a drawing of `width` and `height`.

    Attributes:
        span: Seconds from left to right.
        top: The value at the upper edge.
    """

    width: float
    height: float
    left: float
    right: float
    above: float
    below: float
    span: float
    top: float = 1.0

    def x(self, seconds: float) -> float:
        """Where a moment is."""
        inside = self.width - self.left - self.right
        return self.left + inside * min(seconds / self.span, 1.0)

    def y(self, value: float) -> float:
        """Where a value is."""
        inside = self.height - self.above - self.below
        return self.height - self.below - inside * min(value / (self.top or 1.0), 1.0)


def drawing(box: Box, title: str, *parts: str) -> str:
    """A whole drawing; `title` is for those who do not see it."""
    return (
        f'<svg viewBox="0 0 {box.width:g} {box.height:g}" role="img" '
        f'aria-label="{escape(title)}">{"".join(parts)}</svg>'
    )


def ticks(span: float, most: int = _TICKS) -> list[float]:
    """Round moments along a time axis."""
    step = next((step for step in _STEPS if span / step <= most), _STEPS[-1])
    return [number * step for number in range(int(span // step) + 1)]


def moment(seconds: float) -> str:
    """A moment on an axis: ``90 s``, ``5 min``, ``3 h``, ``2 d``."""
    units = (("d", 86400.0), ("h", 3600.0), ("min", 60.0), ("s", 1.0))
    unit, length = next(it for it in units if seconds % it[1] == 0 or it[0] == "s")
    return f"{seconds / length:g} {unit}" if seconds else "0"


def grid(box: Box, labels: Sequence[tuple[float, str]] = (), *, times: bool = True) -> str:
    """Lines for round moments and values, with their words."""
    parts = []
    bottom = box.y(0)
    for value, label in labels:
        y = box.y(value)
        parts.append(
            f'<line class="grid" x1="{box.left:g}" x2="{box.width - box.right:.1f}" '
            f'y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="tick" text-anchor="end" x="{box.left - 6:g}" y="{y + 3:.1f}">'
            f"{escape(label)}</text>"
        )
    most = min(_TICKS, int((box.width - box.left - box.right) // _TICK_WIDTH))
    for seconds in ticks(box.span, most) if times else ():
        x = box.x(seconds)
        parts.append(
            f'<line class="grid" x1="{x:.1f}" x2="{x:.1f}" y1="{box.above:g}" y2="{bottom:.1f}"/>'
            f'<text class="tick" text-anchor="middle" x="{x:.1f}" y="{bottom + 15:.1f}">'
            f"{moment(seconds)}</text>"
        )
    return "".join(parts)


def line(box: Box, points: Sequence[tuple[float, float]], style: str, tip: str = "") -> str:
    """A line through (seconds, value)."""
    if not points:
        return ""
    path = " ".join(f"{box.x(x):.1f},{box.y(y):.1f}" for x, y in points)
    title = f"<title>{escape(tip)}</title>" if tip else ""
    return f'<polyline fill="none" points="{path}" {style}>{title}</polyline>'


def area(box: Box, values: Sequence[float], width: float, style: str) -> str:
    """Steps of `width` seconds, filled down to the axis."""
    if not any(values):
        return ""
    path = [f"M{box.x(0):.1f},{box.y(0):.1f}"]
    for number, value in enumerate(values):
        y = box.y(value)
        path.append(
            f"L{box.x(number * width):.1f},{y:.1f}L{box.x((number + 1) * width):.1f},{y:.1f}"
        )
    path.append(f"L{box.x(len(values) * width):.1f},{box.y(0):.1f}Z")
    return f'<path d="{"".join(path)}" {style}/>'


def bar(box: Box, start: float, end: float, y: float, height: float, style: str, tip: str) -> str:
    """A stretch of time."""
    x = box.x(start)
    width = max(box.x(end) - x, 1.0)
    return (
        f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:g}" rx="2" {style}>'
        f"<title>{escape(tip)}</title></rect>"
    )


def dot(box: Box, seconds: float, y: float, style: str, tip: str) -> str:
    """A moment."""
    return (
        f'<circle cx="{box.x(seconds):.1f}" cy="{y:.1f}" r="3.5" {style}>'
        f"<title>{escape(tip)}</title></circle>"
    )


def text(x: float, y: float, words: str, style: str = "") -> str:
    """Words."""
    return f'<text x="{x:.1f}" y="{y:.1f}" {style}>{escape(words)}</text>'


def round_up(value: float) -> float:
    """The next number with one digit that matters: 1, 2, 5 times a power of ten."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value)


def compact(value: float) -> str:
    """A number for an axis: ``1.5K``."""
    for unit, length in (("M", 1e6), ("K", 1e3)):
        if value >= length:
            return f"{value / length:.3g}{unit}"
    return f"{value:.3g}"


def spread(places: Sequence[float], least: float, highest: float) -> list[float]:
    """Heights for labels near these places, none nearer to another than `least`."""
    order = sorted(range(len(places)), key=places.__getitem__)
    found = list(places)
    for before, after in pairwise(order):
        found[after] = max(found[after], found[before] + least)
    if order and found[order[-1]] > highest:
        found[order[-1]] = highest
        for after, before in pairwise(reversed(order)):
            found[before] = min(found[before], found[after] - least)
    return found
