"""``mailhub index``: the indexes over the maildirs, made anew."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from mailhub.accounts.record import AccountsError, address
from mailhub.cli.place import Place
from mailhub.cli.show import json_option, listing
from mailhub.ports.accounts import Account
from mailhub.store.rebuild import Progress, rebuild

if TYPE_CHECKING:
    from mailhub.accounts.database import Accounts


@click.group()
def index() -> None:
    """Rebuild the indexes over the maildirs."""


@index.command(name="rebuild")
@click.argument("addresses", metavar="[ADDRESS]...", nargs=-1)
@json_option
@click.pass_obj
def rebuild_(place: Place, addresses: tuple[str, ...], *, as_json: bool) -> None:
    """Make indexes anew from the maildirs: of these accounts, or of all.

    UIDs, flags and keywords stay. The hub may run meanwhile. Mail that nobody
    has looked at yet is not counted: it gets its UID when somebody does.
    """
    settings = place.existing()
    with place.accounts() as accounts:
        chosen = _chosen(accounts, addresses)
    rows, failed = [], []
    with _bar(len(chosen), show=not as_json and sys.stderr.isatty()) as progress:
        for account in chosen:
            path = os.path.join(settings.hub.state, account.maildir)
            if not os.path.isdir(path):  # nothing was ever delivered
                continue
            try:
                messages = _rebuilt(path, settings.hub.hostname, progress(account))
            except OSError as error:
                failed.append(f"{account.path.shown}: {error.strerror or error}")
            else:
                rows.append({"address": account.path.shown, "messages": messages})
    columns = {"address": "Address", "messages": "Messages indexed"}
    listing(rows, columns, as_json=as_json, empty="no mailboxes yet")
    if failed:
        raise click.ClickException("\n".join(failed))


def _chosen(accounts: Accounts, addresses: Sequence[str]) -> list[Account]:
    if not addresses:
        return accounts.accounts()
    chosen = []
    for text in addresses:
        found = accounts.credentials(address(text))
        if found is None:
            raise AccountsError(f"there is no account {address(text).shown}")
        chosen.append(found.account)
    return chosen


def _rebuilt(path: str, hostname: str, progress: Progress) -> int:
    from mailhub.imap.structure import summary  # noqa: PLC0415
    from mailhub.store.durable import boot_id  # noqa: PLC0415

    return rebuild(
        path,
        clock=time.time,
        host=hostname or socket.gethostname(),
        boot=boot_id(),
        summarise=summary,
        log=lambda line: click.echo(f"note: {line}", err=True),
        progress=progress,
    )


@contextmanager
def _bar(accounts: int, *, show: bool) -> Iterator[Any]:
    """Gives each account what its `rebuild` tells its progress to."""
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn  # noqa: PLC0415

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not show) as bars:
        every = bars.add_task("accounts", total=accounts)
        one = bars.add_task("", total=None)

        def begun(account: Account) -> Any:
            bars.advance(every)

            def told(mailbox: str, done: int, total: int) -> None:
                bars.update(
                    one,
                    description=f"{account.path.shown} {mailbox}",
                    completed=done,
                    total=total,
                )

            return told

        yield begun
