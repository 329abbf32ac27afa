"""Commands and replies: what belongs together, and what to say when the wire fails."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from mailhub.smtp.dialogue import Dialogue, why
from mailhub.smtp.wire import Broken, Incomprehensible, Secured, TimedOut
from tests.rig import run


class Wire:
    """Feeds what it was given, piece by piece, then fails."""

    def __init__(self, pieces: Sequence[bytes], end: Exception) -> None:
        self.pieces = list(pieces)
        self.end = end
        self.sent = b""
        self.allowed: list[float] = []
        self.dialogue: Dialogue

    def send(self, octets: bytes) -> None:
        self.sent += octets

    def allow(self, seconds: float) -> None:
        self.allowed.append(seconds)

    async def listen(self) -> None:
        if not self.pieces:
            raise self.end
        self.dialogue.feed(self.pieces.pop(0))

    async def drained(self) -> None:
        raise AssertionError

    async def secure(self) -> Secured:
        raise AssertionError


def dialogue(
    *pieces: bytes, end: Exception | None = None, record: list[str] | None = None
) -> tuple[Dialogue, Wire]:
    wire = Wire(pieces, end or ConnectionError("Connection reset by peer."))
    wire.dialogue = Dialogue(wire, record=None if record is None else record.append)
    return wire.dialogue, wire


class TestDialogue:
    def test_ask(self) -> None:
        """A command is sent, and its reply is the next one to arrive, in however many pieces."""
        talk, wire = dialogue(b"25", b"0 2.0.0 O", b"k\r\n")
        reply = run(talk.ask(b"NOOP\r\n", "mail", 30))
        assert (reply.code, wire.sent, talk.said) == (250, b"NOOP\r\n", reply)

    def test_patience(self) -> None:
        """The time is for the whole reply: a server that drips octets gains none."""
        talk, wire = dialogue(b"250-a\r\n", b"250-b\r\n", b"250 c\r\n")
        run(talk.ask(b"NOOP\r\n", "mail", 30))
        assert wire.allowed == [30]

    def test_timed_out(self) -> None:
        """Silence is a temporary failure that names the stage."""
        talk, _ = dialogue(end=TimeoutError())
        with pytest.raises(TimedOut, match=r"451 4\.4\.2 Timed out after RCPT") as caught:
            run(talk.ask(b"RCPT\r\n", "rcpt", 30))
        assert not caught.value.in_doubt

    def test_lost(self) -> None:
        """So is a connection that is lost, and says why."""
        talk, _ = dialogue()
        with pytest.raises(Broken, match=r"lost after MAIL: Connection reset by peer$"):
            run(talk.ask(b"MAIL\r\n", "mail", 30))

    def test_in_doubt(self) -> None:
        """Behind the end of the content, both leave the message in doubt (RFC 1047 §2)."""
        for end in (ConnectionError(), TimeoutError()):
            talk, _ = dialogue(end=end)
            talk.doubt = True
            with pytest.raises(Broken, match="may have been accepted") as caught:
                run(talk.reply("content", 30))
            assert caught.value.in_doubt

    def test_garbage(self) -> None:
        """What is no reply ends the dialogue, in doubt where it stands for the last one."""
        talk, _ = dialogue(b"hello\r\n")
        with pytest.raises(Incomprehensible, match="hello"):
            run(talk.ask(b"NOOP\r\n", "mail", 30))
        talk, _ = dialogue(b"hello\r\n")
        talk.doubt = True
        with pytest.raises(Incomprehensible) as caught:
            run(talk.reply("content", 30))
        assert caught.value.in_doubt

    def test_closing(self) -> None:
        """421 is the end, whatever it answers (RFC 5321 §3.8)."""
        talk, _ = dialogue(b"421 4.3.2 Shutting down\r\n")
        talk.doubt = True
        with pytest.raises(Broken, match="Shutting down") as caught:
            run(talk.reply("content", 30))
        assert caught.value.heard
        assert not caught.value.in_doubt

    def test_unasked(self) -> None:
        """A reply that was there before the command is not its answer."""
        talk, wire = dialogue(b"250 Ok\r\n")
        talk.feed(b"250 Ok\r\n")
        assert talk.surprised
        with pytest.raises(Incomprehensible, match="Unexpected reply: 250 Ok"):
            run(talk.ask(b"NOOP\r\n", "mail", 30))
        assert not wire.sent

    def test_half_unasked(self) -> None:
        """Neither is the beginning of one."""
        talk, _ = dialogue()
        talk.feed(b"25")
        with pytest.raises(Incomprehensible, match="half a line"):
            talk.fresh()

    def test_farewell(self) -> None:
        """A refusal that was there before the command is taken for the farewell that it is."""
        talk, _ = dialogue()
        talk.feed(b"421 4.4.2 Idle for too long\r\n")
        with pytest.raises(Broken, match="Idle for too long") as caught:
            talk.fresh()
        assert caught.value.heard

    def test_record(self) -> None:
        """The record has each line of both sides, in order."""
        record: list[str] = []
        talk, _ = dialogue(b"250 Ok\r\n250-a\r\n250 b\r\n", record=record)
        talk.say(b"RSET\r\nNOOP\r\n")
        run(talk.reply("mail", 30))
        run(talk.reply("mail", 30))
        assert record == [">>> RSET", ">>> NOOP", "<<< 250 Ok", "<<< 250 a b"]


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (ConnectionError("Connection was closed cleanly."), "closed by the server"),
        (
            ConnectionError("Connection to the other side was lost in a non-clean fashion: reset."),
            "reset",
        ),
        (
            ConnectionError(
                "Connection to the other side was lost in a non-clean fashion: Connection lost."
            ),
            "closed by the server",
        ),
        (ConnectionError("No route to host"), "No route to host"),
        (TimeoutError(), "timed out"),
    ],
)
def test_why(error: Exception, words: str) -> None:
    """What ended a connection, without what has been said already."""
    assert why(error) == words
