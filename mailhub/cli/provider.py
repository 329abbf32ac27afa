"""``mailhub provider``: how we stand with those that mail goes to."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

import click

from mailhub.cli.control import ask
from mailhub.cli.place import Place
from mailhub.cli.show import ago, done, json_option, listing, print_json
from mailhub.config.values import parse_duration, show_duration
from mailhub.policy.order import Order, Row, What, carried_out, row, whole
from mailhub.policy.pace import FLOOR, Limits
from mailhub.policy.provider import Provider, Providers
from mailhub.policy.repute import Repute

if TYPE_CHECKING:
    from mailhub.config.settings import Settings

RATE_LIMIT: Final = 1e6
"""Messages a minute that nobody reaches."""
COLUMNS: Final = {
    "provider": "Provider",
    "source": "Source",
    "connections": "Connections",
    "pace": "Pace now",
    "today": "Sent 24h",
    "state": "State",
    "until": "Until",
    "why": "Why",
    "reply": "Last reply",
}


@click.group()
def provider() -> None:
    """Look at providers, suspend and resume them, set their pace.

    A provider is who runs the mail exchanges of many domains. Orders are in force at
    once if the hub runs, else from its start.
    """


@provider.command(name="list")
@click.option("--all", "everybody", is_flag=True, help="Also those that nothing was sent to.")
@json_option
@click.pass_obj
def list_(place: Place, *, everybody: bool, as_json: bool) -> None:
    """List providers: connections, pace, last reply, what holds mail back and why."""
    settings = place.existing()
    now = time.time()
    met = rows(settings, now)
    if everybody:
        names = {it.provider for it in met}
        met += [
            row(it, "", Repute(), _limits(settings, it), now)
            for it in settings.providers
            if it.name not in names
        ]
    shown = [asdict(it) if as_json else _cells(it, now) for it in met]
    listing(shown, COLUMNS, as_json=as_json, empty="nothing was sent to anybody yet")


@provider.command()
@click.argument("name")
@json_option
@click.pass_obj
def show(place: Place, name: str, *, as_json: bool) -> None:
    """Show a provider: what is configured, and how we stand, from each source."""
    settings = place.existing()
    now = time.time()
    met = [it for it in rows(settings, now) if it.provider == name]
    known = Providers(settings.providers).named(name)
    if known is None and not met:
        raise click.ClickException(f"no provider {name} is known; mailhub provider list --all")
    configured = _configured(settings, known or Provider(name, listed=False))
    if as_json:
        print_json({"configured": configured, "sources": [asdict(it) for it in met]})
        return
    for key, value in configured.items():
        click.echo(f"{key}: {value}")
    for it in met:
        click.echo("")
        for line in _told(it, now):
            click.echo(line)


@provider.command()
@click.argument("name")
@click.option("--for", "duration", metavar="TIME", help="How long, such as 2h.  [until resumed]")
@click.option("--why", default="by the operator", show_default=True, help="Kept with it.")
@click.option("--source", metavar="NAME", help="From this source only.")
@click.pass_obj
def suspend(place: Place, name: str, duration: str | None, why: str, source: str | None) -> None:
    """Send nothing to a provider for a while; its mail waits in the queue."""
    seconds = _seconds(duration) if duration is not None else 0.0
    _order(place, Order(What.SUSPEND, name, source, seconds, why))
    done(f"{name} is suspended" + (f" for {show_duration(seconds)}" if seconds else ""))


@provider.command()
@click.argument("name")
@click.option("--source", metavar="NAME", help="From this source only.")
@click.pass_obj
def resume(place: Place, name: str, source: str | None) -> None:
    """Send to a provider again: ends suspensions, detours and trials."""
    _order(place, Order(What.RESUME, name, source))
    done(f"{name} is resumed")


@provider.command()
@click.argument("name")
@click.argument("rate", type=float, required=False)
@click.option("--forget", is_flag=True, help="Go as configured again, whatever was learnt.")
@click.option("--source", metavar="NAME", help="From this source only.")
@click.pass_obj
def pace(place: Place, name: str, rate: float | None, source: str | None, *, forget: bool) -> None:
    """Send so many messages a minute to a provider, until replies say otherwise."""
    if (rate is None) != forget:
        raise click.UsageError("Give a rate, in messages a minute, or --forget.")
    if rate is not None and not FLOOR <= rate <= RATE_LIMIT:  # nor "nan"
        raise click.BadParameter(f"expected {FLOOR:g} to {RATE_LIMIT:g} messages a minute")
    _order(place, Order(What.PACE, name, source, rate=rate or 0.0))
    done(f"{name} goes " + (f"at {rate:g} messages a minute" if rate else "as configured"))


def stands(settings: Settings, name: str) -> list[str]:
    """How we stand with a provider, in sentences; none, if nothing was sent there."""
    now = time.time()
    met = [it for it in rows(settings, now) if it.provider == name]
    return [sentence for it in met for sentence in whole(it, now)]


# ---- The hub, or what it remembers ---------------------------------------------------------


def rows(settings: Settings, now: float) -> list[Row]:
    """How we stand: as the running hub says, or else as it was left."""
    answer = ask(settings.hub.control, {"do": "provider"})
    if answer is not None and "rows" in answer:
        return [Row(**it) for it in answer["rows"]]
    from mailhub.queue.reputes import Reputes  # noqa: PLC0415

    providers = Providers(settings.providers)
    found = []
    for (name, source), repute in sorted(Reputes(settings.hub.state).load().items()):
        known = providers.named(name) or Provider(name, listed=False)
        found.append(row(known, source, repute, _limits(settings, known), now))
    return found


def _order(place: Place, order: Order) -> None:
    """Have an order carried out, by the hub or on what it remembers.

    Raises:
        ClickException: There is no such provider, or no such source.
    """
    settings = place.existing()
    answer = ask(settings.hub.control, {"do": "provider", "order": order.as_json()})
    if answer is not None:
        problem = answer.get("problem") or answer.get("error")
        if problem:
            raise click.ClickException(problem)
        return
    from mailhub.queue.reputes import Reputes  # noqa: PLC0415

    reputes = Reputes(settings.hub.state)
    before = reputes.load()
    keys = _keys(settings, order, list(before))
    now = time.time()
    reputes.save({key: carried_out(before.get(key, Repute()), order, now) for key in keys})


def _keys(
    settings: Settings, order: Order, met: Sequence[tuple[str, str]]
) -> list[tuple[str, str]]:
    known = Providers(settings.providers).named(order.provider)
    sources = {source for name, source in met if name == order.provider}
    if known is not None:
        sources |= set(known.sources or settings.relay.sources or ("",))
    if not sources:
        raise click.ClickException(f"no provider {order.provider} is known")
    if order.source is not None and order.source not in sources:
        raise click.ClickException(f"{order.provider} is not sent to from {order.source}")
    return [(order.provider, it) for it in sources if order.source in (None, it)]


def _limits(settings: Settings, it: Provider) -> Limits:
    connections = it.connections or settings.relay.pool.destination
    return Limits(connections, it.per_minute, it.per_hour, it.per_day)


def _seconds(text: str) -> float:
    try:
        seconds = parse_duration(text)
    except ValueError:
        raise click.BadParameter(f"expected a duration such as 2h, not {text}") from None
    if seconds <= 0:
        raise click.BadParameter("expected more than nothing")
    return seconds


# ---- Words ---------------------------------------------------------------------------------


def _cells(it: Row, now: float) -> dict[str, Any]:
    """A row as the table shows it."""
    busy = "" if it.busy is None else f"{it.busy} of "
    return {
        "provider": it.provider,
        "source": it.source,
        "connections": f"{busy}{it.places}",
        "pace": "any" if it.rate is None else f"{it.rate:.3g}/min",
        "today": it.sent_day,
        "state": it.state,
        "until": "" if it.until is None else f"in {ago(it.until - now)}",
        "why": it.why,
        "reply": it.reply,
    }


def _told(it: Row, now: float) -> list[str]:
    """A row in lines."""
    cells = _cells(it, now)
    spans = {"minute": it.sent_minute, "hour": it.sent_hour, "day": it.sent_day}
    sent = ", ".join(f"{count} in the last {span}" for span, count in spans.items())
    lines = [
        f"from {it.source or 'any address'}: {it.state} {cells['until']} {it.why}".rstrip(),
        f"  connections {cells['connections']}, pace {cells['pace']}",
        f"  sent: {sent}",
        f"  in all {it.taken} taken, {it.put_off} put off, {it.refused} refused",
    ]
    if it.next > now + 1:
        lines.append(f"  next message in {ago(it.next - now)}")
    if it.heard is not None:
        cause = f" ({it.cause})" if it.cause else ""
        lines.append(f"  last reply {ago(now - it.heard)} ago{cause}: {it.reply}")
    return lines


def _configured(settings: Settings, it: Provider) -> dict[str, Any]:
    """What is obeyed for a provider, by the names of the keys."""
    relay = settings.relay
    return {
        "provider": it.name,
        "mx": ", ".join(it.mx),
        "connections": it.connections or relay.pool.destination,
        "messages per connection": it.messages or relay.pool.messages,
        "recipients per message": it.recipients or 100,
        "messages per minute": it.per_minute,
        "messages per hour": it.per_hour,
        "messages per day": it.per_day,
        "tls": (it.tls or relay.tls).value,
        "address family": (it.family or relay.reach.family).value,
        "ipv6 needs name": "yes" if it.named else "no",
        "sources": ", ".join(it.sources or relay.sources),
        "detour": it.detour,
    }
