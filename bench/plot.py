"""A plot with logarithmic axes, as SVG that needs nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

Point = tuple[float, float]

COLOURS = ("#0b6e99", "#d1495b", "#66a182", "#edae49", "#6a4c93", "#3d405b", "#8d5524", "#00798c")
WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 420, 80, 46, 250, 50
"""Of the whole, and of its margins, in pixels."""


def plot(title: str, across: str, up: str, lines: Mapping[str, Sequence[Point]]) -> str:
    """Lines by name, each through points with positive coordinates."""
    points = [point for line in lines.values() for point in line]
    x_scale = _Scale([x for x, _ in points], LEFT, WIDTH - RIGHT)
    y_scale = _Scale([y for _, y in points], HEIGHT - BOTTOM, TOP)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
            ' font-family="sans-serif" font-size="12">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="24" font-size="16">{escape(title)}</text>',
        *_grid(x_scale, y_scale),
        (
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 12}" text-anchor="middle">'
            f"{escape(across)}</text>"
        ),
        (
            f'<text transform="translate(18 {(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)"'
            f' text-anchor="middle">{escape(up)}</text>'
        ),
    ]
    for number, (name, line) in enumerate(lines.items()):
        parts += _line(number, name, [(x_scale.at(x), y_scale.at(y)) for x, y in line])
    return "\n".join([*parts, "</svg>", ""])


class _Scale:
    """Whole decades that hold all values, laid out from one pixel to another."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.low = math.floor(math.log10(min(values)))
        self.high = max(self.low + 1, math.ceil(math.log10(max(values))))
        self._start = start
        self._step = (end - start) / (self.high - self.low)

    def at(self, value: float) -> float:
        return round(self._start + (math.log10(value) - self.low) * self._step, 1)

    def decades(self) -> list[tuple[float, str]]:
        """Where each power of ten lies, and how it is written."""
        return [(self.at(10.0**n), f"{10.0**n:g}") for n in range(self.low, self.high + 1)]


def _grid(x_scale: _Scale, y_scale: _Scale) -> list[str]:
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
    parts = []
    for x, text in x_scale.decades():
        parts.append(f'<line x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
    for y, text in y_scale.decades():
        parts.append(f'<line x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{text}</text>')
    return parts


def _line(number: int, name: str, points: Sequence[Point]) -> list[str]:
    colour = COLOURS[number % len(COLOURS)]
    path = " ".join(f"{x},{y}" for x, y in points)
    dots = [f'<circle cx="{x}" cy="{y}" r="3" fill="{colour}"/>' for x, y in points]
    y = TOP + 14 + 18 * number
    legend = WIDTH - RIGHT + 16
    return [
        f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
        *dots,
        f'<rect x="{legend}" y="{y - 9}" width="10" height="10" fill="{colour}"/>',
        f'<text x="{legend + 16}" y="{y}">{escape(name)}</text>',
    ]
