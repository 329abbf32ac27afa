"""Takes mail in through what was written for Twisted: `IMessageDelivery` and `IMessage`.

`DeliveryIntake` is a `ports.intake.Intake` over anything with `validateFrom`,
`validateTo` and `receivedHeader`, `DeliveryDraft` a `ports.intake.Draft` over the
`IMessage` of each recipient.

When they fail: their `SMTPServerError` is the reply, anything else is logged
and answered 451, so that the client comes again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, DeferredList, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailhub.mail.address import Path
from mailhub.mail.envelope import Envelope, Recipient
from mailhub.mail.reply import Refusal, Reply
from mailhub.net.stock import smtp
from mailhub.ports.conversation import Client

_log = Logger()

Helo = tuple[bytes, bytes]
"""What the client called itself, and its address: Twisted's idea of a client."""

_LOCAL_ERROR: Final = (451, "3.0", "Requested action aborted: local error in processing")
_ACCEPTED: Final = Reply(250, "0.0", ("Delivery in progress",))


class Hooks(Protocol):
    """The part of `IMessageDelivery` that is also in `twisted.mail.smtp.SMTP`."""

    def validateFrom(self, helo: Helo, origin: Any) -> Any:
        """The `Address` to use, or a Deferred of it; raises `SMTPBadSender`."""

    def validateTo(self, user: Any) -> Any:
        """A callable that makes an `IMessage`, or a Deferred of it; raises `SMTPBadRcpt`."""

    def receivedHeader(self, helo: Helo, origin: Any, recipients: Sequence[Any]) -> Any:
        """The Received field, or None."""


class DeliveryIntake:
    """A `ports.intake.Intake` over Twisted's hooks, for one connection."""

    def __init__(self, hooks: Hooks, hostname: bytes, protocol: Any = None) -> None:
        """Use `hooks`; `protocol` is what `User.protocol` shall be."""
        self._hooks = hooks
        self._hostname = hostname
        self._protocol = protocol
        self._origin: Any = None
        self._users: list[tuple[Any, Callable[[], Any]]] = []

    async def sender(self, client: Client, envelope: Envelope) -> None:
        """MAIL: ask `validateFrom`."""
        origin = self._address(envelope.reverse_path)
        self._users = []
        self._origin = await _asked("7.1", self._hooks.validateFrom, _helo(client), origin)

    async def recipient(self, client: Client, envelope: Envelope, recipient: Recipient) -> None:
        """RCPT: ask `validateTo`."""
        del envelope
        address = self._address(recipient.path)
        user = smtp.User(address, _helo(client), self._protocol, self._origin)
        make = await _asked("1.1", self._hooks.validateTo, user)
        self._users.append((user, make))

    async def draft(self, client: Client, envelope: Envelope) -> DeliveryDraft:
        """DATA: make each recipient's `IMessage`, and give it its Received field."""
        del envelope
        helo, messages = _helo(client), []
        try:
            for user, make in self._users:
                message = make()
                messages.append(message)
                field = self._hooks.receivedHeader(helo, self._origin, [user])
                if field:
                    message.lineReceived(field)
        except Exception as error:
            _lost(messages)
            raise _refusal(error, "3.0") from None
        return DeliveryDraft(messages)

    def refused(
        self,
        client: Client,
        stage: str,
        refusal: Refusal,
        envelope: Envelope | None = None,
        path: Path | None = None,
    ) -> None:
        """Nobody wants to know: there is no such hook."""

    def _address(self, path: Path) -> Any:
        try:
            return smtp.Address(f"<{path}>".encode(), self._hostname)
        except smtp.AddressError as error:
            raise Refusal(553, "1.3", str(error)) from None


class DeliveryDraft:
    """A `ports.intake.Draft` that hands content to `IMessage`s, line by line."""

    def __init__(self, messages: Sequence[Any]) -> None:
        self._messages = messages
        self._partial = b""
        self._began = False

    async def write(self, octets: bytes) -> None:
        """Hand on each whole line, without its CR LF."""
        *lines, self._partial = (self._partial + octets).split(b"\r\n")
        self._hand_on(lines)

    def _hand_on(self, lines: Sequence[bytes]) -> None:
        try:
            for line in lines:
                if not self._began:
                    self._begin(line)
                for message in self._messages:
                    message.lineReceived(line)
        except Exception as error:
            raise _refusal(error, "3.0") from None

    def _begin(self, line: bytes) -> None:
        """Part content without a header from the Received field above it."""
        self._began = True
        if line and b":" not in line:
            for message in self._messages:
                message.lineReceived(b"")

    async def commit(self) -> Reply:
        """Tell each that the content has ended, and wait for all."""
        if self._partial:
            self._hand_on([self._partial])
        waiting = [maybeDeferred(message.eomReceived) for message in self._messages]
        for success, result in await DeferredList(waiting, consumeErrors=True):
            if not success:
                raise _refusal(result.value, "3.0")
        return _ACCEPTED

    async def abort(self) -> None:
        """Tell each that there is nothing to come."""
        _lost(self._messages)


def _helo(client: Client) -> Helo:
    return client.helo.encode(), client.address.encode()


async def _asked(detail: str, hook: Callable[..., Any], *arguments: Any) -> Any:
    """What a hook says, sooner or later.

    Raises:
        Refusal: What it raised, as a reply.
    """
    answer: Deferred[Any] = maybeDeferred(hook, *arguments)
    try:
        return await answer
    except CancelledError:
        raise
    except Exception as error:
        raise _refusal(error, detail) from None


def _refusal(error: Exception, detail: str) -> Refusal:
    """The reply that an exception of a delivery stands for."""
    if isinstance(error, Refusal):
        return error
    if not isinstance(error, smtp.SMTPServerError) or not 400 <= error.code <= 599:
        _log.failure("a delivery failed", Failure(error))
        return Refusal(*_LOCAL_ERROR)
    text = error.resp.decode(errors="replace") if isinstance(error.resp, bytes) else error.resp
    reply = Reply.parse(error.code, (text or "Refused").splitlines())
    return Refusal(reply.code, reply.detail or detail, *reply.lines)


def _lost(messages: Sequence[Any]) -> None:
    for message in messages:
        try:
            message.connectionLost()
        except Exception:
            _log.failure("a message failed to be forgotten")
