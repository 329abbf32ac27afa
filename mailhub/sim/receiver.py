"""A receiving provider: hosts that speak SMTP as `Manners` say, and remember (`sim.memory`).

Lean on purpose: it stands for thousands of hosts in a world, where our own server would
do for each message what nobody asked about here. What it says is what the large ones say.

A provider of one's own is a subclass of `Receiver`, named in the world file
(``model = package.module:Class``) or handed to `Providers.add`; `judge_mail`,
`judge_recipient` and `take` are there to be overridden.

Invariants:

1. A message counts as accepted when its final reply is sent, or would have been:
   where the reply is lost, the sender does not know, and the receiver has it.
2. Replies are sent in the order of the commands, unless the manners say otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from mailhub.mail.reply import Reply
from mailhub.sim.manners import Certificate, Manners, Outage, Pipelining, Stage, Why
from mailhub.sim.memory import Memory, Refused, share
from mailhub.sim.network import Host
from mailhub.sim.world import World

_PATH: Final = re.compile(rb"[^<]*<([^>]*)>(.*)", re.DOTALL)
_LINE_LIMIT: Final = 4096
_END: Final = b"\r\n.\r\n"


@dataclass(slots=True)
class Message:
    """A message that was taken.

    Attributes:
        source: The address that it came from.
    """

    source: str
    sender: str
    recipients: list[str]
    content: bytes


class Books(Protocol):
    """Who wants to know what happens at the receivers: a simulation does."""

    def accepted(self, receiver: Receiver, message: Message, now: float, *, heard: bool) -> None:
        """A message was taken, and whether the sender heard of it."""

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None:
        """So many recipients were refused, for now or for good."""

    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None:
        """A message that was taken was returned, or somebody has complained of it."""

    def calls(self, receiver: Receiver, open_: int, now: float) -> None:
        """So many connections are open."""


class NoBooks:
    """Nobody wants to know."""

    def accepted(self, receiver: Receiver, message: Message, now: float, *, heard: bool) -> None:
        """See `Books`, here and below."""

    def refused(self, receiver: Receiver, why: Why, number: int, now: float) -> None: ...
    def afterwards(self, receiver: Receiver, now: float, *, bounced: bool) -> None: ...
    def calls(self, receiver: Receiver, open_: int, now: float) -> None: ...


class Receiver(Factory):
    """One provider.

    Attributes:
        hosts: Its machines.
        memory: What it remembers.
        count: Recipients it took.
        late: Told of each message taken, to bounce or complain of it later.
        context: For STARTTLS; None where there is none.
    """

    noisy = False

    def __init__(self, world: World, manners: Manners, books: Books | None = None) -> None:
        self.world = world
        self.manners = manners
        self.books: Books = books or NoBooks()
        self.memory = Memory(manners, world.seed)
        self.hosts: list[Host] = []
        self.open = 0
        self.count = 0
        self.late: Callable[[Message], object] | None = None
        self.context: Any = None
        self.chance = world.chance(f"receiver {manners.name}")
        self.chances = manners.chances

    def buildProtocol(self, addr: Any) -> Conversation:
        """A conversation."""
        return Conversation(self, addr.host)

    def note(self, text: str) -> None:
        """Tell the trace."""
        self.world.trace.note(self.world.now, f"{self.manners.name} {text}")

    @property
    def out(self) -> bool:
        """Whether it is out of order just now."""
        age = self.world.age
        return any(window.start <= age < window.end for window in self.manners.outages)

    def refuses(self, refused: Refused, number: int = 1) -> None:
        """So many recipients were refused."""
        self.books.refused(self, refused.why, number, self.world.now)

    # ---- What a model may do its own way ---------------------------------------------------

    def judge_mail(self, talk: Conversation) -> Refused | None:
        """May this client send a message?"""
        return self.memory.mail(talk.known, self.world.now)

    def judge_recipient(self, talk: Conversation, path: str) -> Refused | None:
        """May it send to this recipient?"""
        return self.memory.recipient(talk.known, talk.source, talk.sender, path, self.world.now)

    def take(self, message: Message, *, heard: bool) -> float:
        """A message is taken; seconds until the sender is told."""
        now = self.world.now
        known = self.memory.source(message.source)
        wait = self.memory.accepted(known, len(message.recipients), now)
        self.count += len(message.recipients)
        self.note(f"took {len(message.recipients)} from {message.source}")
        self.books.accepted(self, message, now, heard=heard)
        if wait:
            self.books.refused(self, Why.CAPACITY, 0, now)
        if self.late is not None:
            self.late(message)
        return wait


@dataclass(slots=True)
class _Envelope:
    """A transaction under way."""

    sender: str
    recipients: list[str] = field(default_factory=list)


class Conversation(TwistedProtocol):
    """One connection to a receiver.

    Attributes:
        source: The client's address.
        known: What is remembered of it.
    """

    transport: Any

    def __init__(self, receiver: Receiver, source: str) -> None:
        self.receiver = receiver
        self.source = source
        self.known = receiver.memory.source(source)
        self.sender = ""
        self._manners = receiver.manners
        self._buffer = b""
        self._envelope: _Envelope | None = None
        self._amid_content = False
        self._counted = False
        self._messages = 0
        self._waiting: IDelayedCall | None = None  # a reply that comes late
        self._closing = False
        self._out: list[bytes] = []

    # ---- Twisted calls us ------------------------------------------------------------------

    def connectionMade(self) -> None:
        receiver, manners = self.receiver, self._manners
        if receiver.out and manners.outage is Outage.BUSY:
            receiver.refuses(Refused(Reply(421, "3.2", ("Busy",)), Why.OUTAGE), 0)
            self._goodbye(Reply(421, "", ("Service not available, try again later",)))
            return
        if self._dropped(Stage.BANNER):
            return
        refused = receiver.memory.connect(self.known, receiver.world.now)
        if refused is not None:
            receiver.refuses(refused, 0)
            self._goodbye(refused.reply)
            return
        self._counted = True
        self.known.open += 1
        receiver.open += 1
        receiver.books.calls(receiver, receiver.open, receiver.world.now)
        self._say(b"220 " + (manners.exchanges or (manners.name,))[0].encode() + b" ESMTP\r\n")
        self._flush()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        if self._waiting is not None and self._waiting.active():
            self._waiting.cancel()
        self._waiting = None
        self._closing = True
        if self._counted:
            self._counted = False
            self.known.open -= 1
            self.receiver.open -= 1
            self.receiver.books.calls(self.receiver, self.receiver.open, self.receiver.world.now)

    def dataReceived(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        if self._waiting is None:
            self._go_on()

    def _go_on(self) -> None:
        """Answer all that has come, as far as that is possible now."""
        while self._buffer and not self._closing and self._waiting is None:
            if self._amid_content:
                if not self._content():
                    break
                continue
            end = self._buffer.find(b"\r\n")
            if end < 0:
                if len(self._buffer) > _LINE_LIMIT:
                    self._goodbye(Reply(500, "5.2", ("Line too long",)))
                break
            line, self._buffer = self._buffer[:end], self._buffer[end + 2 :]
            self._command(line)
        self._flush()

    # ---- Saying ----------------------------------------------------------------------------

    def _say(self, octets: bytes) -> None:
        self._out.append(octets)

    def _reply(self, reply: Reply) -> None:
        self._out.append(bytes(reply))

    def _flush(self) -> None:
        """Let what was said leave: at once, or after the time that a tarpit takes."""
        if not self._out or self._waiting is not None:
            return
        out, self._out = self._out, []
        if self._manners.pipelining is Pipelining.DISORDERED and len(out) > 2:
            out[1], out[2] = out[2], out[1]
            self.receiver.books.refused(self.receiver, Why.FAULTS, 0, self.receiver.world.now)
        if self._manners.tarpit:
            self._later(self._manners.tarpit * len(out), b"".join(out))
        else:
            self.transport.write(b"".join(out))

    def _later(self, seconds: float, octets: bytes) -> None:
        """Say something after a while, and listen no earlier."""
        self._waiting = self.receiver.world.clock.callLater(seconds, self._said, octets)

    def _said(self, octets: bytes) -> None:
        self._waiting = None
        self.transport.write(octets)
        if self._closing:
            self.transport.loseConnection()
        else:
            self._go_on()

    def _goodbye(self, reply: Reply) -> None:
        """The last reply."""
        self._closing = True
        self._reply(reply)
        out, self._out = self._out, []
        if self._manners.tarpit and self._waiting is None:
            self._later(self._manners.tarpit, b"".join(out))
            return
        self.transport.write(b"".join(out))
        self.transport.loseConnection()

    def _dropped(self, stage: Stage) -> bool:
        """Whether the connection is dropped here; then it is gone."""
        chance = self.receiver.chances.get(stage, 0.0)
        if not chance or self.receiver.chance.random() >= chance:
            return False
        self._drop()
        return True

    def _drop(self) -> None:
        self._closing = True
        self._out = []
        self.receiver.books.refused(self.receiver, Why.FAULTS, 0, self.receiver.world.now)
        self.transport.abortConnection()

    # ---- Commands --------------------------------------------------------------------------

    def _command(self, line: bytes) -> None:
        verb = line[:4].upper()
        if verb == b"MAIL":
            self._mail(line)
        elif verb == b"RCPT":
            self._rcpt(line)
        elif verb == b"DATA":
            self._data()
        elif verb in (b"EHLO", b"HELO"):
            self._ehlo()
        elif verb == b"QUIT":
            self._goodbye(Reply(221, "0.0", ("Bye",)))
        elif verb == b"RSET":
            self._envelope = None
            self._say(b"250 2.0.0 Ok\r\n")
        elif verb == b"STAR":
            self._starttls()
        elif verb == b"AUTH":
            self._say(b"235 2.7.0 Ok\r\n")
        elif verb == b"NOOP":
            self._say(b"250 2.0.0 Ok\r\n")
        else:
            self._say(b"502 5.5.1 Not here\r\n")

    def _ehlo(self) -> None:
        if self._dropped(Stage.EHLO):
            return
        manners = self._manners
        lines = ["hello", f"SIZE {manners.size}" if manners.size else "SIZE", "8BITMIME"]
        lines += ["ENHANCEDSTATUSCODES", "SMTPUTF8"]
        if manners.pipelining is not Pipelining.NO:
            lines.append("PIPELINING")
        if manners.tls is not Certificate.NONE and not self._encrypted:
            lines.append("STARTTLS")
        if manners.name.startswith("smarthost "):
            lines.append("AUTH PLAIN LOGIN")
        self._envelope = None
        self._reply(Reply(250, "", tuple(lines)))

    @property
    def _encrypted(self) -> bool:
        return bool(getattr(self.transport, "TLS", False))

    def _starttls(self) -> None:
        certificate = self._manners.tls
        if certificate in (Certificate.NONE, Certificate.REFUSED):
            self._say(b"454 4.7.0 TLS not available\r\n")
            return
        self._say(b"220 2.0.0 Go ahead\r\n")
        self._buffer = b""
        self._flush()
        if certificate is Certificate.BROKEN:
            self.transport.write(b"this is no handshake\r\n")
            self.receiver.books.refused(self.receiver, Why.FAULTS, 0, self.receiver.world.now)
            return
        self.transport.startTLS(self.receiver.context)

    def _mail(self, line: bytes) -> None:
        if self._dropped(Stage.MAIL):
            return
        found = _PATH.match(line)
        if found is None:
            self._say(b"501 5.5.4 What?\r\n")
            return
        receiver = self.receiver
        size = re.search(rb"SIZE=(\d+)", found[2].upper())
        if self._manners.size and size is not None and int(size[1]) > self._manners.size:
            self._refuse(Refused(Reply(552, "3.4", ("Too big",)), Why.OTHER))
            return
        self.sender = found[1].decode("utf-8", "replace")
        refused = receiver.judge_mail(self)
        if refused is not None:
            self._refuse(refused)
            return
        self._envelope = _Envelope(self.sender)
        self._say(b"250 2.1.0 Ok\r\n")

    def _refuse(self, refused: Refused) -> None:
        self.receiver.refuses(refused)
        if refused.reply.code == 421:  # which says that it closes
            self._goodbye(refused.reply)
        else:
            self._reply(refused.reply)

    def _rcpt(self, line: bytes) -> None:
        if self._dropped(Stage.RCPT):
            return
        envelope, found = self._envelope, _PATH.match(line)
        if envelope is None or found is None:
            self._say(b"503 5.5.1 MAIL first\r\n")
            return
        if len(envelope.recipients) >= self._manners.recipients > 0:
            self._say(b"452 4.5.3 Too many recipients\r\n")
            return
        path = found[1].decode("utf-8", "replace")
        refused = self.receiver.judge_recipient(self, path)
        if refused is not None:
            self._refuse(refused)
            return
        envelope.recipients.append(path)
        self._say(b"250 2.1.5 Ok\r\n")

    def _data(self) -> None:
        if self._dropped(Stage.DATA):
            return
        if self._envelope is None or not self._envelope.recipients:
            self._say(b"503 5.5.1 RCPT first\r\n")
            return
        self._say(b"354 Go on\r\n")
        self._amid_content = True

    # ---- Content ---------------------------------------------------------------------------

    def _content(self) -> bool:
        """Take content; whether it is whole."""
        buffer = self._buffer
        if buffer.startswith(b".\r\n"):
            content, self._buffer = b"", buffer[3:]
        else:
            end = buffer.find(_END)
            if end < 0:
                if len(buffer) > 65_536 and self._dropped(Stage.CONTENT):
                    self._buffer = b""
                return False
            content, self._buffer = buffer[: end + 2], buffer[end + len(_END) :]
        self._amid_content = False
        self._taken(content)
        return True

    def _taken(self, content: bytes) -> None:
        """The content is here: say what becomes of it."""
        envelope, self._envelope = self._envelope, None
        assert envelope is not None, "DATA was allowed"
        if self._dropped(Stage.CONTENT) or self._dropped(Stage.REPLY):
            return
        receiver, manners = self.receiver, self._manners
        message = Message(self.source, envelope.sender, envelope.recipients, content)
        lost = manners.lost_replies and receiver.chance.random() < manners.lost_replies
        wait = receiver.take(message, heard=not lost)
        self._messages += 1
        if lost:
            self._drop()
            return
        last = manners.messages and self._messages >= manners.messages
        self._say(b"250 2.0.0 Ok, taken\r\n")
        if wait:
            out, self._out = self._out, []
            self._closing = bool(last)
            self._later(wait, b"".join(out))
        elif last:  # closed without a word, as some do
            self._closing = True
            out, self._out = self._out, []
            self.transport.write(b"".join(out))
            self.transport.loseConnection()


def afterwards(receiver: Receiver, message: Message) -> list[tuple[str, str]]:
    """What is still to come of a message: ``bounce`` or ``complaint``, and of which recipient."""
    manners, seed = receiver.manners, receiver.memory.seed
    found = []
    for path in message.recipients:
        if manners.bounces and share(seed, "bounces", path) < manners.bounces:
            found.append(("bounce", path))
        elif manners.complaints and share(seed, "complaints", path) < manners.complaints:
            found.append(("complaint", path))
    return found
