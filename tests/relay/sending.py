"""What tests of the sending side need: a pool on a network in memory, names, and servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.net.clienttls import ClientTls
from mailhub.policy.limits import PoolLimits
from mailhub.ports.outgoing import Outcome
from mailhub.ports.resolver import Answer, Mx, NoSuchDomain, Tlsa
from mailhub.relay.pool import Pool
from mailhub.relay.traffic import Traffic
from tests.network import Network
from tests.smtp.model import Model, Octets

SMALL = b"Subject: hello\r\n\r\nHello.\r\n"


class Names:
    """`ports.resolver.Resolver` from mappings; a value that is an exception is raised."""

    def __init__(
        self,
        mx: Mapping[str, Any],
        addresses: Mapping[str, Any],
        ptr: Mapping[str, Any] | None = None,
    ) -> None:
        self._mx, self._addresses, self._ptr = mx, addresses, ptr or {}
        self.promises: dict[str, Any] = {}
        self.texts: dict[str, Any] = {}
        self.authentic = False

    async def mx(self, domain: str) -> Answer[Mx]:
        return Answer(tuple(_or_raise(self._mx.get(domain, ()))), self.authentic)

    async def addresses(self, host: str) -> Answer[str]:
        if host[:1].isdigit():
            return Answer((host,))
        return Answer(tuple(_or_raise(self._addresses.get(host, ()))), self.authentic)

    async def txt(self, name: str) -> Answer[bytes]:
        return Answer(tuple(self.texts.get(name, ())))

    async def ptr(self, address: str) -> Answer[str]:
        return Answer(tuple(_or_raise(self._ptr.get(address, NoSuchDomain()))))

    async def tlsa(self, name: str) -> Answer[Tlsa]:
        return Answer(tuple(_or_raise(self.promises.get(name, ()))), authentic=True)


def _or_raise(value: Any) -> Any:
    if isinstance(value, Exception):
        raise value
    return value


class Served(Protocol):
    """A `Model` behind a connection; TLS is real where a context is given."""

    def __init__(self, model: Model, context: Any = None, *, implicit: bool = False) -> None:
        self.model = model
        self._context = context
        self._implicit = implicit

    def connectionMade(self) -> None:
        if self._implicit:
            self._start_tls()
        self._flush()

    def dataReceived(self, data: bytes) -> None:
        self.model.receive(data)
        self._flush()
        if self._context is not None and self.model.commands[-1:] == ["STARTTLS"]:
            self._start_tls()
            self.model.commands.append("(TLS)")
            self.model.extensions = tuple(it for it in self.model.extensions if it != "STARTTLS")

    def _start_tls(self) -> None:
        transport: Any = self.transport
        transport.startTLS(self._context)

    def _flush(self) -> None:
        transport: Any = self.transport
        out, self.model.out = self.model.out, b""
        transport.write(out)
        if self.model.closed:
            transport.loseConnection()


class Host:
    """A host that makes a new server for each connection.

    Attributes:
        models: Those that were made.
    """

    def __init__(
        self, make: Callable[[], Model] = Model, context: Any = None, *, implicit: bool = False
    ) -> None:
        self._make = make
        self._context = context
        self._implicit = implicit
        self.models: list[Model] = []
        self.served: list[Served] = []

    def __call__(self, _: Any) -> Served:
        self.models.append(self._make())
        self.served.append(Served(self.models[-1], self._context, implicit=self._implicit))
        return self.served[-1]

    @property
    def taken(self) -> int:
        """Messages taken on all connections."""
        return sum(len(model.taken) for model in self.models)

    @property
    def commands(self) -> list[str]:
        """Commands of all connections."""
        return [command for model in self.models for command in model.commands]


def pool(network: Network, client_tls: ClientTls | None = None, **options: Any) -> Pool:
    trusting = client_tls or ClientTls()
    return Pool(network, "hub.example", trusting, lambda: "nonce", **options)


def traffic(network: Network, **options: Any) -> Traffic:
    """Gates that remember nothing, and tell nobody unless `tell` is given."""
    tell = options.pop("tell", lambda *_: None)
    limits = options.pop("limits", PoolLimits())

    def now() -> float:
        return 1000 + network.seconds()

    return Traffic(network, now, lambda: 0.5, tell, limits, **options)


def start(work: Any) -> list[Any]:
    """Begin; the result is added to the list when it is there."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    return results


def envelope(*names: str, **options: Any) -> Envelope:
    recipients = tuple(Recipient(Path(name, "example.org")) for name in names or ("ann",))
    return Envelope(Path("bob", "example.com"), recipients, **options)


def content(octets: bytes = SMALL) -> Octets:
    return Octets(octets)


def told(outcome: Outcome) -> list[str]:
    """Codes and enhanced statuses."""
    return [f"{reply.code} {reply.status}" for reply in outcome.replies]
