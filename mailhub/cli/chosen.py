"""Which messages of the queue a command is about: its options, and what they mean."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from mailhub.accounts.record import AccountsError, address, domain_name
from mailhub.cli.control import ask
from mailhub.cli.place import Place
from mailhub.mail.address import NULL
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Select
from mailhub.queue.ids import to_number

F = TypeVar("F", bound=Callable[..., Any])


def selectors(command: F) -> F:
    """Give a command its ways to choose messages."""
    for option in (
        click.option("--provider", metavar="NAME", help="Recipients whose mail this one takes."),
        click.option("--domain", metavar="NAME", help="Recipients in this domain."),
        click.option("--to", "to", metavar="ADDRESS", help="This recipient."),
        click.option("--account", metavar="ADDRESS", help="Mail that this account has submitted."),
        click.option("--from-domain", metavar="NAME", help="Mail from senders in this domain."),
        click.option(
            "--from", "sender", metavar="ADDRESS", help='Mail from this sender; "" is <>.'
        ),
        click.argument("ids", metavar="[QUEUE-ID]...", nargs=-1),
    ):
        command = option(command)
    return command


def all_option(command: F) -> F:
    """Give a command its way to choose everything."""
    return click.option("--all", "everything", is_flag=True, help="All messages.")(command)


def chosen(place: Place, given: dict[str, Any]) -> Select:
    """What the options choose, of a command that changes it."""
    everything = given.pop("everything")
    select = looked_for(place, **given)
    if everything:
        if select != Select():
            raise click.UsageError("--all excludes every other choice.")
    elif select == Select():
        raise click.UsageError("Which? Name queue ids, --from, --to, --domain, or --all.")
    return select


def looked_for(
    place: Place,
    ids: Sequence[str],
    sender: str | None,
    from_domain: str | None,
    to: str | None,
    domain: str | None,
    account: str | None,
    provider: str | None,
) -> Select:
    """What the options choose."""
    return Select(
        tuple(known_id(it) for it in ids),
        None if sender is None else NULL if sender in ("", "<>") else address(sender),
        domain_name(from_domain) if from_domain else None,
        address(to) if to else None,
        domain_name(domain) if domain else None,
        address(account) if account else None,
        _domains(place, provider) if provider else (),
    )


def known_id(text: str) -> QueueId:
    """A queue id, as it was written."""
    try:
        to_number(text)
    except ValueError:
        raise AccountsError(f"{text!r} is no queue id") from None
    return QueueId(text)


def _domains(place: Place, provider: str) -> tuple[str, ...]:
    """Domains with mail whose hosts a provider runs, as the hub or the last attempts tell.

    Raises:
        ClickException: There are none.
    """
    from mailhub.cli.overview import domains_of  # noqa: PLC0415

    settings = place.existing()
    answer = ask(settings.hub.control, {"do": "provider", "domains": provider}) or {}
    waiting = domains_of(settings, provider, time.time())
    found = dict.fromkeys([*answer.get("domains", ()), *waiting])
    if not found:
        raise click.ClickException(f"no mail is known to go to {provider}; see mailhub queue")
    return tuple(found)
