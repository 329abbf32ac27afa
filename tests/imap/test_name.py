"""Mailbox names: what a command may call a mailbox."""

from __future__ import annotations

import pytest

from mailhub.imap.name import canonical, decoded, encoded
from mailhub.imap.response import No


def test_inbox() -> None:
    """INBOX has no case, as a mailbox and as a first level, and only then."""
    assert canonical("inBox") == "INBOX"
    assert canonical("inbox/x") == "INBOX/x"
    assert canonical("x/inbox") == "x/inbox"
    assert canonical("inboxes") == "inboxes"


def test_decoded() -> None:
    """A name in modified UTF-7 is Unicode inside, and comes out as it went in."""
    assert decoded(b"Entw&APw-rfe", 100) == "Entwürfe"
    assert encoded("Entwürfe") == b"Entw&APw-rfe"
    assert encoded('a "b"') == b'"a \\"b\\""'
    assert encoded("100%") == b'"100%"'


@pytest.mark.parametrize("octets", [b"", b"&bad", b"x" * 11, b"a//b", b"/a", b"a/", b"&AAc-"])
def test_refused(octets: bytes) -> None:
    """Empty, malformed, too long, with empty levels or control characters: CANNOT."""
    with pytest.raises(No) as caught:
        decoded(octets, 10)
    assert caught.value.code == "CANNOT"
