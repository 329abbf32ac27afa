"""Connections to other hosts: made, kept for the next message, and used again.

How many messages may be on their way is decided before (`relay.traffic`).

Invariants:

1. No more connections of a group are open than may be: an idle one makes room.
   (Those who race for a connection may have two of them for a moment, and those that
   say goodbye are not counted any more.)
2. A connection is used again only for the same host on the same terms, by one
   message at a time, and never after anything went wrong on it.
3. An idle connection on which the server says anything, or which it closes, is
   gone before anybody can take it.
4. Messages may wait for a connection at work, and are announced on it already if
   the server pipelines, or sent (`smtp.handover`). They get the connection in their
   order, or learn that there is nothing to get; what was sent already is answered for
   in any case. What is announced and not wanted any more ends the connection.
"""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import field
from ipaddress import ip_address
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectBindError, ConnectError, NoRouteError
from twisted.internet.error import ConnectionRefusedError as Refused
from twisted.internet.error import TimeoutError as ConnectTimeout
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.python.failure import Failure

from mailhub.mail.address import Path
from mailhub.mail.reply import Reply
from mailhub.mail.value import replace, value
from mailhub.net.clienttls import ClientTls, Promise
from mailhub.net.esmtpclient import RelayClient
from mailhub.net.tls import reason
from mailhub.policy.limits import PoolLimits
from mailhub.policy.provider import ANY_SOURCE, Source
from mailhub.policy.route import TlsDemand
from mailhub.relay.reach import Astray
from mailhub.sasl.client import Credentials, chooser
from mailhub.smtp.client import ClientSession
from mailhub.smtp.handover import CLIENT_LIMITS, ClientLimits
from mailhub.smtp.job import Job
from mailhub.smtp.record import Record
from mailhub.smtp.wire import TIMEOUTS, Broken, TimedOut, Timeouts

POOL_LIMITS: Final = PoolLimits()
GIVEN_UP: Final = Broken(Reply(451, "3.2", ("Cut short",)), "content")
"""What ends a connection whose message was called off."""
SILENT: Final = 3600.0
"""Seconds for which a host gets one command at a time that fell silent among several: it need
not be for their number."""


@value(frozen=True, slots=True)
class Peer:
    """A host, and the terms on which we talk to it.

    Attributes:
        host: The name we mean to reach, or an IP address: SNI, and what the
            certificate must say.
        implicit: TLS from the first octet.
        credentials: To log in with.
        source: Where the connection comes from.
        group: Whose hosts these are: their connections are counted together.
        messages: The most over one connection; None as the pool has it.
        recipients: The most in one transaction; None as servers must take.
        promise: What the DNS says of its certificate, if it does.
        by: Whose demand `tls` is.
    """

    host: str
    port: int
    tls: TlsDemand
    implicit: bool = False
    credentials: Credentials | None = None
    source: Source = ANY_SOURCE
    group: str = ""
    messages: int | None = None
    recipients: int | None = None
    promise: Promise | None = None
    by: str = field(default="", compare=False)

    @property
    def counted(self) -> tuple[str, str]:
        """What its connections are counted under."""
        return self.group, self.source.name


class Berth:
    """All connections to one peer.

    Attributes:
        idle: Those that wait for a message, the one used last at the end.
        at_work: Those that another message may follow on.
        links: How many are counted (`Link.counted`).
        counted: As `Peer.counted`.
    """

    __slots__ = ("at_work", "counted", "idle", "links", "peer")

    def __init__(self, peer: Peer) -> None:
        self.peer = peer
        self.counted = peer.counted
        self.idle: deque[Link] = deque()
        self.at_work: dict[Link, None] = {}
        self.links = 0


class Link(RelayClient):
    """A connection of the pool.

    Attributes:
        address: The IP address it goes to.
        sent: Messages that were tried on it.
        counted: It is one of those that there may be.
        followers: Whoever gets it next, in order.
        idle: It is kept for the next message.
        record: What was said on it for the message at hand.
    """

    debug = False

    def __init__(self, pool: Pool, berth: Berth, address: str, tls: TlsDemand) -> None:
        peer = berth.peer
        super().__init__(None, None, peer.source.helo or pool.name)
        self.peer = peer
        self.berth = berth
        self.address = address
        self.sent = 0
        self.counted = True
        self.tls = tls
        self.server = peer.host
        self.client_tls = pool.client_tls
        self.promise = peer.promise
        self.timeouts = pool.timeouts
        self.callLater = pool.reactor.callLater
        self.record = Record()
        self.made: Deferred[Link] = Deferred()
        self.idle = False
        self.followers: deque[Seat] = deque()
        self._pool = pool

    @property
    def good(self) -> bool:
        """Whether whoever is announced on it may send."""
        return self._lost is None and (self.session.announced or self.usable)

    @property
    def joinable(self) -> bool:
        """Whether another message may be announced behind the one at work."""
        return self._lost is None and not self.session.exhausted

    @property
    def usable(self) -> bool:
        """Whether another message may be sent on it."""
        return self._lost is None and not self.session.surprised and not self.session.exhausted

    @property
    def local(self) -> str:
        """The address at our end."""
        return str(getattr(self.transport.getHost(), "host", ""))

    @property
    def stays_here(self) -> bool:
        """Whether it leads to this machine, by whichever of its addresses."""
        there = ip_address(self.address)
        return there.is_loopback or there.is_unspecified or self.local == self.address

    def begin(self) -> None:
        self.made.callback(self)

    def dataReceived(self, data: bytes) -> None:
        unasked = self.idle  # before: what it answers may make it idle
        super().dataReceived(data)
        if unasked and self.idle:
            self._pool.drop(self)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._pool.lost(self)

    def expired(self) -> None:
        super().expired()
        if self.idle:
            self._pool.drop(self)

    def leave(self) -> None:
        """Say goodbye, in the background."""
        self.start(self._leave())

    def _session(self) -> ClientSession:
        credentials = self.peer.credentials
        login = None
        if credentials is not None:
            # Readable only where the operator demanded that there be no TLS.
            plaintext = self.peer.tls is TlsDemand.NONE
            login = chooser(credentials, self._pool.nonce, plaintext=plaintext)
        assert self.tls is not None
        return ClientSession(
            self,
            self.peer.source.helo or self._pool.name,
            tls=self.tls,
            by=self.peer.by,
            login=login,
            timeouts=self.timeouts,
            limits=self._limits(),
            together=not self._pool.astray.has(self.peer.host, self._pool.reactor.seconds()),
            record=self.record,
            seconds=self._pool.reactor.seconds,
        )

    def _limits(self) -> ClientLimits:
        limits = replace(
            self._pool.client_limits,
            messages=self._pool.most(self),
            under_way=self._pool.under_way,
        )
        if self.peer.recipients is None:
            return limits
        return replace(limits, recipients=min(limits.recipients, self.peer.recipients))


class Seat:
    """The right to a connection once the messages before on it have been sent.

    Attributes:
        turn: Whether there is something to get.
        job: The message, once it is ready.
        left: Whoever had it is not there any more, but his message was announced.
    """

    def __init__(self, pool: Pool, link: Link) -> None:
        self.link = link
        self.turn: Deferred[bool] = Deferred()
        self.job: Job | None = None
        self.left = False
        self._pool = pool

    async def wait(self, job: Job) -> bool:
        """Announce a message, and wait for its turn; whether it has one."""
        self.job = job
        link = self.link
        if not self.turn.called:
            # Behind those that are ready, and before those that are not: so they are announced.
            link.followers.remove(self)
            link.followers.insert(sum(it.job is not None for it in link.followers), self)
            link.session.follow(job)
        try:
            return await self.turn
        except BaseException:
            # Cancelled. If it was announced the server expects it, and nobody will send it.
            self.left = not link.session.forget(job)
            if not self.left and self in link.followers:
                link.followers.remove(self)
            raise

    def leave(self) -> None:
        """Do without it; nothing was announced."""
        if self in self.link.followers:
            self.link.followers.remove(self)
            self._pool.at_work(self.link)
        elif self.link.counted:  # it is ours by now, whatever has become of it
            self._pool.give_back(self.link)


class _LinkFactory(ClientFactory):
    """Makes one link, or tells why not."""

    noisy = False

    def __init__(self, link: Link) -> None:
        self._link = link

    def buildProtocol(self, addr: IAddress | None) -> Link:  # noqa: ARG002
        return self._link

    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:  # noqa: ARG002
        if not self._link.made.called:
            self._link.made.errback(reason)


class Pool:
    """Makes connections, and keeps idle ones.

    Attributes:
        name: What we call ourselves in EHLO.
        nonce: For SCRAM; see `sasl.client.choose`.
        astray: Hosts that get one command at a time.
    """

    def __init__(
        self,
        reactor: Any,
        name: str,
        client_tls: ClientTls,
        nonce: Callable[[], str],
        *,
        limits: PoolLimits = POOL_LIMITS,
        timeouts: Timeouts = TIMEOUTS,
        client_limits: ClientLimits = CLIENT_LIMITS,
    ) -> None:
        self.reactor = reactor
        self.name = name
        self.client_tls = client_tls
        self.nonce = nonce
        self.timeouts = timeouts
        self.client_limits = client_limits
        self._limits = limits
        self._links: set[Link] = set()
        self._berths: dict[Peer, Berth] = {}
        self._idle: Counter[tuple[str, str]] = Counter()  # by what they are counted under
        self._idle_count = 0
        self._open: Counter[tuple[str, str]] = Counter()  # connections, made and being made
        self._connecting: set[Any] = set()
        self.astray = Astray()
        self._stopping = False
        self._hurried = False
        self._over: Deferred[None] | None = None

    def obey(self, limits: PoolLimits, timeouts: Timeouts) -> None:
        """Go by other limits from here on."""
        self._limits = limits
        self.timeouts = timeouts

    # ---- Connections -----------------------------------------------------------------------

    async def connect(
        self, peer: Peer, address: str, *, clear: bool = False, most: int | None = None
    ) -> Link:
        """A new connection; the session on it is not open yet.

        `clear` does without TLS although the peer might have it; `most` is how many
        connections of its group there may be.

        Raises:
            Broken: It cannot be made.
        """
        if self._hurried:
            raise Broken(Reply(451, "3.2", ("We are shutting down",)), "connect")
        if most is not None and self._open[peer.counted] >= most:
            self._make_room(peer.counted)
        self._open[peer.counted] += 1
        berth = self._berths.get(peer)
        if berth is None:
            berth = self._berths[peer] = Berth(peer)
        berth.links += 1
        link = Link(self, berth, address, TlsDemand.NONE if clear else peer.tls)
        connector = self.reactor.connectTCP(
            address,
            peer.port,
            _LinkFactory(link),
            timeout=self._limits.connect,
            bindAddress=peer.source.bind(address),
        )
        self._connecting.add(connector)
        try:
            await link.made
            self._links.add(link)
        except ConnectBindError as error:  # before anybody there was asked
            self._uncount(link)
            words = f"No connection can be opened: {os.strerror(int(error.osError))}"
            raise Broken(Reply(451, "3.0", (words,)), "connect") from None
        except ConnectError as error:
            self._uncount(link)
            raise Broken(Reply(451, "4.1", (_unreached(error),)), "connect") from None
        except BaseException:
            connector.disconnect()  # cancelled: whoever waited for it has gone
            self._uncount(link)
            raise
        finally:
            self._connecting.discard(connector)
            self._perhaps_over()
        return link

    async def ask(self, peer: Peer, address: str, path: Path, *, here: bool) -> Reply:
        """What a host says to a recipient, over a connection that is for nothing else.

        A host on this machine is asked only if it may be `here`: else it would be us.

        Raises:
            Broken: It says nothing.
        """
        link = await self.connect(peer, address)
        try:
            if not here and link.stays_here:
                raise Broken(Reply(451, "4.6", (f"{peer.host} is ourselves",)), "connect")
            await link.session.open(implicit=peer.implicit)
            reply = await link.session.probe(path)
        except BaseException:
            self._uncount(link)
            link.abort()
            raise
        self._uncount(link)
        link.leave()
        return reply

    def _uncount(self, link: Link) -> None:
        """It is closed, or about to be."""
        if link.counted:
            link.counted = False
            berth = link.berth
            berth.links -= 1
            if not berth.links:
                del self._berths[berth.peer]
            self._open[berth.counted] -= 1
            if not self._open[berth.counted]:
                del self._open[berth.counted]

    def _make_room(self, group: tuple[str, str]) -> None:
        """Do without the connection of a group that has been idle for longest."""
        for berth in self._berths.values():
            if berth.idle and berth.counted == group:
                self.drop(berth.idle[0])
                return

    def take(self, peer: Peer) -> Link | None:
        """An idle connection to this peer, the one used last; None if there is none."""
        berth = self._berths.get(peer)
        if berth is None or not berth.idle:
            return None
        link = berth.idle[-1]
        self._no_longer_idle(link)
        return link

    def full(self, peer: Peer, most: int) -> bool:
        """Whether no more connections of the peer's group may be made, and none would make room."""
        counted = peer.counted
        return self._open[counted] >= most and not self._idle[counted]

    def at_work(self, link: Link) -> int:
        """A message is about to be sent on it; how many may follow right behind."""
        session = link.session
        if session.messages + 1 >= self.most(link):
            return 0
        seats = session.followers
        if len(link.followers) < seats:
            link.berth.at_work[link] = None
        return seats

    def join(self, peer: Peer) -> Seat | None:
        """The right to follow on a connection at work, where fewest do; None if there is none."""
        berth = self._berths.get(peer)
        found: Link | None = None
        for link in berth.at_work if berth is not None else ():
            fewer = found is None or len(link.followers) < len(found.followers)
            if fewer and link.joinable:
                found = link
                if not link.followers:
                    break
        if found is None:
            return None
        seat = Seat(self, found)
        found.followers.append(seat)
        if len(found.followers) >= found.session.followers:
            self._followed(found)
        return seat

    def _followed(self, link: Link) -> None:
        """Nobody else may follow for now."""
        link.berth.at_work.pop(link, None)

    @property
    def under_way(self) -> int:
        """Messages that may be unanswered on a long line."""
        return self._limits.under_way

    def most(self, link: Link) -> int:
        """Messages that there may be on a connection."""
        return link.peer.messages or self._limits.messages

    def end(self, link: Link, fault: Broken) -> None:
        """Something went wrong on this connection: nobody gets it."""
        if fault.together:
            seconds = self._limits.singly
            if isinstance(fault, TimedOut):
                seconds = min(seconds, SILENT)
            self.astray.add(link.peer.host, self.reactor.seconds() + seconds)
        self._followed(link)
        self._uncount(link)
        link.end(fault)
        self._dismiss(link)

    def give_back(self, link: Link) -> None:
        """A message has been sent on this connection: it is for the next, or says goodbye."""
        self._followed(link)
        link.sent += 1
        if link.followers:
            self._pass_on(link)
            return
        room = self._idle_count < self._limits.idle_total
        if not link.usable or self._stopping or not room:
            self._uncount(link)
            link.leave()
            return
        link.idle = True
        link.expect(self._limits.idle)
        link.berth.idle.append(link)
        self._idle[link.berth.counted] += 1
        self._idle_count += 1

    def _pass_on(self, link: Link) -> None:
        """Whoever follows has his turn."""
        if link.followers[0].left:
            self.end(link, GIVEN_UP)  # the server waits for what will not come, or has it
            return
        if link.good:
            link.followers.popleft().turn.callback(True)
            return
        self._uncount(link)
        link.hang_up()
        self._dismiss(link)

    def _dismiss(self, link: Link) -> None:
        """There is nothing more to get; whose message was sent has to hear what became of it."""
        while link.followers:
            seat = link.followers.popleft()
            if not seat.turn.called:
                seat.turn.callback(seat.job is not None and link.session.sent(seat.job))

    def drop(self, link: Link) -> None:
        """Do without an idle connection."""
        self._no_longer_idle(link)
        self._uncount(link)
        link.leave()

    def lost(self, link: Link) -> None:
        """A connection has gone."""
        self._links.discard(link)
        self._uncount(link)
        self._no_longer_idle(link)
        self._perhaps_over()

    def _no_longer_idle(self, link: Link) -> None:
        if not link.idle:
            return
        link.idle = False
        berth = link.berth
        berth.idle.remove(link)
        self._idle_count -= 1
        self._idle[berth.counted] -= 1
        if not self._idle[berth.counted]:
            del self._idle[berth.counted]

    # ---- The end ---------------------------------------------------------------------------

    async def stop(self) -> None:
        """Let messages on their way and farewells finish, then close the rest."""
        self._stopping = True
        for berth in list(self._berths.values()):
            for link in list(berth.idle):
                self.drop(link)
        self._over = Deferred()
        timer = self.reactor.callLater(self._limits.grace, self._lose_patience)
        self._perhaps_over()
        try:
            await self._over
        finally:
            if timer.active():
                timer.cancel()
            self._hurried = True

    def _perhaps_over(self) -> None:
        over = not (self._links or self._connecting)
        if self._over is not None and not self._over.called and over:
            self._over.callback(None)

    def _lose_patience(self) -> None:
        self._hurried = True
        for connector in list(self._connecting):
            connector.disconnect()
        for link in list(self._links):
            link.abort()


def _unreached(error: Exception) -> str:
    if isinstance(error, Refused):
        return "Connection refused"
    if isinstance(error, ConnectTimeout):
        return "Connection timed out"
    if isinstance(error, NoRouteError):
        return "No route to host"
    return f"Cannot connect: {reason(error)}"
