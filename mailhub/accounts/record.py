"""What the accounts database tells and is told: domains, aliases, credentials, mistakes."""

from __future__ import annotations

from mailhub.accounts.password import Secret
from mailhub.mail.address import Path, parse_address, parse_domain, to_unicode
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.ports.accounts import Account


class AccountsError(Exception):
    """What was asked cannot be done, said in one line."""


@value(frozen=True, slots=True)
class Domain:
    """A hosted domain.

    Attributes:
        name: As an A-label.
        enabled: Whether mail for it ends here; otherwise it is a foreign domain
            whose accounts can still log in.
        postmaster: Who gets postmaster@ and abuse@; None for the first account.
        catch_all: Who gets mail for unknown local parts; empty for nobody.
    """

    name: str
    enabled: bool
    postmaster: Path | None
    catch_all: tuple[Path, ...]

    @property
    def shown(self) -> str:
        """The name as a person reads it, as a U-label."""
        return to_unicode(self.name)


@value(frozen=True, slots=True)
class Alias:
    """An address that stands for others."""

    path: Path
    targets: tuple[Path, ...]


@value(frozen=True, slots=True)
class Group:
    """Accounts that access control lists name together."""

    name: str
    members: tuple[Path, ...]


@value(frozen=True, slots=True)
class Credentials:
    """What a login is checked against.

    Attributes:
        version: Another number for each password that was set.
    """

    account: Account
    version: int
    secret: Secret


def address(text: str) -> Path:
    """An address as an operator types it.

    Raises:
        AccountsError: It is none.
    """
    try:
        path = parse_address(text)
    except Refusal as refusal:
        raise AccountsError(f"{text!r} is not an address: {refusal.reply.lines[0]}") from None
    if not path.domain or not path.local:
        raise AccountsError(f"{text!r} is not an address: half of it is missing")
    return path


def domain_name(text: str) -> str:
    """A domain as an operator types it, as an A-label.

    Raises:
        AccountsError: It is none.
    """
    try:
        name = parse_domain(text)
    except Refusal as refusal:
        raise AccountsError(f"{text!r} is not a domain: {refusal.reply.lines[0]}") from None
    if name.startswith("["):
        raise AccountsError(f"{text!r} is not a domain: address literals are not hosted")
    return name


def shown(alias: Path) -> str:
    """An alias, or a catch-all (whose local part is empty), as a person reads it."""
    return alias.shown if alias.local else f"the catch-all of {to_unicode(alias.domain)}"
