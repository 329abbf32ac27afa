"""Content on its way: sent whole or not ended at all, and what is said behind it."""

from __future__ import annotations

from typing import Any

import pytest

from mailhub.smtp.dialogue import Dialogue
from mailhub.smtp.transfer import PIECE, Transfer, bdat, nothing
from mailhub.smtp.wire import TIMEOUTS, Broken, Unreadable
from tests.rig import run
from tests.smtp.model import DROP, FakeWire, Model, Octets

SMALL = b"Subject: hello\r\n\r\n.Hello\r\n"
NEXT = b"NOOP\r\n"


def transfer(server: Model, *, chunk: int = 10) -> tuple[Transfer, FakeWire, Dialogue]:
    """A transfer to a server that waits for content."""
    wire = FakeWire(server)
    dialogue = Dialogue(wire)
    wire.session = dialogue  # type: ignore[assignment]  # it is fed, and nothing else
    return Transfer(dialogue, TIMEOUTS, chunk), wire, dialogue


def amid(*, data: bool, **answers: Any) -> Model:
    """A server that has accepted a recipient."""
    server = Model(answers=answers)
    server.out, server.mail, server.recipients = b"", "MAIL", ["RCPT"]
    server.awaiting = "data" if data else ""
    return server


class TestData:
    def test_whole(self) -> None:
        """Dots are stuffed, the end is marked, and what follows is right behind it."""
        server = amid(data=True)
        sending, wire, dialogue = transfer(server)
        reply = run(sending.data(Octets(SMALL), SMALL, lambda: NEXT))
        assert reply.code == 250
        assert wire.sent == b"Subject: hello\r\n\r\n..Hello\r\n.\r\n" + NEXT
        assert server.taken[0].content == SMALL
        assert not dialogue.doubt

    def test_short(self) -> None:
        """Content that cannot be read to its end is not ended (it would be taken for whole)."""
        octets = b"x" * 78 + b"\r\n"
        content = Octets(octets * 2000, short=PIECE)
        sending, wire, _ = transfer(amid(data=True))
        with pytest.raises(Unreadable):
            run(sending.data(content, run(content.read(0, PIECE)), nothing))
        assert not wire.sent.endswith(b"\r\n.\r\n")

    def test_lost(self) -> None:
        """A connection that is lost behind the end leaves it in doubt."""
        sending, _, _ = transfer(amid(data=True, **{".": DROP}))
        with pytest.raises(Broken) as caught:
            run(sending.data(Octets(SMALL), SMALL, nothing))
        assert caught.value.in_doubt


class TestChunks:
    def test_whole(self) -> None:
        """All octets go in chunks, the last of which says so."""
        server = amid(data=False)
        sending, wire, _ = transfer(server)
        assert run(sending.chunks(Octets(SMALL), SMALL, 2, lambda: NEXT)).code == 250
        assert server.commands[:3] == ["BDAT 10", "BDAT 10", "BDAT 6 LAST"]
        assert server.taken[0].content == SMALL
        assert wire.sent.endswith(SMALL[-6:] + NEXT)

    def test_refused(self) -> None:
        """Behind a chunk that was refused nothing more is sent."""
        server = amid(data=False, BDAT=["", "552 5.3.4 Too much"])
        sending, wire, _ = transfer(server)
        assert run(sending.chunks(Octets(SMALL), SMALL, 0, lambda: NEXT)).code == 552
        assert server.commands == ["BDAT 10"]
        assert NEXT not in wire.sent


def test_bdat() -> None:
    """The command as RFC 3030 §2 has it."""
    assert bdat(0, last=True) == b"BDAT 0 LAST\r\n"
    assert bdat(86, last=False) == b"BDAT 86\r\n"
