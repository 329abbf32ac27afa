"""The hub as a service: its ports, its working parts, and its life from start to stop.

Order of a start: certificates that are given are read and ports are bound with
whatever rights twistd was started with (`privilegedStartService`); then, as the
hub's own user, the state directory is opened and what was left is taken up
(`startService`). Order of a stop: ports close, conversations end with their
farewell, the queue and local delivery finish, files are closed.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.application.strports import service as listener
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from mailhub.assembly import Parts, Surroundings
from mailhub.config.certificate import BadCertificate, self_signed
from mailhub.config.change import changes
from mailhub.config.load import ConfigError
from mailhub.config.settings import SERVICES, Settings
from mailhub.config.values import CertificateFiles
from mailhub.net.control import ControlService
from mailhub.net.door import Door
from mailhub.net.tls import CIPHERS, CertificateMap
from mailhub.net.turnstile import Turnstile
from mailhub.reception import Receptions

FAREWELL_PATIENCE: Final = 5.0
"""Seconds that conversations are given to end when the hub stops."""


class CannotStart(Exception):
    """The hub cannot start; the text is one line for the operator."""


class Hub(MultiService):
    """One mail server.

    Args:
        reload: Reads the configuration anew, for SIGHUP; raises `ConfigError` or `OSError`.

    Attributes:
        parts: The working parts; None before the start and after the stop.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        world: Surroundings,
        reload: Callable[[], Settings] | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.parts: Parts | None = None
        self._world = world
        self._load = reload
        self._certificates: CertificateMap | None = None
        self._receptions: Receptions | None = None
        self._turnstile = Turnstile(
            settings.listen.connections, settings.listen.connections_per_address
        )
        self._doors: dict[str, Door] = {name: Door() for name in SERVICES}
        for name, endpoints in settings.listen.all().items():
            for endpoint in endpoints:
                description = endpoint.description(ipv6=socket.has_ipv6)
                if "backlog=" not in description and description.startswith("tcp:"):
                    description += f":backlog={settings.listen.backlog}"
                port = listener(description, self._doors[name], world.reactor)
                port.setName(f"{name} {endpoint}")
                port.setServiceParent(self)

    # ---- Start -----------------------------------------------------------------------------

    def privilegedStartService(self) -> None:
        """Read the operator's certificates and bind the ports, with root's rights if need be.

        Raises:
            CannotStart: A port cannot be had, or a certificate cannot be used.
        """
        tls = self.settings.tls
        if tls.certificates and tls.offered:
            self._certificates = self._map(tls.certificates)
        super().privilegedStartService()

    def startService(self) -> None:
        """Open the state directory and take up work.

        Raises:
            CannotStart: It cannot be used, or a port cannot be had.
        """
        try:
            os.makedirs(self.settings.hub.state, 0o700, exist_ok=True)
            if self._certificates is None and self.settings.tls.offered:
                self._certificates = self._own_certificate()
            self.parts = Parts(self.settings, self._world)
        except OSError as error:
            raise CannotStart(f"{error.filename or ''}: {error.strerror or error}") from error
        self._receptions = Receptions(
            self.settings, self.parts, self._turnstile, self._certificates, self._world.reactor
        )
        for name, door in self._doors.items():
            door.behind = self._receptions.factories[name]
        actions: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "wake": self._wake,
            "reload": lambda request: {"reloaded": self.reload()},  # noqa: ARG005
        }
        control = ControlService(self.settings.hub.state, actions, self._world.reactor)
        control.setServiceParent(self)
        super().startService()
        started = Deferred.fromCoroutine(self.parts.start())
        started.addErrback(lambda failure: self._log.failure("taking up work failed", failure))
        self._log.info("{name} is ready", name=self.settings.hub.hostname)

    def _own_certificate(self) -> CertificateMap:
        hub = self.settings.hub
        files, made = self_signed(hub.tls, [hub.hostname], self._world.now())
        if made:
            self._log.warn(
                "no certificate is configured: made one that signs itself, {path}",
                path=files.chain,
            )
        return self._map((files,))

    def _map(self, files: tuple[CertificateFiles, ...]) -> CertificateMap:
        tls = self.settings.tls
        try:
            return CertificateMap(files, minimum=tls.minimum, ciphers=tls.ciphers or CIPHERS)
        except BadCertificate as error:
            raise CannotStart(str(error)) from None

    # ---- While it runs ---------------------------------------------------------------------

    def _wake(self, request: Mapping[str, Any]) -> Mapping[str, Any]:  # noqa: ARG002
        """The command line has changed the queue."""
        if self.parts is not None:
            self.parts.runner.wake()
        return {}

    def reload(self) -> bool:
        """Obey the configuration as it is now; False, and nothing changes, if it is bad."""
        if self._load is None or self._receptions is None or self.parts is None:
            return False
        try:
            settings = self._load()
            if self._certificates is not None:
                tls = settings.tls
                self._certificates.reload(
                    tls.certificates, minimum=tls.minimum, ciphers=tls.ciphers or CIPHERS
                )
        except (ConfigError, BadCertificate, OSError) as error:
            self._log.error("not reloaded, the old configuration stays: {why}", why=str(error))
            return False
        found = changes(self.settings, settings)
        for key in found.restart:
            self._log.warn("{key} changed: that waits for the next start", key=key)
        self.settings = settings
        self._turnstile.total = settings.listen.connections
        self._turnstile.per_address = settings.listen.connections_per_address
        self.parts.obey(settings)
        self._receptions.obey(settings)
        self._log.info("reloaded: {keys}", keys=", ".join(found.live) or "nothing changed")
        return True

    # ---- Stop ------------------------------------------------------------------------------

    def stopService(self) -> Deferred[None]:
        """Stop listening, say farewell, finish what is under way, close the files."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await _waited(super().stopService())
        if self._receptions is not None:
            await self._receptions.stop(FAREWELL_PATIENCE)
        parts, self.parts = self.parts, None
        if parts is not None:
            await parts.stop()


async def _waited(result: Any) -> None:
    """Wait for a service's Deferred, if it gave one."""
    if isinstance(result, Deferred):
        await result


def told(error: BaseException) -> str | None:
    """One line about an error that keeps a hub from starting; None for a bug of ours."""
    if isinstance(error, CannotListenError):
        where = f"{error.interface or '*'}, port {error.port}"
        return f"cannot listen on {where}: {error.socketError}"
    if isinstance(error, CannotStart):
        return str(error)
    return None
