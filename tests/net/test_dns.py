"""The resolver: three kinds of no, a cache that forgets in time, one question for many askers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from twisted.internet.defer import CancelledError, Deferred

from mailhub.net.dns import DnsResolver, Overrides, name_servers
from mailhub.policy.limits import DnsLimits, DnsPatience
from mailhub.ports.resolver import Answer, LookupFailed, Mx, NoSuchDomain
from tests.net.names import Zone
from tests.network import Network

SERVER = ("192.0.2.53", 53)


@pytest.fixture
def network() -> Iterator[Network]:
    network = Network()
    yield network
    network.settle()
    assert not network.calls, "a call was left behind"


def resolver(network: Network, zone: Zone | None = None, **options: Any) -> DnsResolver:
    if zone is not None:
        network.datagrams[SERVER] = zone
    options.setdefault("patience", DnsPatience((2,), 5))
    return DnsResolver(network, [SERVER], lambda: 4711, **options)


def look(network: Network, work: Any) -> Any:
    """The answer, or the exception."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    network.settle()
    [result] = results
    return getattr(result, "value", result)


class TestRecords:
    def test_mx(self, network: Network) -> None:
        """MX records, with hosts in lower case and without the final dot; the root is empty."""
        zone = Zone("example.org. 60 MX 10 MX.Example.org.", "example.org. 60 MX 0 .")
        answer = look(network, resolver(network, zone).mx("Example.org"))
        assert set(answer.records) == {Mx(10, "mx.example.org"), Mx(0, "")}
        assert not answer.authentic

    def test_addresses(self, network: Network) -> None:
        """Both families, asked at once."""
        zone = Zone("a.example. 60 A 192.0.2.1", "a.example. 60 AAAA 2001:db8::1")
        answer = look(network, resolver(network, zone).addresses("a.example"))
        assert set(answer.records) == {"192.0.2.1", "2001:db8::1"}
        assert sorted(zone.queries) == ["a.example. A", "a.example. AAAA"]

    def test_one_family(self, network: Network) -> None:
        """One family is enough, even if the other cannot be asked."""
        zone = Zone("a.example. 60 A 192.0.2.1")
        assert look(network, resolver(network, zone).addresses("a.example")) == Answer(
            ("192.0.2.1",)
        )
        zone.edits = [lambda answer: _fail(answer, "AAAA")]
        assert look(network, resolver(network, zone).addresses("a.example")).records
        zone = Zone("a.example. 60 TXT x")
        assert look(network, resolver(network, zone).addresses("a.example")) == Answer(())
        zone.edits = [lambda answer: _fail(answer, "AAAA")]
        assert isinstance(
            look(network, resolver(network, zone).addresses("a.example")), LookupFailed
        )

    def test_txt(self, network: Network) -> None:
        """The strings of a record are joined."""
        zone = Zone('example.org. 60 TXT "v=spf1 " "-all"')
        assert look(network, resolver(network, zone).txt("example.org")).records == (
            b"v=spf1 -all",
        )

    @pytest.mark.parametrize(
        ("address", "name"),
        [
            ("192.0.2.1", "1.2.0.192.in-addr.arpa."),
            ("2001:db8::1", "1." + "0." * 23 + "8.b.d.0.1.0.0.2.ip6.arpa."),
        ],
    )
    def test_ptr(self, network: Network, address: str, name: str) -> None:
        """The names of an address."""
        zone = Zone(f"{name} 60 PTR mx.example.org.")
        assert look(network, resolver(network, zone).ptr(address)).records == ("mx.example.org",)


def _fail(answer: dns.message.Message, kind: str) -> None:
    if str(answer.question[0]).endswith(kind):
        answer.set_rcode(dns.rcode.SERVFAIL)


class TestNo:
    def test_no_such_domain(self, network: Network) -> None:
        """NXDOMAIN."""
        it = resolver(network, Zone())
        for work in (it.mx("example.org"), it.addresses("example.org"), it.txt("example.org")):
            assert isinstance(look(network, work), NoSuchDomain)

    def test_no_such_records(self, network: Network) -> None:
        """The name exists, without such records."""
        it = resolver(network, Zone("example.org. 60 A 192.0.2.1"))
        assert look(network, it.mx("example.org")) == Answer(())

    def test_no_answer(self, network: Network) -> None:
        """SERVFAIL."""
        zone = Zone()
        zone.edits = [lambda answer: answer.set_rcode(dns.rcode.SERVFAIL)]
        failure = look(network, resolver(network, zone).mx("example.org"))
        assert isinstance(failure, LookupFailed)
        assert "SERVFAIL" in str(failure)

    @pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".example", "a." * 130])
    def test_impossible(self, network: Network, name: str) -> None:
        """A name that cannot exist does not, and nobody is asked."""
        assert isinstance(look(network, resolver(network).mx(name)), NoSuchDomain)
        assert not network.ports

    def test_both_worlds(self, network: Network) -> None:
        """A server that says NXDOMAIN and answers all the same is not understood."""
        zone = Zone("example.org. 60 MX 10 mx.example.org.")
        zone.edits = [lambda answer: answer.set_rcode(dns.rcode.NXDOMAIN)]
        failure = look(network, resolver(network, zone).mx("example.org"))
        assert isinstance(failure, LookupFailed)

    def test_bug(self, network: Network) -> None:
        """Whatever trips over an answer is a failed lookup: nobody waits for ever."""
        it = resolver(network, Zone("example.org. 60 MX 10 mx.example.org."))

        async def trip(*_: Any) -> Any:
            raise RuntimeError("tripped")

        it._wire.ask = trip  # type: ignore[assignment, method-assign]
        assert "tripped" in str(look(network, it.mx("example.org")))


class TestAliases:
    ZONE = (
        "www.example.org. 60 CNAME b.example.org.",
        "b.example.org. 30 CNAME c.example.net.",
        "c.example.net. 90 MX 10 mx.example.net.",
    )

    @pytest.mark.parametrize("follow", [True, False])
    def test_followed(self, network: Network, follow: bool) -> None:
        """Aliases are followed, by the server or by us."""
        zone = Zone(*self.ZONE)
        zone.follow = follow
        answer = look(network, resolver(network, zone).mx("www.example.org"))
        assert answer.records == (Mx(10, "mx.example.net"),)
        assert len(zone.queries) == (1 if follow else 3)

    def test_to_nothing(self, network: Network) -> None:
        """An alias may lead to a name without such records, or to none."""
        zone = Zone("a.example. 60 CNAME b.example.", "b.example. 60 A 192.0.2.1")
        assert look(network, resolver(network, zone).mx("a.example")) == Answer(())
        zone = Zone("a.example. 60 CNAME b.example.")
        assert isinstance(look(network, resolver(network, zone).mx("a.example")), NoSuchDomain)

    @pytest.mark.parametrize("follow", [True, False])
    def test_circle(self, network: Network, follow: bool) -> None:
        """A circle ends in a failed lookup."""
        zone = Zone("a.example. 60 CNAME b.example.", "b.example. 60 CNAME a.example.")
        zone.follow = follow
        assert isinstance(look(network, resolver(network, zone).mx("a.example")), LookupFailed)

    def test_shortest_ttl(self, network: Network) -> None:
        """An answer lives as long as the shortest-lived of its links."""
        zone = Zone(*self.ZONE)
        it = resolver(network, zone)
        look(network, it.mx("www.example.org"))
        network.advance(29)
        look(network, it.mx("www.example.org"))
        assert len(zone.queries) == 1
        network.advance(1)
        look(network, it.mx("www.example.org"))
        assert len(zone.queries) == 2


class TestCache:
    def asked(self, network: Network, zone: Zone, seconds: float, **options: Any) -> int:
        """How often the server is asked if we ask now and `seconds` later."""
        it = resolver(network, zone, **options)
        look(network, it.mx("example.org"))
        network.advance(seconds)
        look(network, it.mx("EXAMPLE.org"))
        return len(zone.queries)

    def test_ttl(self, network: Network) -> None:
        """An answer is kept for its TTL, and not longer."""
        record = "example.org. 60 MX 10 mx.example.org."
        assert self.asked(network, Zone(record), 59) == 1
        assert self.asked(network, Zone(record), 60) == 2

    def test_zero(self, network: Network) -> None:
        """A TTL of 0 is not kept."""
        assert self.asked(network, Zone("example.org. 0 MX 10 mx.example.org."), 0) == 2

    def test_longest(self, network: Network) -> None:
        """No TTL is believed beyond our limit."""
        zone = Zone("example.org. 999999 MX 10 mx.example.org.")
        assert self.asked(network, zone, 101, limits=DnsLimits(longest=100)) == 2

    def test_negative(self, network: Network) -> None:
        """ "No" is kept as the SOA says, and not at all without one (RFC 2308 §5)."""
        assert self.asked(network, Zone(soa=60), 59) == 1
        assert self.asked(network, Zone(soa=60), 60) == 2
        assert self.asked(network, Zone(soa=None), 0) == 2
        assert self.asked(network, Zone("example.org. 60 A 192.0.2.1", soa=60), 59) == 1
        long = Zone(soa=999_999)
        assert self.asked(network, long, 101, limits=DnsLimits(negative=100)) == 2

    def test_failure(self, network: Network) -> None:
        """A failure is kept for a moment, so that a queue does not ask a thousand times."""
        for seconds, times in ((4, 1), (5, 2)):
            zone = Zone()
            zone.edits = [lambda answer: answer.set_rcode(dns.rcode.SERVFAIL)]
            assert self.asked(network, zone, seconds) == times

    def test_bounded(self, network: Network) -> None:
        """The oldest answers make room."""
        zone = Zone(*(f"{name}.example. 60 MX 10 mx.example." for name in "abc"))
        it = resolver(network, zone, limits=DnsLimits(entries=2))
        for name in ("a", "b", "c", "b", "c", "a"):
            look(network, it.mx(f"{name}.example"))
        assert len(zone.queries) == 4

    def test_kinds(self, network: Network) -> None:
        """Each kind of record is remembered for itself."""
        zone = Zone("a.example. 60 TXT x", "a.example. 60 MX 10 b.example.")
        it = resolver(network, zone)
        look(network, it.mx("a.example"))
        look(network, it.txt("a.example"))
        assert len(zone.queries) == 2


class TestSharing:
    def test_once(self, network: Network) -> None:
        """A question that many ask at once is asked once, and all are answered."""
        zone = Zone("example.org. 60 MX 10 mx.example.org.")
        it = resolver(network, zone)
        results: list[Any] = []
        for _ in range(5):
            Deferred.fromCoroutine(it.mx("example.org")).addBoth(results.append)
        network.settle()
        assert len(zone.queries) == 1
        assert len(results) == 5
        assert len({result.records for result in results}) == 1

    def test_cancelled(self, network: Network) -> None:
        """Whoever asked first may leave: the others are answered all the same."""
        zone = Zone("example.org. 60 MX 10 mx.example.org.")
        it = resolver(network, zone)
        first = Deferred.fromCoroutine(it.mx("example.org"))
        results: list[Any] = []
        Deferred.fromCoroutine(it.mx("example.org")).addBoth(results.append)
        first.addErrback(lambda _: None)
        first.cancel()
        network.settle()
        assert results[0].records == (Mx(10, "mx.example.org"),)

    def test_addresses_cancelled(self, network: Network) -> None:
        """Also while two questions are under way for one asker, who is not told that there is no
        such name: mail whose attempt the hub's stop called off was bounced for that."""
        it = resolver(network, Zone("a.example. 60 A 192.0.2.1"))
        results: list[Any] = []
        work = Deferred.fromCoroutine(it.addresses("a.example"))
        work.addErrback(lambda failure: results.append(failure.value))
        work.cancel()
        [result] = results
        assert isinstance(result, CancelledError)
        network.settle()
        assert look(network, it.addresses("a.example")).records == ("192.0.2.1",)


class TestAuthenticity:
    RECORDS = ("a.example. 60 A 192.0.2.1", "a.example. 60 MX 10 a.example.")

    def test_trusted(self, network: Network) -> None:
        """The AD bit counts where the operator says so."""
        for trusted in (True, False):
            it = resolver(network, Zone(*self.RECORDS, authentic=True), trusted=trusted)
            assert look(network, it.mx("a.example")).authentic is trusted
            assert look(network, it.addresses("a.example")).authentic is trusted

    def test_unsigned(self, network: Network) -> None:
        """Without the bit nothing is authentic, nor if one link of a chain has it not."""
        it = resolver(network, Zone(*self.RECORDS), trusted=True)
        assert not look(network, it.mx("a.example")).authentic
        zone = Zone("b.example. 60 CNAME a.example.", *self.RECORDS)
        zone.follow = False

        def edit(answer: dns.message.Message) -> None:
            if str(answer.question[0].name) == "a.example.":
                answer.flags |= dns.flags.AD

        zone.edits = [edit]
        it = resolver(network, zone, trusted=True)
        assert not look(network, it.mx("b.example")).authentic

    def test_one_family(self, network: Network) -> None:
        """Whoever suppresses the answer about one family makes the other no less authentic."""
        zone = Zone(*self.RECORDS, authentic=True)

        def edit(answer: dns.message.Message) -> None:
            if answer.question[0].rdtype == dns.rdatatype.AAAA:
                answer.set_rcode(dns.rcode.SERVFAIL)

        zone.edits = [edit]
        it = resolver(network, zone, trusted=True)
        answer = look(network, it.addresses("a.example"))
        assert answer.records == ("192.0.2.1",)
        assert answer.authentic


class TestOverrides:
    def test_given(self, network: Network) -> None:
        """Given names are not looked up."""
        given = Overrides(
            {"mx.example": ["192.0.2.1"]}, {"example.org": [Mx(10, "mx.example")], "no.example": []}
        )
        it = resolver(network, overrides=given)
        assert look(network, it.mx("example.org")).records == (Mx(10, "mx.example"),)
        assert look(network, it.mx("mx.example")).records == ()
        assert look(network, it.mx("no.example")).records == ()
        assert look(network, it.addresses("mx.example")).records == ("192.0.2.1",)
        assert not network.ports

    def test_every(self, network: Network) -> None:
        """A star is for all domains that are not given."""
        it = resolver(network, overrides=Overrides({}, {"*": [Mx(0, "localhost")]}))
        assert look(network, it.mx("any.example")).records == (Mx(0, "localhost"),)

    def test_literals(self, network: Network) -> None:
        """Addresses are their own, and localhost is this machine (RFC 6761 §6.3)."""
        it = resolver(network)
        assert look(network, it.addresses("192.0.2.9")).records == ("192.0.2.9",)
        assert look(network, it.addresses("2001:db8::9")).records == ("2001:db8::9",)
        for name in ("localhost", "mail.localhost"):
            assert look(network, it.addresses(name)).records == ("127.0.0.1", "::1")


class TestNameServers:
    def test_file(self) -> None:
        """The servers of a resolv.conf, in order; other lines and nonsense are skipped."""
        text = """# comment
search example.org
nameserver 192.0.2.53
nameserver   fe80::1%eth0
; nameserver 192.0.2.54
nameserver
nameserver ns.example.org
options edns0
"""
        assert name_servers(text) == (("192.0.2.53", 53), ("fe80::1%eth0", 53))

    def test_empty(self) -> None:
        """Without any it is this machine, as resolv.conf(5) says."""
        assert name_servers("") == (("127.0.0.1", 53),)
