"""Goes from host to host of one provider with one message, until every recipient is answered for.

The hosts are tried in order, each with its addresses (`relay.race`). Decisions,
where the RFCs leave room:

- What a server says about a recipient, 4yz or 5yz, is final for this attempt:
  the other hosts of a domain share its mailboxes, and a greylisting one must
  not be evaded. Where the connection was of no use (refused, lost, 421, a
  greeting or EHLO refused, no usable TLS) the next host is tried
  (RFC 5321 §5.1).
- A refusal of ours, because a host lacks SMTPUTF8 or the like, also leads to
  the next host: another may have it.
- A 5yz greeting is temporary for the message (`smtp.wire.Unwelcome`).
- A host that loses its way among several commands, or does not know BDAT although it
  announces CHUNKING, is called again at once, and gets one at a time for a day and
  no chunks (`Pool.astray`): nothing that it said is believed.
- A message that may have been accepted (in doubt) is not tried elsewhere now;
  the queue decides whether it risks a duplicate.
"""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from enum import Enum
from itertools import accumulate
from operator import or_
from typing import Any, Final

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace
from mailhub.policy.cause import Cause
from mailhub.policy.protection import NOTHING, Assurance
from mailhub.policy.provider import Provider
from mailhub.policy.route import Exchange, Hop, TlsDemand
from mailhub.ports.message import Content
from mailhub.ports.resolver import Mx
from mailhub.relay import blame
from mailhub.relay.approach import Approach, Means
from mailhub.relay.findings import Findings
from mailhub.relay.pool import GIVEN_UP, Link, Peer, Seat
from mailhub.relay.progress import Excuse, Progress
from mailhub.relay.race import race
from mailhub.relay.traffic import Gate, PutOff, Turn
from mailhub.smtp.job import Handover
from mailhub.smtp.wire import (
    Broken,
    Incomprehensible,
    LoginFailed,
    Unreadable,
)

QUICK: Final = 0.05
"""Seconds that a message takes somewhere for which it is not worth having a connection alone."""


class Next(Enum):
    """What to do after a connection."""

    STOP = "stop"
    ELSEWHERE = "elsewhere"
    AGAIN = "again"
    """The same address: the server wanted no more on that connection."""
    CLEAR = "clear"
    """The same address, without TLS."""
    STALE = "stale"
    """Another connection: this one had been closed while it was idle."""


class Walk:
    """One message's, through one gate."""

    def __init__(
        self,
        means: Means,
        hop: Hop,
        hosts: Sequence[Mx],
        gate: Gate,
        turn: Turn,
        progress: Progress,
        content: Content,
        assurance: Assurance = NOTHING,
    ) -> None:
        self._means = means
        self._hop = hop
        self._hosts = hosts
        self._gate = gate
        self._turn = turn
        self._provider: Provider = gate.provider
        self._progress = progress
        self._content = content
        self._approach = Approach(
            means,
            hop,
            gate.provider,
            gate.source,
            progress.envelope,
            progress.names,
            assurance,
        )
        self._findings = Findings(
            means.time, means.classifier, hop, gate, progress, means.protector, assurance
        )

    async def run(self) -> None:
        """Try host after host.

        Raises:
            PutOff: There is no connection to be had, or no slot for another transaction.
        """
        progress = self._progress
        await self._hosts_in_order()
        if not progress.reached and progress.open:
            excuse = progress.fates[progress.open[0]].excuse
            if excuse is not None and excuse.cause is Cause.UNREACHABLE:
                self._gate.unreached(excuse.reply)

    async def _hosts_in_order(self) -> None:
        if await self._use_idle() is Next.STOP:
            return
        left = self._means.limits.addresses
        for mx in self._hosts:
            try:
                peer = await self._approach.peer(mx.host)
                addresses = await self._approach.addresses(mx.host)
            except Refusal as refusal:
                self._findings.unreached(mx.host, refusal.reply, blame.of_lookup(refusal.reply))
                continue
            addresses = addresses[:left]
            left -= len(addresses)
            if await self._call(peer, addresses) is Next.STOP:
                return

    # ---- Connections -----------------------------------------------------------------------

    async def _use_idle(self) -> Next:
        """Use a connection to the first host that is open already.

        Not one to its equals: they come in random order so that all have their share
        (RFC 5321 §5.1). Where no more connections may be made, one to any of them is followed.
        Where messages are quick another one is followed in any case: that takes no longer, and
        half as many packets.
        """
        peers = []
        for mx in self._hosts:
            if mx.preference != self._hosts[0].preference:
                break
            try:
                peer = await self._approach.peer(mx.host)
            except Refusal:
                continue  # it is told of below, when its turn comes
            peers.append(peer)
        if peers and self._gate.service < QUICK:
            then = await self._behind(peers[0])
            if then is not Next.STALE:
                return then
        while peers and (link := self._means.pool.take(peers[0])) is not None:
            then = await self._send(link, self._means.time())
            if then is not Next.STALE:
                return then
        return await self._join(peers)

    async def _join(self, peers: Sequence[Peer]) -> Next:
        """Follow another message on its connection, if there may be no more of them."""
        pool, full = self._means.pool, False
        for peer in peers:
            full = pool.full(peer, self._gate.places)
            if full:
                then = await self._behind(peer)
                if then is not Next.STALE:
                    return then
        if full and pool.full(peers[-1], self._gate.places):
            words = f"Many connections to {self._provider.name}: this waits for its turn"
            raise PutOff(Reply(451, "3.2", (words,)), self._means.time() + self._gate.service)
        return Next.ELSEWHERE

    async def _behind(self, peer: Peer) -> Next:
        """Follow another message on a connection to this peer, if there is one to follow."""
        seat = self._means.pool.join(peer)
        return Next.STALE if seat is None else await self._follow(seat)

    async def _follow(self, seat: Seat) -> Next:
        """Hand the message on behind another one, on the same connection."""
        link, started = seat.link, self._means.time()
        numbers = self._progress.open
        part = _part(self._progress.envelope, numbers)
        try:
            job = await link.session.prepare(part, self._content, self._turn.begins)
        except Broken as fault:  # unreadable: nothing was announced
            self._findings.blame(link, fault)
            seat.leave()
            return Next.STOP
        except BaseException:
            seat.leave()
            raise
        if not await seat.wait(job):
            return Next.STALE
        self._seat(link)
        return await self._hand_over(link, link.session.hand_over(job), started, numbers)

    async def _call(self, peer: Peer, addresses: list[str]) -> Next:
        """Try the addresses of one host."""
        means = self._means
        while addresses and peer.host not in self._progress.unfit:
            others = self._before_ourselves(addresses, peer.port)
            if not others:
                self._progress.excuse(_loop(peer))
                return Next.STOP
            result = await race(
                others,
                lambda address: means.pool.connect(peer, address, most=self._gate.places),
                means.pool.reactor,
                means.time,
                means.limits.stagger,
            )
            for address, started, fault in result.failed:
                self._findings.unreached(
                    peer.host, fault.reply, blame.of_connection(fault.reply), address, started
                )
            addresses = [*result.left, *addresses[len(others) :]]
            if result.winner is None:
                continue
            address, started, link = result.winner
            then = await self._converse(peer, address, link, started)
            if then is Next.STOP:
                return then
        return Next.ELSEWHERE

    def _before_ourselves(self, addresses: list[str], port: int) -> list[str]:
        """The addresses up to the first where we listen: an exchange there is us."""
        if not isinstance(self._hop, Exchange):
            return addresses
        ours = ((address, port) in self._means.listening for address in addresses)
        return [
            address
            for address, stop in zip(addresses, accumulate(ours, or_), strict=True)
            if not stop
        ]

    async def _converse(self, peer: Peer, address: str, link: Link, started: float) -> Next:
        """Use a new connection to an address, and as many more as that takes."""
        means = self._means
        while True:
            if ("", peer.port) in means.listening and link.stays_here:
                link.abort()
                self._progress.excuse(_loop(peer))
                return Next.STOP
            if not await self._approach.presentable(link.local, link.address):
                link.abort()
                words = f"Our address {link.local} has no name, and they want one for IPv6"
                self._findings.unreached(
                    peer.host, Reply(451, "7.25", (words,)), Cause.POLICY, address, started
                )
                return Next.ELSEWHERE
            then = await self._send(link, started)
            if then not in (Next.AGAIN, Next.CLEAR):
                return then
            started = means.time()
            clear = then is Next.CLEAR
            try:
                link = await means.pool.connect(peer, address, clear=clear, most=self._gate.places)
            except Broken as fault:
                self._findings.unreached(
                    peer.host, fault.reply, blame.of_connection(fault.reply), address, started
                )
                return Next.ELSEWHERE

    async def _send(self, link: Link, started: float) -> Next:
        """Hand the message on over one connection, and give that back or end it."""
        session = link.session
        numbers = self._progress.open

        async def opened() -> Handover:
            if not link.sent:
                await session.open(implicit=link.peer.implicit)
            self._seat(link)
            part = _part(self._progress.envelope, numbers)
            return await session.deliver(part, self._content, self._turn.begins)

        return await self._hand_over(link, opened(), started, numbers)

    def _seat(self, link: Link) -> None:
        """Have others follow this message, as many as may."""
        seats = self._means.pool.at_work(link)
        if seats:
            self._gate.seat(link, seats)

    async def _hand_over(
        self,
        link: Link,
        work: Coroutine[Any, Any, Handover],
        started: float,
        numbers: list[int],
    ) -> Next:
        """What comes of handing the message on; the connection is given back, or ended."""
        reused = link.sent > 0
        try:
            handover = await work
        except Broken as fault:
            handover = Handover([None] * len(numbers), fault=fault)
        except BaseException:
            self._means.pool.end(link, GIVEN_UP)
            link.abort()  # cancelled amid something: the server must not think it whole
            raise
        finally:
            self._gate.unseat(link)
        self._findings.heard(link, numbers, handover)
        if not reused:
            needed = self._approach.needed[link.peer.host]
            self._findings.weigh(link, handover.fault, needed)
        self._findings.attempted(link, started, handover, reused=reused)
        if handover.fault is None:
            self._means.pool.give_back(link)
        else:
            self._means.pool.end(link, handover.fault)
        return self._after(link, handover, reused=reused)

    def _after(self, link: Link, handover: Handover, *, reused: bool) -> Next:
        fault = handover.fault
        if not self._progress.open:
            return Next.STOP
        if fault is None and handover.open and self._turn.over is not None:
            raise self._turn.put_off()
        if fault is None:
            # Without replies of our own there are transactions that the server put off.
            return Next.AGAIN if handover.open else Next.ELSEWHERE
        if fault.in_doubt or isinstance(fault, Unreadable):
            return Next.STOP
        if isinstance(fault, LoginFailed) and fault.refused.permanent:
            return Next.STOP  # the same password again would soon have us locked out
        if fault.handshake and link.tls is TlsDemand.OPPORTUNISTIC and not link.peer.implicit:
            return Next.CLEAR
        if fault.together and isinstance(fault, Incomprehensible):
            return Next.AGAIN
        return Next.STALE if reused and fault.stage == "mail" else Next.ELSEWHERE


def _loop(peer: Peer) -> Excuse:
    reply = Reply(554, "4.6", (f"{peer.host} is ourselves: a loop",))
    return Excuse(reply, Cause.LOCAL)


def _part(envelope: Envelope, numbers: Sequence[int]) -> Envelope:
    if len(numbers) == len(envelope.recipients):
        return envelope
    return replace(envelope, recipients=tuple(envelope.recipients[number] for number in numbers))
