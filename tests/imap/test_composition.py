"""What an APPEND is composed of, stretch by stretch."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.composition import Begun, Ended, Literal, Parser, Step, Stretch, Url
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad


def flags(tokens: Tokens) -> tuple[str, ...]:
    return tuple(tokens.parenthesised(tokens.flag, 9, empty=True))


def read(*parts: bytes, after: Literal = Literal.NONE) -> Stretch:
    return Parser(Tokens(parts), flags).stretch(after)


@pytest.mark.parametrize(
    ("text", "after", "steps", "literal"),
    [
        (b" {5}", "none", [Begun()], "message"),
        (b" ~{5+}", "none", [Begun()], "message"),
        (b" (a) UTF8 (~{5}", "none", [Begun(("a",))], "utf8"),
        (b") {5}", "utf8", [Ended(), Begun()], "message"),
        (b"", "message", [Ended()], "none"),
        (b" (b) {5}", "message", [Ended(), Begun(("b",))], "message"),
        (b" CATENATE (TEXT {5}", "none", [Begun()], "text"),
        (b" TEXT ~{5}", "text", [], "text"),
        (b" URL /x TEXT {5}", "text", [Url(b"/x")], "text"),
        (b" URL {5}", "text", [], "url"),
        (b")", "text", [Ended()], "none"),
        (b') CATENATE (URL "/y z")', "text", [Ended(), Begun(), Url(b"/y z"), Ended()], "none"),
        (b' " 1-Jan-1970 00:00:01 +0000" {5}', "none", [Begun((), 1)], "message"),
    ],
)
def test_stretches(text: bytes, after: str, steps: list[Step], literal: str) -> None:
    """Each stretch by itself, behind each kind of literal."""
    assert read(text, after=Literal(after)) == Stretch(tuple(steps), Literal(literal))


def test_url_as_literal() -> None:
    """A URL may be a literal, which is read with the text around it."""
    found = read(b" CATENATE (URL {4}", b"/x;y", b" TEXT {5}")
    assert found == Stretch((Begun(), Url(b"/x;y")), Literal.TEXT)


@pytest.mark.parametrize(
    ("text", "after"),
    [
        (b"", "none"),
        (b" x {5}", "none"),
        (b" UTF8 {5}", "none"),
        (b" UTF8 (x)", "none"),
        (b" CATENATE {5}", "none"),
        (b" CATENATE ()", "none"),
        (b" CATENATE (TEXT x)", "none"),
        (b" CATENATE (X {5}", "none"),
        (b" {5}", "utf8"),
        (b"x", "text"),
        (b" trailing", "message"),
        (b" URL ", "text"),
    ],
)
def test_bad(text: bytes, after: str) -> None:
    """What does not parse is BAD."""
    with pytest.raises(Bad):
        read(text, after=Literal(after))


WORDS = st.sampled_from(
    [b" ", b"(", b")", b"URL", b"TEXT", b"CATENATE", b"UTF8", b"{5}", b"~{5}", b'"x"', b"\\Seen"]
)


@given(st.lists(WORDS).map(b"".join), st.sampled_from(Literal))
def test_anything(text: bytes, after: Literal) -> None:
    """Whatever comes, it ends, in steps or BAD; a message that began is ended or has a literal."""
    with suppress(Bad):
        found = read(text, after=after)
        begun = sum(isinstance(step, Begun) for step in found.steps)
        ended = sum(isinstance(step, Ended) for step in found.steps)
        under_way = after is not Literal.NONE
        assert ended == begun + under_way - (found.literal is not Literal.NONE)
