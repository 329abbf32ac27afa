"""``mailhub queue`` by itself: what waits, by provider, how it goes, and when it will be done."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from mailhub.cli.show import ago, print_json, terminal
from mailhub.policy.estimate import Backlog, Going, finished
from mailhub.policy.provider import Providers
from mailhub.queue.ids import moment_of
from mailhub.queue.totals import Total, totals

if TYPE_CHECKING:
    from mailhub.config.settings import Settings
    from mailhub.policy.order import Row

REDRAW: Final = 2.0
"""Seconds between two looks with ``--watch``."""
AROUND: Final = 5
"""Rows of a screen that are no provider's: headings, totals, and what is between."""
GAP: Final = 2
"""Columns between two cells."""
LEAST: Final = 8
"""Columns of a last reply, at least."""
NAME: Final = 22
"""Columns of a provider's name, at most, on a terminal."""
LOCAL: Final = "our mailboxes"
"""Where mail waits that could not be filed."""
COLUMNS: Final = ("Provider", "Waiting", "Due", "Held", "Oldest", "Pace", "Done", "Last reply")


@dataclass(slots=True)
class Line:
    """What waits for one provider.

    Attributes:
        waiting: Recipients; `due` those whose moment has come, `held` those on hold.
        first: When the first is due, and `last` the last.
        oldest: When the item came that has been here longest.
        reply: What was heard last, and `replied` when.
        rows: How we stand with it, from each source.
        together: It stands for several, which have no pace and no end in common.
    """

    provider: str
    domains: int = 0
    waiting: int = 0
    due: int = 0
    held: int = 0
    first: float | None = None
    last: float | None = None
    oldest: float | None = None
    reply: str = ""
    replied: float = 0.0
    rows: list[Row] = field(default_factory=list)
    together: bool = False

    def add(self, total: Total) -> None:
        """Count a domain."""
        self.domains += 1
        self.waiting += total.waiting
        self.due += total.due
        self.held += total.held
        self.first = _least(self.first, total.first)
        self.oldest = _least(self.oldest, moment_of(total.oldest))
        if total.last is not None:
            self.last = max(total.last, self.last or total.last)
        if total.ended > self.replied:
            self.reply, self.replied = total.reply, total.ended

    @property
    def pace(self) -> float:
        """Messages a minute, lately."""
        return sum(max(row.sent_minute, row.sent_hour / 60) for row in self.rows)

    @property
    def state(self) -> str:
        """What holds mail back; ``""`` for nothing."""
        return ", ".join(dict.fromkeys(row.state for row in self.rows if row.state != "open"))

    def done(self, now: float) -> float | None:
        """When it will be done, as far as can be told."""
        rates = [row.rate for row in self.rows]
        allowed = None if None in rates or not rates else sum(filter(None, rates))
        until = min((row.next for row in self.rows), default=0.0)
        backlog = Backlog(self.waiting, self.first or now, self.last or now)
        return finished(backlog, Going(self.pace, allowed, until), now)


class _Groups:
    """Who is responsible for a domain, as far as what was tried tells."""

    def __init__(self, providers: Providers, met: Sequence[Row]) -> None:
        self._providers = providers
        self._rows: dict[str, list[Row]] = {}
        self._hosts: dict[str, str] = {}
        for row in met:
            self._rows.setdefault(row.provider, []).append(row)
            for host in row.provider.split():
                self._hosts.setdefault(host, row.provider)

    def of(self, total: Total) -> str:
        """The provider's name; the host, or the domain, of one that is not known."""
        if total.local:
            return LOCAL
        if not total.host:
            return total.domain
        running = self._providers.running(total.host)
        return running.name if running is not None else self._hosts.get(total.host, total.host)

    def rows(self, name: str) -> list[Row]:
        """How we stand with one."""
        return self._rows.get(name, [])


def overview(settings: Settings, now: float) -> list[Line]:
    """What waits, by provider, the most first."""
    from mailhub.cli.provider import rows  # noqa: PLC0415

    groups = _Groups(Providers(settings.providers), rows(settings, now))
    lines: dict[str, Line] = {}
    for total in totals(settings.hub.spool, now):
        name = groups.of(total)
        if name not in lines:
            lines[name] = Line(name, rows=groups.rows(name))
        lines[name].add(total)
    for line in lines.values():
        heard = max(line.rows, key=lambda row: row.heard or 0.0, default=None)
        if heard is not None and (heard.heard or 0.0) > line.replied:
            line.reply, line.replied = heard.reply, heard.heard or 0.0
    return sorted(lines.values(), key=lambda line: (-line.waiting, -line.held, line.provider))


def domains_of(settings: Settings, name: str, now: float) -> list[str]:
    """The domains with mail waiting that are counted for a provider in the overview."""
    from mailhub.cli.provider import rows  # noqa: PLC0415

    groups = _Groups(Providers(settings.providers), rows(settings, now))
    return [it.domain for it in totals(settings.hub.spool, now) if groups.of(it) == name]


def show(settings: Settings, *, watch: bool, as_json: bool) -> None:
    """Print the overview; with `watch` again and again."""
    now = time.time()
    if as_json:
        while True:
            found = [_as_json(line, now) for line in overview(settings, now)]
            if not watch:
                print_json(found)
                return
            print(json.dumps(found), flush=True)
            time.sleep(REDRAW)
            now = time.time()
    console = terminal()
    if not watch:
        width = console.width if console.is_terminal else None
        console.print(_table(overview(settings, now), now, width))
        return
    from rich.live import Live  # noqa: PLC0415

    with Live(console=console, screen=console.is_terminal, auto_refresh=False) as live:
        while True:
            now = time.time()
            width, height = console.size if console.is_terminal else (None, None)
            room = None if height is None else height - AROUND
            live.update(_table(overview(settings, now), now, width, room), refresh=True)
            time.sleep(REDRAW)


def _table(
    lines: Sequence[Line], now: float, width: int | None = None, room: int | None = None
) -> Any:
    """A row for each line, cut to `width`; where there is `room` for so many, the others share one.

    A pipe has any width, and any room.
    """
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    if not lines:
        return Text("the queue is empty")
    shown = list(lines) if room is None or len(lines) <= room else list(lines[: max(room - 1, 1)])
    if len(shown) < len(lines):
        shown.append(_together(f"{len(lines) - len(shown)} others", lines[len(shown) :]))
    rows = [_cells(line, now) for line in shown]
    if width is not None:
        rows = [(_cut(name, NAME), *others) for name, *others in rows]
    total = _cells(_together("all", lines), now)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, show_footer=True)
    grid.collapse_padding = True
    for heading, foot in zip(COLUMNS, total, strict=True):
        justify = "right" if heading in ("Waiting", "Due", "Held") else "left"
        grid.add_column(heading, foot, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    left = None if width is None else _left(width, [COLUMNS, total, *rows])
    for *most, reply in rows:
        grid.add_row(*map(Text, most), Text(_cut(reply, left)))
    return grid


def _left(width: int, rows: Iterable[Sequence[str]]) -> int:
    """Columns that are left for the last cell of each row."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    return max(width - sum(widths) - GAP * len(widths), LEAST)


def _cut(text: str, width: int | None) -> str:
    return text if width is None or len(text) <= width else text[: width - 1] + "…"


def _together(name: str, lines: Iterable[Line]) -> Line:
    """All of these; its pace and end are those of none."""
    whole = Line(name, together=True)
    for line in lines:
        whole.waiting += line.waiting
        whole.due += line.due
        whole.held += line.held
        whole.oldest = _least(whole.oldest, line.oldest)
        whole.rows += line.rows
    return whole


def _cells(line: Line, now: float) -> tuple[str, ...]:
    if line.together:
        done = pace = ""
    else:
        end = line.done(now)
        done = "?" if end is None else "" if not line.waiting else f"in {ago(max(end - now, 0.0))}"
        pace = f"{line.pace:.0f}/min" if line.pace else ""
        pace = ", ".join(filter(None, (pace, line.state)))
    return (
        line.provider,
        str(line.waiting),
        str(line.due),
        str(line.held) if line.held else "",
        "" if line.oldest is None else ago(now - line.oldest),
        pace,
        done,
        line.reply,
    )


def _as_json(line: Line, now: float) -> dict[str, Any]:
    return {
        "provider": line.provider,
        "domains": line.domains,
        "waiting": line.waiting,
        "due": line.due,
        "held": line.held,
        "first": line.first,
        "last": line.last,
        "oldest": line.oldest,
        "pace": line.pace,
        "state": line.state or "open",
        "done": line.done(now),
        "reply": line.reply,
        "replied": line.replied or None,
    }


def _least(one: float | None, other: float | None) -> float | None:
    known = [it for it in (one, other) if it is not None]
    return min(known, default=None)
