"""``mailhub account``: who has a mailbox here, and with what password."""

from __future__ import annotations

import os
from typing import Any

import click

from mailhub.accounts.database import Accounts
from mailhub.accounts.password import Cost, UnusablePassword, secret
from mailhub.accounts.record import address, domain_name
from mailhub.cli.place import Place
from mailhub.cli.secret import chosen, password_options
from mailhub.cli.show import done, json_option, listing, size
from mailhub.config.values import SIZE
from mailhub.ports.accounts import Account, Quota

COLUMNS = {"address": "Address", "enabled": "Enabled", "quota": "Quota", "maildir": "Maildir"}


@click.group()
def account() -> None:
    """Add, list and change accounts."""


@account.command()
@click.argument("address_", metavar="ADDRESS")
@password_options
@click.option("--quota", metavar="SIZE", help="Octets the mailbox may hold, such as 2G.")
@click.option("--messages", type=click.IntRange(0), help="Messages it may hold.")
@click.option("--mailboxes", type=click.IntRange(0), help="Mailboxes it may have.")
@click.pass_obj
def add(
    place: Place,
    address_: str,
    password: str | None,
    quota: str | None,
    messages: int | None,
    mailboxes: int | None,
    *,
    generate: bool,
) -> None:
    """Add an account; its domain must be hosted (mailhub domain add)."""
    settings = place.existing()
    path = address(address_)
    limits = _quota(Quota(), quota, messages, mailboxes)
    with place.accounts() as accounts:
        text, shown = chosen(password, generate=generate)
        accounts.add_account(path, kept(text, settings.auth.cost), limits)
    done(f"{path.shown} added" + (f", password {text}" if shown else ""))


@account.command(name="list")
@click.option("--domain", metavar="NAME", help="Only this domain's.")
@json_option
@click.pass_obj
def list_(place: Place, domain: str | None, *, as_json: bool) -> None:
    """List the accounts."""
    with place.accounts() as accounts:
        found = accounts.accounts(domain_name(domain) if domain else None)
    rows = [_row(it, as_json=as_json) for it in found]
    listing(rows, COLUMNS, as_json=as_json, empty="no accounts")


@account.command(name="password")
@click.argument("address_", metavar="ADDRESS")
@password_options
@click.pass_obj
def password_(place: Place, address_: str, password: str | None, *, generate: bool) -> None:
    """Give an account another password."""
    settings = place.existing()
    path = address(address_)
    with place.accounts() as accounts:
        _must_exist(accounts, address_)
        text, shown = chosen(password, generate=generate)
        accounts.set_secret(path, kept(text, settings.auth.cost))
    done(f"{path.shown} has a new password" + (f": {text}" if shown else ""))


@account.command()
@click.argument("address_", metavar="ADDRESS")
@click.option("--quota", metavar="SIZE", help="Octets the mailbox may hold, such as 2G; 0 is any.")
@click.option("--messages", type=click.IntRange(0), help="Messages it may hold; 0 is any.")
@click.option("--mailboxes", type=click.IntRange(0), help="Mailboxes it may have; 0 is any.")
@click.pass_obj
def quota(
    place: Place,
    address_: str,
    quota: str | None,
    messages: int | None,
    mailboxes: int | None,
) -> None:
    """Limit what an account may hold."""
    if quota is None and messages is None and mailboxes is None:
        raise click.UsageError("Say --quota SIZE, --messages NUMBER or --mailboxes NUMBER.")
    with place.accounts() as accounts:
        found = _must_exist(accounts, address_)
        limits = _quota(found.quota, quota, messages, mailboxes)
        accounts.set_quota(found.path, limits)
    done(f"{found.path.shown} may hold {_shown(limits)}")


@account.command()
@click.argument("address_", metavar="ADDRESS")
@click.option("--off", is_flag=True, help="Not any more.")
@click.pass_obj
def admin(place: Place, address_: str, *, off: bool) -> None:
    """Let an account do over IMAP what is yours to do: set quotas, write server annotations."""
    with place.accounts() as accounts:
        found = _must_exist(accounts, address_)
        accounts.set_admin(found.path, not off)
    done(f"{found.path.shown} is {'not ' if off else ''}an admin")


@account.command()
@click.argument("address_", metavar="ADDRESS")
@click.pass_obj
def disable(place: Place, address_: str) -> None:
    """Let an account neither log in nor get mail; its mail stays."""
    with place.accounts() as accounts:
        accounts.enable_account(address(address_), enabled=False)
    done(f"{address(address_).shown} is disabled")


@account.command()
@click.argument("address_", metavar="ADDRESS")
@click.pass_obj
def enable(place: Place, address_: str) -> None:
    """Let a disabled account log in and get mail again."""
    with place.accounts() as accounts:
        accounts.enable_account(address(address_), enabled=True)
    done(f"{address(address_).shown} is enabled")


@account.command()
@click.argument("address_", metavar="ADDRESS")
@click.pass_obj
def delete(place: Place, address_: str) -> None:
    """Delete an account; its maildir stays on disk."""
    settings = place.existing()
    with place.accounts() as accounts:
        gone = accounts.delete_account(address(address_))
    maildir = os.path.join(settings.hub.state, gone.maildir)
    note = f"; its mail stays in {maildir}" if os.path.isdir(maildir) else ""
    done(f"{gone.path.shown} deleted{note}")


def kept(text: str, cost: Cost) -> Any:
    """What is kept of a password.

    Raises:
        ClickException: No client could send it.
    """
    try:
        return secret(text, cost, os.urandom)
    except UnusablePassword as error:
        raise click.ClickException(str(error)) from None


def _must_exist(accounts: Accounts, text: str) -> Account:
    found = accounts.credentials(address(text))
    if found is None:
        raise click.ClickException(f"there is no account {address(text).shown}")
    return found.account


def _quota(before: Quota, octets: str | None, messages: int | None, mailboxes: int | None) -> Quota:
    try:
        most = before.octets if octets is None else SIZE.parse(octets)
    except ValueError:
        raise click.UsageError(f"--quota: expected {SIZE.expected}, not {octets}.") from None
    return Quota(
        most,
        before.messages if messages is None else messages,
        before.mailboxes if mailboxes is None else mailboxes,
    )


def _shown(quota: Quota) -> str:
    words = []
    if quota.octets:
        words.append(size(quota.octets))
    if quota.messages:
        words.append(f"{quota.messages} messages")
    if quota.mailboxes:
        words.append(f"{quota.mailboxes} mailboxes")
    return " and ".join(words) or "any amount"


def _row(found: Account, *, as_json: bool) -> dict[str, Any]:
    row: dict[str, Any] = {
        "address": found.path.shown,
        "enabled": found.enabled,
        "maildir": found.maildir,
    }
    if as_json:
        return {
            **row,
            "quota_octets": found.quota.octets,
            "quota_messages": found.quota.messages,
            "quota_mailboxes": found.quota.mailboxes,
            "admin": found.admin,
        }
    return {**row, "quota": "" if found.quota == Quota() else _shown(found.quota)}
