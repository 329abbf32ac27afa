"""Transparency, and TOP's cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mailhub.mail import header
from mailhub.pop3.transfer import END, PIECE, Stuffing, Top

octets = st.lists(
    st.sampled_from([b"\r\n", b".", b"\n", b"\r", b"x", b"..", b".\r\n", b"Subject: y\r\n"]),
    max_size=30,
).map(b"".join)
cuts = st.lists(st.integers(0, 60), max_size=8)


def cut(content: bytes, places: list[int]) -> list[bytes]:
    marks = [0, *sorted(places), max([*places, len(content)])]
    return [content[start:end] for start, end in pairwise(marks)]


def sent(pieces: list[bytes]) -> bytes:
    stuffing = Stuffing()
    return b"".join([*map(stuffing.take, pieces), stuffing.end()])


def top(pieces: list[bytes], lines: int) -> bytes:
    cutter, found = Top(lines), b""
    for piece in pieces:
        found += cutter.take(piece)
        if cutter.done:
            break
    return found


class TestStuffing:
    """RFC 1939 §3."""

    def test_dots(self) -> None:
        """A dot that begins a line is doubled, behind a bare LF too; others are not."""
        assert sent([b".a\r\n..b\r\nc.\r\n.\r\n\n.\n"]) == (
            b"..a\r\n...b\r\nc.\r\n..\r\n\n..\n\r\n.\r\n"
        )

    def test_end(self) -> None:
        """The response ends in a line of its own."""
        assert sent([b"a"]) == b"a\r\n.\r\n"
        assert sent([b"a\r\n"]) == b"a\r\n.\r\n"
        assert sent([b"a\r", b"\n"]) == b"a\r\n.\r\n"
        assert sent([b"a\r"]) == b"a\r\r\n.\r\n"
        assert sent([b""]) == b".\r\n"

    @given(octets, cuts)
    def test_cuts(self, content: bytes, places: list[int]) -> None:
        """What is sent does not depend on the pieces (invariant 1)."""
        assert sent(cut(content, places)) == sent([content])

    @given(octets)
    def test_undone(self, content: bytes) -> None:
        """A client gets the content back, whichever line ends it goes by (invariant 2)."""
        answer = sent([content])
        whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
        assert b"\n.\r\n" not in answer[:-3]
        body = answer.removesuffix(END)
        lines = body.split(b"\n")
        assert b"\n".join(line[1:] if line.startswith(b".") else line for line in lines) == whole

    def test_growth(self) -> None:
        """The worst piece stays below 64 KiB."""
        assert len(Stuffing().take(b".\n" * (PIECE // 2))) < 65_536


class TestTop:
    """RFC 1939 §7."""

    def test_lines(self) -> None:
        """The header, the empty line, and so many lines."""
        content = b"A: b\r\n\r\none\r\ntwo\r\nthree"
        assert top([content], 0) == b"A: b\r\n\r\n"
        assert top([content], 1) == b"A: b\r\n\r\none\r\n"
        assert top([content], 2) == b"A: b\r\n\r\none\r\ntwo\r\n"
        assert top([content], 3) == content
        assert top([content], 10**30) == content

    def test_no_body(self) -> None:
        """A message without empty line is all header."""
        assert top([b"A: b\r\nC: d"], 0) == b"A: b\r\nC: d"
        assert top([b"\r\nbody\r\n"], 0) == b"\r\n"
        assert top([b"\nbody\n"], 0) == b"\n"

    @given(octets, cuts, st.integers(0, 5))
    def test_cuts(self, content: bytes, places: list[int], lines: int) -> None:
        """It does not depend on the pieces, and is what a slow reading gives."""
        body = header.end(content)
        rows = content[body:].split(b"\n")
        kept = b"".join(row + b"\n" for row in rows[:lines])
        expected = content[:body] + (kept if lines < len(rows) else content[body:])
        assert top(cut(content, places), lines) == top([content], lines) == expected
