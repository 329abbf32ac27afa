"""The demo's stand-in for the rest of the world: one mailbox for every address there is."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort

from mailhub.cli.demo import WORLD
from mailhub.cli.loopback import ADDRESS
from mailhub.hub import Hub
from mailhub.mail.address import Path, parse_address
from mailhub.net import esmtp
from mailhub.net.conversation import Terms
from mailhub.ports.accounts import Account, Directory
from mailhub.relay.intake import HubIntake
from mailhub.smtp.limits import Site

NAME: Final = "mx.world.example"


class WorldDirectory:
    """Implements `ports.accounts.Directory` for a world where every address is one account's."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._path = parse_address(WORLD)

    async def hosted(self, domain: str) -> bool:  # noqa: ARG002
        """Every domain is in the world."""
        return True

    async def account(self, path: Path) -> Account | None:
        """The one account, under the address asked for: Delivered-To shows it."""
        found = await self._directory.account(self._path)
        return None if found is None else replace(found, path=path)

    async def alias(self, path: Path) -> tuple[Path, ...] | None:  # noqa: ARG002
        """There are none."""
        return None

    async def catch_all(self, domain: str) -> tuple[Path, ...] | None:  # noqa: ARG002
        """None is needed."""
        return None

    async def postmaster(self, domain: str) -> Path | None:  # noqa: ARG002
        """The one account's address."""
        return self._path


class World(Service):
    """An ESMTP server beside a hub, which keeps what it takes in that hub's store."""

    def __init__(self, hub: Hub, port: int) -> None:
        self._hub = hub
        self._number = port
        self._port: IListeningPort | None = None
        self._factory: esmtp.EsmtpFactory | None = None

    def startService(self) -> None:
        """Listen."""
        super().startService()
        parts = self._hub.parts
        assert parts is not None, "the hub opens its parts first"
        intake = HubIntake(
            parts.journal,
            WorldDirectory(parts.accounts),
            parts.announce,
            parts.reporter,
            NAME,
            parts.ids,
            parts.world.now,
            patience=parts.local.room,
        )
        reactor = parts.world.reactor
        self._factory = esmtp.EsmtpFactory(
            terms=Terms(reactor, esmtp.farewells(NAME)), site=Site(NAME), intake=intake
        )
        self._port = reactor.listenTCP(self._number, self._factory, interface=ADDRESS)

    def stopService(self) -> Deferred[None]:
        """Close the port and end what is under way."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            await self._port.stopListening()  # type: ignore[misc]  # a Deferred, here
        if self._factory is not None:
            await self._factory.stop(1.0)
