"""What commands print."""

from __future__ import annotations

import pytest

from mailhub.cli.show import ago, cell, listing, size


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (True, "yes"), (False, "no"), (["a", "b"], "a, b"), (7, "7"), ("x", "x")],
)
def test_cell(value: object, text: str) -> None:
    """Values read well."""
    assert cell(value) == text


@pytest.mark.parametrize(
    ("octets", "text"),
    [
        (0, "0"),
        (1023, "1023"),
        (1536, "1.5K"),
        (20 << 10, "20K"),
        (3 << 30, "3.0G"),
        (1 << 42, "4.0T"),
    ],
)
def test_size(octets: int, text: str) -> None:
    """Sizes have a unit and two digits."""
    assert size(octets) == text


@pytest.mark.parametrize(
    ("seconds", "text"), [(0, "0s"), (59, "59s"), (60, "1m"), (7200, "2h"), (200_000, "2d")]
)
def test_ago(seconds: float, text: str) -> None:
    """Times have their largest unit."""
    assert ago(seconds) == text


def test_table_is_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """Into a pipe a table is as wide as it must be, and markup in a value is only text."""
    row = {"a": "x" * 300, "b": "[red]y[/red]", "n": 5}
    listing([row], {"a": "A", "b": "B", "n": "N"}, as_json=False, empty="-")
    out = capsys.readouterr().out
    assert "x" * 300 in out
    assert "[red]y[/red]" in out
    assert "\x1b" not in out
