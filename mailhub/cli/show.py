"""What commands print: tables for people, JSON for programs, one line for what was done."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

F = TypeVar("F", bound=Callable[..., Any])


def json_option(command: F) -> F:
    """Give a listing its ``--json``."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def listing(
    rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], *, as_json: bool, empty: str
) -> None:
    """Print rows; to a person with headings for some of their keys, or `empty` for none."""
    if as_json:
        print_json(list(rows))
    elif not rows:
        click.echo(empty)
    else:
        table(rows, columns)


def print_json(value: Any) -> None:
    """Print a value for a program."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str]) -> None:
    """Print a table as wide as the terminal; whole, whatever its width, into a pipe."""
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = terminal()
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    for key, heading in columns.items():
        number = all(type(row[key]) in (int, float) for row in rows)
        grid.add_column(heading, justify="right" if number else "left", overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell(row[key])) for key in columns))
    console.print(grid)


def terminal() -> Console:
    """Where tables are printed: as wide as the terminal, or as they need it in a pipe."""
    from rich.console import Console  # noqa: PLC0415

    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=10_000)


def cell(value: Any) -> str:
    """A value as a table shows it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value))
    return str(value)


def size(octets: int) -> str:
    """Octets as a person reads them."""
    amount = float(octets)
    for unit in ("", "K", "M", "G"):
        if amount < 1024:
            return f"{amount:.0f}{unit}" if unit == "" or amount >= 10 else f"{amount:.1f}{unit}"
        amount /= 1024
    return f"{amount:.1f}T"


def ago(seconds: float) -> str:
    """A span of time in its largest unit: ``3h``."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if abs(seconds) >= length:
            return f"{seconds / length:.0f}{unit}"
    return f"{seconds:.0f}s"


def done(text: str) -> None:
    """Say what was done."""
    click.echo(text)
