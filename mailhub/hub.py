"""The hub as a service: its ports, its working parts, and its life from start to stop.

Order of a start: certificates that are given are read and ports are bound with
whatever rights twistd was started with (`privilegedStartService`); then, as the
hub's own user, the state directory is locked and opened, and what was left is taken
up (`startService`). Order of a stop: ports close, conversations end with their
farewell, the queue and local delivery finish, files are closed.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

from twisted.application.service import MultiService
from twisted.application.strports import service as listener
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.logger import Logger

from mailhub.accounts.record import AccountsError
from mailhub.assembly import Parts
from mailhub.config.certificate import BadCertificate, self_signed
from mailhub.config.change import applied, changes
from mailhub.config.endpoint import Endpoint
from mailhub.config.load import ConfigError
from mailhub.config.settings import SERVICES, Settings
from mailhub.config.values import CertificateFiles
from mailhub.net.control import ControlService
from mailhub.net.door import Door
from mailhub.net.tls import CIPHERS, CertificateMap
from mailhub.net.turnstile import Turnstile
from mailhub.reception import Receptions
from mailhub.store.lock import InUse, StateLock
from mailhub.surroundings import Surroundings

STOPPING: Final = "the hub is stopping; try again in a moment"
"""What is said to an order that would be forgotten."""
FAREWELL_PATIENCE: Final = 5.0
"""Seconds that conversations are given to end when the hub stops."""


class CannotStart(Exception):
    """The hub cannot start; the text is one line for the operator."""


class Hub(MultiService):
    """One mail server.

    Args:
        reload: Reads the configuration anew, for SIGHUP; raises `ConfigError` or `OSError`.
        lock: On the state directory, if it was taken already.

    Attributes:
        parts: The working parts; None before the start and after the stop.

    Raises:
        CannotStart: It is to listen on a socket of systemd's that there is not.
    """

    _log = Logger()

    def __init__(
        self,
        settings: Settings,
        world: Surroundings,
        reload: Callable[[], Settings] | None = None,
        lock: StateLock | None = None,
    ) -> None:
        super().__init__()
        self.settings = settings
        self.parts: Parts | None = None
        self._world = world
        self._load = reload
        self._lock = lock or StateLock(settings.hub.state)
        self._certificates: CertificateMap | None = None
        self._receptions: Receptions | None = None
        self._control: ControlService | None = None
        self._stopping = False
        self._turnstile = Turnstile(
            settings.listen.connections, settings.listen.connections_per_address
        )
        self._doors: dict[str, Door] = {name: Door(name) for name in SERVICES}
        for name, endpoints in settings.listen.all().items():
            for endpoint in endpoints:
                self._listen(name, endpoint)

    def _listen(self, name: str, endpoint: Endpoint) -> None:
        """Have a service listen there, once we are started."""
        description = endpoint.description(both_families=self._world.both_families)
        if "backlog=" not in description and description.startswith("tcp"):
            description += f":backlog={self.settings.listen.backlog}"
        try:
            port = listener(description, self._doors[name], self._world.reactor)
        except LookupError as error:
            text = f"[listen] {name} = {endpoint}: systemd has handed no such socket over"
            raise CannotStart(text) from error
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
        with _ports():
            super().privilegedStartService()

    def startService(self) -> None:
        """Open the state directory and take up work.

        Raises:
            CannotStart: It cannot be used, or a port cannot be had.
        """
        try:
            os.makedirs(self.settings.hub.state, 0o700, exist_ok=True)
            self._lock.take()
            self._stopping = False
            if self._certificates is None and self.settings.tls.offered:
                self._certificates = self._map((self._self_signed(self.settings),))
            self.parts = self._within_earshot()
        except (InUse, AccountsError) as error:
            raise CannotStart(str(error)) from error
        except OSError as error:
            where = error.filename or self.settings.hub.state
            raise CannotStart(f"{where}: {error.strerror or error}") from error
        self._receptions = Receptions(
            self.settings, self.parts, self._turnstile, self._certificates, self._world.reactor
        )
        for name, door in self._doors.items():
            door.behind = self._receptions.factories[name]
        with _ports():
            super().startService()
        started = Deferred.fromCoroutine(self.parts.start())
        started.addErrback(lambda failure: self._log.failure("taking up work failed", failure))
        self._log.info("{name} is ready", name=self.settings.hub.hostname)

    def _within_earshot(self) -> Parts:
        """The parts, made when the command line is heard already.

        Else it could change what they have just read, and take it for what they will read.
        """
        actions: dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]] = {
            "wake": self._wake,
            "provider": self._provider,
            "reload": lambda request: {"reloaded": self.reload()},  # noqa: ARG005
        }
        control = ControlService(self.settings.hub.state, actions, self._world.reactor)
        with _ports():
            control.bind()
        try:
            parts = Parts(self.settings, self._world)
        except BaseException:
            control.stopService()
            raise
        self._control = control
        return parts

    def _self_signed(self, settings: Settings) -> CertificateFiles:
        """The certificate of a hub that was given none."""
        hub = settings.hub
        files, made = self_signed(hub.tls, [hub.hostname], self._world.now())
        if made:
            self._log.warn(
                "no certificate is configured: made one that signs itself, {path}",
                path=files.chain,
            )
        return files

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
            looking = Deferred.fromCoroutine(self.parts.look())
            looking.addErrback(lambda failure: self._log.failure("looking failed", failure))
        return {}

    def _provider(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The command line asks for providers, or gives an order."""
        if "order" in request and (self.parts is None or self._stopping):
            return {"problem": STOPPING}
        return {} if self.parts is None else self.parts.desk.request(request)

    def reload(self) -> bool:
        """Obey the configuration as it is now; False, and nothing changes, if it is bad."""
        if self._load is None or self._receptions is None or self.parts is None:
            return False
        try:
            loaded = self._load()
            settings = applied(self.settings, loaded)
            if self._certificates is not None:
                tls = settings.tls
                self._certificates.reload(
                    tls.certificates or (self._self_signed(settings),),
                    minimum=tls.minimum,
                    ciphers=tls.ciphers or CIPHERS,
                )
        except (ConfigError, BadCertificate, OSError) as error:
            self._log.error("not reloaded, the old configuration stays: {why}", why=str(error))
            return False
        found = changes(self.settings, loaded)
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
        # The command line is heard to the end. It would change what is remembered of providers
        # on the disk if nobody listened, and we would write over that.
        self._stopping = True
        await _waited(super().stopService())
        if self._receptions is not None:
            await self._receptions.stop(FAREWELL_PATIENCE)
        parts, self.parts = self.parts, None
        if parts is not None:
            await parts.stop()
        if self._control is not None:
            await self._control.stopService()
        self._lock.release()


async def _waited(result: Any) -> None:
    """Wait for a service's Deferred, if it gave one."""
    if isinstance(result, Deferred):
        await result


@contextmanager
def _ports() -> Iterator[None]:
    """Says in one line which port cannot be had: twistd passes on 100 octets when it daemonizes."""
    try:
        yield
    except CannotListenError as error:
        why = getattr(error.socketError, "strerror", None) or error.socketError
        if isinstance(error.port, int):
            where = f"{error.interface or '*'}, port {error.port}"
        else:
            where = os.fsdecode(error.port)
        raise CannotStart(f"cannot listen on {where}: {why}") from error
