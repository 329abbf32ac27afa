"""Domains grouped by who runs their mail exchanges."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.policy.provider import Provider, Providers, Source, duplicates
from mailhub.policy.route import TlsDemand
from mailhub.ports.resolver import Mx

GOOGLE = Provider("google", ("*.google.com", "*.googlemail.com"))
SPECIAL = Provider("special", ("mx.l.google.com",))
ALL = Providers((GOOGLE, SPECIAL))


def of(*hosts: str) -> str:
    return ALL.of([Mx(10, host) for host in hosts]).name


class TestGroups:
    def test_pattern(self) -> None:
        """A pattern is about everything below a domain, and not about the domain."""
        assert of("aspmx.l.google.com") == "google"
        assert of("a.b.googlemail.com") == "google"
        assert of("google.com") == "google.com"
        assert of("notgoogle.com") == "notgoogle.com"

    def test_longest(self) -> None:
        """The closest pattern decides."""
        assert of("mx.l.google.com") == "special"

    def test_best(self) -> None:
        """The best exchanges decide; a fallback elsewhere changes nothing."""
        hosts = [Mx(10, "aspmx.l.google.com"), Mx(5, "mx.example.net")]
        assert ALL.of(hosts).name == "aspmx.l.google.com mx.example.net"
        assert ALL.of([Mx(10, "aspmx.l.google.com"), Mx(15, "mx.example.net")]).name == "google"

    @given(st.permutations(["mx1.example", "mx2.example", "mx3.example"]))
    def test_set(self, hosts: list[str]) -> None:
        """Domains of nobody known are grouped by their exchanges, in whatever order these come."""
        found = ALL.of([Mx(10, host) for host in hosts])
        assert found.name == "mx1.example mx2.example mx3.example"
        assert not found.listed

    def test_named(self) -> None:
        """Providers are found by name."""
        assert ALL.named("google") is GOOGLE
        assert ALL.named("nobody") is None
        assert ALL.running("example.com") is None

    def test_duplicates(self) -> None:
        """A pattern belongs to one provider."""
        other = Provider("other", ("*.google.com",))
        assert duplicates((GOOGLE, SPECIAL)) == {}
        assert duplicates((GOOGLE, other)) == {"*.google.com": ("google", "other")}


class TestTls:
    def test_demand(self) -> None:
        """Neither a hop nor a provider is given less than it insists on."""
        none, some, required, verified = TlsDemand
        for provider, hop, both in (
            (None, some, some),
            (none, some, none),
            (required, some, required),
            (required, verified, verified),
            (verified, required, verified),
            (some, required, required),
            (verified, none, none),
        ):
            assert Provider("x", tls=provider).demand(hop) is both


class TestSource:
    def test_bind(self) -> None:
        """The local address fits the family; without one the kernel chooses."""
        source = Source("a", "192.0.2.1", "2001:db8::1")
        assert source.bind("198.51.100.1") == ("192.0.2.1", 0)
        assert source.bind("2001:db8::2") == ("2001:db8::1", 0)
        assert Source().bind("198.51.100.1") is None

    def test_reaches(self) -> None:
        """A source of one family is not used for the other."""
        assert Source("a", ipv4="192.0.2.1").reaches("198.51.100.1")
        assert not Source("a", ipv4="192.0.2.1").reaches("2001:db8::2")
        assert Source().reaches("2001:db8::2")
