"""RETURN's options, and the ESEARCH response."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.imap.grammar import Tokens
from mailhub.imap.response import Bad
from mailhub.imap.returning import (
    ALL,
    Partial,
    Returning,
    Source,
    esearch,
    parse_partial,
    parse_returning,
    set_pieces,
)
from mailhub.imap.settings import Limits


def parsed(text: bytes) -> Returning | None:
    return parse_returning(Tokens([text]), Limits())


def said(returning: Returning, numbers: list[int], **more: int) -> bytes:
    return b"".join(esearch(Source(b"t", True), returning, numbers, **more))  # type: ignore[arg-type]


def test_parse() -> None:
    """Options in any order; none means ALL (RFC 4731 §3.1)."""
    assert parsed(b"RETURN ()") == ALL
    assert parsed(b"SUBJECT x") is None
    found = parsed(b"return (min Count PARTIAL 1:3)")
    assert found is not None
    assert found.options == {"MIN", "COUNT", "PARTIAL"}
    assert found.partial == Partial(1, 3, "1:3")


@pytest.mark.parametrize("text", [b"0:1", b"1:-1", b"-1:1", b"1", b"4294967296:1", b"x"])
def test_bad_partial(text: bytes) -> None:
    """Both ends count from the same side, from 1 (RFC 9394 §4)."""
    with pytest.raises(Bad):
        parse_partial(Tokens([text]))


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.lists(st.integers(1, 99)))
def test_partial(one: int, other: int, last: bool, numbers: list[int]) -> None:
    """Positions mean what they do in a list, from either end."""
    sign = "-" if last else ""
    partial = parse_partial(Tokens([f"{sign}{one}:{sign}{other}".encode()]))
    low, high = sorted((one, other))
    counted = list(reversed(numbers)) if last else numbers
    expected = counted[low - 1 : high]
    assert list(partial.of(numbers)) == (expected[::-1] if last else expected)


def test_saved() -> None:
    """What SAVE keeps (RFC 5182 §2.1)."""
    for options, kept in {("MIN",): [3], ("MAX", "MIN"): [3, 9], ("MIN", "ALL"): [3, 5, 9]}.items():
        assert list(Returning(frozenset(options)).saved([3, 5, 9])) == kept
    assert list(Returning(frozenset({"MIN"})).saved([])) == []


def test_saved_part() -> None:
    """With PARTIAL that part, with MIN and MAX too; with COUNT all (RFC 9394 §3.2, table 1)."""
    numbers = [2, 3, 5, 7, 9]
    for options, kept in {
        (): [3, 5],
        ("MIN",): [2, 3, 5],
        ("MAX",): [3, 5, 9],
        ("MIN", "MAX"): [2, 3, 5, 9],
        ("COUNT", "MIN"): numbers,
    }.items():
        wanted = Returning(frozenset({"SAVE", "PARTIAL", *options}), Partial(2, 3, "2:3"))
        assert list(wanted.saved(numbers)) == kept


def test_response() -> None:
    """Nothing is said of an empty result but COUNT."""
    every = Returning(frozenset({"MIN", "MAX", "ALL", "COUNT"}))
    assert said(every, []) == b'* ESEARCH (TAG "t") UID COUNT 0\r\n'
    assert said(every, [3, 1, 2], modseq=7) == (
        b'* ESEARCH (TAG "t") UID MIN 3 MAX 2 COUNT 3 ALL 3,1:2 MODSEQ 7\r\n'
    )
    assert said(every, [], modseq=7) == said(every, [])
    assert Source(b"t", False, b"Work", 5).begin() == (
        b'* ESEARCH (TAG "t" MAILBOX Work UIDVALIDITY 5)'
    )


@given(st.lists(st.integers(1, 60000), max_size=50), st.integers(0, 9000))
def test_set_pieces(numbers: list[int], more: int) -> None:
    """A long set in pieces is the set."""
    numbers += range(100_000, 100_000 + 2 * more, 2)
    read: list[int] = []
    pieces = list(set_pieces(numbers)) if numbers else []
    for part in b"".join(pieces).decode().split(",") if pieces else []:
        first, _, last = part.partition(":")
        read += range(int(first), int(last or first) + 1)
    assert read == numbers
    assert all(len(piece) <= 65536 for piece in pieces)


def test_silent() -> None:
    """There is a response to all but SAVE alone (RFC 5182 §2.1, RFC 4466 §2.6.1)."""
    silent = {frozenset({"SAVE"}): True, frozenset({"SAVE", "CONTEXT"}): True}
    for options in map(frozenset, ({"SAVE"}, {"SAVE", "CONTEXT"}, {"UPDATE"}, {"SAVE", "MIN"})):
        assert Returning(options).silent is silent.get(options, False)
