"""Recipients of a message in the queue, corrected and added: what ``mailhub queue edit`` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing

import click

from mailhub.accounts.database import at_once
from mailhub.accounts.record import address
from mailhub.cli.place import Place
from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.policy.alias import expand
from mailhub.ports.accounts import AccountId
from mailhub.ports.outgoing import QueueId
from mailhub.queue.change import Edit
from mailhub.queue.item import Item


def changes(
    place: Place, item: Item, change: Sequence[tuple[str, str]], now: float
) -> Iterator[Edit]:
    """Another address for each of some recipients; all members for one that is an alias now.

    Raises:
        ClickException: There is no such recipient, or nobody at the new address.
    """
    for old, new in change:
        key = str(address(old)).casefold()
        for at, recipient in enumerate(item.envelope.recipients):
            if str(recipient.path).casefold() == key:
                first, *others = _placed(place, new)
                yield Edit(item.queue_id, item.number(at), *first, now)
                for each in others:
                    yield Edit(item.queue_id, None, *each, now)
                break
        else:
            raise click.ClickException(f"{item.queue_id} has no recipient {old}")


def additions(place: Place, queue_id: QueueId, add: Sequence[str], now: float) -> Iterator[Edit]:
    """More recipients; raises as `changes`."""
    for new in add:
        for each in _placed(place, new):
            yield Edit(queue_id, None, *each, now)


def _placed(place: Place, text: str) -> list[tuple[Path, AccountId | None]]:
    """Who gets mail for an address, with the account where it ends here."""
    path = address(text)
    with closing(place.accounts()) as accounts:
        try:
            found = at_once(expand(path, accounts, place.existing().aliases))
        except Refusal as refusal:
            raise click.ClickException(f"{path}: {refusal.reply.text}") from None
    here = [(account.path, account.id) for account in found.accounts]
    return [*here, *((other, None) for other in found.others)]
