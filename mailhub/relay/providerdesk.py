"""Shows the operator how we stand with providers, and carries out what is ordered.

Asked over the control socket: ``{"do": "provider", "order": …}``; without an order
it tells all that is known, and with ``"domains": NAME`` whose mail a provider takes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from mailhub.policy.order import Order, Row, What, carried_out, row
from mailhub.policy.provider import ANY_SOURCE, Provider, Source
from mailhub.policy.route import Exchange
from mailhub.relay.remote import Remote
from mailhub.relay.traffic import Gate

ROWS: Final = 2000
"""Rows of an answer: those that mail was sent to last."""
DOMAINS: Final = 20_000
"""Domains of an answer, likewise."""


class ProviderDesk:
    """Looks at a `Remote`, and orders things there.

    `flush` is told domains whose mail may go at once.
    """

    def __init__(
        self, remote: Remote, now: Callable[[], float], flush: Callable[[Sequence[str]], None]
    ) -> None:
        self._remote = remote
        self._now = now
        self._flush = flush

    def request(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """One request of the command line."""
        if "domains" in request:
            return {"domains": self._remote.domains_of(str(request["domains"]))[-DOMAINS:]}
        if "order" not in request:
            return {"rows": [asdict(it) for it in self.rows()]}
        try:
            order = Order.from_json(request["order"])
        except ValueError:
            return {"problem": "no such order"}
        gates = self._gates(order)
        if not gates:
            return {"problem": f"no provider {order.provider} is known"}
        now = self._now()
        for gate in gates:
            self._remote.traffic.change(gate, carried_out(gate.repute, order, now))
        if order.what is not What.SUSPEND:
            self._flush(self._remote.waiting(gates[0].provider.name))
        return {"rows": [asdict(self._row(gate)) for gate in gates]}

    def rows(self) -> list[Row]:
        """How we stand with everybody of whom something is known."""
        gates = self._remote.traffic.all()[-ROWS:]
        rows = [self._row(gate) for gate in gates]
        now, directions = self._now(), self._remote.directions
        for (name, source), repute in list(self._remote.traffic.remembered().items())[-ROWS:]:
            provider = directions.providers.named(name) or Provider(name, listed=False)
            limits = self._remote.traffic.limits_of(provider)
            rows.append(row(provider, source, repute, limits, now, 0))
        return sorted(rows, key=lambda it: (it.provider, it.source))

    def _row(self, gate: Gate) -> Row:
        return row(
            gate.provider, gate.source.name, gate.repute, gate.limits, self._now(), gate.busy
        )

    def _gates(self, order: Order) -> list[Gate]:
        """Those that an order is about; a domain may be named instead of its provider."""
        remote = self._remote
        provider = remote.directions.providers.named(order.provider)
        if provider is None:
            provider = remote.provider_of(Exchange(order.provider)) or self._met(order.provider)
        if provider is None:
            return []
        sources: Sequence[Source] = remote.directions.sources_of(provider) or (ANY_SOURCE,)
        return [
            remote.traffic.gate(provider, [source])
            for source in sources
            if order.source in (None, source.name)
        ]

    def _met(self, name: str) -> Provider | None:
        """A provider without a section that mail was sent to."""
        found = (it.provider for it in self._remote.traffic.all() if it.provider.name == name)
        return next(found, None)
