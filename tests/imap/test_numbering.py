"""Which commands speak of messages by their sequence numbers."""

from __future__ import annotations

import pytest

from mailhub.imap import syntax
from mailhub.imap.numbering import barred, numbered, settled
from tests.imap.given import LIMITS


@pytest.mark.parametrize(
    ("text", "by_number", "stays"),
    [
        ("FETCH 1 FLAGS", True, True),
        ("UID FETCH 1 FLAGS", False, False),
        ("STORE 1 FLAGS ()", True, True),
        ("COPY 1 Work", True, False),
        ("MOVE 1 Work", True, False),
        ("UID MOVE 1 Work", False, False),
        ("SEARCH ALL", True, True),
        ("UID SEARCH UID 1", False, False),
        ("UID SEARCH NOT (OR 1:3 SEEN)", True, True),
        ("UID SEARCH $", False, False),
        ("UID SORT (DATE) UTF-8 1:2", True, True),
        ("NOOP", False, False),
        ("EXPUNGE", False, False),
    ],
)
def test_numbered(text: str, by_number: bool, stays: bool) -> None:
    """Those that name messages by number, or hold numbers in what they search for."""
    command = syntax.parse((b"a " + text.encode(),), LIMITS)
    assert (numbered(command), settled(command)) == (by_number, stays)


@pytest.mark.parametrize(
    ("text", "is_barred"),
    [
        ("FETCH 1 FLAGS", True),
        ("UID FETCH 1 FLAGS", False),
        ("SELECT INBOX", False),
        ("SELECT INBOX (QRESYNC (7 4 1:3))", False),
        ("SELECT INBOX (QRESYNC (7 4 1:3 (1:2 1:2)))", True),
    ],
)
def test_barred(text: str, is_barred: bool) -> None:
    """With UIDONLY a client that comes back may not speak of numbers either (RFC 9586 §3)."""
    assert barred(syntax.parse((b"a " + text.encode(),), LIMITS)) is is_barred
