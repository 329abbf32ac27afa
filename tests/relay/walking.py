"""A provider with two domains, a relay beside it, and us: for tests of walks to its hosts."""

from __future__ import annotations

from functools import partial
from random import Random
from typing import Any

from mailhub.config import replies
from mailhub.mail.envelope import Envelope
from mailhub.policy.classify import Classifier
from mailhub.policy.limits import RemoteLimits
from mailhub.policy.provider import Provider, Providers, Source
from mailhub.policy.repute import News
from mailhub.policy.route import Exchange, Hop, Smarthost, TlsDemand
from mailhub.ports.outgoing import Outcome
from mailhub.ports.resolver import Mx
from mailhub.relay.remote import Directions, Remote
from tests.network import Network
from tests.relay.sending import (
    Host,
    Names,
    content,
    envelope,
    pool,
    start,
    traffic,
)
from tests.smtp.model import Model

HOP = Exchange("example.org")
ONE, TWO, SIX, RELAY = "192.0.2.1", "192.0.2.2", "2001:db8::1", "192.0.2.99"
OURS = "2001:db8::99"
BLOCKED = "554 5.7.1 Client host blocked using zen.spamhaus.org"


class World:
    """A provider with two domains, a relay beside it, and us."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.host, self.relay = Host(), Host()
        network.hosts[ONE, 25] = self.host
        network.hosts[RELAY, 587] = self.relay
        self.mx: dict[str, Any] = {
            "example.org": [Mx(10, "mx.big.example")],
            "example.net": [Mx(10, "mx.big.example")],
        }
        self.addresses: dict[str, Any] = {"mx.big.example": [ONE], "relay.example": [RELAY]}
        self.ptr: dict[str, Any] = {}
        self.news: list[News] = []
        self.traffic = traffic(network, tell=lambda *it: self.news.append(it[2]))
        self.pool = pool(network)
        self.provider: dict[str, Any] = {}
        self.sources: dict[str, Source] = {}
        self.limits = RemoteLimits()

    def remote(self) -> Remote:
        out = Smarthost("out", "relay.example", 587, TlsDemand.NONE)
        provider = Provider("big", ("*.big.example",), **self.provider)
        return Remote(
            Names(self.mx, self.addresses, self.ptr),
            self.pool,
            self.traffic,
            shuffle=Random(1).shuffle,
            time=lambda: 1000 + self.network.seconds(),
            limits=self.limits,
            directions=Directions(
                Providers((provider,)),
                Classifier(replies.known()),
                self.sources,
                detours={"out": out},
            ),
        )

    def deliver(
        self,
        what: Envelope | None = None,
        hop: Hop = HOP,
        *,
        seconds: float = 0,
        remote: Remote | None = None,
    ) -> Outcome:
        results = start((remote or self.remote()).deliver(hop, what or envelope(), content()))
        self.network.pass_time(seconds)
        [outcome] = results
        assert isinstance(outcome, Outcome), outcome
        return outcome

    def answers(self, **answers: Any) -> Host:
        """Have the provider's host answer so."""
        self.host = Host(partial(Model, answers=answers))
        self.network.hosts[ONE, 25] = self.host
        return self.host
