"""The world's directory: every address is one account's."""

from __future__ import annotations

from mailhub.cli.world import WorldDirectory
from mailhub.mail.address import Path, parse_address
from mailhub.ports.accounts import Account, AccountId
from tests.rig import run

ACCOUNT = Account(AccountId(7), parse_address("world@hub.example"), "mail/hub.example/world")


class Directory:
    """Knows the world's account alone."""

    async def hosted(self, domain: str) -> bool:
        return domain == "hub.example"

    async def account(self, path: Path) -> Account | None:
        return ACCOUNT if path == ACCOUNT.path else None

    async def alias(self, path: Path) -> tuple[Path, ...] | None:
        return None

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:
        return None

    async def postmaster(self, domain: str) -> Path | None:
        return None


def test_everybody_is_the_world() -> None:
    """Any address leads to the account, and is shown as it was written."""
    world = WorldDirectory(Directory())
    carol = parse_address("carol@far.example")
    found = run(world.account(carol))
    assert found is not None
    assert (found.id, found.path) == (ACCOUNT.id, carol)
    assert run(world.hosted("anything.example"))
    assert run(world.postmaster("far.example")) == ACCOUNT.path
    assert run(world.alias(carol)) is None
    assert run(world.catch_all("far.example")) is None
