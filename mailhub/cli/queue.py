"""``mailhub queue``: what was accepted and is not settled yet."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

import click

from mailhub.accounts.record import address
from mailhub.cli import queued
from mailhub.cli.chosen import all_option, chosen, known_id, looked_for, selectors
from mailhub.cli.control import wake
from mailhub.cli.edited import additions, changes
from mailhub.cli.place import Place
from mailhub.cli.show import done, json_option, listing, print_json
from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.route import DIRECT, sent_by
from mailhub.ports.outgoing import QueueId
from mailhub.queue.amend import START, At, Key
from mailhub.queue.change import Amend, Cancel, Flush, Hold, Release, Reroute, Select
from mailhub.queue.choosing import INDEXED, Way, way_of
from mailhub.queue.item import Item
from mailhub.queue.journeys import Journeys
from mailhub.queue.noting import noted
from mailhub.queue.rows import State
from mailhub.queue.spool import Spool

if TYPE_CHECKING:
    from mailhub.config.settings import Settings


PAGE: Final = 500
"""Items loaded at once while listing."""
COPY_BLOCK: Final = 1 << 16
OPEN_STATES: Final = (State.PENDING, State.HELD, State.LOCAL)
"""What a person takes for the queue: what is filed can be read, though the spool still keeps it."""

COLUMNS: Final = {
    "id": "Queue id",
    "age": "Age",
    "size": "Size",
    "sender": "From",
    "recipients": "To",
    "state": "State",
    "next": "Next attempt",
    "reply": "Last reply",
}


@click.group(invoke_without_command=True)
@click.option("--watch", is_flag=True, help="Look again every two seconds.")
@json_option
@click.pass_context
def queue(context: click.Context, *, watch: bool, as_json: bool) -> None:
    """Look at the queue, and change it.

    By itself: what waits, by provider, how it goes, and when it will be done.

    Messages are chosen by queue id, or by sender, recipient or domain; each
    command tells how many recipients it has changed, and a running hub obeys
    at once.
    """
    if context.invoked_subcommand is not None:
        return
    from mailhub.cli.overview import show  # noqa: PLC0415

    show(context.obj.existing(), watch=watch, as_json=as_json)


# ---- Looking -------------------------------------------------------------------------------


@queue.command(name="list")
@selectors
@click.option("--held", is_flag=True, help="Only what is on hold.")
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=200,
    show_default=True,
    help="Messages shown; 0 for all.",
)
@json_option
@click.pass_obj
def list_(
    place: Place,
    /,
    *,
    held: bool,
    limit: int,
    as_json: bool,
    **given: Any,
) -> None:
    """List messages, the oldest first."""
    select = looked_for(place, **given)
    now = time.time()
    quick = way_of(select) in (Way.DOMAINS, Way.ACCOUNT)
    states = (State.HELD,) if held else tuple(INDEXED) if quick else OPEN_STATES
    with _spool(place) as spool:
        found, more = _found(spool, select, states, limit)
    rows = [queued.as_json(item) if as_json else queued.row(item, now) for item in found]
    listing(rows, COLUMNS, as_json=as_json, empty="the queue is empty")
    if more:
        click.echo(f"... and more: --limit 0 shows all ({limit} shown)", err=True)


@queue.command()
@click.argument("queue_id", metavar="QUEUE-ID")
@click.option("--content", is_flag=True, help="Print the message itself, as it was received.")
@json_option
@click.pass_obj
def show(place: Place, queue_id: str, *, content: bool, as_json: bool) -> None:
    """Show a message: its recipients, and every attempt so far."""
    number = known_id(queue_id)
    with _spool(place) as spool:
        item, attempts = spool.load(number), spool.attempts(number)
        if item is not None and content:
            _print_content(spool, item)
            return
    if item is None:
        words = f"{number} is not in the queue; `mailhub journey {number}` may know of it"
        raise click.ClickException(words)
    if as_json:
        told = [queued.attempt_as_json(it) for it in attempts]
        print_json({**queued.as_json(item), "attempts": told})
        return
    for line in queued.told(number, item, attempts, time.time()):
        click.echo(line)


# ---- Changing ------------------------------------------------------------------------------


@queue.command()
@selectors
@all_option
@click.pass_obj
def flush(place: Place, /, **given: Any) -> None:
    """Attempt messages now instead of later."""
    select = chosen(place, given)
    _amend(place, Flush(select, time.time()), "to be attempted now")


@queue.command()
@selectors
@all_option
@click.option("--why", default="by the operator", show_default=True, help="Kept with the message.")
@click.pass_obj
def hold(place: Place, /, *, why: str, **given: Any) -> None:
    """Keep messages from being attempted, until they are released."""
    _amend(place, Hold(chosen(place, given), why), "on hold")


@queue.command()
@selectors
@all_option
@click.pass_obj
def release(place: Place, /, **given: Any) -> None:
    """Let held messages go, now."""
    _amend(place, Release(chosen(place, given), time.time()), "released")


@queue.command()
@selectors
@all_option
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_obj
def drop(place: Place, /, *, yes: bool, **given: Any) -> None:
    """Remove messages; nobody is told."""
    select = chosen(place, given)
    if select == Select() and not yes:
        click.confirm("Drop the whole queue?", abort=True)
    _amend(place, Cancel(select, time.time()), "dropped")


@queue.command()
@selectors
@all_option
@click.option(
    "--via",
    metavar="WAY",
    default="",
    help="direct, the name of a [route], or host:port; without it, as configured.",
)
@click.pass_obj
def reroute(place: Place, /, *, via: str, **given: Any) -> None:
    """Send messages another way, now: for as long as they wait."""
    settings = place.existing()
    try:
        sent_by(via or DIRECT, Path("x", "x.example"), settings.routes)
    except Refusal:
        routes = ", ".join(route.name for route in settings.routes) or "none"
        text = f"{via!r} is neither direct, host:port nor a route; there are: {routes}"
        raise click.UsageError(text) from None
    _amend(place, Reroute(chosen(place, given), via, time.time()), "sent another way")


@queue.command()
@click.argument("queue_id", metavar="QUEUE-ID")
@click.option(
    "--change", nargs=2, metavar="OLD NEW", multiple=True, help="Another address for a recipient."
)
@click.option("--add", metavar="ADDRESS", multiple=True, help="One recipient more.")
@click.option("--remove", metavar="ADDRESS", multiple=True, help="Not to this recipient.")
@click.pass_obj
def edit(
    place: Place,
    queue_id: str,
    change: tuple[tuple[str, str], ...],
    add: tuple[str, ...],
    remove: tuple[str, ...],
) -> None:
    """Change the recipients of a message that are not settled.

    What was tried for an address that is replaced is forgotten; the sender is not told.
    An alias of ours stands for its members.
    """
    number, now = known_id(queue_id), time.time()
    if not (change or add or remove):
        raise click.UsageError("What? Name --change, --add or --remove.")
    with _spool(place) as spool:
        item = spool.load(number)
    if item is None:
        raise click.ClickException(f"{number} is not in the queue")
    edits = [*changes(place, item, change, now), *additions(place, number, add, now)]
    done_ = 0
    settings = place.existing()
    with _spool(place) as spool:
        done_ += sum(spool.edit(each) for each in edits)
        for path in map(address, remove):
            only = Select(queue_ids=(number,), recipient=path)
            done_ += spool.amend(Cancel(only, now))[0]
    if done_:
        wake(settings.hub.control)
    done(f"{done_} recipient{'' if done_ == 1 else 's'} changed")
    if done_ < len(edits) + len(remove):
        raise click.ClickException("the others are settled, or were never there")


def _amend(place: Place, change: Amend, what: str) -> None:
    """Change the recipients that fit, batch by batch, and tell the hub."""
    changed = 0
    settings = place.existing()
    with _spool(place) as spool, _journeys(settings) as note:
        spool.amended = note
        at: At | None = START
        while at is not None:
            count, at = spool.amend(change, at)
            changed += count
    if changed:
        wake(settings.hub.control)
    done(f"{changed} recipient{'' if changed == 1 else 's'} {what}")
    if not changed and change.select.queue_ids:
        raise click.ClickException("none of these is in the queue in a state to be changed")


@contextmanager
def _journeys(settings: Settings) -> Iterator[Callable[[Amend, Sequence[Key]], None]]:
    """Tells the journeys of messages what is done to them; nothing depends on that."""
    with ExitStack() as stack:
        journeys: Journeys | None = None
        if settings.journey.keep:
            with suppress(OSError):
                journeys = Journeys(settings.hub.state, now=time.time(), begin=False)
                stack.callback(journeys.close)

        def note(change: Amend, keys: Sequence[Key]) -> None:
            if journeys is not None and keys:
                with suppress(OSError):
                    journeys.write(noted(change, keys, time.time()))

        yield note


@contextmanager
def _spool(place: Place) -> Iterator[Spool]:
    settings = place.existing()
    with closing(Spool(settings.hub.spool)) as spool:
        yield spool


def _found(
    spool: Spool, select: Select, states: Sequence[State], limit: int
) -> tuple[list[Item], bool]:
    """Items that fit, at most `limit` (0 is all), and whether there are more."""
    found: list[Item] = []
    after: QueueId | None = None
    while page := spool.find(select, after, PAGE, states):
        found += page
        after = page[-1].queue_id
        if limit and len(found) > limit:
            return found[:limit], True
    return found, False


def _print_content(spool: Spool, item: Item) -> None:
    content = spool.content(item.queue_id)
    out = sys.stdout.buffer
    if isinstance(content, bytes):
        out.write(content)
    else:
        with open(content, "rb") as file:
            file.seek(len(item.head))
            while block := file.read(COPY_BLOCK):
                out.write(block)
    out.flush()
