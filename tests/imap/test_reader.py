"""The reader: commands and literals out of octets, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.reader import Announced, Reader, Refused, Request, tag_of
from mailhub.imap.response import Bad, No

Event = Request | Announced | Refused | bytes


def read(
    octets: list[bytes], *, take: int = 100, line: int = 60, command: int = 200
) -> list[object]:
    """All events; literals up to `take` are taken, others refused."""
    reader = Reader(line, command)
    events: list[object] = []
    for piece in octets:
        reader.feed(piece)
        while (event := reader.next()) is not None:
            if isinstance(event, Announced):
                events.append((event.size, event.waiting))
                if event.size <= take:
                    reader.take()
                else:
                    reader.refuse(tag_of(event.parts[0]), No("no"))
            elif isinstance(event, Refused):
                events.append((event.tag, str(event.why)))
            else:
                events.append(event.parts)
    return events


class TestCommands:
    def test_lines(self) -> None:
        """CR LF ends a command; a bare LF does too; half a line is kept."""
        assert read([b"a NOOP\r\nb NOOP\nc"]) == [(b"a NOOP",), (b"b NOOP",)]

    def test_literals(self) -> None:
        """Literals stand between the texts, with their announcements left in place."""
        assert read([b"a L {3}\r\nx\r\n {2+}\r\n{1 z\r\n"]) == [
            (3, True),
            (2, False),
            (b"a L {3}", b"x\r\n", b" {2+}", b"{1", b" z"),
        ]

    def test_empty_literal(self) -> None:
        """A literal of no octets is one."""
        assert read([b"a L {0}\r\n\r\n"]) == [(0, True), (b"a L {0}", b"", b"")]

    @given(
        st.lists(
            st.sampled_from([b"a", b" ", b"{2}", b"{2+}", b"\r\n", b"{999+}", b"\n", b"{9999}"])
        ),
        st.data(),
    )
    def test_cuts(self, words: list[bytes], data: st.DataObject) -> None:
        """What is read does not depend on the cuts."""
        octets = b"".join(words)
        cuts = sorted(data.draw(st.lists(st.integers(0, len(octets)), max_size=4)))
        pieces = [octets[a:b] for a, b in zip([0, *cuts], [*cuts, len(octets)], strict=True)]
        assert read(pieces) == read([octets])

    def test_tag(self) -> None:
        """A tag is taken where there is one; else the answer is untagged."""
        assert tag_of(b"a1 NOOP") == b"a1"
        assert tag_of(b"a1") == b"a1"
        assert [tag_of(text) for text in (b"", b" a", b"+ a", b"a\0 b", b'"x" y', b"x" * 300)] == [
            b"*"
        ] * 6


class TestRefusals:
    def test_waiting(self) -> None:
        """A client that waits for permission sends nothing more of a refused command."""
        assert read([b"a L {101}\r\nb NOOP\r\n"]) == [
            (101, True),
            (b"a", "no"),
            (b"b NOOP",),
        ]

    def test_not_waiting(self) -> None:
        """One that does not is read to the end of its command, further literals included."""
        octets = b"a L {101+}\r\n" + b"x" * 101 + b" {3+}\r\n\r\n\r y\r\nb NOOP\r\n"
        assert read([octets]) == [(101, False), (b"a", "no"), (b"b NOOP",)]

    def test_waiting_amid_refusal(self) -> None:
        """It ends early where it begins to wait."""
        octets = b"a L {101+}\r\n" + b"x" * 101 + b" {3}\r\nb NOOP\r\n"
        assert read([octets])[1:] == [(b"a", "no"), (b"b NOOP",)]

    def test_long_line(self) -> None:
        """A line over the limit is dropped as it arrives, and answered with its tag."""
        pieces = [b"a NOOP ", *[b"x" * 30] * 50, b"\r\nb NOOP\r\n"]
        assert read(pieces) == [(b"a", "Command line too long"), (b"b NOOP",)]
        assert read([b"".join(pieces)]) == read(pieces)

    def test_long_line_with_literal(self) -> None:
        """The literal at the end of an overlong line is dropped with it."""
        octets = b"a NOOP " + b"x" * 80 + b" {4+}\r\n\r\n\r\n\r\nb NOOP\r\n"
        assert read([octets]) == [(b"a", "Command line too long"), (b"b NOOP",)]

    def test_memory(self) -> None:
        """Nothing of what is dropped is kept."""
        reader = Reader(60, 200)
        for _ in range(1000):
            reader.feed(b"x" * 1000)
            assert reader.next() is None
        assert len(reader._buffer) < 100

    def test_long_command(self) -> None:
        """Many literals with long texts are too much together."""
        octets = b"a L" + b" xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx {1+}\r\ny" * 10 + b"\r\nb NOOP\r\n"
        assert read([octets])[-2:] == [(b"a", "Command too long"), (b"b NOOP",)]

    def test_long_first_line(self) -> None:
        """A single line can be too much for a command too."""
        assert read([b"a " + b"x" * 50 + b"\r\n"], command=20) == [(b"a", "Command too long")]


class TestLines:
    def test_line(self) -> None:
        """Lines that are no commands: SASL responses, DONE."""
        reader = Reader(10, 20)
        reader.feed(b"DONE\r")
        assert reader.line() is None
        reader.feed(b"\nx")
        assert reader.line() == b"DONE"
        assert not reader.empty
        assert reader.line() is None

    def test_long(self) -> None:
        """One too long raises when it has gone by, and the next is read."""
        reader = Reader(10, 20)
        reader.feed(b"x" * 11)
        assert reader.line() is None
        reader.feed(b"\r\nDONE\r\n")
        with pytest.raises(Bad):
            reader.line()
        assert reader.line() == b"DONE"
        assert reader.empty


class TestStream:
    def test_pieces(self) -> None:
        """A streamed literal is handed on as it comes; then the command's next line follows."""
        reader = Reader(60, 200)
        reader.feed(b"a APPEND x {5}\r\nHe")
        assert isinstance(reader.next(), Announced)
        reader.stream()
        assert reader.piece() == b"He"
        assert reader.piece() is None
        assert not reader.empty
        reader.feed(b"llo rest\r\n")
        assert reader.piece() == b"llo"
        assert reader.piece() == b""
        assert reader.next() == Request((b" rest",))
