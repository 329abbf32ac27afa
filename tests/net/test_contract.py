"""Values of Twisted's contract, and back."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.net.contract import ContractMail, SpooledContent
from mailhub.smtp.job import Handover
from mailhub.smtp.transfer import PIECE
from mailhub.smtp.wire import Broken
from tests.rig import run


class Dripping:
    """A file without `seek` that gives its octets in pieces of its own choice."""

    def __init__(self, pieces: list[bytes]) -> None:
        self.pieces = [piece for piece in pieces if piece]

    def read(self, size: int) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""


class TestSpooledContent:
    @given(st.lists(st.text("a\r\n", max_size=4).map(str.encode), max_size=6))
    def test_line_ends(self, pieces: list[bytes]) -> None:
        """Line ends become CR LF, however the file is read, and the size is what is read back."""
        content = SpooledContent(Dripping(pieces))
        octets = run(content.read())
        whole = b"".join(pieces).replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        assert octets == whole.replace(b"\n", b"\r\n")
        assert content.size == len(octets)
        content.close()

    def test_parts(self) -> None:
        """It can be read anywhere, again."""
        content = SpooledContent(io.BytesIO(b"0123456789" * PIECE))
        assert run(content.read(PIECE + 5, 7)) == b"1234567"
        assert run(content.read(0, 3)) == b"012"
        content.close()


def mail(sender: Any, *to: Any) -> ContractMail:
    return ContractMail(sender, to, io.BytesIO(b"x\n"))


class TestContractMail:
    @pytest.mark.parametrize(
        ("given", "meant"),
        [
            ("ann@example.org", "ann@example.org"),
            (b"<ann@example.org>", "ann@example.org"),
            ("Ann <ann@example.org>", "ann@example.org"),
            ('"a b"@example.org', '"a b"@example.org'),
            ("ann", "ann"),
            ("postmaster", "postmaster"),
            ("\u00e9va@example.org", "\u00e9va@example.org"),
        ],
    )
    def test_addresses(self, given: Any, meant: str) -> None:
        """All forms that stock takes."""
        [recipient] = mail("", given).envelope.recipients
        assert str(recipient.path) == meant

    @pytest.mark.parametrize("address", ["", "a b", "a@b\r\nRSET", "a@", "\x00"])
    def test_refused(self, address: str) -> None:
        """What is no address stays here."""
        it = mail("bob@example.com", address, "ann@example.org")
        if address:
            assert len(it.envelope.recipients) == 1
            [bad, good] = it.results(Handover([Reply(250, "1.5", ("Ok",))]))
            assert (bad[1], good[1]) == (501, 250)
        assert not mail("a b@c d").envelope.recipients

    def test_results(self) -> None:
        """RCPT's replies for those who were accepted, whatever became of the content."""
        handover = Handover([Reply(554, "7.1", ("Spam",)), Reply(550, "1.1", ("Who?", "You?"))])
        handover.accepted[0] = Reply(250, "1.5", ("Ok",))
        handover.final = handover.replies[0]
        it = mail("bob@example.com", "ann@example.org", "bea@example.org")
        assert it.results(handover) == [
            (b"ann@example.org", 250, b"2.1.5 Ok"),
            (b"bea@example.org", 550, b"5.1.1 Who?\n5.1.1 You?"),
        ]
        assert it.summary(handover) == (554, b"5.7.1 Spam", 1)

    def test_summaries(self) -> None:
        """Nobody accepted, the connection closed, a reverse-path that is none."""
        it = mail("bob@example.com", "ann@example.org")
        refused = Handover([Reply(550, "1.1", ("Who?",))])
        assert it.summary(refused) == (550, b"No recipients accepted", 0)
        assert it.summary(Handover([None])) == (-1, b"No recipients accepted", 0)
        closing = Handover([None], fault=Broken(Reply(421, "3.2", ("Bye",)), "mail", heard=True))
        assert it.summary(closing) == (421, b"4.3.2 Bye", 0)
        assert it.results(closing) == []
        assert mail("a b").summary(Handover([]))[0] == 501
