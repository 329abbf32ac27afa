"""Tokens: each reads its own grammar, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad, No


def tokens(*parts: bytes) -> Tokens:
    return Tokens(parts)


class TestStrings:
    def test_atoms(self) -> None:
        """An atom ends at a special; ``]`` belongs to an astring only, wildcards to a pattern."""
        assert tokens(b"a]b c").atom() == b"a"
        assert tokens(b"a]b c").astring() == b"a]b"
        assert tokens(b"a%*b c").list_mailbox() == b"a%*b"
        assert tokens(b'"a b"').list_mailbox() == b"a b"
        assert tokens(b"noop").keyword() == "NOOP"

    def test_quoted(self) -> None:
        """Quoted strings undo their escapes, and may hold octets above 127."""
        assert tokens(b'"a \\"b\\" \\\\"').string() == b'a "b" \\'
        assert tokens(b'"\xc3\xa4"').astring() == b"\xc3\xa4"

    def test_literals(self) -> None:
        """A literal is the part that follows its announcement."""
        read = tokens(b"{3}", b"abc", b" {2+}", b"de", b"")
        assert read.string() == b"abc"
        read.space()
        assert read.astring() == b"de"
        read.end()

    def test_nil(self) -> None:
        """NIL is no string; a word that begins with it is no NIL."""
        assert tokens(b"nil").nstring() is None
        assert tokens(b'"NIL"').nstring() == b"NIL"
        assert not tokens(b"NILS").maybe_nil()
        assert tokens(b"NIL)").maybe_nil()

    @pytest.mark.parametrize(
        "parts", [(b'"a',), (b'"\\x"',), (b"{3}",), (b"",), (b"{1}", b"\0", b""), (b"(",)]
    )
    def test_bad_strings(self, parts: tuple[bytes, ...]) -> None:
        """Unfinished or strange quoting, a literal that is not there, a NUL in one."""
        with pytest.raises(Bad):
            tokens(*parts).string()


class TestNumbers:
    def test_limits(self) -> None:
        """32 bits, or 63."""
        assert tokens(b"4294967295").number() == 2**32 - 1
        assert tokens(b"9223372036854775807").number64() == 2**63 - 1

    def test_dates(self) -> None:
        """Dates are days, quoted or not; date-times are moments in any zone."""
        assert tokens(b"2-Jan-1970").date() == 1
        assert tokens(b'"02-JAN-1970"').date() == 1
        assert tokens(b'" 1-Jan-1970 01:00:00 +0100"').date_time() == 0
        assert tokens(b'"01-Jan-1970 00:00:00 -0130"').date_time() == 5400
        assert tokens(b'"1-Jan-1970 00:00:00 +0000"').date_time() == 0

    def test_sets(self) -> None:
        """A set begins with a digit other than zero, or a star."""
        assert tokens(b"1:3,*").sequence_set(9).ranges == ((1, 3),)
        assert tokens(b"*").next_is_set
        assert not tokens(b"0").next_is_set
        assert not tokens(b"").next_is_set


BAD: list[tuple[Callable[[Tokens], object], bytes]] = [
    (Tokens.atom, b"("),
    (Tokens.number, b"4294967296"),
    (Tokens.number, b"99999999999"),
    (Tokens.number, b"-1"),
    (Tokens.number64, b"9223372036854775808"),
    (Tokens.date, b"30-Feb-2020"),
    (Tokens.date, b"1-Foo-2020"),
    (Tokens.date, b'"1-Jan-2020'),
    (Tokens.date_time, b'"30-Feb-2020 00:00:00 +0000"'),
    (Tokens.date_time, b"1-Jan-2020"),
    (Tokens.flag, b"\\"),
    (Tokens.flag, b"("),
    (Tokens.space, b"x"),
    (lambda read: read.expect(b"("), b")"),
    (lambda read: read.sequence_set(1), b"x"),
    (Tokens.end, b" x"),
    (Tokens.end, b"  "),
    (lambda read: read.parenthesised(read.atom, 2), b"(a"),
    (lambda read: read.parenthesised(read.atom, 2), b"()"),
]


@pytest.mark.parametrize(("method", "text"), BAD)
def test_bad(method: Callable[[Tokens], object], text: bytes) -> None:
    """What does not fit is BAD."""
    with pytest.raises(Bad):
        method(tokens(text))


def test_limits() -> None:
    """What is more than we allow is understood, and refused with its own code."""
    with pytest.raises(No, match="A set may have 1 ranges") as caught:
        tokens(b"1,2").sequence_set(1)
    assert caught.value.code == "LIMIT"
    read = tokens(b"(a b c)")
    with pytest.raises(No, match="A list may have 2 items") as caught:
        read.parenthesised(read.atom, 2)
    assert caught.value.code == "LIMIT"


def test_lists() -> None:
    """Items in parentheses, perhaps none."""
    read = tokens(b"(a b) ()")
    assert read.parenthesised(read.atom, 2) == [b"a", b"b"]
    read.space()
    assert read.parenthesised(read.atom, 2, empty=True) == []
    read.end()


def test_words() -> None:
    """Words are taken only if they are the ones asked for."""
    read = tokens(b"charset x ")
    assert not read.maybe_word("RETURN")
    assert read.maybe_word("CHARSET")
    assert read.rest == b" x "
    read.space()
    assert not tokens(b"(").maybe_word("X")
    assert read.match(re.compile(b"x"))
    read.end()
    assert read.ended


def test_flags() -> None:
    """Flags keep their spelling."""
    assert tokens(b"\\Seen").flag() == "\\Seen"
    assert tokens(b"$Junk)").flag() == "$Junk"
