"""A small model of an SMTP server, and a wire to it without a network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from mailhub.ports.conversation import Tls
from mailhub.ports.message import Content
from mailhub.smtp.client import ClientSession
from mailhub.smtp.wire import Secured

DROP = "drop"
"""Instead of an answer: hang up."""
SILENCE = "silence"
"""Instead of an answer: say nothing."""

Answer = str | Callable[[str], str]

EVERYTHING = (
    "PIPELINING",
    "SIZE 10000000",
    "8BITMIME",
    "BINARYMIME",
    "CHUNKING",
    "SMTPUTF8",
    "DSN",
    "ENHANCEDSTATUSCODES",
)


@dataclass
class Message:
    """What the server took."""

    mail: str
    recipients: list[str]
    content: bytes


@dataclass
class Model:
    """The server. Answers by verb; several in a list are given in turn, the last for ever.

    Attributes:
        commands: Every command line that arrived.
        taken: Messages for which the end of the content was answered with 2yz.
        trailing: What it says with the answer to a verb, unasked.
    """

    extensions: tuple[str, ...] = EVERYTHING
    answers: Mapping[str, Answer | list[Answer]] = field(default_factory=dict)
    trailing: Mapping[str, str] = field(default_factory=dict)
    greeting: str = "220 mx.example.net ESMTP"
    commands: list[str] = field(default_factory=list)
    taken: list[Message] = field(default_factory=list)
    certificate: str = "verified"

    def __post_init__(self) -> None:
        self.out = b""
        self.closed = False
        self.silent = False
        self.mail = ""
        self.recipients: list[str] = []
        self.content = b""
        self.awaiting = ""  # "data", or the rest of a chunk
        self.chunk = 0
        self.last = False
        self._in = b""
        self._turns: dict[str, int] = {}
        self.say(self.greeting)

    def say(self, answer: str) -> None:
        if answer == DROP:
            self.closed = True
        elif answer == SILENCE:
            self.silent = True
        else:
            self.out += answer.replace("\n", "\r\n").encode() + b"\r\n"

    def receive(self, octets: bytes) -> None:
        if self.closed or self.silent:
            return
        self._in += octets
        while self._step() and not self.closed and not self.silent:
            pass

    def _step(self) -> bool:
        if self.awaiting == "data":
            return self._take_content()
        if self.awaiting == "chunk":
            piece, self._in = self._in[: self.chunk], self._in[self.chunk :]
            self.content += piece
            self.chunk -= len(piece)
            if self.chunk:
                return False
            self.awaiting = ""
            self._end("BDAT", self.last)
            return True
        line, found, rest = self._in.partition(b"\r\n")
        if not found:
            return False
        assert b"\n" not in line, f"a bare LF in a command: {line!r}"
        self._in = rest
        self._command(line.decode())
        return True

    def _take_content(self) -> bool:
        framed = b"\r\n" + self._in
        end = framed.find(b"\r\n.\r\n")
        if end < 0:
            return False
        content = framed[: end + 2]
        assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
        self.content = content.replace(b"\r\n.", b"\r\n")[2:]
        self._in = framed[end + 5 :]
        self.awaiting = ""
        self._end(".", last=True)
        return True

    def _end(self, verb: str, last: bool) -> None:
        answer = self._answer(verb, "", "250 2.0.0 Ok: queued as MODEL")
        if last:
            if answer.startswith("2"):
                self.taken.append(Message(self.mail, self.recipients, self.content))
            self.mail, self.recipients, self.content = "", [], b""
        self.say(answer)

    def _command(self, line: str) -> None:
        self.commands.append(line)
        verb = line.split(" ", 1)[0].upper()
        default = getattr(self, f"_{verb.lower()}", lambda _: "500 5.5.1 What?")
        answer = self._answer(verb, line, default(line))
        if verb == "MAIL" and answer.startswith("2"):
            self.mail, self.recipients = line, []
        elif verb == "RCPT" and answer.startswith("2"):
            self.recipients.append(line)
        elif answer.startswith("354"):
            self.awaiting = "data"
        if verb == "BDAT":
            _, size, *rest = line.split()
            self.chunk, self.last, self.awaiting = int(size), bool(rest), "chunk"
            if answer:  # dropped or silent before the content
                self.say(answer)
            return
        self.say(answer + self.trailing.get(verb, ""))
        if verb == "QUIT":
            self.closed = True

    def _answer(self, verb: str, line: str, default: str) -> str:
        answer = self.answers.get(verb, default)
        if isinstance(answer, list):
            turn = self._turns.get(verb, 0)
            self._turns[verb] = turn + 1
            answer = answer[min(turn, len(answer) - 1)]
        return answer(line) if callable(answer) else answer

    def _ehlo(self, _: str) -> str:
        lines = ["mx.example.net at your service", *self.extensions]
        return "\n".join([*(f"250-{line}" for line in lines[:-1]), f"250 {lines[-1]}"])

    def _helo(self, _: str) -> str:
        return "250 mx.example.net"

    def _mail(self, line: str) -> str:
        return "503 5.5.1 Nested MAIL" if self.mail else "250 2.1.0 Ok"

    def _rcpt(self, line: str) -> str:
        return "250 2.1.5 Ok" if self.mail else "503 5.5.1 MAIL first"

    def _data(self, _: str) -> str:
        return "354 Go ahead" if self.recipients else "554 5.5.1 No valid recipients"

    def _rset(self, _: str) -> str:
        self.mail, self.recipients = "", []
        return "250 2.0.0 Ok"

    def _quit(self, _: str) -> str:
        return "221 2.0.0 Bye"

    def _starttls(self, _: str) -> str:
        return "220 2.0.0 Go ahead"

    def _bdat(self, _: str) -> str:
        return ""


class Unknowing(Model):
    """Takes what follows BDAT for commands."""

    def _command(self, line: str) -> None:
        if line.startswith("BDAT"):
            self.say("502 5.5.1 Not implemented")
        else:
            super()._command(line)


class FakeWire:
    """Implements `smtp.wire.Wire` towards a model.

    Attributes:
        session: To be set; octets are fed to it in pieces of `cut` (0 for all at once).
        allowed: Every patience that was granted.
        handshake: What `secure` raises, if anything.
    """

    session: ClientSession

    def __init__(self, server: Model, cut: int = 0) -> None:
        self.server = server
        self.cut = cut
        self.sent = b""
        self.allowed: list[float] = []
        self.handshake: Exception | None = None
        self.secured = 0

    def send(self, octets: bytes) -> None:
        self.sent += octets
        self.server.receive(octets)

    def allow(self, seconds: float) -> None:
        self.allowed.append(seconds)

    async def listen(self) -> None:
        out = self.server.out
        if not out:
            if self.server.closed:
                raise ConnectionError("Connection was closed cleanly.")
            assert self.server.silent, "the client waits for what nobody will say"
            raise TimeoutError
        cut = self.cut or len(out)
        self.server.out = out[cut:]
        self.session.feed(out[:cut])

    async def drained(self) -> None:
        if self.server.closed:
            # As on a network, what was said before is at hand.
            self.session.feed(self.server.out)
            self.server.out = b""
            raise ConnectionError

    async def secure(self) -> Secured:
        if self.handshake is not None:
            raise self.handshake
        self.secured += 1
        self.server.extensions = tuple(it for it in self.server.extensions if it != "STARTTLS")
        return Secured(
            Tls("TLSv1.3", "TLS_AES_256_GCM_SHA384", lambda _: None), self.server.certificate
        )


class Octets:
    """`ports.message.Content` in memory; `short` octets of it cannot be read."""

    def __init__(self, octets: bytes, short: int = 0) -> None:
        self.size = len(octets)
        self._octets = octets[: len(octets) - short]

    async def read(self, offset: int = 0, length: int | None = None) -> bytes:
        end = None if length is None else offset + length
        return self._octets[offset:end]

    def close(self) -> None:
        pass


def content(octets: bytes = b"Subject: hello\r\n\r\nHello.\r\n") -> Content:
    return Octets(octets)
