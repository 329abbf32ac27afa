"""An SMTP conversation as one hears it who listens in, and what is wrong with the order of it.

    dialogue = Dialogue(tell)
    dialogue.asked(octets)      # the client's
    dialogue.answered(octets)   # the server's
    print(dialogue.faults)

It shares no code with our server or client: what either makes of the octets is what is
judged. What comes behind STARTTLS is not understood, and not judged.

Invariants that it keeps:

1. Each reply answers the first command that has none yet (RFC 5321 §4.3.2, RFC 2920 §3.1),
   and is one which that command may have: a code, and an enhanced status that speaks of
   a sender (X.1.0) for MAIL alone, of a recipient (X.1.5) for RCPT alone.
2. Nothing is accepted out of its turn: no recipient without a sender, no content without
   a recipient, no message without content.
3. Nobody answers what was not asked, but for a 421 (RFC 5321 §3.8).
"""

from __future__ import annotations

import re
from base64 import b64decode
from binascii import Error as NoBase64
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mailhub.mail.reply import Reply

_PATH: Final = re.compile(rb"[^<]*<([^>]*)>")
_END: Final = b"\r\n.\r\n"
_POSITIVE: Final = {
    "": (220,),
    "EHLO": (250,),
    "HELO": (250,),
    "MAIL": (250,),
    "RCPT": (250, 251),
    "DATA": (354,),
    ".": (250,),
    "BDAT": (250,),
    "LAST": (250,),
    "RSET": (250,),
    "NOOP": (250,),
    "VRFY": (250, 251, 252),
    "HELP": (211, 214),
    "QUIT": (221,),
    "STARTTLS": (220,),
    "AUTH": (235, 334),
}
"""What a command may be answered with if it is done (RFC 5321 §4.3.2), "" being the call itself."""
_SPEAKS_OF: Final = {"1.0": "MAIL", "1.5": "RCPT"}
"""Enhanced statuses of success that belong to one command (RFC 3463 §3.2)."""


@dataclass(slots=True)
class Transaction:
    """A mail transaction, as far as it came.

    Attributes:
        accepted: The recipients that were answered with 250; `refused` with another code.
        account: Whose login was accepted before; ``""`` for none.
        code: Of the final reply; 0 as long as there is none.
    """

    sender: str
    account: str = ""
    accepted: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    named: int = 0
    content: bytes = b""
    code: int = 0


@dataclass(slots=True)
class _Asked:
    """A command without an answer; `verb` is ``.`` or ``LAST`` for the end of content."""

    verb: str
    path: str = ""
    account: str = ""


Tell = Callable[[str, Transaction], object]
"""Told of ``MAIL`` and ``RCPT`` as they are asked, and of ``.`` as it is answered."""


def _nobody(_: str, __: Transaction) -> None:
    """Nobody wants to know."""


class Dialogue:
    """One conversation, at one of its two ends.

    Attributes:
        faults: What was wrong.
        over: The client has said goodbye.
    """

    def __init__(self, tell: Tell = _nobody) -> None:
        self.faults: list[str] = []
        self.over = False
        self._tell = tell
        self._client = b""
        self._server = b""
        self._lines: list[str] = []
        self._waiting: deque[_Asked] = deque([_Asked("")])
        self._wanted: int | None = 0  # octets of a chunk to come; None amid the content of DATA
        self._held = False  # what the client says next depends on an answer
        self._deaf = False
        self._amid_login = False
        self._account = ""
        self._coming: Transaction | None = None  # as asked
        self._going: Transaction | None = None  # as answered
        self._begun: deque[Transaction] = deque()

    # ---- The client ------------------------------------------------------------------------

    def asked(self, octets: bytes) -> None:
        """The client has said something."""
        if not self._deaf:
            self._client += octets
            self._listen()

    def _listen(self) -> None:
        """Take what is whole and can be understood already."""
        while self._client and not self._held and not self._deaf:
            if self._wanted is None:
                if not self._dotted():
                    return
            elif self._wanted:
                taken = self._client[: self._wanted]
                if self._coming is not None:
                    self._coming.content += taken
                self._client = self._client[len(taken) :]
                self._wanted -= len(taken)
            elif b"\r\n" in self._client:
                line, _, self._client = self._client.partition(b"\r\n")
                self._line(line)
            else:
                return

    def _dotted(self) -> bool:
        """Take the content of DATA, if it is whole."""
        whole = b"\r\n" + self._client
        end = whole.find(_END)
        if end < 0:
            return False
        if self._coming is not None:
            content = whole[2 : end + 2].replace(b"\r\n.", b"\r\n").removeprefix(b".")
            self._coming.content = content
        self._client = whole[end + len(_END) :]
        self._wanted = 0
        self._waiting.append(_Asked("."))
        return True

    def _line(self, line: bytes) -> None:
        if self._amid_login:  # no command (RFC 4954 §4)
            self._waiting.append(_Asked("AUTH", account=_login(line)))
            self._amid_login, self._held = False, True
        else:
            self._command(line)

    def _command(self, line: bytes) -> None:
        verb, _, rest = line.partition(b" ")
        name = verb.upper().decode("latin-1")
        asked = _Asked(name)
        if name in ("MAIL", "RCPT"):
            found = _PATH.match(rest)
            asked.path = found[1].decode("utf-8", "replace") if found is not None else ""
            self._envelope(name, asked.path)
        elif name == "AUTH":
            asked.account = _login(rest.partition(b" ")[2])
        elif name == "BDAT":
            size, _, last = rest.partition(b" ")
            asked.verb = "LAST" if last.strip().upper() == b"LAST" else name
            self._wanted = int(size) if size.isdigit() else 0
        elif name == "QUIT":
            self.over = True
        self._held = name in ("DATA", "AUTH", "STARTTLS")
        self._waiting.append(asked)

    def _envelope(self, name: str, path: str) -> None:
        if name == "MAIL":
            self._coming = Transaction(path, self._account)
            self._begun.append(self._coming)
        elif self._coming is not None:
            self._coming.named += 1
        if self._coming is not None:
            self._tell(name, self._coming)

    # ---- The server ------------------------------------------------------------------------

    def answered(self, octets: bytes) -> None:
        """The server has said something."""
        if self._deaf:
            return
        self._server += octets
        while b"\r\n" in self._server and not self._deaf:
            line, _, self._server = self._server.partition(b"\r\n")
            self._lines.append(line.decode("utf-8", "replace"))
            if line[3:4] != b"-":
                lines, self._lines = self._lines, []
                self._reply(lines)
                self._listen()

    def _reply(self, lines: list[str]) -> None:
        code = lines[-1][:3]
        if not code.isdigit() or any(line[:3] != code for line in lines):
            self.faults.append(f"{lines} is no reply")
            return
        reply = Reply.parse(int(code), [line[4:] for line in lines])
        if reply.code == 421:
            self._deaf = True  # it closes, whatever was asked (RFC 5321 §3.8)
            return
        if not self._waiting:
            self.faults.append(f"{reply.text} answers nothing")
            return
        asked = self._waiting.popleft()
        self._judge(asked, reply)
        self._held = False if asked.verb in ("DATA", "AUTH", "STARTTLS") else self._held
        self._answer(asked, reply)

    def _judge(self, asked: _Asked, reply: Reply) -> None:
        """Whether this may be the answer to that."""
        what = asked.verb or "the call"
        allowed = _POSITIVE.get(asked.verb, (reply.code,))
        if asked.path:
            what = f"{what} <{asked.path}>"
        if reply.code >= 400:
            return
        if reply.code not in allowed:
            self.faults.append(f"{what} is answered with {reply.text}")
        elif _SPEAKS_OF.get(reply.detail, asked.verb) != asked.verb:
            self.faults.append(f"{what} is answered with {reply.text}, which is another's")
        elif not self._in_turn(asked.verb):
            self.faults.append(f"{what} is answered with {reply.text}, out of its turn")

    def _in_turn(self, verb: str) -> bool:
        going = self._going
        if verb == "RCPT":
            return going is not None
        if verb in ("DATA", "BDAT", "LAST"):
            return going is not None and bool(going.accepted)
        return True

    def _answer(self, asked: _Asked, reply: Reply) -> None:
        done = reply.code < 400
        verb, going = asked.verb, self._going
        if verb == "MAIL":
            begun = self._begun.popleft()
            self._going = begun if done else None
        elif verb == "RCPT" and going is not None:
            (going.accepted if done else going.refused).append(asked.path)
        elif verb == "DATA" and reply.code == 354:
            self._wanted = None
        elif verb in (".", "LAST") and going is not None:
            going.code = reply.code
            self._going = None
            self._tell(".", going)
        elif verb in ("RSET", "EHLO", "HELO"):
            self._going = None
        elif verb == "AUTH":
            self._login(asked, reply)
        elif verb == "STARTTLS" and done:
            self._deaf = True

    def _login(self, asked: _Asked, reply: Reply) -> None:
        if reply.code == 235:
            self._account = asked.account
        self._amid_login = reply.code == 334


def _login(response: bytes) -> str:
    """Whose login it is, if that is said in PLAIN (RFC 4616 §2)."""
    try:
        return b64decode(response, validate=True).split(b"\0")[1].decode()
    except (NoBase64, IndexError, ValueError):
        return ""
