"""``mailhub journey``: what happened to a message, from its first octet to its end."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any, Final

import click

from mailhub.accounts.record import address
from mailhub.cli import refusals
from mailhub.cli.numbered import numbered
from mailhub.cli.place import Place
from mailhub.cli.show import json_option, print_json
from mailhub.config.values import parse_duration
from mailhub.ports.outgoing import QueueId
from mailhub.queue.event import Event, as_json
from mailhub.queue.ids import to_number
from mailhub.queue.journeys import Journeys, Written
from mailhub.queue.standing import standing
from mailhub.queue.timeline import Line, heading, lines
from mailhub.queue.wanted import Wanted

if TYPE_CHECKING:
    from rich.console import Console

    from mailhub.policy.refused import Refused

GLANCE: Final = 0.3
"""Seconds between two looks at what was written, while following."""
STYLES: Final = {
    "accepted": "bold",
    "deferred": "yellow",
    "held": "yellow",
    "failed": "bold red",
    "expired": "bold red",
    "complaint": "bold red",
    "relayed": "green",
    "delivered": "green",
    "decided": "cyan",
    "refused": "bold red",
    "looked up": "dim",
}


@click.command(short_help="Show what happened to a message, and why.")
@click.argument("queue_id", metavar="[QUEUE-ID]", required=False)
@click.option("--message-id", metavar="ID", help="By its Message-ID.")
@click.option("--from", "sender", metavar="ADDRESS", help='From this sender; "" is <>.')
@click.option("--to", metavar="ADDRESS", help="To this recipient.")
@click.option("--account", metavar="ADDRESS", help="Submitted by this account.")
@click.option("--client", metavar="IP", help="Refused to this client.")
@click.option("--since", metavar="DURATION", help="Accepted or refused since then, such as 2h.")
@click.option("--refused", is_flag=True, help="What was refused, and nothing else.")
@click.option(
    "--limit",
    type=click.IntRange(1),
    default=10,
    show_default=True,
    help="The latest so many.",
)
@click.option("--follow", is_flag=True, help="Go on showing what happens, as it happens.")
@json_option
@click.pass_obj
def journey(
    place: Place,
    queue_id: str | None,
    message_id: str | None,
    sender: str | None,
    to: str | None,
    account: str | None,
    client: str | None,
    since: str | None,
    *,
    refused: bool,
    limit: int,
    follow: bool,
    as_json: bool,
) -> None:
    """Show what happened to a message: who handed it in, every lookup, attempt and decision.

    Name it by its queue id, which the reply to a submission tells, or say what you
    know of it. With --follow and nothing else all mail is shown as it comes.

    What was refused has no journey and no queue id, and is shown behind the journeys: by
    whom it was tried, what was answered, and which line of the configuration made it so.
    Many refusals to one network for one reason are shown as one, with their number.
    """
    wanted = Wanted(
        None if sender is None else _bare(sender),
        None if to is None else _bare(to),
        message_id,
        None if account is None else _bare(account),
        time.time() - _seconds(since) if since else 0.0,
    )
    alone = refused or client is not None
    named = wanted != Wanted()
    if queue_id is not None and (named or alone):
        raise click.UsageError("A queue id needs nothing else to find its message.")
    if queue_id is None and not named and not follow and not alone:
        raise click.UsageError("Which? Name a queue id, --message-id, --from, --to or --since.")
    drawing = _Json(whole=not follow) if as_json else _Terminal()
    no: list[Refused] = []
    if alone or (named and message_id is None and not follow):
        no = refusals.found(place, wanted, client, limit)
    if alone or (no and refusals.alone(place)):
        drawing.refuse(no)
        drawing.end()
        return
    with _journeys(place) as journeys:
        latest = journeys.latest
        found = [_known(queue_id)] if queue_id is not None else []
        if named:
            found = journeys.find(wanted, limit)[::-1]
        parts = {each: journeys.load(each) for each in found}
        _check(parts, follow=follow or bool(no))
        for each, written in parts.items():
            drawing.draw(each, numbered(place, each, _events(written)))
        drawing.refuse(no)
        drawing.end()
        if follow:
            _follow(journeys, latest, wanted, queue_id, parts, drawing)


def _check(parts: dict[QueueId, list[Written]], *, follow: bool) -> None:
    """Complain of what is not there."""
    empty = [queue_id for queue_id, written in parts.items() if not written]
    if empty:
        raise click.ClickException(f"nothing is known of {empty[0]}")
    if not parts and not follow:
        raise click.ClickException("no such message")


def _follow(
    journeys: Journeys,
    latest: int,
    wanted: Wanted,
    queue_id: str | None,
    known: dict[QueueId, list[Written]],
    drawing: _Drawing,
) -> None:
    """Show what is written from now on, until the one message has ended."""
    shown = {each: _events(written) for each, written in known.items()}
    while not (queue_id and standing(shown[QueueId(queue_id)]).ended):
        time.sleep(GLANCE)
        while page := journeys.later(latest):
            latest = page[-1].number
            for part in page:
                if part.queue_id in shown:
                    drawing.go_on(part.queue_id, shown[part.queue_id], part.events)
                    shown[part.queue_id] += part.events
                elif not queue_id and _fits(wanted, part.events):
                    shown[part.queue_id] = list(part.events)
                    drawing.draw(part.queue_id, part.events)


def _fits(wanted: Wanted, events: Sequence[Event]) -> bool:
    accepted = standing(events).accepted
    return accepted is not None and wanted.fits(accepted)


def _events(parts: Sequence[Written]) -> list[Event]:
    return [event for part in parts for event in part.events]


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise click.UsageError(f"--since wants a duration such as 2h, not {text}") from None


def _bare(text: str) -> str:
    return "" if text in ("", "<>") else str(address(text))


def _known(text: str) -> QueueId:
    try:
        to_number(text)
    except ValueError:
        raise click.ClickException(f"{text!r} is no queue id") from None
    return QueueId(text)


@contextmanager
def _journeys(place: Place) -> Iterator[Journeys]:
    state = place.existing().hub.state
    try:
        opened = Journeys(state, now=time.time(), begin=False)
    except FileNotFoundError:
        raise click.ClickException("nothing is known of any mail yet") from None
    with closing(opened) as journeys:
        yield journeys


# ---- Drawing -------------------------------------------------------------------------------


class _Drawing:
    """Shows journeys."""

    def draw(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        """A message, with what has happened so far."""

    def go_on(self, queue_id: QueueId, before: Sequence[Event], events: Sequence[Event]) -> None:
        """More has happened to a message that was drawn."""

    def refuse(self, refused: Sequence[Refused]) -> None:
        """What was refused, behind it."""

    def end(self) -> None:
        """All that there was is drawn."""


class _Json(_Drawing):
    """For a program: a list, or one object a line while following."""

    def __init__(self, *, whole: bool) -> None:
        self._whole = whole
        self._drawn: list[dict[str, Any]] = []

    def draw(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        stands = standing(events)
        found = {
            "id": queue_id,
            "state": stands.word.lower(),
            "ended": stands.ended,
            "events": [as_json(event) for event in events],
        }
        if self._whole:
            self._drawn.append(found)
        else:
            click.echo(json.dumps(found))

    def go_on(self, queue_id: QueueId, before: Sequence[Event], events: Sequence[Event]) -> None:
        del before
        for event in events:
            click.echo(json.dumps({"id": queue_id, **as_json(event)}))

    def refuse(self, refused: Sequence[Refused]) -> None:
        self._drawn += map(refusals.as_json, refused)

    def end(self) -> None:
        if self._whole:
            print_json(self._drawn)


class _Terminal(_Drawing):
    """For a person: a timeline."""

    def __init__(self) -> None:
        from rich.console import Console  # noqa: PLC0415

        self._console: Console = Console(highlight=False, soft_wrap=True)

    def draw(self, queue_id: QueueId, events: Sequence[Event]) -> None:
        from rich.text import Text  # noqa: PLC0415

        title = Text(queue_id, style="bold")
        title.append(f"  {heading(events)}  ", style="not bold")
        title.append(standing(events).word.lower(), style="reverse")
        self._console.print(title)
        self._lines(lines(events, _moment))

    def go_on(self, queue_id: QueueId, before: Sequence[Event], events: Sequence[Event]) -> None:
        self._console.print(queue_id, style="bold")
        told = lines([*before, *events], _moment)
        seen = lines(before, _moment)
        self._lines([line for line in told if line not in seen])

    def refuse(self, refused: Sequence[Refused]) -> None:
        for each in refused:
            refusals.draw(each, self._console, STYLES, _moment)

    def _lines(self, drawn: Sequence[Line]) -> None:
        from rich.text import Text  # noqa: PLC0415

        for line in drawn:
            text = Text(f"  {_moment(line.at)}  ")
            text.append(f"{line.kind:<10}", style=STYLES.get(line.kind, ""))
            text.append(f" {line.text}")
            self._console.print(text)
            for detail in line.details:
                self._console.print(Text(f"{'':37}{detail}", style="dim"))


def _moment(at: float) -> str:
    whole = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))
    return f"{whole}.{int(at % 1 * 1000):03d}"
