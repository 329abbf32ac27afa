"""``mailhub alias``: addresses that stand for others, here or elsewhere."""

from __future__ import annotations

import click

from mailhub.accounts.record import address, domain_name
from mailhub.cli.place import Place
from mailhub.cli.show import done, json_option, listing


@click.group()
def alias() -> None:
    """Add, list and delete aliases."""


@alias.command()
@click.argument("path", metavar="ALIAS")
@click.argument("targets", metavar="ADDRESS...", nargs=-1, required=True)
@click.pass_obj
def add(place: Place, path: str, targets: tuple[str, ...]) -> None:
    """Make an alias, or give it more addresses to stand for."""
    paths = [address(target) for target in targets]
    with place.accounts() as accounts:
        accounts.add_alias(address(path), paths)
    done(f"{address(path).shown} stands for {', '.join(it.shown for it in paths)}")


@alias.command(name="list")
@click.option("--domain", metavar="NAME", help="Only this domain's.")
@json_option
@click.pass_obj
def list_(place: Place, domain: str | None, *, as_json: bool) -> None:
    """List the aliases."""
    with place.accounts() as accounts:
        found = accounts.aliases(domain_name(domain) if domain else None)
    rows = [{"alias": it.path.shown, "targets": [to.shown for to in it.targets]} for it in found]
    columns = {"alias": "Alias", "targets": "Stands for"}
    listing(rows, columns, as_json=as_json, empty="no aliases")


@alias.command()
@click.argument("path", metavar="ALIAS")
@click.argument("targets", metavar="[ADDRESS]...", nargs=-1)
@click.pass_obj
def delete(place: Place, path: str, targets: tuple[str, ...]) -> None:
    """Delete an alias, or only some of the addresses that it stands for."""
    paths = [address(target) for target in targets]
    with place.accounts() as accounts:
        accounts.remove_alias(address(path), paths)
    what = ", ".join(it.shown for it in paths)
    done(f"{address(path).shown} " + (f"does not stand for {what} now" if what else "deleted"))
