"""On which terms mail goes to a provider, in words."""

from __future__ import annotations

from mailhub.policy.limits import PoolLimits
from mailhub.policy.provider import Provider
from mailhub.policy.route import Route, TlsDemand
from mailhub.policy.rule import Rule
from mailhub.policy.terms import terms
from mailhub.policy.verdict import Verdict

LIMITS = PoolLimits(destination=20, messages=100)
STRICT = Provider(
    "acme",
    ("*.acme.example",),
    connections=3,
    per_minute=60,
    per_day=5000,
    tls=TlsDemand.REQUIRED,
    detour="spare",
)


def test_a_provider() -> None:
    """What has a key of its own is told by that, the rest by everybody's."""
    assert list(terms(STRICT, TlsDemand.OPPORTUNISTIC, None, LIMITS)) == [
        Verdict("provider: acme", Rule("provider acme", "mx")),
        Verdict("connections: 3", Rule("provider acme", "connections")),
        Verdict("messages per connection: 100", Rule("relay", "messages per connection")),
        Verdict("at most 60 messages a minute", Rule("provider acme", "messages per minute")),
        Verdict("at most 5000 messages a day", Rule("provider acme", "messages per day")),
        Verdict("if they block us: by the route spare", Rule("provider acme", "detour")),
        Verdict("TLS: required", Rule("provider acme", "tls")),
    ]


def test_a_route_that_demands_more() -> None:
    """The stricter demand decides, and is named."""
    route = Route("bank", tls=TlsDemand.VERIFIED)
    *_, tls = terms(STRICT, TlsDemand.VERIFIED, route, LIMITS)
    assert tls == Verdict("TLS: verified", Rule("route bank", "tls"))


def test_nobody_known() -> None:
    """Exchanges of nobody named are a group of their own, under everybody's limits."""
    stranger = Provider("mx1.far.example mx2.far.example", listed=False)
    first, second, *_, tls = terms(stranger, TlsDemand.OPPORTUNISTIC, None, LIMITS)
    assert first.what.endswith("mx1.far.example mx2.far.example")
    assert first.rule is None
    assert second == Verdict("connections: 20", Rule("relay", "connections per host"))
    assert tls == Verdict("TLS: opportunistic", Rule("relay", "tls"))
