"""Plots."""

from __future__ import annotations

from itertools import pairwise
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.sim import plots
from mailhub.sim.plots import Box

BOX = Box(200, 100, 20, 10, 5, 15, 60.0, 10.0)


def test_places() -> None:
    """Moments run from left to right, values from below upwards, and neither leaves the box."""
    assert (BOX.x(0), BOX.x(60), BOX.x(1000)) == (20, 190, 190)
    assert (BOX.y(0), BOX.y(10), BOX.y(1000)) == (85, 5, 5)


@pytest.mark.parametrize(
    ("span", "step", "last"),
    [
        (10.0, 2.0, "10 s"),
        (150.0, 30.0, "150 s"),
        (7200.0, 900.0, "2 h"),
        (5e5, 86400.0, "5 d"),
    ],
)
def test_ticks(span: float, step: float, last: str) -> None:
    """Ticks are round moments, few enough to read."""
    found = plots.ticks(span)
    assert found[0] == 0
    assert found[1] == step
    assert len(found) <= 9
    assert plots.moment(found[-1]) == last


def test_a_drawing_is_well_formed() -> None:
    """Whatever is drawn is XML, and words are words."""
    parts = [
        plots.grid(BOX, [(0, "0"), (10, "<10>")]),
        plots.line(BOX, [(0, 0), (30, 5)], 'class="curve"', 'a "tip" & more'),
        plots.line(BOX, [], "", "nothing"),
        plots.area(BOX, [1, 0, 3], 20, 'fill="red"'),
        plots.area(BOX, [0, 0], 20, ""),
        plots.bar(BOX, 10, 10, 5, 8, "", "short"),
        plots.dot(BOX, 30, 5, "", "a dot"),
        plots.text(1, 2, "<b>"),
    ]
    tree = ET.fromstring(plots.drawing(BOX, 'it\'s "a" <plot>', *parts))
    kinds = [child.tag for child in tree]
    assert kinds.count("polyline") == 1
    assert kinds.count("path") == 1
    assert tree.attrib["aria-label"] == 'it\'s "a" <plot>'


def test_round_numbers() -> None:
    """Scales end at round numbers, and large ones are short."""
    assert [plots.round_up(value) for value in (0, 0.3, 7, 11, 480)] == [1, 0.5, 10, 20, 500]
    assert [plots.compact(value) for value in (0.5, 12, 1500, 2.5e6)] == [
        *("0.5", "12", "1.5K", "2.5M"),
    ]


@given(st.lists(st.floats(0, 100), max_size=8))
def test_labels_do_not_overlap(places: list[float]) -> None:
    """Labels keep their distance and their order, and stay above the lower edge."""
    found = plots.spread(places, 10, 200)
    order = sorted(range(len(places)), key=places.__getitem__)
    heights = [found[number] for number in order]
    assert all(b - a >= 10 - 1e-9 for a, b in pairwise(heights))
    assert all(height <= 200 for height in heights)
