"""``mailhub domain``: the domains whose mail ends here."""

from __future__ import annotations

import click

from mailhub.accounts.record import address, domain_name
from mailhub.cli.place import Place
from mailhub.cli.show import done, json_option, listing
from mailhub.mail.address import to_unicode

COLUMNS = {
    "domain": "Domain",
    "accounts": "Accounts",
    "aliases": "Aliases",
    "postmaster": "Postmaster",
    "catch_all": "Catch-all",
    "enabled": "Enabled",
}


@click.group()
def domain() -> None:
    """Add, list, disable and delete hosted domains."""


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.option(
    "--postmaster", metavar="ADDRESS", help="Who gets postmaster@ and abuse@.  [the first account]"
)
@click.pass_obj
def add(place: Place, name: str, postmaster: str | None) -> None:
    """Host a domain: take its mail, and refuse unknown addresses in it."""
    with place.accounts() as accounts:
        accounts.add_domain(domain_name(name), address(postmaster) if postmaster else None)
    done(f"{to_unicode(domain_name(name))} is hosted here")


@domain.command(name="list")
@json_option
@click.pass_obj
def list_(place: Place, *, as_json: bool) -> None:
    """List the hosted domains."""
    with place.accounts() as accounts:
        rows = [
            {
                "domain": it.shown,
                "accounts": len(accounts.accounts(it.name)),
                "aliases": len(accounts.aliases(it.name)),
                "postmaster": it.postmaster.shown if it.postmaster else None,
                "catch_all": [path.shown for path in it.catch_all],
                "enabled": it.enabled,
            }
            for it in accounts.domains()
        ]
    listing(rows, COLUMNS, as_json=as_json, empty="no domains: mail for nobody is taken")


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.pass_obj
def delete(place: Place, name: str) -> None:
    """Host a domain no more; it must have no accounts and no aliases."""
    with place.accounts() as accounts:
        accounts.remove_domain(domain_name(name))
    done(f"{to_unicode(domain_name(name))} is not hosted here any more")


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.pass_obj
def disable(place: Place, name: str) -> None:
    """Treat a domain as a foreign one: its mail goes where its MX records say.

    Its accounts can log in, and what they have stays: so a move can be made ready.
    """
    _enable(place, name, enabled=False)


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.pass_obj
def enable(place: Place, name: str) -> None:
    """Take mail for a disabled domain again."""
    _enable(place, name, enabled=True)


def _enable(place: Place, name: str, *, enabled: bool) -> None:
    with place.accounts() as accounts:
        accounts.enable_domain(domain_name(name), enabled)
    shown = to_unicode(domain_name(name))
    done(f"mail for {shown} ends here again" if enabled else f"mail for {shown} goes elsewhere")


@domain.command(name="catch-all")
@click.argument("name", metavar="DOMAIN")
@click.argument("targets", metavar="[ADDRESS]...", nargs=-1)
@click.pass_obj
def catch_all(place: Place, name: str, targets: tuple[str, ...]) -> None:
    """Say who gets mail for unknown addresses; nobody, if no address is given."""
    paths = [address(target) for target in targets]
    with place.accounts() as accounts:
        accounts.set_catch_all(domain_name(name), paths)
    shown = ", ".join(path.shown for path in paths)
    done(f"unknown addresses in {to_unicode(domain_name(name))}: {shown or 'refused'}")


@domain.command()
@click.argument("name", metavar="DOMAIN")
@click.argument("target", metavar="[ADDRESS]", required=False)
@click.pass_obj
def postmaster(place: Place, name: str, target: str | None) -> None:
    """Say who gets postmaster@ and abuse@; the first account, if no address is given."""
    path = address(target) if target else None
    with place.accounts() as accounts:
        accounts.set_postmaster(domain_name(name), path)
    done(
        f"postmaster of {to_unicode(domain_name(name))}: {path.shown if path else 'first account'}"
    )
