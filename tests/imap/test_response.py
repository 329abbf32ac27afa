"""Responses: values become octets that a client reads back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap import sequence
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import (
    PIECE,
    QUOTED_LIMIT,
    RECENT,
    Bad,
    Broken,
    Bye,
    FlagLists,
    No,
    Ok,
    astring,
    literal,
    literal8,
    number_set,
    pieces,
    quoted,
    runs,
    status,
    string,
)
from mailhub.mail.flag import DELETED, SEEN


def parts(octets: bytes) -> list[bytes]:
    """What the reader would make of one string."""
    head, end, rest = octets.partition(b"}\r\n")
    if octets.startswith(b"{") and end:
        return [head + b"}", rest, b""]
    return [octets]


class TestStatus:
    def test_codes(self) -> None:
        """A response code stands in brackets before the text."""
        assert status(b"a", "OK", "Done") == b"a OK Done\r\n"
        assert status(b"*", "NO", "Full", "OVERQUOTA") == b"* NO [OVERQUOTA] Full\r\n"
        assert status(b"a", "OK", "") == b"a OK Done\r\n"

    @given(st.text())
    def test_one_line(self, text: str) -> None:
        """Whatever the text holds, it is one line of US-ASCII."""
        line = status(b"a", "NO", text)
        assert line.endswith(b"\r\n")
        assert line.isascii()
        assert b"\r" not in line[:-2]
        assert b"\n" not in line[:-2]

    def test_ends(self) -> None:
        """The ends of a command know their condition."""
        assert (No("x").status, Bad("x").status, Ok("x").code) == ("NO", "BAD", "")
        assert str(Bye("gone", "UNAVAILABLE")) == "gone"
        assert isinstance(Broken("x"), Exception)


class TestStrings:
    @given(st.binary().filter(lambda octets: b"\0" not in octets))
    def test_read_back(self, octets: bytes) -> None:
        """Each value without NUL is read back, as string and as astring."""
        assert Tokens(parts(string(octets))).string() == octets
        assert Tokens(parts(astring(octets))).astring() == octets

    def test_kinds(self) -> None:
        """Quoted where it can be, a literal where it must."""
        assert string(b'a "b" \\') == b'"a \\"b\\" \\\\"'
        assert string(b"a\r\nb") == b"{4}\r\na\r\nb"
        assert string(b"\xff") == b"{1}\r\n\xff"
        assert string(b"x" * (QUOTED_LIMIT + 1)).startswith(b"{")
        assert astring(b"INBOX") == b"INBOX"
        assert astring(b"nil") == b'"nil"'
        assert astring(b"") == b'""'
        assert quoted(b"") == b'""'
        assert literal(b"") == b"{0}\r\n"


class TestNumbers:
    def test_sets(self) -> None:
        """Consecutive numbers are joined; order is kept, so that two sets correspond."""
        assert number_set([4, 7, 8, 9]) == "4,7:9"
        assert number_set([9, 8, 7, 8]) == "9,8,7:8"
        assert number_set([]) == ""
        assert list(runs([5])) == [(5, 5)]

    @given(st.sets(st.integers(1, 10**6), min_size=1))
    def test_read_back(self, numbers: set[int]) -> None:
        """A printed set is the same set when parsed."""
        parsed = sequence.parse(number_set(sorted(numbers)).encode(), 10**6)
        assert {n for a, b in parsed.ranges for n in range(a, b + 1)} == numbers


class TestFlagLists:
    def test_names(self) -> None:
        r"""System flags, keywords in their own case, ``\Recent`` last."""
        lists = FlagLists(["$Junk", "Work"])
        assert lists[0] == b"()"
        assert lists[SEEN | DELETED | 64 | RECENT] == b"(\\Seen \\Deleted Work \\Recent)"
        assert lists[32] is lists[32]

    def test_last_keyword(self) -> None:
        r"""All twenty-six keywords fit below the bit of ``\Recent``."""
        lists = FlagLists([f"k{place}" for place in range(27)])
        assert b"k25" in lists[1 << 30]
        assert lists[RECENT] == b"(\\Recent)"


def test_pieces() -> None:
    """Octets are cut into pieces that may be yielded."""
    assert list(pieces(b"x")) == [b"x"]
    cut = list(pieces(b"x" * (2 * PIECE + 1)))
    assert [len(piece) for piece in cut] == [PIECE, PIECE, 1]


def test_nul() -> None:
    """No literal holds NUL, and its size is as it was said (RFC 3501 §9 CHAR8)."""
    assert literal(b"a\0b") == b"{3}\r\na\x80b"
    assert literal8(b"a\0b") == b"~{3}\r\na\0b"
