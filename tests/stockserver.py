"""Twisted's own ESMTP server, for our client to talk to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, succeed
from twisted.mail import smtp
from twisted.mail.imap4 import PLAINCredentials
from zope.interface import implementer


@implementer(smtp.IMessageDelivery)
class Delivery:
    """Takes mail for everybody but nobody@."""

    def __init__(self) -> None:
        self.messages: list[tuple[str, list[str], bytes]] = []
        self.sender = ""
        self.recipients: list[str] = []

    def receivedHeader(self, helo: Any, origin: Any, recipients: Any) -> bytes:
        return b"Received: here"

    def validateFrom(self, helo: Any, origin: Any) -> Any:
        self.sender, self.recipients = str(origin), []
        return origin

    def validateTo(self, user: Any) -> Callable[[], Any]:
        address = str(user.dest)
        if address.startswith("nobody@"):
            raise smtp.SMTPBadRcpt(user)
        self.recipients.append(address)
        return lambda: _Message(self)


@implementer(smtp.IMessage)
class _Message:
    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery
        self.lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        self.lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        delivery = self.delivery
        content = b"".join(line + b"\r\n" for line in self.lines)
        delivery.messages.append((delivery.sender, delivery.recipients, content))
        return succeed(None)

    def connectionLost(self) -> None:
        pass


@implementer(IRealm)
class Realm:
    def __init__(self, delivery: Delivery) -> None:
        self.delivery = delivery

    def requestAvatar(self, avatar: Any, mind: Any, *interfaces: Any) -> Any:
        return smtp.IMessageDelivery, self.delivery, lambda: None


def stock(delivery: Delivery, context: Any = None, *, password: str = "") -> Callable[[Any], Any]:
    """Twisted's own ESMTP server."""

    def make(_: Any) -> Any:
        server = smtp.ESMTP({b"PLAIN": PLAINCredentials} if password else None, context)
        server.host = b"mx.example.net"
        server.timeout = None  # type: ignore[assignment]  # stock's own word for never
        if password:
            checker = InMemoryUsernamePasswordDatabaseDontUse()
            checker.addUser(b"ann", password.encode())
            server.portal = Portal(Realm(delivery), [checker])  # type: ignore[assignment]
        else:
            server.delivery = delivery
        return server

    return make
