"""``mailhub simulate``: what a campaign, or a change of the configuration, will do."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from mailhub.cli.place import Place
from mailhub.config.values import parse_duration

if TYPE_CHECKING:
    from mailhub.config.settings import Settings
    from mailhub.sim.result import Outcome, Result
    from mailhub.sim.simulation import Plan, Progress

SAMPLE: Final = "[hub]\nhostname = mx.sender.example\n"
"""The configuration that is used where none is named: every default."""
SPARKS: Final = " ▁▂▃▄▅▆▇█"
SPARK_WIDTH: Final = 16
ENDS: Final = (signal.SIGINT, signal.SIGTERM)
"""What ends a simulation; the world's disks go with it in either case."""
NONE: Final = "·"
ALWAYS: Final = frozenset({"provider", "limited by", "sent", "deferred", "bounced", "pace"})
"""Columns that are shown even if there is nothing in them."""
DISPENSABLE: Final = ("50 %", "returned", "in doubt", "deferred", "pace", "95 %", "reputation")
"""Columns that are left out, in this order, where the terminal is narrow."""
COLUMNS: Final = (
    *(
        "provider",
        "limited by",
        "sent",
        "deferred",
        "bounced",
        "suppressed",
        "returned",
        "complaints",
    ),
    *("waiting", "twice", "in doubt"),
    *("pace", "50 %", "95 %", "100 %", "blocks", "reputation"),
)


def _duration(context: click.Context, parameter: click.Parameter, value: str | None) -> float:  # noqa: ARG001
    if value is None:
        return 0.0
    try:
        return parse_duration(value)
    except ValueError:
        raise click.BadParameter(f"expected a duration such as 5d, not {value}") from None


@click.command(short_help="Try a campaign, or a configuration, in a virtual internet.")
@click.option("--config", metavar="FILE", help="The configuration to try.  [default: a sample]")
@click.option("--against", metavar="FILE", help="Another one, to be seen beside it.")
@click.option(
    "--world",
    metavar="WORLD",
    default="providers",
    show_default=True,
    help="calm, providers, hostile, or a file.",
)
@click.option("--campaign", metavar="FILE", help="What is sent.  [default: a sample]")
@click.option("--seed", default="1", show_default=True, help="Of all that is left to chance.")
@click.option(
    "--until", metavar="DURATION", callback=_duration, help="Stop then.  [default: all settled]"
)
@click.option("--report", metavar="FILE", help="Write a page with plots.")
@click.option("--journeys", metavar="FILE", help="Replay what `mailhub journey --json` recorded.")
@click.option("--json", "as_json", is_flag=True, help="Print the result alone, as JSON.")
@click.pass_obj
def simulate(
    place: Place,
    config: str | None,
    against: str | None,
    world: str,
    campaign: str | None,
    seed: str,
    until: float,
    report: str | None,
    journeys: str | None,
    *,
    as_json: bool,
) -> None:
    """Run a configuration against a world of providers, in virtual time.

    Nothing is sent, and nothing of a hub is touched. The same seed and files give the
    same result, everywhere. A world file says how providers behave; docs/worlds.md
    describes it, and the campaign file.
    """
    settings = _settings(place, config)
    if report is not None:
        _try(report)
    with _quiet(), _interruptible() as between:
        if journeys is not None:
            _replay(settings, journeys, seed, until, between, as_json=as_json)
            return
        results = _results(settings, against, world, campaign, seed, until, between)
    if report is not None:
        from mailhub.sim.report import page  # noqa: PLC0415

        _write(report, page(*results))
    if as_json:
        texts = [result.as_json() for result in results]
        click.echo(
            texts[0] if len(texts) == 1 else f'{{"after": {texts[0]}, "before": {texts[1]}}}'
        )
        return
    for result in reversed(results):
        _show(result, against if result is not results[0] else None)
    if report is not None:
        click.echo(f"report: {report}")


def _settings(place: Place, config: str | None) -> Settings:
    from mailhub.config.load import load, parse  # noqa: PLC0415

    if config is not None:
        return load(config)
    if place.config is not None or place.state is not None:
        return place.settings()
    settings, _ = parse(SAMPLE)
    return settings


def _results(
    settings: Settings,
    against: str | None,
    world: str,
    campaign: str | None,
    seed: str,
    until: float,
    between: Callable[[], object],
) -> list[Result]:
    """The result; and, behind it, what the configuration beside it came to."""
    from mailhub.config.load import load  # noqa: PLC0415
    from mailhub.sim import campaign as campaigns  # noqa: PLC0415
    from mailhub.sim import worldfile  # noqa: PLC0415
    from mailhub.sim.result import concluded  # noqa: PLC0415
    from mailhub.sim.simulation import Plan  # noqa: PLC0415
    from mailhub.sim.simulation import simulate as run  # noqa: PLC0415

    given = [("", settings)]
    if against is not None:
        given.append((against, load(against)))
    atlas, sent = worldfile.load(world), campaigns.load(campaign)
    results = []
    for name, each in given:
        plan = Plan(each, atlas, sent, seed, until)
        with _progress(plan, name) as progress:

            def told(ledger: Any, age: float, show: Progress | None = progress) -> None:
                between()
                if show is not None:
                    show(ledger, age)

            results.append(concluded(run(plan, told)))
    return results


@contextmanager
def _interruptible() -> Iterator[Callable[[], None]]:
    """Give what raises `KeyboardInterrupt` between two turns of the world, if there was one.

    Within a turn Twisted would take it for a failure of whatever program's turn it is, and the
    world would go on without that.
    """
    told = False

    def handler(*_: object) -> None:
        nonlocal told
        if told:
            raise KeyboardInterrupt
        told = True

    def between() -> None:
        if told:
            raise KeyboardInterrupt

    before = {each: signal.signal(each, handler) for each in ENDS}
    try:
        yield between
    finally:
        for each, was in before.items():
            signal.signal(each, was)


@contextmanager
def _quiet() -> Iterator[None]:
    """Let the hub's log go nowhere: a million lines that nobody asked for."""
    from twisted.logger import globalLogBeginner  # noqa: PLC0415

    if not getattr(_quiet, "done", False):
        globalLogBeginner.beginLoggingTo([], redirectStandardIO=False, discardBuffer=True)
        _quiet.done = True  # type: ignore[attr-defined]  # it can be begun once
    yield


@contextmanager
def _progress(plan: Plan, name: str) -> Iterator[Progress | None]:
    """A bar on the terminal; None where nobody sees it."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
    )

    from mailhub.sim.result import duration  # noqa: PLC0415

    console = Console(stderr=True)
    if not console.is_terminal:
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[age]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as bar:
        title = name or plan.atlas.name
        task = bar.add_task(title, total=plan.campaign.total, age="")

        def told(ledger: Any, age: float) -> None:
            bar.update(task, completed=ledger.settled, age=f"{duration(age)} simulated")

        yield told


def _try(path: str) -> None:
    """See that a file can be written now, and not after all the work.

    Raises:
        OSError: It cannot.
    """
    there = os.path.lexists(path)
    with open(path, "ab"):
        pass
    if not there:
        os.unlink(path)


def _write(path: str, text: str) -> None:
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


# ---- Showing it ----------------------------------------------------------------------------


def _show(result: Result, name: str | None) -> None:
    """The result for a person: a table, and the answer."""
    from rich import box  # noqa: PLC0415
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=200)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    rows = [_row(outcome) for outcome in result.providers]
    for heading in _fitting(rows, console.width):
        left = heading in ("provider", "limited by", "pace")
        grid.add_column(heading, justify="left" if left else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*(Text(row[str(column.header)]) for column in grid.columns))
    if name is not None:
        console.print(os.path.basename(name), style="bold", markup=False)
    console.print(grid)
    for outcome in result.providers:
        if len(outcome.limits) > 1 or outcome.blocks:
            line = f"  {outcome.name}: {_course(outcome)}"
            console.print(line, style="dim", markup=False, soft_wrap=True)
    console.print(f"\n{result.answer}", style="bold", markup=False, soft_wrap=True)
    for error in dict.fromkeys(result.errors):
        line = f"the hub logged: {error.splitlines()[0]}"
        console.print(line, style="red", markup=False, soft_wrap=True)


def _fitting(rows: list[dict[str, str]], width: int) -> list[str]:
    """The columns that have something to show, without some if there is no room for all."""
    sizes = {
        heading: max(len(heading), *(len(row[heading]) for row in rows)) + 2
        for heading in COLUMNS
        if rows and (heading in ALWAYS or any(row[heading] not in ("", NONE) for row in rows))
    }
    for heading in DISPENSABLE:
        if sum(sizes.values()) > width:
            sizes.pop(heading, None)
    return list(sizes)


def _row(outcome: Outcome) -> dict[str, str]:
    from mailhub.sim.result import duration  # noqa: PLC0415

    def number(value: int) -> str:
        return f"{value}" if value else NONE

    def age(value: float | None) -> str:
        return "" if value is None else duration(value)

    return {
        "provider": outcome.name,
        "limited by": outcome.limit,
        "sent": number(outcome.delivered),
        "deferred": number(outcome.deferred),
        "bounced": number(outcome.bounced + outcome.refused),
        "suppressed": number(outcome.suppressed),
        "returned": number(outcome.returned),
        "complaints": number(outcome.complaints),
        "waiting": number(outcome.waiting),
        "twice": number(outcome.duplicates),
        "in doubt": number(outcome.in_doubt),
        "pace": sparks(outcome.pace),
        "50 %": age(outcome.half),
        "95 %": age(outcome.most),
        "100 %": age(outcome.all),
        "blocks": number(outcome.blocks),
        "reputation": f"{outcome.reputation:g}",
    }


def _course(outcome: Outcome) -> str:
    from mailhub.sim.result import duration  # noqa: PLC0415

    shown = [
        f"{stretch.why} {duration(stretch.start) if stretch.start else '0'}–{duration(stretch.end)}"
        for stretch in outcome.limits[:6]
    ]
    more = len(outcome.limits) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def sparks(values: tuple[float, ...], width: int = SPARK_WIDTH) -> str:
    """A course of values as a line of small bars."""
    if not values or not any(values):
        return ""
    size = len(values) / min(width, len(values))
    means = [
        sum(values[int(n * size) : max(int((n + 1) * size), int(n * size) + 1)]) / size
        for n in range(min(width, len(values)))
    ]
    top = max(means)
    last = len(SPARKS) - 1
    return "".join(SPARKS[min(last, -int(-mean / top * last // 1))] for mean in means)


# ---- Replaying -----------------------------------------------------------------------------


def _replay(
    settings: Settings,
    path: str,
    seed: str,
    until: float,
    between: Callable[[], object],
    *,
    as_json: bool,
) -> None:
    from mailhub.cli.show import print_json  # noqa: PLC0415
    from mailhub.sim.replay import read, replay  # noqa: PLC0415

    recorded = read(path)
    changes = replay(settings, recorded, seed, until, between)
    if as_json:
        print_json([change.as_dict() for change in changes])
        return
    for change in changes:
        click.echo(str(change))
    count = sum(len(it.recipients) for it in recorded)
    words = f"{len(changes)} of {count} recipients" if changes else f"none of {count} recipients"
    click.echo(f"{words} would fare otherwise")
