"""Remote delivery: one attempt to hand a message on to its next hop, wherever that can be reached.

The hosts of a hop are tried in order, each with its addresses in turn, IPv6 and
IPv4 alternating, until every recipient has been answered for.

Decisions, where the RFCs leave room:

- What a server says about a recipient, 4yz or 5yz, is final for this attempt:
  the other hosts of a domain share its mailboxes, and a greylisting one must
  not be evaded. Where the connection was of no use (refused, lost, 421, a
  greeting or EHLO refused, no usable TLS) the next host is tried
  (RFC 5321 §5.1).
- A refusal of ours, because a host lacks SMTPUTF8 or the like, also leads to
  the next host: another may have it.
- A 5yz greeting is temporary for the message (`smtp.wire.Unwelcome`).
- If all hosts failed, a temporary reason is reported before a permanent one: no
  message bounces while one host may come back.
- A message that may have been accepted (in doubt) is not tried elsewhere now;
  the queue decides whether it risks a duplicate.

Nothing is raised but bugs and cancellation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from itertools import zip_longest
from typing import Final

from mailhub.mail.envelope import Envelope
from mailhub.mail.reply import Refusal, Reply
from mailhub.policy.limits import Family, RemoteLimits
from mailhub.policy.route import (
    Exchange,
    Hop,
    Shuffle,
    Smarthost,
    TlsDemand,
    candidates,
    literal_host,
)
from mailhub.ports import Attempt, Content, LookupFailed, Mx, NoSuchDomain, Outcome, Resolver
from mailhub.relay.names import Names
from mailhub.relay.pool import Link, Peer, Pool, Stopping
from mailhub.sasl.client import Credentials
from mailhub.smtp.handover import Handover
from mailhub.smtp.wire import Broken, LoginFailed, Unreadable, Unwelcome

REMOTE_LIMITS: Final = RemoteLimits()


class _Next(Enum):
    """What to do after a connection."""

    STOP = "stop"
    ELSEWHERE = "elsewhere"
    AGAIN = "again"
    """The same address: the server wanted no more on that connection."""
    CLEAR = "clear"
    """The same address, without TLS."""
    STALE = "stale"
    """Another connection: this one had been closed while it was idle."""


@dataclass(frozen=True, slots=True)
class _Plan:
    """Where to go.

    Attributes:
        hosts: In order.
        destination: Hops with the same exchanges share their turns.
    """

    hosts: tuple[Mx, ...]
    destination: str


@dataclass(slots=True)
class _Progress:
    """What became of the recipients so far.

    Attributes:
        excuses: For those without a reply: why the hosts tried were of no use,
            and the host whose words these are.
        unfit: Hosts that cannot take the message at all.
    """

    envelope: Envelope
    names: Names
    replies: list[Reply | None]
    hosts: list[str]
    dsn: list[bool]
    excuses: list[tuple[Reply, str] | None]
    attempts: list[Attempt] = field(default_factory=list)
    unfit: set[str] = field(default_factory=set)

    @classmethod
    def of(cls, envelope: Envelope, names: Names) -> _Progress:
        """Nothing yet."""
        number = len(envelope.recipients)
        return cls(
            envelope, names, [None] * number, [""] * number, [False] * number, [None] * number
        )

    @property
    def open(self) -> list[int]:
        """The recipients that are still to be answered for."""
        return [number for number, reply in enumerate(self.replies) if reply is None]

    def excuse(self, reply: Reply, host: str = "", numbers: Sequence[int] | None = None) -> None:
        """Note why a host was of no use; a permanent reason never replaces a temporary one."""
        for number in self.open if numbers is None else numbers:
            before = self.excuses[number]
            if before is None or before[0].permanent or not reply.permanent:
                self.excuses[number] = (reply, host)

    def outcome(self) -> Outcome:
        """The end of it: whoever has no reply gets the excuse."""
        for number in self.open:
            excuse = self.excuses[number] or (Reply(451, "4.1", ("No host to try",)), "")
            self.replies[number], self.hosts[number] = excuse
        replies = tuple(reply for reply in self.replies if reply is not None)
        return Outcome(
            replies,
            tuple(self.attempts),
            tuple(self.hosts),
            tuple(self.dsn),
            lookups=tuple(self.names.lookups),
        )


class Remote:
    """Delivers to hosts that are not us."""

    def __init__(
        self,
        resolver: Resolver,
        pool: Pool,
        *,
        shuffle: Shuffle,
        time: Callable[[], float],
        ourselves: Collection[str] = (),
        listening: Collection[tuple[str, int]] = (),
        limits: RemoteLimits = REMOTE_LIMITS,
    ) -> None:
        """`time` gives seconds since the epoch; `resolver` and `limits` may be replaced later.

        `ourselves` are the names we receive mail under, `listening` the addresses
        and ports where we do, ``""`` for all addresses: exchanges that are us are
        not tried (RFC 5321 §5.1).
        """
        self.resolver = resolver
        self._pool = pool
        self._shuffle = shuffle
        self._time = time
        self._ourselves = frozenset(ourselves)
        self._listening = frozenset(listening)
        self.limits = limits

    async def deliver(self, hop: Hop, envelope: Envelope, content: Content) -> Outcome:
        """One attempt to hand a message on to all of the envelope's recipients.

        The content is read, perhaps several times, and not closed.
        """
        names = Names(self.resolver, self._time)
        progress = _Progress.of(envelope, names)
        try:
            plan = await self._plan(hop, names)
            async with self._pool.turn(plan.destination):
                await self._walk(hop, plan, progress, content)
        except Refusal as refusal:
            progress.excuse(refusal.reply)
        except Stopping:
            progress.excuse(Reply(451, "3.2", ("We are shutting down",)))
        return progress.outcome()

    async def stop(self) -> None:
        """Let messages on their way finish for a while, then close all connections."""
        await self._pool.stop()

    # ---- Where to go -----------------------------------------------------------------------

    async def _plan(self, hop: Hop, names: Names) -> _Plan:
        """The hosts of a hop.

        Raises:
            Refusal: It has none, wants no mail, or cannot be looked up.
        """
        if isinstance(hop, Smarthost):
            return _Plan((Mx(0, hop.host),), f"route {hop.name}")
        address = literal_host(hop)
        if address is not None:
            return _Plan((Mx(0, address),), hop.domain)
        try:
            answer = await names.mx(hop.domain)
        except NoSuchDomain:
            raise Refusal(550, "1.2", f"The domain {hop.domain} does not exist") from None
        except LookupFailed as failure:
            raise Refusal(451, "4.3", f"Looking up {hop.domain} failed: {failure}") from None
        hosts = candidates(hop.domain, answer.records, self._shuffle, self._ourselves)
        destination = " ".join(sorted(mx.host for mx in hosts))
        return _Plan(hosts[: self.limits.hosts], destination)

    async def _addresses(self, hop: Hop, host: str, names: Names) -> list[str]:
        """The addresses of a host, in the order to try them.

        Raises:
            Refusal: It has none, or cannot be looked up.
        """
        try:
            answer = await names.addresses(host)
        except LookupFailed as failure:
            raise Refusal(451, "4.3", f"Looking up {host} failed: {failure}") from None
        except NoSuchDomain:
            raise _unroutable(hop, f"The host {host} does not exist") from None
        found = _alternating(answer.records, self.limits.family, self._shuffle)
        if not found:
            raise _unroutable(hop, f"The host {host} has no address")
        return found

    # ---- Going there -----------------------------------------------------------------------

    async def _walk(self, hop: Hop, plan: _Plan, progress: _Progress, content: Content) -> None:
        """Try host after host until every recipient is answered for."""
        if await self._use_idle(hop, plan, progress, content) is _Next.STOP:
            return
        left = self.limits.addresses
        for mx in plan.hosts:
            peer = _peer(hop, mx.host, progress.envelope)
            try:
                addresses = await self._addresses(hop, mx.host, progress.names)
            except Refusal as refusal:
                self._unreached(progress, peer, refusal.reply)
                continue
            for address in addresses[:left]:
                if mx.host in progress.unfit:
                    break
                left -= 1
                if (address, peer.port) in self._listening and isinstance(hop, Exchange):
                    progress.excuse(_loop(peer))
                    return
                if await self._call(peer, address, progress, content) is _Next.STOP:
                    return

    async def _use_idle(
        self, hop: Hop, plan: _Plan, progress: _Progress, content: Content
    ) -> _Next:
        """Use a connection that is open already, to one of the hosts that are preferred equally."""
        for mx in plan.hosts:
            if mx.preference != plan.hosts[0].preference:
                break
            peer = _peer(hop, mx.host, progress.envelope)
            while (link := self._pool.take(peer)) is not None:
                then = await self._send(link, self._time(), progress, content)
                if then is not _Next.STALE:
                    return then
        return _Next.ELSEWHERE

    async def _call(self, peer: Peer, address: str, progress: _Progress, content: Content) -> _Next:
        """Try one address, with as many connections as that takes."""
        clear = False
        while True:
            started = self._time()
            try:
                link = await self._pool.connect(peer, address, clear=clear)
            except Broken as fault:
                self._unreached(progress, peer, fault.reply, address, started)
                return _Next.ELSEWHERE
            if ("", peer.port) in self._listening and link.stays_here:
                link.abort()
                progress.excuse(_loop(peer))
                return _Next.STOP
            then = await self._send(link, started, progress, content)
            if then is _Next.CLEAR:
                clear = True
            elif then is not _Next.AGAIN:
                return then

    async def _send(
        self, link: Link, started: float, progress: _Progress, content: Content
    ) -> _Next:
        """Hand the message on over one connection, and give that back or end it."""
        session = link.session
        reused = link.sent > 0
        numbers = progress.open
        try:
            if not reused:
                await session.open(implicit=link.peer.implicit)
            handover = await session.deliver(_part(progress.envelope, numbers), content)
        except Broken as fault:
            handover = Handover([None] * len(numbers), fault=fault)
        except BaseException:
            link.abort()  # cancelled amid something: the server must not think it whole
            raise
        self._note(progress, link, numbers, handover)
        progress.attempts.append(self._attempt(link, started, handover, reused=reused))
        if handover.fault is None:
            self._pool.give_back(link)
        else:
            link.end(handover.fault)
        return _after(progress, link, handover, reused=reused)

    # ---- Bookkeeping -----------------------------------------------------------------------

    def _note(
        self, progress: _Progress, link: Link, numbers: Sequence[int], handover: Handover
    ) -> None:
        """Carry the replies over to the recipients."""
        host = link.peer.host
        for place, number in enumerate(numbers):
            reply = handover.replies[place]
            if reply is None:
                continue
            if place in handover.ours:
                progress.excuse(_about(host, link.address, reply), numbers=(number,))
                progress.unfit.add(host)
                continue
            progress.replies[number] = reply
            progress.hosts[number] = host
            progress.dsn[number] = reply.positive and link.session.features.dsn
        fault = handover.fault
        if fault is None:
            return
        if fault.heard:
            progress.excuse(fault.reply, host)
        else:
            progress.excuse(_about(host, link.address, fault.reply))

    def _attempt(self, link: Link, started: float, handover: Handover, *, reused: bool) -> Attempt:
        session, fault = link.session, handover.fault
        secured = session.secured
        ours = [handover.replies[place] for place in sorted(handover.ours)]
        reply = fault.reply if fault is not None else (ours[0] if ours else session.said)
        if isinstance(fault, Unwelcome):
            reply = fault.greeting
        return Attempt(
            started=started,
            ended=self._time(),
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
        )

    def _unreached(
        self,
        progress: _Progress,
        peer: Peer,
        reply: Reply,
        address: str = "",
        started: float | None = None,
    ) -> None:
        """Note a host, or an address, that there was no connection to."""
        progress.excuse(_about(peer.host, address, reply) if address else reply)
        now = self._time()
        begun = now if started is None else started
        progress.attempts.append(
            Attempt(begun, now, peer.host, address, peer.port, "", "", False, "connect", reply)
        )


def _after(progress: _Progress, link: Link, handover: Handover, *, reused: bool) -> _Next:
    fault = handover.fault
    if not progress.open:
        return _Next.STOP
    if fault is None:
        # Without replies of our own there are transactions that the server put off.
        return _Next.AGAIN if handover.open else _Next.ELSEWHERE
    if fault.in_doubt or isinstance(fault, Unreadable):
        return _Next.STOP
    if isinstance(fault, LoginFailed) and fault.refused.permanent:
        return _Next.STOP  # the same password again would soon have us locked out
    if fault.handshake and link.tls is TlsDemand.OPPORTUNISTIC and not link.peer.implicit:
        return _Next.CLEAR
    return _Next.STALE if reused and fault.stage == "mail" else _Next.ELSEWHERE


def _peer(hop: Hop, host: str, envelope: Envelope) -> Peer:
    # REQUIRETLS: a certificate that is good for the name, whatever else we ask (RFC 8689 §4.2.1).
    tls = TlsDemand.VERIFIED if envelope.require_tls else hop.tls
    if isinstance(hop, Exchange):
        return Peer(host, hop.port, tls)
    credentials = Credentials(hop.username, hop.password) if hop.username else None
    return Peer(host, hop.port, tls, hop.implicit, credentials)


def _loop(peer: Peer) -> Reply:
    return Reply(554, "4.6", (f"{peer.host} is ourselves: a loop",))


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


def _alternating(addresses: Sequence[str], family: Family, shuffle: Shuffle) -> list[str]:
    """IPv6 and IPv4 in turn, so that the lack of one costs one attempt; at random within each."""
    six = [address for address in addresses if ":" in address and family is not Family.IPV4]
    four = [address for address in addresses if ":" not in address and family is not Family.IPV6]
    shuffle(six)
    shuffle(four)
    return list(_zipped(six, four))


def _zipped(first: Sequence[str], second: Sequence[str]) -> Iterator[str]:
    for pair in zip_longest(first, second):
        yield from (address for address in pair if address is not None)
