"""SEARCH programs: octets to keys."""

from __future__ import annotations

import pytest

from mailhub.imap.criteria import (
    And,
    Comparison,
    Date,
    Flagged,
    Header,
    Key,
    Keyword,
    Not,
    Numbers,
    Or,
    Parser,
    Size,
    Text,
    Uids,
)
from mailhub.imap.grammar import Tokens
from mailhub.imap.response import RECENT, Bad, No
from mailhub.imap.sequence import SequenceSet
from mailhub.imap.settings import Limits
from mailhub.mail.flag import DELETED, SEEN

LIMITS = Limits()


def program(text: bytes, limits: Limits = LIMITS) -> Key:
    return Parser(Tokens([text]), lambda octets: octets.decode(), limits).program()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        (b"ALL", And(())),
        (b"seen", Flagged(SEEN)),
        (b"UNDELETED", Not(Flagged(DELETED))),
        (b"NEW", And((Flagged(RECENT), Not(Flagged(SEEN))))),
        (b"OLD", Not(Flagged(RECENT))),
        (b"1:3", Numbers(SequenceSet(((1, 3),)))),
        (b"UID 7", Uids(SequenceSet(((7, 7),)))),
        (b"KEYWORD $Junk", Keyword("$junk")),
        (b"UNKEYWORD a", Not(Keyword("a"))),
        (b"LARGER 5", Size(Comparison.ABOVE, 5)),
        (b"SMALLER 5", Size(Comparison.BELOW, 5)),
        (b"SENTSINCE 2-Jan-1970", Date(Comparison.FROM, 1, sent=True)),
        (b"BEFORE 2-Jan-1970", Date(Comparison.BELOW, 1, sent=False)),
        (b"FROM x", Header(b"FROM", "x")),
        (b'HEADER x-spam ""', Header(b"X-SPAM", "")),
        (b"BODY x", Text("x", header=False)),
        (b'TEXT "x y"', Text("x y", header=True)),
        (b"OR SEEN NOT 1", Or(Flagged(SEEN), Not(Numbers(SequenceSet(((1, 1),)))))),
        (b"(SEEN) DELETED ", And((Flagged(SEEN), Flagged(DELETED)))),
        (b"((SEEN ALL))", And((Flagged(SEEN), And(())))),
    ],
)
def test_keys(text: bytes, key: Key) -> None:
    """Each key of RFC 3501 §6.4.4, synonyms resolved."""
    assert program(text) == key


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"()",
        b"(SEEN",
        b"NOT",
        b"OR SEEN",
        b"UNNEW",
        b"BODY",
        b"X",
        b"LARGER x",
        b"ON 1",
        b"SEEN,",
        b"BODY \xff",
    ],
)
def test_bad(text: bytes) -> None:
    """What does not parse is BAD."""
    with pytest.raises(Bad):
        program(text)


def test_charset() -> None:
    """A string that is not in the charset is BAD."""
    with pytest.raises(Bad):
        program(b'BODY "\xff"')


def test_limits() -> None:
    """Too many keys, or too deep: LIMIT, long before the stack is at its end."""
    for text in (
        b"SEEN " * 2000 + b"SEEN",
        b"NOT " * 500 + b"SEEN",
        b"(" * 500 + b"SEEN" + b")" * 500,
    ):
        with pytest.raises(No) as caught:
            program(text)
        assert caught.value.code == "LIMIT"
    assert program(b"NOT " * 32 + b"SEEN")
