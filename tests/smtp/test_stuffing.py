"""Content behind DATA: whatever it holds and however it is cut, the next server reads just that."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from mailhub.smtp.stuffing import Stuffer, mended

PIECES = st.lists(
    st.text("a.\r\n", max_size=8).map(str.encode)
    | st.sampled_from([b".", b"\r\n.", b".\r\n", b""]),
    max_size=8,
)


def stuffed(pieces: list[bytes]) -> bytes:
    stuffer = Stuffer()
    return b"".join(stuffer.stuff(piece) for piece in pieces) + stuffer.finish()


def understood(wire: bytes) -> tuple[bytes, bytes]:
    """What a strict server takes for content, and what it finds behind it."""
    framed = b"\r\n" + wire
    end = framed.index(b"\r\n.\r\n")
    return framed[: end + 2].replace(b"\r\n.", b"\r\n")[2:], framed[end + 5 :]


class TestStuffer:
    @given(PIECES)
    def test_round_trip(self, pieces: list[bytes]) -> None:
        """A strict server reads what was sent, line ends mended, and nothing behind it."""
        content, rest = understood(stuffed(pieces))
        wanted = re.sub(rb"\r(?!\n)|(?<!\r)\n", b"\r\n", b"".join(pieces))
        if wanted and not wanted.endswith(b"\r\n"):
            wanted += b"\r\n"
        assert (content, rest) == (wanted, b"")

    @given(PIECES)
    def test_cuts(self, pieces: list[bytes]) -> None:
        """The octets do not depend on the pieces."""
        assert stuffed(pieces) == stuffed([b"".join(pieces)])

    @given(PIECES)
    def test_lenient_servers(self, pieces: list[bytes]) -> None:
        """A server that takes bare CR or LF for line ends finds the same end."""
        assert not re.search(rb"\r(?!\n)|(?<!\r)\n", stuffed(pieces))

    def test_dot_at_the_start(self) -> None:
        """A dot that begins the content begins a line: DATA's own line end stands before it."""
        assert stuffed([b".\r\nMAIL FROM:<x@y.example>\r\n"]).startswith(b"..\r\n")

    def test_dot_at_the_edge(self) -> None:
        """A dot at the edge of a piece is stuffed like any other: stock Twisted's third hole."""
        assert stuffed([b"a\r\n", b".\r\n"]) == b"a\r\n..\r\n.\r\n"
        assert stuffed([b"a\r", b"\n.", b"\r\n"]) == b"a\r\n..\r\n.\r\n"

    def test_empty(self) -> None:
        """No content is a lone dot."""
        assert stuffed([]) == b".\r\n"

    def test_no_line_end(self) -> None:
        """Content without a line end at its end gets one."""
        assert stuffed([b"a"]) == b"a\r\n.\r\n"


def test_mended() -> None:
    """Each bare CR or LF is a line end; clean content is returned as it is."""
    clean = b"a\r\nb\r\n"
    assert mended(clean) is clean
    assert mended(b"a\nb\rc\r\nd\n\r\n") == b"a\r\nb\r\nc\r\nd\r\n\r\n"
