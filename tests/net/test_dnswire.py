"""Questions to name servers: retried, not to be spoofed, and always at an end."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import pytest
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import Protocol

from mailhub.net.dnswire import DnsWire
from mailhub.policy.limits import DnsPatience
from mailhub.ports.resolver import LookupFailed
from tests.net.names import Zone
from tests.network import Network, Port

ONE, TWO = ("192.0.2.53", 53), ("2001:db8::53", 53)
NAME = dns.name.from_text("example.org")
MX = dns.rdatatype.MX


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.settle()
    assert not network.calls, "a call was left behind"
    assert not any(port.open for port in network.ports), "a port was left open"
    assert not any(end.connected for end in network.made), "a connection was left open"


def wire(
    network: Network, *servers: tuple[str, int], rounds: tuple[float, ...] = (2, 4)
) -> DnsWire:
    ids = iter(range(1000, 2000))
    return DnsWire(network, servers or (ONE,), lambda: next(ids), DnsPatience(rounds, 5))


def ask(it: DnsWire) -> list[Any]:
    results: list[Any] = []
    Deferred.fromCoroutine(it.ask(NAME, MX)).addBoth(results.append)
    return results


class TestDatagrams:
    def test_answer(self, network: Network) -> None:
        """An answer is what was sent; the query asks for DNSSEC data and a sane size."""
        zone = network.datagrams[ONE] = Zone("example.org. 60 MX 10 mx.example.org.")
        results = ask(wire(network))
        network.settle()
        assert len(results[0].answer) == 1
        query = dns.message.from_wire(network.ports[0].queries[0])
        assert query.id == 1000
        assert query.ednsflags & dns.flags.DO
        assert query.flags & dns.flags.AD
        assert query.flags & dns.flags.RD
        assert query.payload == 1232
        assert zone.queries == ["example.org. MX"]

    def test_no_such_domain(self, network: Network) -> None:
        """NXDOMAIN is an answer."""
        network.datagrams[ONE] = Zone()
        results = ask(wire(network))
        network.settle()
        assert results[0].rcode() == dns.rcode.NXDOMAIN

    def test_silence(self, network: Network) -> None:
        """A silent server is asked again, each time with another id and port, then given up."""
        network.datagrams[ONE] = lambda octets, port: ()
        results = ask(wire(network))
        network.pass_time(5.9)
        assert not results
        assert [port.open for port in network.ports] == [False, True]
        network.pass_time(0.2)
        assert results[0].check(LookupFailed)
        assert str(results[0].value) == "192.0.2.53: no answer"
        ids = [struct.unpack("!H", port.queries[0][:2])[0] for port in network.ports]
        assert ids == [1000, 1001]

    def test_next_server(self, network: Network) -> None:
        """The next server is asked where one is silent, not there, or has trouble."""
        good = Zone("example.org. 60 MX 10 mx.example.org.")
        network.datagrams[TWO] = good
        bad = Zone()
        for behaviour, seconds in (
            (lambda octets, port: (), 2.1),
            (None, 0),
            (bad, 0),
        ):
            bad.edits = [lambda answer: answer.set_rcode(dns.rcode.SERVFAIL)]
            if behaviour is None:
                del network.datagrams[ONE]
            else:
                network.datagrams[ONE] = behaviour
            results = ask(wire(network, ONE, TWO))
            network.pass_time(seconds)
            assert len(results[0].answer) == 1
        assert network.ports[-1].interface == "::"

    @pytest.mark.parametrize("rcode", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
    def test_trouble(self, network: Network, rcode: dns.rcode.Rcode) -> None:
        """If all have trouble, the question failed, and says what the last one said."""
        zone = network.datagrams[ONE] = Zone()
        zone.edits = [lambda answer: answer.set_rcode(rcode)]
        results = ask(wire(network))
        network.settle()
        assert results[0].value.args == (f"192.0.2.53: {dns.rcode.to_text(rcode)}",)
        assert len(zone.queries) == 2

    @pytest.mark.parametrize("rcode", [dns.rcode.FORMERR, dns.rcode.NOTIMP])
    def test_no_edns(self, network: Network, rcode: dns.rcode.Rcode) -> None:
        """A server that does not know EDNS is asked without (RFC 6891 §7)."""
        zone = network.datagrams[ONE] = Zone("example.org. 60 MX 10 mx.example.org.")

        def edit(answer: dns.message.Message) -> None:
            if answer.edns >= 0:
                answer.set_rcode(rcode)
                answer.answer.clear()
                answer.question.clear()

        zone.edits = [edit]
        results = ask(wire(network))
        network.settle()
        assert len(results[0].answer) == 1
        assert len(zone.queries) == 2

    def test_closed(self, network: Network) -> None:
        """A port that Twisted closes under us has no answer: we do not wait for one."""

        def close(octets: bytes, port: Any) -> tuple[()]:
            network.callLater(0, port.protocol.doStop)
            return ()

        network.datagrams[ONE] = close
        results = ask(wire(network))
        network.settle()
        assert "nobody listens there" in str(results[0].value)

    def test_no_servers(self, network: Network) -> None:
        """Without servers there are no answers."""
        results = ask(DnsWire(network, (), lambda: 1))
        assert results[0].check(LookupFailed)

    def test_no_socket(self, network: Network) -> None:
        """A machine without sockets left is temporary trouble."""

        def fail(*args: Any, **kwargs: Any) -> Any:
            raise CannotListenError("", 0, OSError(24, "Too many open files"))

        network.listenUDP = fail  # type: ignore[method-assign]
        results = ask(wire(network))
        assert "Too many open files" in str(results[0].value)

    def test_no_way(self, network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
        """Where no route leads to a server the next one is asked, and the port is closed."""
        network.datagrams[ONE] = Zone("example.org. 60 MX 10 mx.example.org.")
        connect = Port.connect

        def routed(port: Port, host: str, number: int) -> None:
            if ":" in host:
                raise OSError(101, "Network is unreachable")
            connect(port, host, number)

        monkeypatch.setattr(Port, "connect", routed)
        answers, failures = ask(wire(network, TWO, ONE)), ask(wire(network, TWO))
        network.settle()
        assert len(answers[0].answer) == 1
        assert "2001:db8::53: Network is unreachable" in str(failures[0].value)


class TestSpoofing:
    """Nothing but the answer ends the question; what else arrives is waited through."""

    def spoof(self, network: Network, change: Any) -> None:
        good = Zone("example.org. 60 MX 10 mx.example.org.")

        def both(octets: bytes, port: Any) -> list[bytes]:
            [answer] = good(octets)
            return [change(octets, answer), answer]

        network.datagrams[ONE] = both
        results = ask(wire(network))
        network.settle()
        assert len(results[0].answer) == 1

    def test_id(self, network: Network) -> None:
        """Another id."""
        self.spoof(network, lambda query, answer: b"\0\1" + answer[2:])

    def test_question(self, network: Network) -> None:
        """Another question."""

        def other(query: bytes, answer: bytes) -> bytes:
            message = dns.message.make_response(
                dns.message.make_query("example.net", MX, id=struct.unpack("!H", query[:2])[0])
            )
            return message.to_wire()

        self.spoof(network, other)

    def test_query(self, network: Network) -> None:
        """Our own query, sent back."""
        self.spoof(network, lambda query, answer: query)

    def test_opcode(self, network: Network) -> None:
        """An answer to another kind of request."""

        def other(query: bytes, answer: bytes) -> bytes:
            message = dns.message.from_wire(answer)
            message.set_opcode(dns.opcode.STATUS)
            return message.to_wire()

        self.spoof(network, other)

    def test_no_question(self, network: Network) -> None:
        """An answer that does not repeat the question."""

        def other(query: bytes, answer: bytes) -> bytes:
            message = dns.message.from_wire(answer)
            message.question.clear()
            return message.to_wire()

        self.spoof(network, other)

    @pytest.mark.parametrize("octets", [b"", b"\x03\xe8", b"\x03\xe8" + b"\xff" * 30])
    def test_garbage(self, network: Network, octets: bytes) -> None:
        """Octets that are no message."""
        self.spoof(network, lambda query, answer: octets)

    def test_source(self, network: Network) -> None:
        """An answer from elsewhere, even with the right id."""
        good = Zone("example.org. 60 MX 10 evil.example.")

        def elsewhere(octets: bytes, port: Any) -> tuple[()]:
            port.receive(good(octets)[0], ("192.0.2.66", 53))
            port.receive(good(octets)[0], (ONE[0], 5353))
            return ()

        network.datagrams[ONE] = elsewhere
        results = ask(wire(network, rounds=(2,)))
        network.settle()
        assert not results
        network.pass_time(3)
        assert results[0].check(LookupFailed)

    def test_twice(self, network: Network) -> None:
        """An answer that comes twice is taken once."""
        self.spoof(network, lambda query, answer: answer)


class TestStreams:
    def truncated(self, network: Network, server: Any) -> list[Any]:
        zone = network.datagrams[ONE] = Zone("example.org. 60 MX 10 mx.example.org.")

        def edit(answer: dns.message.Message) -> None:
            answer.flags |= dns.flags.TC
            answer.answer.clear()

        zone.edits = [edit]
        network.hosts[ONE] = server
        results = ask(wire(network, rounds=(2,)))
        network.settle()
        return results

    def test_truncated(self, network: Network) -> None:
        """A truncated answer is asked for again by TCP, and may arrive in any pieces."""
        network.segment = 5
        many = [f"example.org. 60 MX {number} mx{number}.example.org." for number in range(90)]
        results = self.truncated(network, lambda _: _Tcp(Zone(*many)))
        assert len(results[0].answer[0]) == 90
        assert network.attempts == [ONE]

    def test_refused(self, network: Network) -> None:
        """A server without TCP has not answered."""
        results = self.truncated(network, "refuse")
        assert "refused" in str(results[0].value)

    def test_silent(self, network: Network) -> None:
        """Nor has one that says nothing there, or cannot be reached."""
        results = self.truncated(network, lambda _: Protocol())
        network.pass_time(6)
        assert "no answer by TCP" in str(results[0].value)
        results = self.truncated(network, "silent")
        network.pass_time(6)
        assert results[0].check(LookupFailed)

    def test_nonsense(self, network: Network) -> None:
        """Nor has one that answers something else."""
        results = self.truncated(network, lambda _: _Tcp(lambda octets: [b"x" * 20]))
        assert "nonsense" in str(results[0].value)

    def test_hung_up(self, network: Network) -> None:
        """Nor one that hangs up amid the answer."""
        results = self.truncated(network, lambda _: _Tcp(lambda octets: []))
        assert "connection lost" in str(results[0].value)


class _Tcp(Protocol):
    def __init__(self, zone: Any) -> None:
        self.zone = zone
        self.buffer = b""

    def dataReceived(self, data: bytes) -> None:
        self.buffer += data
        if len(self.buffer) < 2:
            return
        (length,) = struct.unpack_from("!H", self.buffer)
        if len(self.buffer) < length + 2:
            return
        transport: Any = self.transport
        answers = self.zone(self.buffer[2:])
        for octets in answers:
            transport.write(struct.pack("!H", len(octets)) + octets)
        if not answers:
            transport.loseConnection()
