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
- A host that loses its way among several commands is called again at once, and
  gets one at a time for a day (`Pool.astray`): nothing that it said is believed.
- A message that may have been accepted (in doubt) is not tried elsewhere now;
  the queue decides whether it risks a duplicate.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine, Sequence
from enum import Enum
from itertools import accumulate
from operator import or_
from typing import Any, Final

from mailhub.mail.address import NULL
from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.mail.value import replace, value
from mailhub.net.clienttls import Promise
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier, Verdict
from mailhub.policy.dane import Usage
from mailhub.policy.limits import RemoteLimits
from mailhub.policy.protection import NOTHING, Assurance, Protection, protection
from mailhub.policy.provider import Provider
from mailhub.policy.route import Exchange, Hop, Shuffle, TlsDemand
from mailhub.policy.tlsrpt import Contact, Fault
from mailhub.ports.message import Content
from mailhub.ports.outgoing import Attempt
from mailhub.ports.resolver import LookupFailed, Mx, NoSuchDomain, Tlsa
from mailhub.relay import blame
from mailhub.relay.pool import Link, Peer, Pool, Seat
from mailhub.relay.progress import Excuse, Progress
from mailhub.relay.protector import Protector
from mailhub.relay.race import race
from mailhub.relay.reach import UnnamedAddresses, in_order, usable
from mailhub.relay.traffic import Gate, PutOff, Turn
from mailhub.sasl.client import Credentials
from mailhub.smtp.handover import Handover
from mailhub.smtp.wire import (
    Broken,
    Incomprehensible,
    LoginFailed,
    Unreadable,
    Untrusted,
    Unwelcome,
)

CUT: Final = Broken(Reply(451, "3.2", ("Cut short",)), "content")
"""What ends a connection whose message was called off."""


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


@value(frozen=True, slots=True)
class Means:
    """What it takes to go anywhere.

    Attributes:
        time: Seconds since the epoch.
        listening: Addresses and ports where we receive mail, ``""`` for all addresses.
        unnamed: Local IPv6 addresses that were found to have no name.
    """

    pool: Pool
    shuffle: Shuffle
    time: Callable[[], float]
    listening: Collection[tuple[str, int]]
    limits: RemoteLimits
    classifier: Classifier
    unnamed: UnnamedAddresses
    protector: Protector | None = None


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
        self._assurance = assurance
        self._needed: dict[str, Protection] = {}  # by host
        self._means = means
        self._hop = hop
        self._hosts = hosts
        self._gate = gate
        self._turn = turn
        self._provider: Provider = gate.provider
        self._progress = progress
        self._content = content

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
                peer = await self._peer(mx.host)
                addresses = await self._addresses(mx.host)
            except Refusal as refusal:
                self._unreached(mx.host, refusal.reply, blame.of_lookup(refusal.reply))
                continue
            addresses = addresses[:left]
            left -= len(addresses)
            if await self._call(peer, addresses) is Next.STOP:
                return

    async def _peer(self, host: str) -> Peer:
        """A host, and the terms on which we talk to it.

        Raises:
            Refusal: It may not have the message.
        """
        hop, provider = self._hop, self._provider
        needed = await self._protection(host)
        implicit, credentials = False, None
        if not isinstance(hop, Exchange):
            implicit = hop.implicit
            credentials = Credentials(hop.username, hop.password) if hop.username else None
        return Peer(
            host,
            hop.port,
            needed.demand,
            implicit,
            credentials,
            self._gate.source,
            provider.name,
            provider.messages,
            provider.recipients,
            self._promise(host, needed.records),
        )

    async def _protection(self, host: str) -> Protection:
        hop, assurance, protector = self._hop, self._assurance, self._means.protector
        configured = self._provider.demand(hop.tls)
        records: tuple[Tlsa, ...] = ()
        envelope = self._progress.envelope
        asked = configured is not TlsDemand.NONE and not envelope.tls_optional
        if protector is not None and isinstance(hop, Exchange) and asked:
            records = await protector.records(host, hop, self._progress.names, assurance)
        needed = self._needed[host] = protection(
            configured,
            host,
            assurance,
            records,
            require_tls=envelope.require_tls and envelope.reverse_path != NULL,
            optional=envelope.tls_optional,
            named=not isinstance(hop, Exchange),
        )
        return needed

    def _promise(self, host: str, records: tuple[Tlsa, ...]) -> Promise | None:
        if not records:
            return None
        # Only an anchor's word needs a name, and the domain's would keep others' mail from
        # sharing the connection.
        anchored = any(record.usage == Usage.DANE_TA for record in records)
        names = (host, self._hop.name) if anchored else (host,)
        return Promise(records, names, self._means.time)

    async def _addresses(self, host: str) -> list[str]:
        """The addresses of a host, in the order to try them.

        Raises:
            Refusal: It has none that we may use, or cannot be looked up.
        """
        try:
            answer = await self._progress.names.addresses(host)
        except LookupFailed as failure:
            raise Refusal(451, "4.3", f"Looking up {host} failed: {failure}") from None
        except NoSuchDomain:
            raise _unroutable(self._hop, f"The host {host} does not exist") from None
        means, provider, source = self._means, self._provider, self._gate.source
        family = provider.family or means.limits.family
        found = in_order(answer.records, family, means.shuffle)
        if not found:
            raise _unroutable(self._hop, f"The host {host} has no address")
        unnamed = provider.named and means.unnamed.any(source.ipv6, means.time())
        return usable(host, found, source, unnamed=unnamed)

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
                peer = await self._peer(mx.host)
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
            self._note_fault(link, fault)
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
                self._unreached(peer.host, fault.reply, Cause.UNREACHABLE, address, started)
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
            if not await self._presentable(link):
                link.abort()
                words = f"Our address {link.local} has no name, and they want one for IPv6"
                self._unreached(
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
                self._unreached(peer.host, fault.reply, Cause.UNREACHABLE, address, started)
                return Next.ELSEWHERE

    async def _presentable(self, link: Link) -> bool:
        """Whether our end is one that this provider takes mail from."""
        if not self._provider.named or ":" not in link.address:
            return True
        if await self._progress.names.has_name(link.local):
            return True
        self._means.unnamed.add(link.local, self._means.time())
        return False

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
        """Have another message follow this one, if one may."""
        if self._means.pool.at_work(link):
            self._gate.seat(link)

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
            self._means.pool.end(link, CUT)
            link.abort()  # cancelled amid something: the server must not think it whole
            raise
        finally:
            self._gate.unseat(link)
        self._note(link, numbers, handover)
        if not reused:
            self._weigh(link, handover.fault)
        attempt = self._attempt(link, started, handover, reused=reused)
        self._progress.attempts.append(attempt)
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

    # ---- Bookkeeping -----------------------------------------------------------------------

    def _note(self, link: Link, numbers: Sequence[int], handover: Handover) -> None:
        """Carry the replies over to the recipients, and tell the gate what was heard."""
        heard: dict[Cause | None, tuple[Verdict | None, Reply]] = {}
        for place, number in enumerate(numbers):
            reply = handover.replies[place]
            if reply is None:
                continue
            if place in handover.ours:
                self._unfit(link, reply, number)
                continue
            verdict = None if reply.positive else self._verdict(reply)
            cause = None if verdict is None else verdict.cause
            dsn = reply.positive and link.session.features.dsn
            self._progress.settle(number, reply, cause, link.peer.host, dsn=dsn)
            heard.setdefault(cause, (verdict, reply))
        self._progress.reached = self._progress.reached or link.session.said is not None
        if None in heard:
            self._gate.taken(heard.pop(None)[1])
        for verdict, reply in heard.values():
            assert verdict is not None
            self._gate.refused(verdict, reply, link.session.stage)
        if handover.fault is not None:
            self._note_fault(link, handover.fault)

    def _weigh(self, link: Link, fault: Broken | None) -> None:
        """Tell what came of the encryption of a new connection, if it came so far."""
        protector, hop, session = self._means.protector, self._hop, link.session
        plain = link.tls is TlsDemand.NONE  # by demand, or after it was seen that TLS fails
        if protector is None or not isinstance(hop, Exchange) or plain:
            return
        found = None
        certificate = "" if session.secured is None else session.secured.certificate
        if fault is not None and fault.handshake:
            found = Fault.VALIDATION
        elif not certificate:
            early = fault is not None and fault.stage in ("connect", "banner", "ehlo")
            if early and not isinstance(fault, Untrusted):
                return
            found = Fault.NOT_OFFERED
        host, address = link.peer.host, link.address
        needed = self._needed[host]
        words = "" if fault is None or found is None else fault.reply.text
        contact = Contact(
            hop.domain, self._assurance, needed, certificate, found, host, address, words
        )
        protector.connected(contact)

    def _unfit(self, link: Link, reply: Reply, number: int) -> None:
        about = _about(link.peer.host, link.address, reply)
        self._progress.excuse(Excuse(about, blame.of_ours(reply)), (number,))
        self._progress.unfit.add(link.peer.host)

    def _note_fault(self, link: Link, fault: Broken) -> None:
        host = link.peer.host
        verdict = blame.of_fault(fault, self._means.classifier, self._provider.name)
        if fault.heard:
            self._progress.excuse(Excuse(fault.reply, verdict.cause, host))
        else:
            about = _about(host, link.address, fault.reply)
            self._progress.excuse(Excuse(about, verdict.cause))
        words = fault.greeting if isinstance(fault, Unwelcome) else fault.reply
        stale = link.sent > 0 and fault.stage == "mail"  # a farewell is about the time it took
        if (fault.heard or isinstance(fault, Unwelcome)) and not stale:
            self._gate.refused(verdict, words, fault.stage)

    def _verdict(self, reply: Reply) -> Verdict:
        return self._means.classifier.verdict(reply, self._provider.name)

    def _attempt(self, link: Link, started: float, handover: Handover, *, reused: bool) -> Attempt:
        session, fault = link.session, handover.fault
        secured = session.secured
        ours = [handover.replies[place] for place in sorted(handover.ours)]
        reply = fault.reply if fault is not None else (ours[0] if ours else session.said)
        if isinstance(fault, Unwelcome):
            reply = fault.greeting
        return Attempt(
            started=started,
            ended=self._means.time(),
            host=link.peer.host,
            address=link.address,
            port=link.peer.port,
            tls=f"{secured.tls.version} {secured.tls.cipher}" if secured is not None else "",
            certificate=secured.certificate if secured is not None else "",
            reused=reused,
            stage=fault.stage if fault is not None else session.stage,
            reply=reply or Reply(451, "4.2", ("Nothing was said",)),
            in_doubt=fault is not None and fault.in_doubt,
            dialogue=link.record.take(),
            provider=self._shown_provider,
            source=self._gate.source.name,
        )

    @property
    def _shown_provider(self) -> str:
        return self._provider.name if self._provider.listed else ""

    def _unreached(
        self,
        host: str,
        reply: Reply,
        cause: Cause,
        address: str = "",
        started: float | None = None,
    ) -> None:
        """Note a host, or an address, that there was no connection to."""
        about = _about(host, address, reply) if address else reply
        self._progress.excuse(Excuse(about, cause))
        now = self._means.time()
        attempt = Attempt(
            now if started is None else started,
            now,
            host,
            address,
            self._hop.port,
            "",
            "",
            reused=False,
            stage="connect",
            reply=reply,
            provider=self._shown_provider,
            source=self._gate.source.name,
        )
        self._progress.attempts.append(attempt)


def _loop(peer: Peer) -> Excuse:
    reply = Reply(554, "4.6", (f"{peer.host} is ourselves: a loop",))
    return Excuse(reply, Cause.PROTOCOL)


def _about(host: str, address: str, reply: Reply) -> Reply:
    """Words of ours, with the host that they are about: a sender reads them without the attempt."""
    where = host if host == address else f"{host} [{address}]"
    return replace(reply, lines=(f"{where}: {reply.lines[0]}", *reply.lines[1:]))


def _part(envelope: Envelope, numbers: Sequence[int]) -> Envelope:
    if len(numbers) == len(envelope.recipients):
        return envelope
    return replace(envelope, recipients=tuple(envelope.recipients[number] for number in numbers))


def _unroutable(hop: Hop, words: str) -> Refusal:
    # A smarthost that is not there is the operator's mistake, and not the message's.
    return Refusal(550 if isinstance(hop, Exchange) else 451, "4.4", words)
