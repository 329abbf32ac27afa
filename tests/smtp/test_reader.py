"""The reader: what ends a line, what ends content, and nothing else, however it was cut."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailhub.mail.reply import Refusal
from mailhub.smtp.reader import BadLine, Reader

LINE_LIMIT = 64
TEXT_LIMIT = 20

NASTY = st.lists(
    st.sampled_from([b"\r\n", b"\r", b"\n", b".", b"..", b"a", b"\r\n.", b"x" * 7, b"\0", b"\xff"]),
    max_size=30,
).map(b"".join)
CUTS = st.lists(st.integers(0, 200), max_size=12)


def pieces(octets: bytes, cuts: list[int]) -> list[bytes]:
    """The octets, cut at these places."""
    places = sorted({min(cut, len(octets)) for cut in cuts} | {0, len(octets)})
    return [octets[a:b] for a, b in itertools.pairwise(places)] or [b""]


def content(
    arrivals: list[bytes], *, normalise: bool = False
) -> tuple[bytes | None, str | None, bytes]:
    """Content as the reader gives it (None while it has not ended), its fault, and what follows."""
    reader = Reader(LINE_LIMIT, TEXT_LIMIT, normalise=normalise)
    reader.open()
    found = b""
    for number, octets in enumerate(arrivals):
        reader.feed(octets)
        while (piece := reader.content()) is not None:
            if piece == b"":
                rest = b"".join([_rest(reader), *arrivals[number + 1 :]])
                text = reader.fault.reply.text if reader.fault else None
                return (found if text is None else b""), text, rest
            found += piece
    text = reader.fault.reply.text if reader.fault else None
    return None, text, b""


def _rest(reader: Reader) -> bytes:
    return reader._buffer[reader._at :]


def lines(arrivals: list[bytes], *, normalise: bool = False) -> list[bytes | str]:
    """Lines as the reader gives them, refusals as their text."""
    reader = Reader(LINE_LIMIT, TEXT_LIMIT, normalise=normalise)
    found: list[bytes | str] = []
    for octets in arrivals:
        reader.feed(octets)
        while True:
            try:
                line = reader.line()
            except BadLine as bad:
                found.append(f"{bad.reply.text} {bad.start!r}")
                continue
            if line is None:
                break
            found.append(line)
    return found


def model(octets: bytes) -> tuple[bytes | None, str | None, bytes]:
    """What the content is, told by the definition and not by the implementation."""
    whole = b"\r\n" + octets
    end = whole.find(b"\r\n.\r\n")
    body = whole[: end + 2] if end >= 0 else whole
    bare = re.search(rb"\r(?!\n)|(?<!\r)\n", body)
    if end < 0:
        return None, None, b""
    rest = whole[end + 5 :]
    if bare is not None or any(
        len(line.removeprefix(b".")) + 2 > TEXT_LIMIT for line in body[2:].split(b"\r\n")
    ):
        return b"", "fault", rest
    return body.replace(b"\r\n.", b"\r\n")[2:], None, rest


class TestLines:
    def test_lines(self) -> None:
        """Lines end with CR LF and come without it (RFC 5321 §2.3.8)."""
        assert lines([b"NOOP\r\nQU", b"IT\r", b"\nX"]) == [b"NOOP", b"QUIT"]

    @pytest.mark.parametrize("line", [b"NOOP\n", b"NO\rOP\r\n", b"NOOP\r\r\n", b"\rNOOP\r\n"])
    def test_bare(self, line: bytes) -> None:
        """A line with a bare CR or LF is refused, and the next one is read (RFC 5321 §2.3.8)."""
        refused, after = lines([line + b"QUIT\r\n"])
        assert isinstance(refused, str)
        assert refused.startswith("500 5.5.2 ")
        assert after == b"QUIT"

    def test_normalised(self) -> None:
        """For a configured peer a bare LF, or CRs before it, end a line like CR LF."""
        assert lines([b"NOOP\nRSET\r\r\nQUIT\r\n"], normalise=True) == [b"NOOP", b"RSET", b"QUIT"]
        [refused] = lines([b"NO\rOP\r\n"], normalise=True)
        assert isinstance(refused, str)

    def test_overlong(self) -> None:
        """A line over the limit is refused once, and the next one is read (RFC 5321 §4.5.3.1.4)."""
        longest = b"x" * (LINE_LIMIT - 2)
        assert lines([longest + b"\r\n"]) == [longest]
        for size in (LINE_LIMIT - 1, LINE_LIMIT, 10 * LINE_LIMIT):
            found = lines([b"BDAT " + b"x" * (size - 5) + b"\r\nQUIT\r\n"])
            start = b"BDAT " + b"x" * 11
            assert found == [f"500 5.5.2 Line too long {start!r}", b"QUIT"]
            halves = [b"BDAT " + b"x" * (size - 5), b"\r\nQUIT\r\n"]
            assert lines(halves) == found

    def test_memory(self) -> None:
        """A line without end costs no memory."""
        reader = Reader(LINE_LIMIT, TEXT_LIMIT)
        for _ in range(100):
            reader.feed(b"x" * 1000)
            assert reader.line() is None
            assert reader.pending <= LINE_LIMIT + 1000

    @given(NASTY, CUTS, st.booleans())
    def test_cuts(self, octets: bytes, cuts: list[int], normalise: bool) -> None:
        """Lines depend on the octets, never on how they were split on arrival."""
        whole = lines([octets], normalise=normalise)
        assert lines(pieces(octets, cuts), normalise=normalise) == whole

    def test_pending(self) -> None:
        """What has arrived and was not taken is counted, dropped or not."""
        reader = Reader(LINE_LIMIT, TEXT_LIMIT)
        counts = [reader.pending]
        reader.feed(b"NOOP\r\nQ")
        assert reader.line() == b"NOOP"
        counts.append(reader.pending)
        assert counts == [0, 1]
        reader.feed(b"x" * 100)
        assert reader.line() is None
        assert reader.pending


class TestContent:
    def test_transparency(self) -> None:
        """A dot that begins a line is dropped, at the very start too (RFC 5321 §4.5.2)."""
        assert content([b"..a\r\n.b\r\nc.\r\n...\r\n.\r\nQUIT"]) == (
            b".a\r\nb\r\nc.\r\n..\r\n",
            None,
            b"QUIT",
        )

    def test_empty(self) -> None:
        """Content may be empty: the CR LF that ended DATA begins its end."""
        assert content([b".\r\nQUIT"]) == (b"", None, b"QUIT")

    @pytest.mark.parametrize(
        "end",
        [
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r.\r\n",
            b"\r\n.\r",
            b"\r\r\n.\r\r\n",
            b"\n\n.\r\n",
            b"\r\n\0.\r\n",
            b"\r\n.\0\r\n",
            b"\r\n. \r\n",
            b"\n.\r",
            b"\r\n\r.\r\n",
            b"\r\n.\r\r\n",
            b"\x85.\r\n",
        ],
    )
    @pytest.mark.parametrize("normalise", [False, True])
    def test_smuggling(self, end: bytes, normalise: bool) -> None:
        """Nothing but CR LF . CR LF ends content: no variant of it smuggles a second message."""
        smuggled = b"MAIL FROM:<x@y>\r\n"
        octets = b"one\r\n" + b"two" + end + smuggled
        for arrivals in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
            ended, _, _ = content(arrivals, normalise=normalise)
            assert ended is None
            after = content([*arrivals, b"\r\n.\r\nQUIT"], normalise=normalise)
            assert after[2] == b"QUIT"

    def test_bare_fault(self) -> None:
        """A bare CR or LF is a fault, told at the true end of the content."""
        for bad in (b"a\nb", b"a\rb", b"\n", b"\r\r\n"):
            ended, fault, rest = content([b"x\r\n" + bad + b"\r\n.\r\nQUIT"])
            assert ended == b""
            assert fault is not None
            assert fault.startswith("550 5.6.0 A bare CR or LF")
            assert rest == b"QUIT"

    def test_mended(self) -> None:
        """For a configured peer bare ones become CR LF, and transparency is undone behind them."""
        octets = b"a\nb\rc\r\r\nd\n..e\n.\r\nf\r\n.\r\n"
        for arrivals in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
            ended, fault, _ = content(arrivals, normalise=True)
            assert (ended, fault) == (b"a\r\nb\r\nc\r\nd\r\n.e\r\n\r\nf\r\n", None)

    def test_long_line(self) -> None:
        """A text line over the limit is a fault; the doubled dot is free (RFC 5321 §4.5.3.1.6)."""
        longest = b"x" * (TEXT_LIMIT - 2)
        for good in (longest, b"." + b"." * (TEXT_LIMIT - 2)):
            assert content([b"a\r\n" + good + b"\r\nb\r\n.\r\n"])[1] is None
        for bad in (longest + b"x", b"." + b"." * (TEXT_LIMIT - 1), b"x" * 500):
            octets = b"a\r\n" + bad + b"\r\nb\r\n.\r\n"
            for arrivals in ([octets], [octets[i : i + 1] for i in range(len(octets))]):
                assert content(arrivals)[1] == "500 5.6.0 A line of the content is too long"

    def test_first_fault(self) -> None:
        """Of two faults the first is told, however they arrived."""
        octets = b"x" * 50 + b"\r\na\nb\r\n.\r\n"
        assert content([octets])[1] == content([octets[:30], octets[30:]])[1]

    @settings(max_examples=300)
    @given(NASTY, CUTS)
    def test_model(self, octets: bytes, cuts: list[int]) -> None:
        """The content is what the RFC says it is, however it was cut."""
        found = content(pieces(octets, cuts))
        expected = model(octets)
        if expected[0] is None:
            assert found[0] is None
        else:
            assert (found[0], found[1] and "fault", found[2]) == expected

    @settings(max_examples=300)
    @given(NASTY, CUTS, st.booleans())
    def test_cuts(self, octets: bytes, cuts: list[int], normalise: bool) -> None:
        """Content, fault and what follows depend on the octets alone."""
        octets += b"\r\n.\r\nQUIT\r\n"
        whole = content([octets], normalise=normalise)
        assert content(pieces(octets, cuts), normalise=normalise) == whole

    @given(NASTY, CUTS)
    def test_mended_is_clean(self, octets: bytes, cuts: list[int]) -> None:
        """What is given out for a normalised peer has whole line ends only."""
        ended, fault, _ = content(pieces(octets + b"\r\n.\r\n", cuts), normalise=True)
        assert ended is not None
        assert fault or not re.search(rb"\r(?!\n)|(?<!\r)\n", ended)

    def test_memory(self) -> None:
        """Content is given out as it comes: a spoilt one is dropped as it comes."""
        reader = Reader(LINE_LIMIT, 10**9)
        reader.open()
        for _ in range(20):
            reader.feed(b"x" * 1000)
            assert reader.content() == b"x" * 1000
            assert not reader.pending
        reader.spoil(Refusal(552, "3.4", "Too big"))
        reader.spoil(Refusal(550, "6.0", "Later"))
        reader.feed(b"y" * 1000)
        assert reader.content() is None
        reader.feed(b"\r\n.\r\nQUIT\r\n")
        assert reader.content() == b""
        assert reader.fault is not None
        assert reader.fault.reply.code == 552
        assert reader.line() == b"QUIT"


def chunks(
    sizes: list[int], arrivals: list[bytes], *, binary: bool = False, normalise: bool = False
) -> tuple[bytes, str | None, bytes]:
    """Content in chunks of these sizes, its fault, and what follows it."""
    reader = Reader(LINE_LIMIT, TEXT_LIMIT, normalise=normalise)
    reader.open(chunked=True, binary=binary)
    found, waiting = b"", iter(arrivals)
    for size in sizes:
        reader.expect(size)
        while (piece := reader.chunk()) != b"":
            if piece is None:
                reader.feed(next(waiting))
            else:
                found += piece
    found += reader.complete()
    fault = reader.fault.reply.text if reader.fault else None
    return (b"" if fault else found), fault, b"".join([_rest(reader), *waiting])


class TestChunks:
    def test_exact(self) -> None:
        """A chunk has just its size, and no transparency (RFC 3030 §2)."""
        assert chunks([7, 0, 2], [b"..a\r\n.\r\nbQUIT"]) == (b"..a\r\n.\r\nb", None, b"QUIT")

    def test_bare(self) -> None:
        """Text in chunks has whole line ends, over the seams of chunks too (RFC 3030 §3)."""
        assert chunks([2, 3], [b"a\r\nb", b"c"])[1] is None
        for octets in (b"a\nbcd", b"a\rbcd", b"ab\r\r\n", b"abcd\r"):
            fault = chunks([2, 3], [octets])[1]
            assert fault is not None
            assert fault.startswith("550 5.6.0")

    def test_binary(self) -> None:
        """Binary content has no lines: it comes as it is (RFC 3030 §3)."""
        octets = b"\n\r\n.\r\n\0\r" + b"x" * 100
        assert chunks([len(octets)], [octets], binary=True) == (octets, None, b"")

    def test_mended(self) -> None:
        """For a configured peer line ends are mended in chunks too."""
        assert chunks([4, 4], [b"a\nb\r\r\nc\r"], normalise=True)[0] == b"a\r\nb\r\nc\r\n"

    def test_long_line(self) -> None:
        """A text line over the limit is a fault in chunks too."""
        assert chunks([50], [b"x" * 50])[1] == "500 5.6.0 A line of the content is too long"

    @given(
        NASTY,
        CUTS,
        st.lists(st.integers(0, 20), max_size=6),
        st.booleans(),
        st.booleans(),
    )
    def test_cuts(
        self, octets: bytes, cuts: list[int], sizes: list[int], binary: bool, normalise: bool
    ) -> None:
        """Neither arrivals nor seams change the content."""
        total = sum(sizes)
        octets = octets[:total].ljust(total, b"z") + b"QUIT"
        whole = chunks([total], [octets], binary=binary, normalise=normalise)
        cut = chunks(sizes, pieces(octets, cuts), binary=binary, normalise=normalise)
        assert cut == whole
