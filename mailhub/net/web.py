"""HTTPS requests to other hosts: small ones, verified, bounded in size and time.

It is Twisted's client over our resolver. Redirections are an answer like any
other that is not 200: no policy may be found behind one (RFC 8461 §3.3).
"""

from __future__ import annotations

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
REFUSAL_LIMIT: Final = 4096
"""Octets of an answer that are read where only its status counts."""


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
        response, body = await self._request(b"GET", host, path, Headers(), None, limit)
        [kind] = response.headers.getRawHeaders(b"content-type", [b""])[:1]
        if kind.partition(b";")[0].strip().lower() != b"text/plain":
            raise FetchFailed(f"it is not plain text but {kind.decode('latin-1') or 'unnamed'}")
        return body

    async def post(self, host: str, path: str, kind: str, octets: bytes) -> None:
        """Hand over octets; see `ports.web.Web`."""
        headers = Headers({b"Content-Type": [kind.encode()]})
        await self._request(b"POST", host, path, headers, octets, REFUSAL_LIMIT)

    async def _request(
        self,
        method: bytes,
        host: str,
        path: str,
        headers: Headers,
        octets: bytes | None,
        limit: int,
    ) -> tuple[IResponse, bytes]:
        work = Deferred.fromCoroutine(self._asked(method, host, path, headers, octets, limit))
        work.addTimeout(PATIENCE, self._reactor, _too_slow)
        return await work

    async def _asked(
        self,
        method: bytes,
        host: str,
        path: str,
        headers: Headers,
        octets: bytes | None,
        limit: int,
    ) -> tuple[IResponse, bytes]:
        endpoint = await self._endpoint(host)
        agent = Agent.usingEndpointFactory(self._reactor, _Always(endpoint))
        headers.setRawHeaders(b"User-Agent", [b"mailhub"])
        body = None if octets is None else _Octets(octets)
        try:
            response = await agent.request(method, f"https://{host}{path}".encode(), headers, body)
        except ResponseFailed as error:
            raise _failed(error.reasons[0].value) from None
        except (ConnectError, SSL.Error) as error:
            raise _failed(error) from None
        if not 200 <= response.code < 300 or (method == b"GET" and response.code != 200):
            response.deliverBody(_Body(0))
            raise FetchFailed(f"the server said {response.code}")
        reading = _Body(limit)
        response.deliverBody(reading)
        return response, await reading.whole

    async def _endpoint(self, host: str) -> IStreamClientEndpoint:
        try:
            answer = await self.resolver.addresses(host)
        except NoSuchDomain:
            raise FetchFailed(f"{host} does not exist") from None
        except LookupFailed as failure:
            raise FetchFailed(f"looking up {host} failed: {failure}") from None
        if not answer.records:
            raise FetchFailed(f"{host} has no address")
        # IPv4 first: there is one attempt, and those without IPv6 are the more.
        address = min(answer.records, key=lambda it: ":" in it)
        made = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        options = optionsForClientTLS(host, trustRoot=self._trust)
        return _Secured(made(self._reactor, address, self._port), options, self._reactor)


@implementer(IStreamClientEndpoint)
class _Secured:
    """An endpoint under TLS, with our clock: stock's `wrapClientTLS` has the global reactor's."""

    def __init__(self, inner: IStreamClientEndpoint, options: Any, clock: Any) -> None:
        self._inner, self._options, self._clock = inner, options, clock

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = TLSMemoryBIOFactory(self._options, True, protocolFactory, self._clock)
        made: Deferred[Any] = self._inner.connect(factory)
        return made.addCallback(lambda tls: tls.wrappedProtocol)


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
        self.whole: Deferred[bytes] = Deferred(lambda _: self._hang_up())
        self._limit = limit
        self._pieces: list[bytes] = []

    def dataReceived(self, data: bytes) -> None:
        self._pieces.append(data)
        if sum(map(len, self._pieces)) > self._limit:
            self._end(FetchFailed(f"it is longer than {self._limit} octets"))
            self._hang_up()

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

    def _hang_up(self) -> None:
        if self.transport is not None:
            self.transport.abortConnection()  # type: ignore[attr-defined]


def _too_slow(_: object, seconds: float) -> None:
    raise FetchFailed(f"nothing came of it in {seconds:.0f} seconds")


def _failed(error: BaseException) -> FetchFailed:
    untrusted = isinstance(error, SSL.Error) or "VerificationError" in type(error).__name__
    return FetchFailed(str(error) or type(error).__name__, untrusted=untrusted)
