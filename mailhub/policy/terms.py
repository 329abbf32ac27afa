"""On which terms mail goes to a provider: who it is, limits, encryption; each with its line.

The words for what `policy.provider` and `policy.route` decide: nothing is decided here.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailhub.policy.limits import PoolLimits
from mailhub.policy.provider import Provider
from mailhub.policy.route import Route, TlsDemand
from mailhub.policy.rule import Rule
from mailhub.policy.verdict import Verdict


def terms(
    provider: Provider, hop: TlsDemand, found: Route | None, limits: PoolLimits
) -> Iterator[Verdict]:
    """The terms with a provider for mail whose route, `found` or none, demands `hop` of TLS."""
    section = f"provider {provider.name}"
    if provider.listed:
        yield Verdict(f"provider: {provider.name}", Rule(section, "mx"))
    else:
        yield Verdict(f"provider: nobody known, its exchanges are a group: {provider.name}")
    yield _or_else(
        "connections", provider.connections, Rule(section, "connections"),
        limits.destination, Rule("relay", "connections per host"),
    )  # fmt: skip
    yield _or_else(
        "messages per connection", provider.messages, Rule(section, "messages per connection"),
        limits.messages, Rule("relay", "messages per connection"),
    )  # fmt: skip
    for words, amount, key in (
        ("minute", provider.per_minute, "messages per minute"),
        ("hour", provider.per_hour, "messages per hour"),
        ("day", provider.per_day, "messages per day"),
    ):
        if amount:
            yield Verdict(f"at most {amount} messages a {words}", Rule(section, key))
    if provider.detour:
        rule = Rule(section, "detour")
        yield Verdict(f"if they block us: by the route {provider.detour}", rule)
    demand = provider.demand(hop)
    route = "relay" if found is None else f"route {found.name}"
    rule = Rule(section if demand is not hop else route, "tls")
    yield Verdict(f"TLS: {demand.value}", rule)


def _or_else(what: str, given: int | None, rule: Rule, otherwise: int, other_rule: Rule) -> Verdict:
    """A limit of the provider's, or that of everybody."""
    if given is None:
        return Verdict(f"{what}: {otherwise}", other_rule)
    return Verdict(f"{what}: {given}", rule)
