"""Routes and exchanges: which hop, and which hosts in which order."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.address import NULL, Path
from mailhub.mail.reply import Refusal
from mailhub.policy.route import (
    Exchange,
    Route,
    Smarthost,
    TlsDemand,
    candidates,
    literal_host,
    matching,
    route,
)
from mailhub.ports.resolver import Mx

BOB = Path("bob", "hub.example")
HOST = Smarthost("host", "smtp.example.net")


def path(domain: str) -> Path:
    return Path("ann", domain)


def chosen(routes: list[Route], recipient: str, sender: Path = BOB) -> str:
    found = matching(sender, path(recipient), routes)
    return found.name if found is not None else ""


class TestRoute:
    def test_none(self) -> None:
        """Without a route mail goes to the domain's own exchanges."""
        assert route(BOB, path("example.org"), []) == Exchange("example.org")
        hop = route(BOB, path("example.org"), [], port=2525, tls=TlsDemand.REQUIRED)
        assert hop == Exchange("example.org", 2525, TlsDemand.REQUIRED)
        assert hop.name == "example.org"

    def test_all(self) -> None:
        """A route without patterns is for all mail, literals and bounces included."""
        routes = [Route("all", HOST)]
        for recipient in ("example.org", "[192.0.2.1]"):
            assert route(BOB, path(recipient), routes) is HOST
        assert route(NULL, path("example.org"), routes) is HOST

    def test_exception(self) -> None:
        """A route without a hop excepts a domain from a wider one."""
        routes = [
            Route("all", HOST),
            Route("direct", recipients=("example.org",), tls=TlsDemand.VERIFIED),
        ]
        assert route(BOB, path("example.org"), routes) == Exchange(
            "example.org", tls=TlsDemand.VERIFIED
        )
        assert route(BOB, path("sub.example.org"), routes) is HOST

    def test_most_specific(self) -> None:
        """Exact before wildcard, longer wildcard before shorter, any order of the file."""
        routes = [
            Route("any", HOST, ("*",)),
            Route("org", HOST, ("*.org",)),
            Route("below", HOST, ("*.example.org",)),
            Route("exact", HOST, ("a.example.org", "example.net")),
        ]
        for order in (routes, routes[::-1]):
            assert chosen(order, "a.example.org") == "exact"
            assert chosen(order, "b.example.org") == "below"
            assert chosen(order, "example.org") == "org"
            assert chosen(order, "example.net") == "exact"
            assert chosen(order, "example.com") == "any"

    def test_senders(self) -> None:
        """The sender's domain decides among equals; both lists must match."""
        routes = [
            Route("all", HOST),
            Route("ours", HOST, senders=("hub.example",)),
            Route("both", HOST, ("example.org",), ("hub.example",)),
            Route("to", HOST, ("example.org",)),
        ]
        assert chosen(routes, "example.com") == "ours"
        assert chosen(routes, "example.org") == "both"
        assert chosen(routes, "example.org", path("other.example")) == "to"
        assert chosen(routes, "example.com", path("other.example")) == "all"
        assert chosen([routes[1]], "example.com", path("other.example")) == ""

    def test_null(self) -> None:
        """The null reverse-path has no domain: only a star matches it."""
        routes = [Route("ours", HOST, senders=("hub.example", "*.example"))]
        assert chosen(routes, "example.org", NULL) == ""
        assert chosen([Route("any", HOST, senders=("*",))], "example.org", NULL) == "any"

    def test_equals(self) -> None:
        """Among equals the first in the file."""
        routes = [Route("one", HOST, ("*",)), Route("two", HOST)]
        assert chosen(routes, "example.org") == "one"

    def test_secret(self) -> None:
        """A smarthost does not show its password."""
        assert "secret" not in repr(Smarthost("a", "b", password="secret"))

    def test_literal(self) -> None:
        """An address literal is a hop of its own, and needs no name."""
        assert literal_host(Exchange("[192.0.2.1]")) == "192.0.2.1"
        assert literal_host(Exchange("[IPv6:2001:db8::1]")) == "2001:db8::1"
        assert literal_host(Exchange("example.org")) is None
        assert literal_host(HOST) is None

    def test_mandatory(self) -> None:
        """Two demands forbid the clear."""
        assert [demand for demand in TlsDemand if demand.mandatory] == [
            TlsDemand.REQUIRED,
            TlsDemand.VERIFIED,
        ]


def hosts(*records: tuple[int, str], ourselves: tuple[str, ...] = (), seed: int = 0) -> list[str]:
    found = candidates(
        "example.org", [Mx(*record) for record in records], Random(seed).shuffle, ourselves
    )
    return [mx.host for mx in found]


class TestCandidates:
    def test_order(self) -> None:
        """Lower preferences first (RFC 5321 §5.1)."""
        assert hosts((20, "b"), (10, "a"), (30, "c")) == ["a", "b", "c"]

    def test_equals(self) -> None:
        """Equals in random order, so that they share the load."""
        seen = {tuple(hosts((10, "a"), (10, "b"), (20, "c"), seed=seed)) for seed in range(20)}
        assert seen == {("a", "b", "c"), ("b", "a", "c")}

    def test_implicit(self) -> None:
        """Without records the domain itself is the host (RFC 5321 §5.1)."""
        assert hosts() == ["example.org"]

    def test_null(self) -> None:
        """A null MX wants no mail, for good (RFC 7505 §3)."""
        with pytest.raises(Refusal, match=r"556 5\.1\.10"):
            hosts((0, ""))

    def test_dot_among_others(self) -> None:
        """A root beside real hosts is a mistake of theirs, and skipped."""
        assert hosts((0, ""), (10, "a")) == ["a"]

    def test_twice(self) -> None:
        """A host named twice is tried once, at its better place."""
        assert hosts((20, "a"), (10, "a"), (15, "b")) == ["a", "b"]

    def test_ourselves(self) -> None:
        """We, and all that rank no better than we, are not tried (RFC 5321 §5.1)."""
        records = ((10, "a"), (20, "us"), (20, "b"), (30, "c"))
        assert hosts(*records, ourselves=("us",)) == ["a"]

    def test_loop(self) -> None:
        """If we are the best exchange of a domain that is not ours, mail would go in a circle."""
        with pytest.raises(Refusal, match=r"554 5\.4\.6"):
            hosts((10, "us"), (20, "b"), ourselves=("us",))
        with pytest.raises(Refusal, match=r"554 5\.4\.6"):
            hosts(ourselves=("example.org",))

    @given(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from("abcdef")), min_size=1),
        st.integers(0, 99),
    )
    def test_any(self, records: list[tuple[int, str]], seed: int) -> None:
        """Every host once, in order of its best preference."""
        found = candidates("example.org", [Mx(*it) for it in records], Random(seed).shuffle)
        assert sorted(mx.host for mx in found) == sorted({host for _, host in records})
        assert [mx.preference for mx in found] == sorted(mx.preference for mx in found)
