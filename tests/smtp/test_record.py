"""A dialogue kept for a person: bounded, printable, one message's at a time."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.smtp.record import Record, RecordLimits


def taken(lines: list[str], limits: RecordLimits) -> tuple[str, ...]:
    record = Record(limits)
    for line in lines:
        record(line)
    return record.take()


class TestRecord:
    def test_all(self) -> None:
        """What fits is kept as it was, in order."""
        assert taken(["a", "b", "c"], RecordLimits(head=2, tail=2)) == ("a", "b", "c")
        assert taken(["a", "b", "c", "d"], RecordLimits(head=2, tail=2)) == ("a", "b", "c", "d")

    def test_middle(self) -> None:
        """Of a long one the beginning and the end are kept, and the gap is told."""
        lines = [str(number) for number in range(10)]
        kept = taken(lines, RecordLimits(head=2, tail=3))
        assert kept == ("0", "1", "… 5 lines …", "7", "8", "9")

    def test_taken_once(self) -> None:
        """The next message on the connection begins with an empty page."""
        record = Record(RecordLimits(head=1, tail=1))
        for line in "abcd":
            record(line)
        assert record.take() == ("a", "… 2 lines …", "d")
        assert record.take() == ()
        record("e")
        assert record.take() == ("e",)

    def test_terminal(self) -> None:
        """Nothing that a server says moves a cursor or breaks a database."""
        assert taken(["<<< 250 \x1b[2J\udcffü"], RecordLimits()) == ("<<< 250 �[2J?ü",)

    @given(st.lists(st.text(), max_size=30), st.integers(1, 5), st.integers(1, 5))
    def test_bounded(self, lines: list[str], head: int, tail: int) -> None:
        """There is an end to it, whatever comes."""
        kept = taken(lines, RecordLimits(head, tail, width=10))
        assert len(kept) <= head + tail + 1
        assert all(line.isprintable() for line in kept)
        assert all(len(line) <= 10 for line in kept if not line.startswith("… "))
