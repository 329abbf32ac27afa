"""Twisted's ESMTP client with our own engine in it: their names and contract, our wire.

Whatever subclasses `twisted.mail.smtp.ESMTPClient` and implements `getMailFrom`,
`getMailTo`, `getMailData` and `sentMail` works the same on `RelayClient`; what it
says is said by `smtp.client.ClientSession`. The hub's own relaying (`relay.pool`)
drives that session directly and overrides `begin`.

One difference is to be known: `getMailData` is called before MAIL and not after
DATA, because the server is told of the content's size and kind.

Invariants:

1. Memory is bounded: the server is not listened to while more than
   `UNHEARD_LIMIT` octets lie unread, and content goes out as fast as it is taken.
2. Waiting always ends: by octets, by a time-out, or by the loss of the connection.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, cast

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IHandshakeListener,
    IPushProducer,
    IReactorTime,
    ISSLTransport,
    ITCPTransport,
)
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from mailhub.net.clienttls import ClientTls, Handshake, Promise
from mailhub.net.contract import ContractMail
from mailhub.net.stock import smtp
from mailhub.net.tls import facts, reason
from mailhub.net.writing import write
from mailhub.policy.route import TlsDemand
from mailhub.ports.conversation import Tls
from mailhub.smtp.client import ClientSession
from mailhub.smtp.handover import CLIENT_LIMITS, ClientLimits
from mailhub.smtp.wire import (
    TIMEOUTS,
    Broken,
    Incomprehensible,
    LoginFailed,
    Mechanism,
    Secured,
    TimedOut,
    Timeouts,
    Untrusted,
    Unwelcome,
)

UNHEARD_LIMIT: Final = 64 * 1024
"""Octets of a server that nobody waits for, after which it is not read any more."""


@implementer(IPushProducer)
class _Valve:
    """Learns from the transport whether it wants more."""

    def __init__(self, opened: Callable[[], object]) -> None:
        self.open = True
        self._opened = opened

    def pauseProducing(self) -> None:
        self.open = False

    def resumeProducing(self) -> None:
        self.open = True
        self._opened()

    def stopProducing(self) -> None:
        """The connection is lost; `connectionLost` says so too."""


@implementer(IHandshakeListener)
class RelayClient(smtp.ESMTPClient):
    """One connection to a server: Twisted's protocol, and our session's `smtp.wire.Wire`.

    Attributes:
        session: The conversation; made when the connection is.
        tls: What we ask of the encryption; None derives it from what Twisted
            has for it (`context`, `requireTransportSecurity`).
        server: The host's name, for SNI and the certificate, if `client_tls` is used.
        client_tls: Where handshakes come from; None uses `context`.
        timeouts: Of the stages; `timeout`, if set, caps each of them.
        callLater: For time-outs; Twisted's reactor unless it is set.
    """

    transport: Any  # set before connectionMade
    callLater: Any
    debug = True
    tls: TlsDemand | None = None
    server = ""
    client_tls: ClientTls | None = None
    promise: Promise | None = None
    timeouts: Timeouts = TIMEOUTS
    limits: ClientLimits = CLIENT_LIMITS
    session: ClientSession
    handshake_failed = False

    _note = Logger()
    _waiting: Deferred[None] | None = None
    _kind = ""  # what is waited for: octets, room, handshake
    _timer: IDelayedCall | None = None
    _patience = 0.0
    _measured = False  # the timer runs for what is waited for
    _set_for = 0.0  # seconds that the timer was last set for
    _unheard = 0
    _lost: str | None = None
    _valve: _Valve | None = None
    _handshake: Handshake | None = None

    __setattr__ = object.__setattr__  # Twisted's looks out for a name that it gave up in 2013

    # ---- Twisted calls us ------------------------------------------------------------------

    def connectionMade(self) -> None:
        self._tlsMode = ISSLTransport.providedBy(self.transport)
        if ITCPTransport.providedBy(self.transport):  # not if it is a pipe, or a test's
            self.transport.setTcpNoDelay(True)
        self.session = self._session()
        self.begin()

    def dataReceived(self, data: bytes) -> None:
        self.session.feed(data)
        if not self._wake("octets"):
            self._unheard += len(data)
            if self._unheard > UNHEARD_LIMIT:
                self.transport.pauseProducing()

    def handshakeCompleted(self) -> None:
        self._wake("handshake")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._failureReason = reason
        self._lost = _words(reason)
        self._stop_timer()
        if self._waiting is not None:
            self._waiting.errback(ConnectionError(self._lost))

    # ---- The wire that the session wants ---------------------------------------------------

    def send(self, octets: bytes) -> None:
        """See `smtp.wire.Wire`, here and below."""
        if self._lost is None:
            write(self.transport, octets)

    def allow(self, seconds: float) -> None:
        self._measured = False
        self._patience = seconds if self.timeout is None else min(seconds, self.timeout)

    async def listen(self) -> None:
        if self._lost is not None:
            raise ConnectionError(self._lost)
        if self._valve is not None:
            self._valve = None
            self.transport.unregisterProducer()
        if self._unheard:
            if self._unheard > UNHEARD_LIMIT:
                self.transport.resumeProducing()
            self._unheard = 0
        await self._wait("octets")

    async def drained(self) -> None:
        if self._lost is not None:
            raise ConnectionError(self._lost)
        if self._valve is None:
            # Only while content streams: a transport with a producer does not close.
            self._valve = _Valve(lambda: self._wake("room"))
            self.transport.registerProducer(self._valve, True)
        if not self._valve.open:
            await self._wait("room")

    async def secure(self) -> Secured:
        handshake = self._handshake = self._handshake_maker()
        try:
            self.transport.startTLS(handshake or self.context)
        except Exception as error:
            # Whatever a context raises: it came to no encryption.
            self.handshake_failed = True
            raise ConnectionError(reason(error)) from error
        self._tlsMode = True
        try:
            await self._wait("handshake")
        except (ConnectionError, TimeoutError):
            self.handshake_failed = True
            raise
        if handshake is not None:
            return handshake.judge()
        # Twisted's contexts judge for themselves, and let nothing pass that they do not like.
        tls = facts(self.transport.getHandle(), client=True)
        return Secured(tls, "unverified: left to Twisted")

    def _handshake_maker(self) -> Handshake | None:
        if self.client_tls is None:
            return None
        return self.client_tls.handshake(self.server, self.promise)

    async def _wait(self, kind: str) -> None:
        if self._lost is not None:
            raise ConnectionError(self._lost)
        if not self._measured or self._timer is None:
            self._measured = True
            self.expect(self._patience)
        waiting = self._waiting = Deferred()
        self._kind = kind
        try:
            await waiting
        finally:
            self._waiting = None

    def _wake(self, kind: str) -> bool:
        if self._waiting is None or self._kind != kind:
            return False
        waiting, self._waiting = self._waiting, None
        waiting.callback(None)
        return True

    def expect(self, seconds: float) -> None:
        """Call `expired` after so many seconds, instead of whenever that was to be.

        A timer that only has to wait longer is not made anew: that is cheap.
        """
        if self._timer is not None and self._timer.active() and seconds >= self._set_for:
            self._timer.reset(seconds)
        else:
            self._stop_timer()
            self._timer = self.callLater(seconds, self.expired)
        self._set_for = seconds

    def expired(self) -> None:
        """The server took too long, if something is expected of it."""
        self._timer = None
        if self._waiting is not None:
            waiting, self._waiting = self._waiting, None
            waiting.errback(TimeoutError())

    def _stop_timer(self) -> None:
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None

    # ---- Ends ------------------------------------------------------------------------------

    def hang_up(self) -> None:
        """Close the connection once what was sent has left, which must not take long."""
        self._stop_timer()
        if self._lost is not None:
            return
        self._timer = self.callLater(self.timeouts.quit, self.abort)
        if self._valve is not None:
            self._valve = None
            self.transport.unregisterProducer()
        self.transport.loseConnection()

    def abort(self) -> None:
        """Close the connection now: the server must not take what it has for whole."""
        self._stop_timer()
        if self._lost is None:
            self.transport.abortConnection()

    def end(self, fault: Broken) -> None:
        """Close the connection after a failure: without a farewell where none can be heard."""
        if fault.handshake or fault.stage == "content" or isinstance(fault, TimedOut):
            self.abort()
        else:
            self.hang_up()

    def smtpState_disconnect(self, code: int, resp: object) -> None:  # noqa: ARG002
        self.hang_up()

    def _disconnectFromServer(self) -> None:
        self.start(self._leave())

    async def _leave(self) -> None:
        if self._waiting is None:  # else a reply is due, and QUIT would be answered with it
            await self.session.quit()
        self.hang_up()

    def start(self, work: Awaitable[None]) -> Deferred[None]:
        """Run a coroutine; a bug in it is logged, and ends the connection."""

        async def owned() -> None:
            try:
                await work
            except Exception:  # a bug of ours or of a subclass: nobody above could do more
                self._note.failure("sending failed")
                self.abort()

        return Deferred.fromCoroutine(owned())

    # ---- Twisted's contract ----------------------------------------------------------------

    def _session(self) -> ClientSession:
        authenticators = self.authenticators if self.secret else []
        needed = bool(authenticators) or self.requireAuthentication
        return ClientSession(
            self,
            self.identity.decode("ascii", "replace"),
            tls=self._demand(),
            login=self._login if needed else None,
            timeouts=self.timeouts,
            limits=self.limits,
            helo=bool(self.heloFallback) and not self.requireAuthentication,
            record=self._record if self.debug else None,
        )

    def _record(self, line: str) -> None:
        self.log.append(line.encode())

    def _demand(self) -> TlsDemand:
        if self._tlsMode:
            return TlsDemand.NONE  # it is encrypted already, by whoever made the connection
        if self.tls is not None:
            return self.tls
        able = self.context is not None or self.client_tls is not None
        if self.requireTransportSecurity:
            return TlsDemand.REQUIRED
        return TlsDemand.OPPORTUNISTIC if able else TlsDemand.NONE

    def _login(self, offered: Sequence[str], tls: Tls | None) -> Mechanism | None:  # noqa: ARG002
        for authenticator in self.authenticators:
            if authenticator.getName().decode("ascii").upper() in offered:
                return _Authenticating(authenticator, self.secret)
        return None

    def begin(self) -> None:
        """The connection is made: talk."""
        self.start(self._converse())

    async def _converse(self) -> None:
        try:
            await self.session.open()
        except Broken as fault:
            self._report(fault)
            return
        while (reverse_path := self.getMailFrom()) is not None:
            # Stock forgets this only when it asks again; subclasses look at it.
            self._from = reverse_path
            if not await self._send_one(reverse_path):
                return
        await self._leave()

    async def _send_one(self, reverse_path: object) -> bool:
        """Send the message at hand and report on it; say whether the connection is still good."""
        mail = ContractMail(reverse_path, list(self.getMailTo()), self.getMailData())
        handover = await self.session.deliver(mail.envelope, mail.content)
        mail.content.close()
        fault = handover.fault
        if fault is not None and not fault.heard and None in handover.replies:
            self._report(fault)
            return False
        self.toAddressesResult = mail.results(handover)
        code, words, accepted = mail.summary(handover)
        self.sentMail(code, words, accepted, self.toAddressesResult, self.log)
        self._from = None
        if fault is not None:
            self.hang_up()
        return fault is None

    def _report(self, fault: Broken) -> None:
        """Tell Twisted's way why there will be no mail on this connection."""
        code, words, log = fault.reply.code, fault.reply.text.encode(), self.log.str()
        if isinstance(fault, LoginFailed):
            if not fault.usable:
                self.esmtpAUTHRequired()
            else:
                self.esmtpAUTHDeclined(fault.refused.code, fault.refused.text.encode())
        elif isinstance(fault, Untrusted):
            self.esmtpTLSRequired()
        elif isinstance(fault, TimedOut) and not fault.in_doubt:
            self.sendError(smtp.SMTPTimeoutError(-1, words, log))
            self.end(fault)
        elif isinstance(fault, Incomprehensible):
            self.sendError(smtp.SMTPProtocolError(-1, words, log))
        elif fault.in_doubt:
            # Never tried again by itself: that could make a duplicate.
            self.sendError(smtp.SMTPClientError(-1, words, log, isFatal=True, retry=False))
        elif isinstance(fault, Unwelcome):
            self.smtpConnectionFailed(fault.greeting.code, fault.greeting.text.encode())
        elif fault.heard and fault.stage == "ehlo" and fault.reply.permanent:
            self.esmtpEHLORequired()
        elif fault.heard:
            self.smtpConnectionFailed(code, words)
        else:
            self.end(fault)  # the factory hears of it


class _Authenticating:
    """A registered `twisted.mail.smtp` authenticator, as our session wants it."""

    complete = True  # they never judge the server

    def __init__(self, authenticator: Any, secret: bytes) -> None:
        self.name: str = authenticator.getName().decode("ascii").upper()
        self._authenticator = authenticator
        self._secret = secret

    def begin(self) -> bytes | None:
        if self.name != "PLAIN":
            return None
        # Twisted's second form is the one without an authzid, which all servers take.
        return cast(bytes, self._authenticator.challengeResponse(self._secret, 2))

    def respond(self, challenge: bytes) -> bytes:
        return cast(bytes, self._authenticator.challengeResponse(self._secret, challenge))


def _words(failure: Failure) -> str:
    if failure.check(ConnectionDone):
        return "closed by the server"
    return reason(failure.value) if failure.value is not None else "lost"


# ---- The factory ---------------------------------------------------------------------------


class RelaySender(RelayClient, smtp.ESMTPSender):
    """Sends the one message that its factory has."""


class RelayClientFactory(smtp.ESMTPSenderFactory):
    """`twisted.mail.smtp.ESMTPSenderFactory`, building `RelayClient`s.

    With opportunistic TLS, a handshake that fails is followed by one more
    connection, in the clear.
    """

    protocol = RelaySender

    def __init__(
        self,
        *args: Any,
        clock: IReactorTime | None = None,
        tls: TlsDemand | None = None,
        client_tls: ClientTls | None = None,
        timeouts: Timeouts = TIMEOUTS,
        **kwargs: Any,
    ) -> None:
        """All of Twisted's arguments, and those of `RelayClient`'s attributes."""
        super().__init__(*args, **kwargs)
        self._clock = clock
        self._tls = tls
        self._client_tls = client_tls
        self._timeouts = timeouts

    def buildProtocol(self, addr: IAddress | None) -> RelaySender:
        client = cast(RelaySender, super().buildProtocol(addr))
        if self._clock is not None:
            client.callLater = self._clock.callLater
        client.tls = self._tls
        client.client_tls = self._client_tls
        client.server = self._hostname or ""
        client.timeouts = self._timeouts
        return client

    def clientConnectionLost(self, connector: Any, err: Failure) -> None:
        failed = self.currentProtocol is not None and self.currentProtocol.handshake_failed
        if failed and not self.sendFinished and not self._requires_tls():
            self._tls = TlsDemand.NONE
            self.currentProtocol = None
            self.file.seek(0, 0)
            connector.connect()
            return
        super().clientConnectionLost(connector, err)

    def _requires_tls(self) -> bool:
        return self._requireTransportSecurity if self._tls is None else self._tls.mandatory
