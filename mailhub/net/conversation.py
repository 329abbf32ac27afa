"""Carries octets between a transport and a session: SMTP, POP3 and IMAP alike.

Not here: a word of any protocol. The session knows what is said, its factory
(`Reception`) the few farewells that are said without one.

When the world fails: a peer that falls silent is told so by its session, one
that does not read is cut off, one that goes is forgotten; a session that raises
what nobody foresaw costs its connection, with the protocol's own farewell to the
peer and the trace to the log.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine, Generator
from contextlib import suppress
from dataclasses import dataclass
from types import coroutine
from typing import Any, Final, Protocol

from twisted.internet import protocol
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import (
    IDelayedCall,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailhub.accounts.throttle import canonical
from mailhub.net.deflate import Broken, Deflate
from mailhub.net.tls import facts
from mailhub.net.writing import write
from mailhub.ports.conversation import Client, Session

BURST: Final = 65_536
"""Octets of answers that are gathered before they are written."""
BREATH: Final = 200
"""Answers in one turn of the reactor, after which others have theirs."""
TURN: Final = 0.01
"""Seconds after which they have it in any case."""
_QUICK_ACK: Final[int | None] = getattr(socket, "TCP_QUICKACK", None)  # Linux has it
_NEVER: Final = float("inf")


class Silence(Exception):
    """The peer has tried our patience."""


@dataclass(frozen=True, slots=True)
class Farewells:
    """What a protocol says where there is no session to say it.

    Attributes:
        crowded: To one connection too many in all.
        greedy: To one connection too many from the same address.
        fault: When something unforeseen went wrong.
    """

    crowded: bytes
    greedy: bytes
    fault: bytes


@dataclass(frozen=True, slots=True)
class Terms:
    """What all conversations of a listener share.

    Attributes:
        tls: A TLS context factory for STARTTLS, or None. Its sessions must know
            whether to offer it.
        handshake_patience: Seconds for a TLS handshake.
        linger: Seconds for the last words to be read, and the connection closed.
    """

    clock: IReactorTime
    farewells: Farewells
    tls: Any = None
    handshake_patience: float = 60.0
    linger: float = 15.0


class Host(Protocol):
    """What a conversation needs of its factory; `net.reception` has it."""

    terms: Terms

    def session_for(self, conversation: Conversation) -> Session:
        """A new session with this conversation's client."""

    def entered(self, conversation: Conversation) -> bytes | None:
        """It wants to begin: None, or the farewell to one that is too many."""

    def left(self, conversation: Conversation) -> None:
        """One that had begun has ended."""


@implementer(IPushProducer, IHandshakeListener, IHalfCloseableProtocol)
class Conversation(protocol.Protocol):
    """One connection, and the session that answers on it.

    Invariants:

    1. Answers leave in the order of their requests, however long each takes
       (RFC 2920 §3.2): there is one coroutine, and it answers one at a time.
    2. What has been answered leaves at once when the coroutine waits for
       anything; what is answered without waiting leaves in one write.
    3. A peer that sends while we are busy is paused, and a peer that does not
       read what we send is waited for: neither can make us grow.
    4. `Session.close` is awaited once, however the conversation ends, and the
       connection ends within `Terms.linger` of it.

    Attributes:
        client: Who is at the other end.
    """

    # Protocol gives instances a dictionary; what is ours lies beside it, in less space.
    __slots__ = (
        "_awaited",
        "_awake",
        "_closing",
        "_deflate",
        "_drained",
        "_ended",
        "_entered",
        "_fed",
        "_final",
        "_half_closed",
        "_handshake",
        "_listening",
        "_out",
        "_out_size",
        "_paused",
        "_session",
        "_since",
        "_stage",
        "_talk",
        "_timer",
        "_until",
        "client",
    )

    _log = Logger()
    factory: Host
    transport: Any  # ITCPTransport or ISSLTransport, set before connectionMade

    # ---- What the transport calls ----------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin to talk, unless there are too many who do."""
        self._session: Session | None = None
        self._talk: Coroutine[Any, Any, None] | None = None
        self._awaited: Deferred[Any] | None = None  # what the coroutine waits for
        self._listening = False  # it waits for octets, or a wake
        self._drained: Deferred[None] | None = None  # fires when octets went
        self._handshake: Deferred[None] | None = None  # fires when TLS is up
        self._awake = False  # octets or a wake came while nobody waited for them
        self._fed = False  # octets came since the last answer
        self._paused = False  # the transport was told not to read
        self._half_closed = False
        self._deflate: Deflate | None = None  # the connection is compressed
        self._closing = False  # say farewell at the next opportunity
        self._ended = False  # nobody listens any more
        self._out: list[bytes] = []
        self._out_size = 0
        self._stage: object = None
        self._timer: IDelayedCall | None = None
        self._until = self._final = _NEVER
        self._since = 0.0  # when the coroutine went on
        self.client = client_of(self.transport.getPeer())
        secure = ISSLTransport.providedBy(self.transport)
        refused = self.factory.entered(self)
        self._entered = refused is None
        if refused is not None:
            self._turn_away(refused, secure=secure)
            return
        set_no_delay = getattr(self.transport, "setTcpNoDelay", None)
        if set_no_delay is not None:
            set_no_delay(True)
        self.transport.registerProducer(self, True)
        if secure:
            self._handshake = Deferred()
        self._talk = self._converse()
        self._proceed()

    def _turn_away(self, farewell: bytes, *, secure: bool) -> None:
        self._ended = True
        if secure:
            self.transport.abortConnection()  # not worth a handshake
            return
        self.transport.write(farewell)
        self.transport.loseConnection()
        self._expect(self.factory.terms.linger)

    def dataReceived(self, data: bytes) -> None:
        """Give octets to the session, which answers if it is not busy."""
        if self._ended or self._session is None:
            return
        self._session.feed(data if self._deflate is None else self._unpacked(self._deflate, data))
        self._fed = True
        if self._listening:
            self._listening = False
            self._proceed()
            return
        self._awake = True
        if not self._paused:
            self._paused = True
            self.transport.pauseProducing()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """The peer has gone: there is nobody to answer."""
        self._ended = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._entered:
            self.factory.left(self)
        if self._listening:
            self._listening = False
            self._proceed(CancelledError())
        elif self._awaited is not None and self._session is not None:
            self._awaited.cancel()  # but never a session's `close`, which leaves things to others

    def readConnectionLost(self) -> None:
        """The peer sends no more, and may still read: what it asked for is answered."""
        self._half_closed = True
        self.wake()

    def writeConnectionLost(self) -> None:
        """We never close half a connection."""

    def handshakeCompleted(self) -> None:
        """TLS is up: tell the session before the first octet that was encrypted."""
        handshake, self._handshake = self._handshake, None
        if handshake is not None and self._session is not None:
            self._session.secured(facts(self.transport.getHandle()))
            handshake.callback(None)

    def pauseProducing(self) -> None:
        """The peer reads more slowly than we write."""
        if self._drained is None:
            self._drained = Deferred()

    def resumeProducing(self) -> None:
        """It has caught up."""
        drained, self._drained = self._drained, None
        if drained is not None:
            drained.callback(None)

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` says so."""

    # ---- What others call ------------------------------------------------------------------

    def wake(self) -> None:
        """Let the session speak as soon as it is not busy."""
        if self._listening:
            self._listening = False
            self._proceed()
        else:
            self._awake = True

    def go_down(self) -> None:
        """End with the session's farewell, once what is under way has been answered."""
        self._closing = True
        self.wake()

    def tls_context(self) -> Any:
        """The context factory for STARTTLS, or None."""
        return self.factory.terms.tls

    def abort(self) -> None:
        """End at once."""
        self.transport.abortConnection()

    # ---- The conversation ------------------------------------------------------------------

    async def _converse(self) -> None:
        """Greet, listen and answer until the session, the peer or its patience ends."""
        try:
            session = self._session = self.factory.session_for(self)
            session.wake = self.wake
            lifetime: float = getattr(session, "lifetime", 0.0)
            if lifetime:
                self._final = self.factory.terms.clock.seconds() + lifetime
            if self._handshake is not None:
                await self._shake_hands(self._handshake)
            self._out.append(await session.greet())
            while not session.closed:
                await self._answer(session)
                if session.wants_tls:
                    await self._upgrade(session)
                elif getattr(session, "wants_deflate", False):
                    self._compress(session)
                elif session.closed or not await self._go_on(session):
                    break
        except Silence:
            self._out.append(session.timed_out())
        except CancelledError:
            if not self._ended:  # not by `connectionLost`: somebody else's mistake
                self._failed()
        except Exception:  # whatever it is, the peer must hear of it
            self._failed()
        await self._end()

    async def _go_on(self, session: Session) -> bool:
        """Wait for something to answer; False if there will be nothing."""
        if self._closing:
            self._out.append(session.going_down())
            return False
        return await self._listen(session)

    def _failed(self) -> None:
        self._log.failure("conversation with {peer} failed", peer=self.client.address)
        self._out.append(self.factory.terms.farewells.fault)

    def _proceed(self, error: BaseException | None = None) -> None:
        """Let the coroutine run until it waits again, and write what it said by then.

        This is `Deferred.fromCoroutine`, and two things more: whenever the
        coroutine waits, what has been answered leaves; and waiting for octets,
        which is most of what there is to wait for, costs no Deferred.
        """
        talk = self._talk
        assert talk is not None
        self._awaited = None
        self._since = self.factory.terms.clock.seconds()
        try:
            awaited = talk.send(None) if error is None else talk.throw(error)
        except StopIteration:
            self._talk = None
            return
        self._flush()
        if awaited is not None:
            self._awaited = awaited
            awaited.addBoth(self._came)

    def _came(self, result: object) -> None:
        """What was awaited is there, and the coroutine asks the Deferred for it.

        A failure is thrown: a Deferred that is calling back cannot be asked for one.
        """
        self._proceed(result.value if isinstance(result, Failure) else None)

    async def _answer(self, session: Session) -> None:
        """Say all that the session has to say now; ``b""`` asks for a breath (`Session`)."""
        clock = self.factory.terms.clock
        answers, spoken = session.respond(), 0
        try:
            async for octets in answers:
                self._fed = False
                if octets:
                    self._out.append(octets)
                    self._out_size += len(octets)
                if self._out_size >= BURST:
                    await self._drain()
                spoken += 1
                if not octets or not spoken % BREATH or clock.seconds() - self._since > TURN:
                    await deferLater(clock, 0)
        except Exception:  # a coroutine that is being closed (GeneratorExit) awaits nothing
            await answers.aclose()
            raise

    async def _listen(self, session: Session) -> bool:
        """Wait for octets or a wake; False if the peer will send no more.

        Raises:
            Silence: None came within the session's patience.
        """
        if self._drained is not None and not self._ended:
            await self._drain()  # it does not read its answers: it gets no more of them
        if self._deflate is not None and self._deflate.more and not self._ended:
            await deferLater(self.factory.terms.clock, 0)  # a little may expand to very much
            session.feed(self._unpacked(self._deflate))
            return True
        if self._awake:
            self._awake = False
            return True
        if self._half_closed or self._ended:
            return False
        # A session with stages is given `patience` for each; one without, for each silence.
        stage = getattr(session, "stage", None)
        now = self.factory.terms.clock.seconds()
        if now >= self._final:
            raise Silence
        if stage is None or stage != self._stage or now >= self._until:
            self._stage = stage
            self._expect(session.patience, now)
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        if self._fed:
            self._acknowledge()
        self._listening = True
        await _suspended()
        return True

    def _acknowledge(self) -> None:
        """Have the kernel acknowledge at once what came and has no answer.

        A client with Nagle's algorithm (RFC 896) sends the end of a command that
        it writes in two pieces only then, and kernels take their time: 40 ms for
        each APPEND of Python's imaplib. The option does not last.
        """
        peer = getattr(self.transport, "socket", None)
        if peer is not None and _QUICK_ACK is not None:
            with suppress(OSError):  # a local socket has no such thing
                peer.setsockopt(socket.IPPROTO_TCP, _QUICK_ACK, 1)

    async def _drain(self) -> None:
        """Write what has been answered, and wait for a peer that reads slowly."""
        self._flush()
        if self._drained is not None:
            assert self._session is not None
            self._expect(self._session.patience)
            self._stage = None
            await self._drained

    def _flush(self) -> None:
        """Write what has been answered."""
        if self._out and not self._ended:
            out, self._out, self._out_size = self._out, [], 0
            octets = out[0] if len(out) == 1 else b"".join(out)
            if self._deflate is not None:
                octets = self._deflate.pack(octets)
            write(self.transport, octets)

    async def _end(self) -> None:
        """Let go of the session, and of the connection if it still stands."""
        session, self._session = self._session, None
        try:
            if session is not None:
                session.wake = _nothing
                await session.close()
        except Exception:  # the connection must go in any case
            self._log.failure("closing the session with {peer} failed", peer=self.client.address)
        if self._ended:
            return
        self._flush()
        self._ended = True
        if self._paused:
            self.transport.resumeProducing()  # so that the end of the connection is seen
        self.transport.unregisterProducer()
        self.transport.loseConnection()
        self._final = _NEVER
        self._expect(self.factory.terms.linger)

    # ---- Compression -----------------------------------------------------------------------

    def _compress(self, session: Session) -> None:
        """Compress what is said from now on, as the session has agreed to (RFC 4978 §3)."""
        self._flush()
        session.wants_deflate = False  # type: ignore[attr-defined]  # it has one
        if self._fed:
            session.closed = True  # what came behind the request: is it compressed already?
        else:
            self._deflate = Deflate()

    def _unpacked(self, deflate: Deflate, octets: bytes = b"") -> bytes:
        """What a peer says on a compressed connection; if it makes no sense, its end."""
        try:
            found = deflate.unpack(octets)
        except Broken:
            self.abort()
            return b""
        self._half_closed = self._half_closed or deflate.ended
        return found

    # ---- TLS -------------------------------------------------------------------------------

    async def _upgrade(self, session: Session) -> None:
        """Carry out the STARTTLS or STLS that the session has agreed to (RFC 3207 §4)."""
        self._flush()
        if self._fed:
            # Octets came behind the request and before the handshake: nobody
            # knows from whom. They are not obeyed; the connection ends.
            session.closed = True
            session.wants_tls = False
            return
        handshake = self._handshake = Deferred()
        self.transport.startTLS(self.tls_context())
        await self._shake_hands(handshake)

    async def _shake_hands(self, handshake: Deferred[None]) -> None:
        if self._paused:
            self._paused = False
            self.transport.resumeProducing()
        self._expect(self.factory.terms.handshake_patience)
        self._stage = None
        await handshake

    # ---- Patience --------------------------------------------------------------------------

    def _expect(self, seconds: float, now: float | None = None) -> None:
        """Lose patience in so many seconds, unless something happens.

        There is one timer, and it is seldom touched: where it fires too early
        it is set anew.
        """
        clock = self.factory.terms.clock
        now = clock.seconds() if now is None else now
        self._until = now + seconds
        due = min(self._until, self._final)
        if self._timer is None:
            self._timer = clock.callLater(max(due - now, 0), self._tick)
        elif self._timer.getTime() > due:
            self._timer.reset(max(due - now, 0))

    def _tick(self) -> None:
        """Patience may be over."""
        self._timer = None
        clock = self.factory.terms.clock
        now, due = clock.seconds(), min(self._until, self._final)
        if now < due:
            self._timer = clock.callLater(due - now, self._tick)
        elif self._listening:
            self._listening = False
            self._proceed(Silence())
        elif self._ended or self._drained is not None or self._handshake is not None:
            self.transport.abortConnection()  # it would not hear a farewell

    # (While the session is busy nothing is expected of the peer: `_listen` begins anew.)


def _nothing() -> None:
    """A session that was closed has nobody to wake."""


@coroutine
def _suspended() -> Generator[None, None, None]:
    """Wait until `Conversation._proceed` is called."""
    yield


def client_of(peer: object) -> Client:
    """The client at a transport's other end; a local socket's is on loopback."""
    host = getattr(peer, "host", None)
    if not isinstance(host, str):
        return Client("127.0.0.1", 0)
    return Client(canonical(host), getattr(peer, "port", 0))
