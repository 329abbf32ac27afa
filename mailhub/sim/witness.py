"""Listens in on every SMTP connection of a world, for the judge.

At the server's end it hears whether each reply answers its command, and which messages
were accepted; at the client's, how fast a hub goes: there, because what is held up on its
way arrives faster than it was sent.

What travels encrypted is not understood; connections are counted all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from mailhub.sim.dialogue import Dialogue, Transaction
from mailhub.sim.hub import SimHub
from mailhub.sim.network import Host, Network
from mailhub.sim.rates import Ceiling, Rates, ceiling_of
from mailhub.sim.wire import End

PORTS: Final = (25, 587)
"""Of SMTP, and of submission."""

Taken = Callable[[Host, Transaction, bool], object]
"""Told of each final reply: by which host, to what; and whether a middlebox has handed it in."""


class _Ear:
    """Listens at one end of a connection."""

    def __init__(self, dialogue: Dialogue, *, client: bool) -> None:
        self.dialogue = dialogue
        self._client = client

    def wrote(self, octets: bytes) -> None:
        (self.dialogue.asked if self._client else self.dialogue.answered)(octets)

    def heard(self, octets: bytes) -> None:
        (self.dialogue.answered if self._client else self.dialogue.asked)(octets)


class Witness:
    """Implements `network.Witness`.

    Args:
        hubs: By the names of their hosts.
        taken: See there.

    Attributes:
        rates: How fast the hubs went.
        rude: Names of hosts that answer out of order because they are told to.
        watch: Called with each end at which something is about to be said, if it is set.
    """

    def __init__(self, network: Network, hubs: Mapping[str, SimHub], taken: Taken) -> None:
        self.rates = Rates()
        self.rude: set[str] = set()
        self.watch: Callable[[End], object] | None = None
        self._faults: list[str] = []
        self._hubs = hubs
        self._taken = taken
        self._network = network
        self._ears: dict[End, _Ear] = {}
        self._calls: dict[tuple[str, str], dict[End, None]] = {}
        network.witness = self

    @property
    def faults(self) -> list[str]:
        """What was wrong so far."""
        return [*self._faults, *self.rates.faults]

    # ---- The network tells -----------------------------------------------------------------

    def opened(self, near: End, far: End, *, copied: bool) -> None:
        """A connection stands."""
        if near.there[1] not in PORTS:
            return

        def answered(what: str, transaction: Transaction) -> None:
            if what == ".":
                self._taken(far.host, transaction, copied)

        self._ears[far] = _Ear(Dialogue(answered), client=False)
        if not copied and near.host.name in self._hubs and near.host is not far.host:
            self._follow(near, far.host)

    def _follow(self, near: End, target: Host) -> None:
        """A hub has called somebody."""
        ceiling = ceiling_of(self._hubs[near.host.name].settings, target.name)
        source = f"{near.host.name} {near.here[0]}"
        begun = 0

        def asked(what: str, transaction: Transaction) -> None:
            nonlocal begun
            if what == "MAIL":
                begun += 1
                self.rates.message(source, ceiling, begun)
                self.rates.begun(source, ceiling, self._network.clock.seconds())
            elif what == "RCPT":
                self.rates.recipient(source, ceiling, transaction.named)

        self._ears[near] = _Ear(Dialogue(asked), client=True)
        calls = self._calls.setdefault((source, ceiling.name), {})
        calls[near] = None
        self._count(source, ceiling, calls)

    def _count(self, source: str, ceiling: Ceiling, calls: dict[End, None]) -> None:
        for end in [it for it in calls if not self._stands(it)]:
            del calls[end]
        self.rates.open(source, ceiling, len(calls))

    def _stands(self, end: End) -> bool:
        """Whether a connection is one for its client: it has not closed it, nor said goodbye."""
        ear = self._ears.get(end)
        open_ = end.connected and not end.disconnecting and not end.life.over
        return open_ and ear is not None and not ear.dialogue.over

    def wrote(self, end: End, octets: bytes) -> None:
        """Somebody says something."""
        ear = self._ears.get(end)
        if ear is not None:
            ear.wrote(octets)
            self._note(end, ear)
        if self.watch is not None and (end.here[1] in PORTS or end.there[1] in PORTS):
            self.watch(end)

    def heard(self, end: End, octets: bytes) -> None:
        """Somebody hears something."""
        ear = self._ears.get(end)
        if ear is not None:
            ear.heard(octets)
            self._note(end, ear)

    def ended(self, end: End) -> None:
        """A connection is no more, at one end."""
        self._ears.pop(end, None)

    def quiet(self, hub: SimHub) -> bool:
        """Whether nothing that it has said can still be heard by somebody else."""
        return not any(it.other.host is hub.host for it in self._ears if not it.client)

    def _note(self, end: End, ear: _Ear) -> None:
        """Keep what was wrong, where it is the server's doing."""
        faults = ear.dialogue.faults
        if faults and not end.client and end.host.name not in self.rude:
            self._faults += [f"{end.host.name}: {fault}" for fault in faults]
        faults.clear()
