"""Who gets mail for an address: accounts here, addresses elsewhere, or nobody.

An address of a hosted domain is looked up as (the first that is found counts):
an account; an alias, each of whose targets is expanded in turn; the same with
its subaddress taken off (RFC 5233 §1, ``alice+tag@``); the domain's postmaster for
``postmaster``, ``abuse`` and ``mailer-daemon``; the domain's catch-all.

Invariants:

1. Expansion ends: no address is expanded twice, and depth and number of
   recipients are bounded by `Rules`.
2. Every recipient appears once, however many aliases lead to it.
3. What can be delivered is delivered: an alias is refused only where none of
   its targets will take mail. The refused ones are in the result.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.address import Path
from mailhub.mail.reply import Refusal
from mailhub.mail.value import value
from mailhub.ports.accounts import Account, AccountId, Directory

ALWAYS_DELIVERABLE: Final = frozenset({"postmaster", "abuse", "mailer-daemon"})
"""Local parts that every hosted domain has (RFC 5321 §4.5.1, RFC 2142 §4).

The last is whom notices are from: whoever answers one shall be heard (RFC 3464 §2)."""


@value(frozen=True, slots=True)
class Rules:
    """How addresses are expanded.

    Attributes:
        separator: What stands before a subaddress; empty for no subaddresses.
        depth: Aliases behind each other.
        fan_out: Recipients that one address may expand to.
    """

    separator: str = "+"
    depth: int = 20
    fan_out: int = 5000


@value(frozen=True, slots=True)
class Expansion:
    """Who gets mail for an address; at least one account or address.

    Attributes:
        accounts: Accounts of this hub, all enabled.
        others: Addresses in domains that are not hosted here.
        refused: Targets of aliases that take no mail, and why.
    """

    accounts: tuple[Account, ...]
    others: tuple[Path, ...] = ()
    refused: tuple[tuple[Path, Refusal], ...] = ()


class AliasLoop(Refusal):
    """Aliases that stand for each other; `trail` begins and ends with the same address.

    The reply does not say so much: who stands behind an alias is not for strangers.
    """

    def __init__(self, trail: tuple[Path, ...]) -> None:
        super().__init__(550, "4.6", "Alias loop")
        self.trail = trail


async def expand(path: Path, directory: Directory, rules: Rules | None = None) -> Expansion:
    """Who gets mail for `path`. One in a domain that is not hosted stands for itself.

    Raises:
        Refusal: 550 5.1.1 where there is no such mailbox, 5.2.1 where it is
            disabled, 5.4.6 where aliases lead to each other alone, 5.3.0 where
            they lead to too many.
    """
    if path.domain and not await directory.hosted(path.domain):
        return Expansion((), (path,))
    return await expand_all((path,), directory, rules)


async def expand_all(
    paths: Iterable[Path],
    directory: Directory,
    rules: Rules | None = None,
    trail: tuple[Path, ...] = (),
) -> Expansion:
    """Who gets mail for any of `paths`, each recipient once.

    The addresses of `trail` lead to `paths` already: meeting one again is a loop.

    Raises:
        Refusal: As `expand`: the first of the refusals, where all are refused.
    """
    walk = _Walk(directory, rules or Rules())
    for path in paths:
        await walk.visit(path, trail)
    if not walk.accounts and not walk.others:
        raise walk.refused[0][1] if walk.refused else no_such_mailbox()
    return Expansion(
        tuple(walk.accounts.values()), tuple(walk.others.values()), tuple(walk.refused)
    )


async def may_send_as(
    account: Account, path: Path, directory: Directory, rules: Rules | None = None
) -> bool:
    """Whether an account may write mail as `path`: as itself, and as all whose mail it gets."""
    if path.key == account.path.key:
        return True
    if not await directory.hosted(path.domain):
        return False
    try:
        expansion = await expand(path, directory, rules)
    except Refusal:
        return False
    return any(one.id == account.id for one in expansion.accounts)


def no_such_mailbox() -> Refusal:
    """The refusal of an address that nobody has (RFC 3463 §3.2)."""
    return Refusal(550, "1.1", "No such mailbox here")


@dataclass(slots=True)
class _Walk:
    """A depth-first walk through aliases, and what it has found so far."""

    directory: Directory
    rules: Rules
    accounts: dict[AccountId, Account] = field(default_factory=dict)
    others: dict[str, Path] = field(default_factory=dict)
    refused: list[tuple[Path, Refusal]] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)

    async def visit(self, path: Path, trail: tuple[Path, ...]) -> None:
        if any(path.key == before.key for before in trail):
            self.refused.append((path, AliasLoop((*trail, path))))
        elif path.key not in self.seen:
            self.seen.add(path.key)
            try:
                await self._resolve(path, trail)
            except Refusal as refusal:
                self.refused.append((path, refusal))

    async def _resolve(self, path: Path, trail: tuple[Path, ...]) -> None:
        directory = self.directory
        if len(trail) > self.rules.depth or len(self.seen) > self.rules.fan_out:
            raise Refusal(550, "3.0", "Alias stands for too many addresses")
        if path.domain and not await directory.hosted(path.domain):
            self.others[path.key] = path
            return
        base = self._base(path)
        if await self._exact(path, trail) or (base and await self._exact(base, trail)):
            return
        if path.local.casefold() in ALWAYS_DELIVERABLE:
            postmaster = await directory.postmaster(path.domain)
            if postmaster is not None:
                await self.visit(postmaster, (*trail, path))
                return
        targets = await directory.catch_all(path.domain)
        if not targets:
            raise no_such_mailbox()
        # All unknown addresses of a domain are one step of a loop: its catch-all.
        here = (*trail, path)
        everyone = Path("", path.domain)
        if any(before.key == everyone.key for before in trail):
            raise AliasLoop((*here, everyone))
        for target in targets:
            await self.visit(target, (*here, everyone))

    async def _exact(self, path: Path, trail: tuple[Path, ...]) -> bool:
        """Take the account or alias with exactly this address, if there is one."""
        account = await self.directory.account(path)
        if account is not None:
            if not account.enabled:
                raise Refusal(550, "2.1", "Mailbox disabled")
            self.accounts[account.id] = account
            return True
        targets = await self.directory.alias(path)
        for target in targets or ():
            await self.visit(target, (*trail, path))
        return targets is not None

    def _base(self, path: Path) -> Path | None:
        """The address without its subaddress, if it has one (RFC 5233 §1)."""
        separator = self.rules.separator
        at = path.local.find(separator) if separator else -1
        return Path(path.local[:at], path.domain) if at > 0 else None
