"""Lines out of octets."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.pop3.reader import Overlong, Reader

LIMIT = 10


def lines(pieces: list[bytes]) -> list[bytes | None]:
    """What comes out of octets that arrive so; None stands for an overlong line."""
    reader = Reader()
    found: list[bytes | None] = []
    for piece in pieces:
        reader.feed(piece)
        while True:
            try:
                line = reader.line(LIMIT)
            except Overlong:
                found.append(None)
                continue
            if line is None:
                break
            found.append(line)
    return found


class TestLines:
    """`Reader.line`."""

    def test_ends(self) -> None:
        """CR LF and LF end a line; a CR elsewhere is part of it."""
        assert lines([b"a\r\nb\nc\rd\r\r\n\r\n"]) == [b"a", b"b", b"c\rd\r", b""]

    def test_waits(self) -> None:
        """Nothing comes out before the line is whole."""
        reader = Reader()
        reader.feed(b"NOO")
        assert reader.line(LIMIT) is None
        assert reader.pending
        reader.feed(b"P\r\n")
        assert reader.line(LIMIT) == b"NOOP"
        assert not reader.pending

    def test_overlong(self) -> None:
        """A line over the limit costs one error, and the next is read."""
        assert lines([b"x" * 8 + b"\r\n" + b"x" * 9 + b"\r\nNOOP\r\n"]) == [b"x" * 8, None, b"NOOP"]

    def test_bounded(self) -> None:
        """What is dropped is not kept (invariant 1)."""
        reader = Reader()
        for _ in range(100):
            reader.feed(b"x" * 1000)
            assert reader.line(LIMIT) is None
            assert len(reader._buffer) <= 1000
        assert reader.pending
        reader.feed(b"\nNOOP\r\n")
        with pytest.raises(Overlong):
            reader.line(LIMIT)
        assert reader.line(LIMIT) == b"NOOP"

    @given(
        st.lists(st.sampled_from([b"NOOP", b"x" * 12, b"\r\n", b"\n", b"\r", b" "]), max_size=20),
        st.lists(st.integers(0, 100), max_size=10),
    )
    def test_cuts(self, pieces: list[bytes], places: list[int]) -> None:
        """The lines do not depend on how the octets arrive (invariant 2)."""
        octets = b"".join(pieces)
        marks = [0, *sorted(places), len(octets)]
        cut = [octets[start:end] for start, end in pairwise(marks)]
        assert lines(cut) == lines([octets])
