"""``mailhub group``: accounts that share mailboxes under one name."""

from __future__ import annotations

import click

from mailhub.accounts.record import address
from mailhub.cli.place import Place
from mailhub.cli.show import done, json_option, listing


@click.group()
def group() -> None:
    """Make groups of accounts, which access control lists name as $GROUP."""


@group.command()
@click.argument("name", metavar="GROUP")
@click.argument("members", metavar="[ADDRESS]...", nargs=-1)
@click.pass_obj
def add(place: Place, name: str, members: tuple[str, ...]) -> None:
    """Make a group, or put more accounts into one."""
    paths = [address(member) for member in members]
    with place.accounts() as accounts:
        if not paths or not accounts.is_group(name):
            accounts.add_group(name)
        for path in paths:
            accounts.join(name, path)
    whom = ", ".join(path.shown for path in paths)
    done(f"{whom} in {name}" if whom else f"{name} added")


@group.command(name="list")
@json_option
@click.pass_obj
def list_(place: Place, *, as_json: bool) -> None:
    """List the groups."""
    with place.accounts() as accounts:
        found = accounts.groups()
    rows = [{"group": it.name, "members": [path.shown for path in it.members]} for it in found]
    listing(rows, {"group": "Group", "members": "Members"}, as_json=as_json, empty="no groups")


@group.command()
@click.argument("name", metavar="GROUP")
@click.argument("members", metavar="[ADDRESS]...", nargs=-1)
@click.pass_obj
def delete(place: Place, name: str, members: tuple[str, ...]) -> None:
    """Delete a group, or only take accounts out of it. What it may do ends at once."""
    paths = [address(member) for member in members]
    with place.accounts() as accounts:
        for path in paths:
            accounts.leave(name, path)
        if not paths:
            accounts.remove_group(name)
    whom = ", ".join(path.shown for path in paths)
    done(f"{whom} not in {name} any more" if whom else f"{name} deleted")
