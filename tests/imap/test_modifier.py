"""Parameters of SELECT, and modifiers of FETCH and STORE."""

from __future__ import annotations

import pytest

from mailhub.imap.grammar import Tokens
from mailhub.imap.modifier import (
    Resync,
    Selecting,
    Since,
    parse_fetch,
    parse_select,
    parse_store,
)
from mailhub.imap.response import Bad
from mailhub.imap.returning import Partial
from mailhub.imap.sequence import SequenceSet
from tests.imap.given import LIMITS


def tokens(text: str) -> Tokens:
    return Tokens((text.encode(),))


def ranges(*pairs: tuple[int, int]) -> SequenceSet:
    return SequenceSet(tuple(pairs))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Selecting()),
        (" (CONDSTORE)", Selecting(condstore=True)),
        (" (qresync (7 3))", Selecting(resync=Resync(7, 3))),
        (" (QRESYNC (7 3 1:4))", Selecting(resync=Resync(7, 3, ranges((1, 4))))),
        (
            " (QRESYNC (7 3 (1,2 5:6)) CONDSTORE)",
            Selecting(
                condstore=True,
                resync=Resync(7, 3, None, ranges((1, 2)), ranges((5, 6))),
            ),
        ),
        (
            " (QRESYNC (7 3 1:9 (1 5)))",
            Selecting(resync=Resync(7, 3, ranges((1, 9)), ranges((1, 1)), ranges((5, 5)))),
        ),
    ],
)
def test_select(text: str, expected: Selecting) -> None:
    """What RFC 7162 §7 allows behind a mailbox's name."""
    assert parse_select(tokens(text), LIMITS) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(" x", " ()", " (X)", " (QRESYNC)"),
        *(" (QRESYNC (7 3 1:*))", " (QRESYNC (7 3 1 (1 2)", " (QRESYNC (7 0))"),
    ],
)
def test_bad_select(text: str) -> None:
    """What it does not allow."""
    with pytest.raises(Bad):
        parse_select(tokens(text), LIMITS)


def test_fetch() -> None:
    """CHANGEDSINCE, and with UID FETCH VANISHED beside it, in any order."""
    assert parse_fetch(tokens(""), LIMITS, by_uid=True) == (None, None)
    assert parse_fetch(tokens(" (PARTIAL -1:-2)"), LIMITS, by_uid=True) == (
        None,
        Partial(-2, -1, "-1:-2"),
    )
    assert parse_fetch(tokens(" (CHANGEDSINCE 0)"), LIMITS, by_uid=False) == (Since(0), None)
    both = tokens(" (VANISHED CHANGEDSINCE 12)")
    assert parse_fetch(both, LIMITS, by_uid=True) == (Since(12, vanished=True), None)
    for bad in (" (VANISHED)", " (CHANGEDSINCE)", " (X 1)", " (CHANGEDSINCE 1 CHANGEDSINCE 2)"):
        with pytest.raises(Bad):
            parse_fetch(tokens(bad), LIMITS, by_uid=True)
    with pytest.raises(Bad):
        parse_fetch(tokens(" (VANISHED CHANGEDSINCE 12)"), LIMITS, by_uid=False)


def test_store() -> None:
    """UNCHANGEDSINCE, of 63 bits, before the flags."""
    assert parse_store(tokens("FLAGS ()")) is None
    assert parse_store(tokens("(UNCHANGEDSINCE 9223372036854775807) FLAGS ()")) == 2**63 - 1
    for bad in ("(UNCHANGEDSINCE 9223372036854775808) F", "(X 1) F", "(UNCHANGEDSINCE 1)F"):
        with pytest.raises(Bad):
            parse_store(tokens(bad))
