"""Replies of servers: any split gives the same, and nothing grows without bound."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail.reply import Reply
from mailhub.smtp.replies import Garbled, ReplyLimits, ReplyReader


def read(octets: bytes, limits: ReplyLimits | None = None) -> list[Reply]:
    reader = ReplyReader(limits or ReplyLimits())
    reader.feed(octets)
    replies = []
    while (reply := reader.next()) is not None:
        replies.append(reply)
    return replies


class TestReplyReader:
    def test_lines(self) -> None:
        """Lines with a hyphen go on; the enhanced status is taken off each."""
        [reply] = read(b"550-5.1.1 No such\r\n550 5.1.1 user\r\n")
        assert reply == Reply(550, "1.1", ("No such", "user"))

    def test_bare_code(self) -> None:
        """A code without a text, with and without the space, is a reply."""
        assert [reply.code for reply in read(b"250\r\n354 \r\n")] == [250, 354]

    def test_bare_line_feed(self) -> None:
        """Old servers end lines with LF: the text is the same."""
        assert read(b"250-a\n250 b\n") == read(b"250-a\r\n250 b\r\n")

    @given(st.lists(st.integers(1, 9), max_size=30))
    def test_cuts(self, cuts: list[int]) -> None:
        """The replies do not depend on how the octets arrived."""
        octets = b"220 mx ESMTP\r\n250-mx\r\n250-SIZE 5\r\n250 HELP\r\n421 4.3.2 Bye\r\n"
        reader, replies = ReplyReader(), []
        for cut in [*cuts, len(octets)]:
            reader.feed(octets[:cut])
            octets = octets[cut:]
            while (reply := reader.next()) is not None:
                replies.append(reply)
        assert [reply.code for reply in replies] == [220, 250, 421]
        assert not reader

    @pytest.mark.parametrize(
        "line",
        [b"hello", b"25", b"25x ok", b"199 no", b"650 no", b"250+a", b"250a", b"\xff\xfe", b""],
    )
    def test_garbage(self, line: bytes) -> None:
        """What is not a reply is an error, not a guess."""
        with pytest.raises(Garbled):
            read(line + b"\r\n")

    def test_codes_that_differ(self) -> None:
        """All lines of a reply have one code (RFC 5321 §4.2.1)."""
        with pytest.raises(Garbled, match="250 and 550"):
            read(b"250-a\r\n550 b\r\n")

    @given(st.binary(max_size=60))
    def test_any_octets(self, octets: bytes) -> None:
        """Whatever arrives gives replies or Garbled, and no control characters."""
        try:
            replies = read(octets)
        except Garbled:
            return
        assert all(line.isprintable() for reply in replies for line in reply.lines if line)

    def test_control_characters(self) -> None:
        """A server's text cannot move the cursor of whoever reads the log."""
        [reply] = read(b"550 \x1b[2Jno\rsuch\x00user\r\n")
        assert reply.lines == ("?[2Jno?such?user",)

    def test_endless_line(self) -> None:
        """A line without end is given up at the limit, even octet by octet."""
        reader = ReplyReader(ReplyLimits(line=100))
        for _ in range(99):
            reader.feed(b"2")
            assert reader.next() is None
        reader.feed(b"2")
        with pytest.raises(Garbled, match="100 octets"):
            reader.next()

    def test_endless_reply(self) -> None:
        """Continuation lines without end are given up, by number and by octets."""
        with pytest.raises(Garbled, match="without end"):
            read(b"250-a\r\n" * 6, ReplyLimits(lines=5))
        with pytest.raises(Garbled, match="without end"):
            read(b"250-" + b"a" * 60 + b"\r\n250 b\r\n", ReplyLimits(octets=50))

    def test_truth(self) -> None:
        """A reader is true while octets wait in it, in whole lines or not."""
        reader = ReplyReader()
        assert not reader
        reader.feed(b"250-a\r\n")
        assert reader.next() is None
        assert reader
        reader.feed(b"250 b\r\n2")
        assert reader.next() is not None
        assert reader
