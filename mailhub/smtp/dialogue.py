"""Commands out, replies in, and nothing else: what all of the sending side is said through.

Invariants:

1. A reply is taken for the answer to a command only if it arrived after that
   command was sent. Replies that nobody asked for end the dialogue.
2. Whatever goes wrong is a `Broken` with a reply that fits a DSN, after which
   the dialogue is of no further use.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.smtp.replies import REPLY_LIMITS, Garbled, ReplyLimits, ReplyReader
from mailhub.smtp.wire import Broken, Incomprehensible, TimedOut, Wire

_PLACES: Final = {
    "connect": "before it was made",
    "banner": "before the greeting",
    "ehlo": "after EHLO",
    "starttls": "after STARTTLS",
    "auth": "during AUTH",
    "mail": "after MAIL",
    "rcpt": "after RCPT",
    "data": "after DATA",
    "content": "amid the content",
}


class Dialogue:
    """A conversation over one wire.

    Attributes:
        stage: How far it has got, as in `ports.outgoing.Attempt`.
        said: The server's last reply.
        doubt: The end of the content was sent, and its reply has not come.
    """

    def __init__(
        self,
        wire: Wire,
        limits: ReplyLimits = REPLY_LIMITS,
        record: Callable[[str], None] | None = None,
    ) -> None:
        """`record` is told each line, without secrets and content."""
        self.stage = "connect"
        self.said: Reply | None = None
        self.doubt = False
        self.wire = wire
        self._record = record
        self._reader = ReplyReader(limits)

    def feed(self, octets: bytes) -> None:
        """Take octets that arrived. Only stores them."""
        self._reader.feed(octets)

    @property
    def surprised(self) -> bool:
        """Whether octets are at hand that no command asked for."""
        return bool(self._reader)

    async def ask(self, line: bytes, stage: str, seconds: float) -> Reply:
        """Send a command and wait for its reply. Raises as `reply` and `fresh` do."""
        self.stage = stage
        self.fresh()
        self.say(line)
        return await self.reply(stage, seconds)

    def fresh(self) -> None:
        """Make sure that no reply is at hand to what was not asked yet.

        Raises:
            Broken: One is.
        """
        if self._reader:
            # Mostly 421 on a connection that has been idle for long (RFC 5321 §3.8).
            reply = self.take(self.stage)
            if reply is not None and reply.code >= 400:
                raise Broken(reply, self.stage, heard=True)
            raise self.nonsense(reply, self.stage)

    def say(self, octets: bytes) -> None:
        """Send commands."""
        if octets:
            self.record(octets)
            self.wire.send(octets)

    def record(self, octets: bytes) -> None:
        """Add commands to the record."""
        if self._record is not None:
            for line in octets.decode("utf-8", "replace").split("\r\n")[:-1]:
                self._record(f">>> {line}")

    async def reply(self, stage: str, seconds: float) -> Reply:
        """The next reply.

        Raises:
            Broken: There is none, or it is 421: the server hangs up whatever we
                were at (RFC 5321 §3.8).
        """
        self.stage = stage
        reply = self.take(stage)
        if reply is None:
            self.wire.allow(seconds)
        while reply is None:
            try:
                await self.wire.listen()
            except (ConnectionError, TimeoutError) as error:
                raise self.failed(error, stage) from None
            reply = self.take(stage)
        if reply.code == 421:
            raise Broken(reply, stage, heard=True)
        return reply

    def take(self, stage: str) -> Reply | None:
        """The next reply, if it has arrived.

        Raises:
            Incomprehensible: It is none.
        """
        try:
            reply = self._reader.next()
        except Garbled as error:
            words = f"The server sent {error}"
            reply = Reply(451, "5.0", (words,))
            raise Incomprehensible(reply, stage, in_doubt=self.doubt) from None
        if reply is not None:
            self.said = reply
            if self._record is not None:
                # What a challenge holds is half of a password's proof (RFC 5802 §9).
                secret = stage == "auth" and reply.code == 334
                self._record("<<< 334 ***" if secret else f"<<< {reply.text}")
        return reply

    def nonsense(self, reply: Reply | None, stage: str) -> Broken:
        """What to raise for a reply that fits nothing; None for the beginning of one."""
        words = f"Unexpected reply: {reply.text if reply else 'half a line'}"
        return Incomprehensible(Reply(451, "5.0", (words,)), stage, in_doubt=self.doubt)

    def failed(self, error: Exception, stage: str) -> Broken:
        """What to raise for an error of the wire."""
        place = _PLACES.get(stage, stage)
        if self.doubt:
            place = "after the end of the content; it may have been accepted"
        if isinstance(error, TimeoutError):
            reply = Reply(451, "4.2", (f"Timed out {place}",))
            return TimedOut(reply, stage, in_doubt=self.doubt)
        reply = Reply(451, "4.2", (f"Connection lost {place}: {why(error)}",))
        return Broken(reply, stage, in_doubt=self.doubt)

    def note(self, line: str) -> None:
        """Add to the record."""
        if self._record is not None:
            self._record(line)


_LONGWINDED: Final = (
    "Connection to the other side was lost in a non-clean fashion",
    "Connection was closed cleanly",
    "Connection lost",
)


def why(error: Exception) -> str:
    """An error of the wire in a few words."""
    if isinstance(error, TimeoutError):
        return "timed out"
    words = str(error).rstrip(".")
    for long in _LONGWINDED:
        # Twisted's sentences say first what has been said already.
        words = words.removeprefix(long).lstrip(": ")
    return words or "closed by the server"
