"""A lean SMTP client: an application that hands mail in, or a provider that sends it back.

Invariant: a message is the sender's until a final reply came to it; `Errand.done` is called
once for each attempt, with what was said.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from twisted.internet.protocol import ClientFactory, connectionDone
from twisted.internet.protocol import Protocol as TwistedProtocol
from twisted.python.failure import Failure

from mailhub.sim.network import Host

_LOST: Final = 0
"""The code of a connection that was lost, or never made."""


@dataclass(slots=True)
class Errand:
    """A message to hand in.

    Attributes:
        notify: Of what its sender wants to be told (RFC 3461 §4.1); ``""`` says nothing of it.
        done: Called with the code of the final reply (0 for none) and those of the recipients.
    """

    sender: str
    recipients: tuple[str, ...]
    content: bytes
    done: Callable[[int, tuple[int, ...]], object]
    notify: str = ""


Login = tuple[str, str]
"""An account and its password."""

Next = Callable[[], Errand | float | None]
"""The next errand; the seconds to wait for it; or None where there will be none."""


class Sender(TwistedProtocol):
    """One connection that runs errands."""

    transport: Any

    def __init__(self, host: Host, following: Next, name: str, login: Login | None) -> None:
        self._host = host
        self._following = following
        self._name = name
        self._login = login
        self._errand: Errand | None = None
        self._buffer = b""
        self._codes: list[int] = []
        self._wanted = 1  # replies to come
        self._stage = "banner"
        self._ended = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self._ended = True
        self._finish(_LOST)

    def dataReceived(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        for line in lines:
            if line[3:4] != b"-":
                self._codes.append(int(line[:3]))
        while len(self._codes) >= self._wanted:
            codes, self._codes = self._codes[: self._wanted], self._codes[self._wanted :]
            self._heard(codes)

    def _heard(self, codes: list[int]) -> None:
        if self._stage == "banner" and codes[0] == 220:
            self._ask("ehlo", f"EHLO {self._name}\r\n".encode(), 1)
        elif self._stage in ("banner", "quit"):
            self._ask("over", b"", 1)
            self.transport.loseConnection()
        elif self._stage == "ehlo" and self._login is not None:
            account, password = self._login
            response = b64encode(f"\0{account}\0{password}".encode())
            self._ask("auth", b"AUTH PLAIN " + response + b"\r\n", 1)
        elif self._stage in ("ehlo", "auth"):
            self._next()
        elif self._stage == "envelope":
            self._envelope(codes)
        elif self._stage in ("content", "rset"):
            if self._stage == "content":
                self._finish(codes[0])
            self._next()

    def _ask(self, stage: str, octets: bytes, replies: int) -> None:
        self._stage, self._wanted = stage, replies
        if octets:
            self.transport.write(octets)

    def _next(self) -> None:
        if self._ended:
            return
        found = self._following()
        if isinstance(found, float):
            self._stage = "idle"
            self._wanted = 1 << 30
            self._host.reactor.callLater(found, self._next)
        elif found is None:
            self._ask("quit", b"QUIT\r\n", 1)
        else:
            self._errand = found
            lines = [f"MAIL FROM:<{found.sender}>"]
            wish = f" NOTIFY={found.notify}" if found.notify else ""
            lines += [f"RCPT TO:<{path}>{wish}" for path in found.recipients]
            octets = "\r\n".join((*lines, "DATA\r\n")).encode()
            self._ask("envelope", octets, len(found.recipients) + 2)

    def _envelope(self, codes: list[int]) -> None:
        errand = self._errand
        assert errand is not None, "it was sent"
        self._accepted = tuple(codes[1:-1])
        if codes[-1] == 354:
            self._ask("content", errand.content + b".\r\n", 1)
            return
        self._finish(codes[0] if codes[0] >= 400 else max(codes))
        self._ask("rset", b"RSET\r\n", 1)

    _accepted: tuple[int, ...] = ()

    def _finish(self, code: int) -> None:
        errand, self._errand = self._errand, None
        if errand is not None:
            errand.done(code, self._accepted)
        self._accepted = ()


class SenderFactory(ClientFactory):
    """Makes one sender; `gone` is called when its connection has ended, or could not be made."""

    noisy = False

    def __init__(
        self,
        host: Host,
        following: Next,
        gone: Callable[[], object],
        login: Login | None = None,
    ) -> None:
        self._login = login
        self._host = host
        self._following = following
        self._gone = gone

    def buildProtocol(self, addr: Any) -> Sender:  # noqa: ARG002
        return Sender(self._host, self._following, self._host.name, self._login)

    def clientConnectionFailed(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self._gone()

    def clientConnectionLost(self, connector: Any, reason: Failure) -> None:  # noqa: ARG002
        self._gone()
