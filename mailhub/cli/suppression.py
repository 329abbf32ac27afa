"""``mailhub suppression``: whom each sending domain does not write to any more, and why."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

import click

from mailhub.accounts.record import address, domain_name
from mailhub.cli.place import Place
from mailhub.cli.show import ago, done, json_option, listing, print_json
from mailhub.cli.suppressed import Wrong, read, written
from mailhub.config.values import parse_duration
from mailhub.policy.queueclass import BULK
from mailhub.policy.suppression import EVERYBODY, Entry, Reason, asdict, excepted

if TYPE_CHECKING:
    from mailhub.queue.suppressions import Selection, Suppressions

F = TypeVar("F", bound=Callable[..., Any])

COLUMNS: Final = {
    "address": "Address",
    "domain": "List of",
    "reason": "Reason",
    "since": "Since",
    "until": "Until",
    "count": "Times",
    "reply": "What was said",
}
SHOWN: Final = 200
"""Entries that a listing has, unless more are asked for."""
PAGE: Final = 1000
"""Entries that are read or written at a time."""
NAMED: Final = 5
"""Mistakes of a file that are told; of the others their number."""

REASON: Final = click.Choice([reason.value for reason in Reason])


def selecting(command: F) -> F:
    """Give a command the options that choose entries."""
    options = (
        click.option("--domain", metavar="NAME", help="Of this sending domain's list; * is all's."),
        click.option("--reason", type=REASON, help="With this reason."),
        click.option("--to", metavar="NAME", help="Of addresses in this domain."),
        click.option("--since", metavar="DURATION", help="Put there since then, such as 2h."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@click.group()
def suppression() -> None:
    """Look at suppression lists, and change them.

    Each sending domain has its own list of addresses that get no more of its mail; the
    list of "*" is for all domains. What is changed is in force at once, whether the hub
    runs or not.
    """


@suppression.command(name="list")
@selecting
@click.option("--limit", type=click.IntRange(0), default=SHOWN, help="So many; 0 is all.")
@click.option("--totals", is_flag=True, help="Only how many there are, by list and reason.")
@json_option
@click.pass_obj
def list_(
    place: Place,
    domain: str | None,
    reason: str | None,
    to: str | None,
    since: str | None,
    *,
    limit: int,
    totals: bool,
    as_json: bool,
) -> None:
    """List the addresses that get no more mail: why, since when, until when."""
    now = time.time()
    selection = _selection(domain, reason, to, since)
    with _lists(place) as lists:
        if totals:
            _print_totals(lists, now, as_json=as_json)
            return
        found = list(_some(lists, selection, limit))
        more = lists.count(selection) - len(found) if limit and len(found) == limit else 0
    rows = [asdict(it) if as_json else _cells(it, now) for it in found]
    listing(rows, COLUMNS, as_json=as_json, empty="nobody is on a list")
    if more and not as_json:
        click.echo(f"and {more} more: --limit 0 shows all")


@suppression.command()
@click.argument("path", metavar="ADDRESS")
@json_option
@click.pass_obj
def show(place: Place, path: str, *, as_json: bool) -> None:
    """Show on which lists an address is, and what put it there."""
    now, wanted = time.time(), address(path)
    with _lists(place) as lists:
        found = lists.of(wanted.key)
    if as_json:
        print_json([asdict(it) for it in found])
        return
    if not found:
        raise click.ClickException(f"{wanted} is on no list")
    for it in found:
        ended = "" if it.holds(now) else " (it has ended)"
        cells = _cells(it, now)
        click.echo(f"{it.address}: {it.told}{ended}")
        click.echo(f"  until: {cells['until']}, counted {it.count} times")
        if it.queue_id:
            click.echo(f"  the message: mailhub journey {it.queue_id}")


@suppression.command()
@click.argument("paths", metavar="ADDRESS...", nargs=-1, required=True)
@click.option("--domain", metavar="NAME", help="On this sending domain's list; * is all's.")
@click.option("--reason", type=REASON, default=Reason.MANUAL.value, show_default=True)
@click.option("--for", "duration", metavar="DURATION", help="How long, such as 30d.  [for ever]")
@click.option("--why", default="", help="Kept with it, and told to senders.")
@click.pass_obj
def add(
    place: Place,
    paths: tuple[str, ...],
    domain: str | None,
    reason: str,
    duration: str | None,
    why: str,
) -> None:
    """Put addresses on a list."""
    now = time.time()
    ends = now + _seconds(duration) if duration else 0.0
    wanted = [address(path) for path in paths]
    list_of = _list_of(place, domain)
    entries = [Entry(list_of, it.key, Reason(reason), now, ends, 1, why) for it in wanted]
    with _lists(place) as lists:
        lists.put(entries)
    done(f"{_many(len(entries))} on {_whose(list_of)}")


@suppression.command()
@click.argument("paths", metavar="[ADDRESS]...", nargs=-1)
@selecting
@click.option("--yes", is_flag=True, help="Do not ask, where no address is named.")
@click.pass_obj
def remove(
    place: Place,
    paths: tuple[str, ...],
    domain: str | None,
    reason: str | None,
    to: str | None,
    since: str | None,
    *,
    yes: bool,
) -> None:
    """Take addresses off their lists: those that are named, or all that options choose.

    After a host has refused everybody by mistake: remove --to far.example --since 2h.
    """
    if paths and (to or since):
        raise click.UsageError("Name addresses, or choose by --to and --since: not both.")
    selection = _selection(domain, reason, to, since)
    with _lists(place) as lists:
        if paths:
            gone = sum(
                lists.remove(address(path).key, selection.domain, selection.reason)
                for path in paths
            )
        else:
            gone = _cleared(lists, selection, yes=yes)
    if not gone:
        raise click.ClickException("nobody of those is on a list")
    done(f"{_many(gone)} off the list; what was held for it: mailhub queue release")


@suppression.command(name="import")
@click.argument("file", type=click.File("r", encoding="utf-8", errors="replace"))
@click.option("--domain", metavar="NAME", help="For lines that name no list; * is all's.")
@click.option("--reason", type=REASON, default=Reason.MANUAL.value, help="Likewise no reason.")
@click.pass_obj
def import_(place: Place, file: TextIO, domain: str | None, reason: str) -> int:
    """Put all addresses of a CSV file on lists; - reads standard input.

    The columns are found by their headings: address (or email), domain, reason, at,
    expires, count, reply. A file without headings has an address in each line, and
    perhaps a reason behind it: the exports of Amazon SES and Mailgun can be read.
    What cannot be used is told, and the rest is put on the lists.
    """
    wrong: list[Wrong] = []
    count = 0
    list_of = _list_of(place, domain, needed=False)
    with _lists(place) as lists, _bar("lines read") as advance:
        batch: list[Entry] = []
        for it in read(file, list_of, Reason(reason), time.time()):
            advance()
            if isinstance(it, Wrong):
                wrong.append(it)
            elif it is not None:
                batch.append(it)
            if len(batch) >= PAGE:
                lists.put(batch)
                count, batch = count + len(batch), []
        lists.put(batch)
        count += len(batch)
    done(f"{_many(count)} put on lists")
    for it in wrong[:NAMED]:
        click.echo(f"mailhub: line {it.line}: {it.why}", err=True)
    if len(wrong) > NAMED:
        click.echo(f"mailhub: and {len(wrong) - NAMED} more lines like that", err=True)
    return 1 if wrong else 0


@suppression.command()
@click.argument("file", type=click.File("w", encoding="utf-8", lazy=True), default="-")
@selecting
@click.option("--json", "as_json", is_flag=True, help="JSON, one entry on each line.")
@click.pass_obj
def export(
    place: Place,
    file: TextIO,
    domain: str | None,
    reason: str | None,
    to: str | None,
    since: str | None,
    *,
    as_json: bool,
) -> None:
    """Write lists to a CSV file, which import reads; by default to standard output."""
    selection = _selection(domain, reason, to, since)
    with _lists(place) as lists, _bar("entries written", lists.count(selection)) as advance:
        found = _counted(_some(lists, selection, 0), advance)
        if as_json:
            file.writelines(json.dumps(asdict(it), ensure_ascii=False) + "\n" for it in found)
        else:
            csv.writer(file, lineterminator="\n").writerows(written(found))


@suppression.command()
@click.option("--from", "sender", metavar="ADDRESS", required=True, help="Who sends.")
@click.option("--to", "path", metavar="ADDRESS", required=True, help="Who is to get it.")
@click.option("--class", "name", default=BULK, show_default=True, help="Of the mail's class.")
@json_option
@click.pass_obj
def check(place: Place, sender: str, path: str, name: str, *, as_json: bool) -> int:
    """Say whether mail would be held back; exit status 1 if so."""
    settings = place.existing()
    reverse_path, to = address(sender), address(path)
    sending = settings.suppression.of(reverse_path.domain)
    terms = sending.terms
    with _lists(place) as lists:
        entry = lists.find(reverse_path.domain, to, time.time())
    stopped = (
        entry is not None and not excepted(reverse_path, to) and terms.concerns(name, entry.reason)
    )
    told = settings.origins.told(sending.rule("action"))
    if as_json:
        shown = None if entry is None else asdict(entry)
        print_json({"sent": not stopped, "action": terms.action.value, "entry": shown})
    elif entry is None:
        click.echo(f"{to} is on no list of {reverse_path.domain}'s: it is sent")
    elif stopped:
        click.echo(f"{to} is {entry.told}: {terms.action.value}, {told}")
    else:
        click.echo(f"{to} is {entry.told}; mail of class {name} is sent all the same, {told}")
    return 1 if stopped else 0


# ---- Lists ---------------------------------------------------------------------------------


@contextmanager
def _lists(place: Place) -> Iterator[Suppressions]:
    from mailhub.queue.suppressions import Suppressions  # noqa: PLC0415

    lists = Suppressions(place.existing().hub.state)
    try:
        yield lists
    finally:
        lists.close()


def _selection(
    domain: str | None, reason: str | None, to: str | None, since: str | None
) -> Selection:
    from mailhub.queue.suppressions import Selection  # noqa: PLC0415

    return Selection(
        domain if domain in (None, EVERYBODY) else domain_name(domain),
        Reason(reason) if reason else None,
        domain_name(to) if to else None,
        time.time() - _seconds(since) if since else 0.0,
    )


def _list_of(place: Place, domain: str | None, *, needed: bool = True) -> str:
    """Whose list is meant: where none is named, that of the only hosted domain.

    Where that is not clear it is ``""``, or a mistake if it is needed.
    """
    if domain is not None:
        return domain if domain == EVERYBODY else domain_name(domain)
    with place.accounts() as accounts:
        names = accounts.domains()
    if len(names) != 1 and not needed:
        return ""
    if len(names) != 1:
        raise click.UsageError("Whose list? Name a sending --domain, or '*' for all.")
    return names[0].name


def _some(lists: Suppressions, selection: Selection, limit: int) -> Iterator[Entry]:
    """Entries in order, page by page; so many, or all for 0."""
    after, left = ("", ""), limit
    while True:
        size = min(left, PAGE) if limit else PAGE
        page = lists.page(selection, after, size)
        yield from page
        left -= len(page)
        if len(page) < size or (limit and not left):
            return
        after = page[-1].address, page[-1].domain


def _cleared(lists: Suppressions, selection: Selection, *, yes: bool) -> int:
    count = lists.count(selection)
    if count and not yes:
        click.confirm(f"Take {_many(count)} off their lists?", abort=True, err=True)
    gone = 0
    while step := lists.clear(selection):
        gone += step
    return gone


# ---- Words ---------------------------------------------------------------------------------


def _cells(it: Entry, now: float) -> dict[str, Any]:
    until = "for ever" if not it.expires else f"in {ago(it.expires - now)}"
    return {
        "address": it.address,
        "domain": it.domain,
        "reason": it.reason.value,
        "since": f"{ago(now - it.at)} ago",
        "until": until if it.holds(now) else "ended",
        "count": it.count,
        "reply": it.reply,
    }


def _print_totals(lists: Suppressions, now: float, *, as_json: bool) -> None:
    found = lists.totals(now).items()
    rows = [{"domain": it, "reason": reason.value, "count": n} for (it, reason), n in found]
    columns = {"domain": "List of", "reason": "Reason", "count": "Addresses"}
    listing(rows, columns, as_json=as_json, empty="nobody is on a list")


def _many(count: int) -> str:
    return "1 address" if count == 1 else f"{count} addresses"


def _whose(domain: str) -> str:
    return "everybody's list" if domain == EVERYBODY else f"the list of {domain}"


def _seconds(text: str) -> float:
    try:
        return parse_duration(text)
    except ValueError:
        raise click.UsageError(f"expected a duration such as 2h, not {text}") from None


def _counted(found: Iterable[Entry], advance: Callable[[], None]) -> Iterator[Entry]:
    for it in found:
        advance()
        yield it


@contextmanager
def _bar(what: str, total: int | None = None) -> Iterator[Callable[[], None]]:
    """Shows on a terminal how far it is; gives what is to be called for each step."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn())
    console = Console(stderr=True)
    show = sys.stderr.isatty()
    with Progress(*columns, console=console, transient=True, disable=not show) as bars:
        task = bars.add_task(what, total=total)
        yield (lambda: bars.advance(task)) if show else (lambda: None)
