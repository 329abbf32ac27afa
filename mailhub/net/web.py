"""HTTPS requests to other hosts: small ones, verified, bounded in size and time.

It is Twisted's client over our resolver. Redirections are an answer like any
other that is not 200: no policy may be found behind one (RFC 8461 §3.3).

Invariant: where a stranger says where to, nothing is handed over to an address that only
machines beside ours can reach: what he cannot ask of them, he cannot have us ask.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Any, Final

from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import optionsForClientTLS, platformTrust
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import URI, Agent, ResponseDone, ResponseFailed
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory, IBodyProducer, IResponse
from zope.interface import implementer

from mailhub.ports.resolver import LookupFailed, NoSuchDomain, Resolver
from mailhub.ports.web import FetchFailed

PATIENCE: Final = 60.0
"""Seconds for a request in all (RFC 8461 §3.3 suggests one minute)."""
PORT: Final = 443
HEAD_LIMIT: Final = 64 << 10
"""Octets that may come with a body: a status, header fields."""
REFUSAL_LIMIT: Final = 4096
"""Octets of an answer that are read where only its status counts."""
_INSIDE: Final = tuple(
    ipaddress.ip_network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
        "::/127", "fc00::/7", "fe80::/10", "ff00::/8",
    )
)  # fmt: skip
"""Addresses of machines beside ours, and of none: of IANA's special-purpose addresses."""


@dataclass(frozen=True, slots=True)
class _Request:
    """What is asked of a host; `inside` says that any address of it will do."""

    method: bytes
    host: str
    path: str
    headers: Headers
    octets: bytes | None
    limit: int
    inside: bool


class HttpsClient:
    """Implements `ports.web.Web`.

    Args:
        trust: Whom to trust, as `optionsForClientTLS` takes it.
        port: Another one in tests.
    """

    def __init__(
        self, reactor: Any, resolver: Resolver, trust: Any = None, port: int = PORT
    ) -> None:
        self._reactor = reactor
        self.resolver = resolver
        self._trust = trust or platformTrust()
        self._port = port

    async def get(self, host: str, path: str, limit: int) -> bytes:
        """A plain text; see `ports.web.Web`."""
        asked = _Request(b"GET", host, path, Headers(), None, limit, inside=True)
        response, body = await self._answer(asked)
        [kind] = response.headers.getRawHeaders(b"content-type", [b""])[:1]
        if kind.partition(b";")[0].strip().lower() != b"text/plain":
            raise FetchFailed(f"it is not plain text but {kind.decode('latin-1') or 'unnamed'}")
        return body

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        """Hand over octets; see `ports.web.Web`."""
        headers = Headers({b"Content-Type": [kind.encode()]})
        asked = _Request(b"POST", host, path, headers, octets, REFUSAL_LIMIT, inside=False)
        await self._answer(asked)

    async def _answer(self, asked: _Request) -> tuple[IResponse, bytes]:
        work = Deferred.fromCoroutine(self._asked(asked))
        work.addTimeout(PATIENCE, self._reactor, _too_slow)
        return await work

    async def _asked(self, asked: _Request) -> tuple[IResponse, bytes]:
        endpoint = await self._endpoint(asked)
        try:
            return await self._over(endpoint, asked)
        finally:
            endpoint.abort()  # a server may never close what we do not want to hear

    async def _over(self, endpoint: _Secured, asked: _Request) -> tuple[IResponse, bytes]:
        agent = Agent.usingEndpointFactory(self._reactor, _Always(endpoint))
        asked.headers.setRawHeaders(b"User-Agent", [b"mailhub"])
        body = None if asked.octets is None else _Octets(asked.octets)
        uri = f"https://{asked.host}{asked.path}".encode()
        try:
            response = await agent.request(asked.method, uri, asked.headers, body)
        except ResponseFailed as error:
            raise _failed(error.reasons[0].value) from None
        except (ConnectError, SSL.Error) as error:
            raise _failed(error) from None
        except ValueError:  # Twisted's, before it asks anything
            raise FetchFailed("that is no address of the web") from None
        if not 200 <= response.code < 300 or (asked.method == b"GET" and response.code != 200):
            raise FetchFailed(f"the server said {response.code}")
        reading = _Body(asked.limit)
        response.deliverBody(reading)
        return response, await reading.whole

    async def _endpoint(self, asked: _Request) -> _Secured:
        host = asked.host
        try:
            answer = await self.resolver.addresses(host)
        except NoSuchDomain:
            raise FetchFailed(f"{host} does not exist") from None
        except LookupFailed as failure:
            raise FetchFailed(f"looking up {host} failed: {failure}") from None
        if not answer.records:
            raise FetchFailed(f"{host} has no address")
        usable = [it for it in answer.records if asked.inside or not _inside(it)]
        if not usable:
            raise FetchFailed(f"{host} is at {answer.records[0]}, which is not a public address")
        # IPv4 first: there is one attempt, and those without IPv6 are the more.
        address = min(usable, key=lambda it: ":" in it)
        made = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        try:
            options = optionsForClientTLS(host, trustRoot=self._trust)
        except ValueError:  # of labels that IDNA does not allow
            raise FetchFailed(f"{host} is no name of a host") from None
        inner = made(self._reactor, address, self._port)
        return _Secured(inner, options, self._reactor, asked.limit + HEAD_LIMIT)


@implementer(IStreamClientEndpoint)
class _Secured:
    """An endpoint under TLS, for one answer of at most so many octets.

    Stock's `wrapClientTLS` has the global reactor's clock; its HTTP reads any number of headers.
    """

    def __init__(self, inner: IStreamClientEndpoint, options: Any, clock: Any, limit: int) -> None:
        self._inner, self._options, self._clock, self._limit = inner, options, clock, limit
        self._tls: Any = None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        measured = _MeasuringFactory(protocolFactory, self._limit)
        factory = TLSMemoryBIOFactory(self._options, True, measured, self._clock)
        return self._inner.connect(factory).addCallback(self._connected)

    def _connected(self, tls: Any) -> IProtocol:
        self._tls = tls
        made: IProtocol = tls.wrappedProtocol.wrappedProtocol
        return made

    def abort(self) -> None:
        """Close the connection now, if there is one."""
        if self._tls is not None and self._tls.connected:
            self._tls.abortConnection()


class _Measured(ProtocolWrapper):
    """Hangs up on a server that says more than it may."""

    factory: _MeasuringFactory

    def dataReceived(self, data: bytes) -> None:
        self.factory.room -= len(data)
        if self.factory.room < 0:
            self.abortConnection()
        else:
            super().dataReceived(data)


class _MeasuringFactory(WrappingFactory[_Measured]):
    protocol = _Measured
    noisy = False

    def __init__(self, wrapped: IProtocolFactory, room: int) -> None:
        super().__init__(wrapped)
        self.room = room
        # Stock's factory tells the log of each request that it begins and ends.
        wrapped.noisy = False  # type: ignore[attr-defined]


@implementer(IAgentEndpointFactory)
class _Always:
    """One endpoint, whatever is asked for."""

    def __init__(self, endpoint: IStreamClientEndpoint) -> None:
        self._endpoint = endpoint

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:  # noqa: ARG002
        return self._endpoint


@implementer(IBodyProducer)
class _Octets:
    """A body that is all there."""

    def __init__(self, octets: bytes) -> None:
        self.length = len(octets)
        self._octets = octets

    def startProducing(self, consumer: IConsumer) -> Deferred[None]:
        consumer.write(self._octets)
        return succeed(None)

    def pauseProducing(self) -> None:
        pass

    def resumeProducing(self) -> None:
        pass

    def stopProducing(self) -> None:
        pass


class _Body(Protocol):
    """Gathers a response's body, up to a limit."""

    def __init__(self, limit: int) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._room = self._limit = limit
        self._pieces: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        self._room -= len(data)
        if self._room < 0:
            self._end(FetchFailed(f"it is longer than {self._limit} octets"))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if reason.check(ResponseDone):
            self._end(b"".join(self._pieces))
        else:
            self._end(FetchFailed("the connection was lost"))

    def _end(self, result: bytes | FetchFailed) -> None:
        if self.whole.called:
            return
        if isinstance(result, bytes):
            self.whole.callback(result)
        else:
            self.whole.errback(result)


def _too_slow(_: object, seconds: float) -> None:
    raise FetchFailed(f"nothing came of it in {seconds:.0f} seconds")


def _inside(address: str) -> bool:
    """Whether an address is of the network around us, or of no machine at all."""
    parsed = ipaddress.ip_address(address)
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in _INSIDE)


def _failed(error: BaseException) -> FetchFailed:
    untrusted = isinstance(error, SSL.Error) or "VerificationError" in type(error).__name__
    return FetchFailed(str(error) or type(error).__name__, untrusted=untrusted)
