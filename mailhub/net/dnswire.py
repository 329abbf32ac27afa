"""Asks recursive name servers one question, over UDP and TCP, until one of them answers.

dnspython reads and writes the messages; Twisted carries them. What an answer
means is not decided here (`net.dns`).

Invariants:

1. An answer is taken only from the server that was asked, at the port it was
   asked from, with the id and the question of the query (RFC 5452 §9). Ids and
   ports cannot be guessed; anything else that arrives is ignored, and the real
   answer still waited for.
2. A question ends: with an answer, or with `LookupFailed` after `DnsPatience`.
3. Every socket is closed, however the question ends.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdataclass
import dns.rdatatype
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError, ConnectError
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, DatagramProtocol, Protocol, connectionDone
from twisted.python.failure import Failure

from mailhub.policy.limits import DnsPatience
from mailhub.ports.resolver import LookupFailed

PORT: Final = 53

PAYLOAD: Final = 1232
"""Octets of a UDP answer we ask for: what passes everywhere unfragmented (DNS Flag Day 2020)."""

LOG_PREFIX: Final = "DNS"
"""What Twisted calls the ports of our queries in the log (`net.logtext` leaves them out)."""
Server = tuple[str, int]
"""Address and port of a recursive name server."""

Message = dns.message.Message


PATIENCE: Final = DnsPatience()


class DnsWire:
    """Puts questions to servers, one after the other."""

    def __init__(
        self,
        reactor: Any,
        servers: Sequence[Server],
        random_id: Callable[[], int],
        patience: DnsPatience = PATIENCE,
    ) -> None:
        """`random_id` gives numbers below 65536 that nobody can guess."""
        self.servers = tuple(servers)
        self._reactor = reactor
        self._random_id = random_id
        self._patience = patience

    async def ask(self, name: dns.name.Name, kind: dns.rdatatype.RdataType) -> Message:
        """An answer with NOERROR or NXDOMAIN.

        Raises:
            LookupFailed: No server gave one.
        """
        failures: list[str] = []
        for seconds in self._patience.rounds:
            for server in self.servers:
                try:
                    return await self._ask_one(server, name, kind, seconds)
                except _Unanswered as problem:
                    failures.append(f"{server[0]}: {problem}")
        raise LookupFailed(failures[-1] if failures else "no name servers are known")

    async def _ask_one(
        self,
        server: Server,
        name: dns.name.Name,
        kind: dns.rdatatype.RdataType,
        seconds: float,
    ) -> Message:
        query = self._query(name, kind, edns=True)
        answer = await self._datagram(server, query, seconds)
        if answer.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP):
            # It does not know EDNS (RFC 6891 §7).
            query = self._query(name, kind, edns=False)
            answer = await self._datagram(server, query, seconds)
        if answer.flags & dns.flags.TC:
            answer = await self._stream(server, query)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise _Unanswered(dns.rcode.to_text(answer.rcode()))
        return answer

    def _query(
        self, name: dns.name.Name, kind: dns.rdatatype.RdataType, *, edns: bool
    ) -> dns.message.QueryMessage:
        # DO asks for AD too, of a resolver that validates (RFC 6840 §5.7, §5.8).
        options: dict[str, Any] = (
            {"use_edns": 0, "payload": PAYLOAD, "want_dnssec": True} if edns else {}
        )
        query = dns.message.make_query(name, kind, id=self._random_id(), **options)
        query.flags |= dns.flags.AD
        return query

    async def _datagram(self, server: Server, query: Message, seconds: float) -> Message:
        asking = _Asking(server, query)
        # A port of its own for each query, chosen by the kernel at random (RFC 5452 §9.2).
        interface = "::" if ":" in server[0] else ""
        try:
            port = self._reactor.listenUDP(0, asking, interface=interface, maxPacketSize=65535)
        except CannotListenError as error:
            raise _Unanswered(str(error.socketError)) from None
        timer = self._reactor.callLater(seconds, asking.fail, "no answer")
        try:
            return await asking.answer
        finally:
            if timer.active():
                timer.cancel()
            port.stopListening()

    async def _stream(self, server: Server, query: Message) -> Message:
        factory = _StreamFactory(query)
        connector = self._reactor.connectTCP(*server, factory, timeout=self._patience.stream)
        timer = self._reactor.callLater(self._patience.stream, factory.fail, "no answer by TCP")
        try:
            return await factory.answer
        finally:
            if timer.active():
                timer.cancel()
            connector.disconnect()


class _Unanswered(Exception):
    """This server did not answer, or not usefully."""


class _Waiting:
    """A query whose answer is waited for, once."""

    def __init__(self, query: Message) -> None:
        self.answer: Deferred[Message] = Deferred()
        self._query = query
        self._done = False

    def take(self, octets: bytes) -> None:
        """Take an answer, if it is one to our query; else ignore it."""
        # The id first: reading a whole message costs three hundred times as much.
        if self._done or len(octets) < 12 or octets[:2] != struct.pack("!H", self._query.id):
            return
        try:
            message = dns.message.from_wire(octets, ignore_trailing=True, raise_on_truncation=False)
        except (dns.exception.DNSException, ValueError, struct.error):
            return
        if self._answers(message):
            self._done = True
            self.answer.callback(message)

    def fail(self, problem: str) -> None:
        """Give up."""
        if not self._done:
            self._done = True
            self.answer.errback(_Unanswered(problem))

    def _answers(self, message: Message) -> bool:
        if not message.flags & dns.flags.QR or message.opcode() != dns.opcode.QUERY:
            return False
        if not message.question:
            # Servers leave it out when they could not read the query.
            return message.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP)
        return message.question == self._query.question


class _Asking(_Waiting, DatagramProtocol):
    """One query by UDP."""

    noisy = False

    def __init__(self, server: Server, query: Message) -> None:
        super().__init__(query)
        self._server = server

    def startProtocol(self) -> None:
        # Connected: the kernel drops what others send, and tells us if nobody listens there.
        transport: Any = self.transport
        try:
            transport.connect(*self._server)
            transport.write(self._query.to_wire())
        except OSError as error:  # no way leads there
            self.fail(error.strerror or str(error))

    def logPrefix(self) -> str:
        return LOG_PREFIX

    def datagramReceived(self, datagram: bytes, addr: Any) -> None:
        if tuple(addr[:2]) == self._server:
            self.take(datagram)

    def connectionRefused(self) -> None:
        self.fail("nobody listens there")

    def stopProtocol(self) -> None:
        # Under epoll the kernel's refusal closes the port, without a word.
        self.fail("nobody listens there")


class _Stream(Protocol):
    """One query by TCP: messages behind their length (RFC 1035 §4.2.2)."""

    def __init__(self, waiting: _Waiting, query: bytes) -> None:
        self._waiting = waiting
        self._query = query
        self._buffer = b""

    def connectionMade(self) -> None:
        transport: Any = self.transport
        transport.write(struct.pack("!H", len(self._query)) + self._query)

    def dataReceived(self, data: bytes) -> None:
        self._buffer += data  # bounded by the length before it: 64 KiB and one read
        if len(self._buffer) >= 2:
            (length,) = struct.unpack_from("!H", self._buffer)
            if len(self._buffer) >= length + 2:
                self._waiting.take(self._buffer[2 : length + 2])
                self._waiting.fail("nonsense by TCP")

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self._waiting.fail("connection lost")


class _StreamFactory(_Waiting, ClientFactory):
    """Makes the connection of one query."""

    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> Protocol:  # noqa: ARG002
        return _Stream(self, self._query.to_wire())

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:  # noqa: ARG002
        problem = reason.value
        self.fail(str(problem) if isinstance(problem, ConnectError) else "cannot connect")
