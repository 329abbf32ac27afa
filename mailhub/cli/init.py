"""``mailhub init``: a state directory, a configuration, a certificate, a domain, an account."""

from __future__ import annotations

import os
import pwd
import shlex
import time
from typing import Final

import click

from mailhub.accounts.database import Accounts
from mailhub.accounts.record import AccountsError, address
from mailhub.cli.account import kept
from mailhub.cli.place import FILE_NAME, SYSTEM_FILE, Place, become
from mailhub.cli.secret import chosen, password_options
from mailhub.cli.show import done
from mailhub.config.certificate import self_signed
from mailhub.config.load import load, own_name
from mailhub.config.sample import sample
from mailhub.config.settings import Settings
from mailhub.config.values import HOST
from mailhub.mail.address import Path, to_unicode

FILE_MODE: Final = 0o644
DIRECTORY_MODE: Final = 0o700


@click.command()
@click.argument("account", metavar="ADDRESS")
@password_options
@click.option(
    "--hostname", metavar="NAME", help="The hub's own name.  [what the machine calls itself]"
)
@click.option("--user", metavar="NAME", help="Who the hub runs as (if you are root).")
@click.pass_obj
def init(
    place: Place,
    account: str,
    password: str | None,
    hostname: str | None,
    user: str | None,
    *,
    generate: bool,
) -> None:
    """Prepare a hub: configuration, state, certificate, and ADDRESS as its first account.

    The configuration is written to --config (default /etc/mailhub/mailhub.ini,
    or into --state), unless it is there already: then it is obeyed. What is
    there is never changed; running it again adds what is missing.
    """
    path = address(account)
    owner = _owner(user)
    file = place.config or (os.path.join(place.state, FILE_NAME) if place.state else SYSTEM_FILE)
    file = os.path.abspath(file)
    if place.state is not None:
        _make_state(os.path.abspath(place.state), owner)
    settings = _settings(file, place.state, hostname)
    _make_state(settings.hub.state, owner)
    if owner is not None:
        become(owner)
    if settings.tls.offered and not settings.tls.certificates:
        files, new = self_signed(settings.hub.tls, [settings.hub.hostname], time.time())
        if new:
            done(f"{files.chain}: a certificate that the hub signed itself, for lack of another")
    with Accounts(settings.hub.accounts, settings.aliases) as accounts:
        _add(accounts, path, settings, password, generate=generate)
    done(f"Start it with: twistd --nodaemon mailhub --config {shlex.quote(file)}")


def _add(
    accounts: Accounts, path: Path, settings: Settings, password: str | None, *, generate: bool
) -> None:
    if path.domain not in [it.name for it in accounts.domains()]:
        accounts.add_domain(path.domain)
        done(f"{to_unicode(path.domain)} is hosted here")
    if accounts.credentials(path) is not None:
        done(f"{path.shown} is an account already")
        return
    text, shown = chosen(password, generate=generate)
    accounts.add_account(path, kept(text, settings.auth.cost))
    done(f"{path.shown} added" + (f", password {text}" if shown else ""))


def _settings(file: str, state: str | None, hostname: str | None) -> Settings:
    """The settings of a file, which is written if it is not there."""
    if os.path.exists(file):
        if hostname is not None:
            raise click.UsageError(f"{file} is there already, and says the hostname.")
        return load(file)
    values = {("hub", "hostname"): _hostname(hostname)}
    if state is not None:
        values["hub", "state"] = os.path.abspath(state)
    os.makedirs(os.path.dirname(file), mode=0o755, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, FILE_MODE)
    with open(descriptor, "w", encoding="utf-8") as out:
        out.write(sample(values))
    done(f"{file}: the configuration; every key is explained in it")
    return load(file)


def _hostname(given: str | None) -> str:
    name = given or own_name()
    try:
        return HOST.parse(name)
    except ValueError:
        if given is not None:
            raise click.UsageError(f"--hostname: expected {HOST.expected}, not {given}.") from None
        raise click.UsageError(
            f'Say --hostname: this machine calls itself "{name}", which is no full host name.'
        ) from None


def _owner(user: str | None) -> pwd.struct_passwd | None:
    if user is None:
        return None
    if os.geteuid() != 0:
        raise click.UsageError("--user is for root.")
    try:
        return pwd.getpwnam(user)
    except KeyError:
        raise AccountsError(f"there is no user {user} on this machine") from None


def _make_state(state: str, owner: pwd.struct_passwd | None) -> None:
    if not os.path.isdir(state):
        os.makedirs(state, mode=DIRECTORY_MODE)
        done(f"{state}: the state directory")
        if owner is not None:
            os.chown(state, owner.pw_uid, owner.pw_gid)
