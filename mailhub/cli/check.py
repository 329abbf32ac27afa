"""``mailhub check``: all that is wrong with a configuration, and what is odd about the hub."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from typing import Final

import click

from mailhub.cli.place import Place
from mailhub.cli.show import done
from mailhub.config.settings import Settings

EXPIRES_SOON: Final = 14 * 86400.0
"""Seconds before its end at which a certificate should have been renewed."""


@click.command()
@click.pass_obj
def check(place: Place) -> None:
    """Check the configuration; tell all its mistakes, each on a line.

    `twistd mailhub --check` does the same before a start.
    """
    settings = place.settings()
    for note in notes(settings, time.time()):
        click.echo(f"note: {note}", err=True)
    done(f"{place.file or settings.hub.state}: ok")


def notes(settings: Settings, now: float) -> Iterator[str]:
    """What is no mistake, and still perhaps not meant."""
    yield from _certificates(settings, now)
    yield from _accounts(settings)


def _certificates(settings: Settings, now: float) -> Iterator[str]:
    from mailhub.config.certificate import read  # noqa: PLC0415

    if not settings.tls.certificates:
        yield "no certificate is given: the hub signs one itself, and mail programs will complain"
        return
    names: set[str] = set()
    for files in settings.tls.certificates:
        certificate = read(files)
        names |= certificate.names
        left = certificate.expires - now
        if left < 0:
            yield f"{files.chain} has expired"
        elif left < EXPIRES_SOON:
            yield f"{files.chain} expires in {left / 86400:.0f} days"
    hostname = settings.hub.hostname
    if hostname not in names and "*." + hostname.partition(".")[2] not in names:
        yield f"no certificate is for {hostname}"


def _accounts(settings: Settings) -> Iterator[str]:
    if not os.path.exists(settings.hub.accounts):
        yield f"{settings.hub.state} holds no accounts yet: mailhub init"
        return
    from mailhub.accounts.database import Accounts  # noqa: PLC0415

    with Accounts(settings.hub.accounts, settings.aliases) as accounts:
        if not accounts.domains():
            yield "no domain is hosted: mail for nobody is taken (mailhub domain add)"
        elif not accounts.accounts():
            yield "there are no accounts: nobody can log in (mailhub account add)"
