"""The grammar of commands that search."""

from __future__ import annotations

import pytest

from mailhub.imap.command import CancelUpdate, Command, MultiSearch, Search, Sort, Source, Thread
from mailhub.imap.criteria import And, Flagged, Header
from mailhub.imap.response import Bad, No
from mailhub.imap.returning import ALL, Returning
from mailhub.imap.settings import Limits
from mailhub.imap.syntax import parse
from mailhub.mail.flag import SEEN
from mailhub.ports.finding import Sorting, SortKey

LIMITS = Limits()
EVERY = And(())
LEAST = Returning(frozenset({"MIN"}))


@pytest.mark.parametrize(
    ("text", "command"),
    [
        (b"SEARCH ALL", Search(EVERY, by_uid=False)),
        (b"UID SEARCH CHARSET utf-8 SEEN", Search(Flagged(SEEN), by_uid=True, charset=True)),
        (b"SEARCH RETURN () ALL", Search(EVERY, False, ALL)),
        (b"SEARCH RETURN (MIN) CHARSET UTF-8 ALL", Search(EVERY, False, LEAST, charset=True)),
        (b'SEARCH SUBJECT "RETURN ("', Search(Header(b"SUBJECT", "RETURN ("), False)),
        (
            b"SORT (reverse DATE subject) UTF-8 ALL",
            Sort((Sorting(SortKey.DATE, True), Sorting(SortKey.SUBJECT)), EVERY, False),
        ),
        (b"UID SORT RETURN (ALL) (TO) latin1 ALL", Sort((Sorting(SortKey.TO),), EVERY, True, ALL)),
        (b"THREAD references US-ASCII ALL", Thread("REFERENCES", EVERY, False)),
        (b"UID THREAD REFS utf-8 ALL", Thread("REFS", EVERY, True)),
        (b'CANCELUPDATE "a" "b"', CancelUpdate((b"a", b"b"))),
        (b"ESEARCH ALL", MultiSearch(None, EVERY, ALL)),
        (
            b"ESEARCH IN (inboxes subtree (a b) mailboxes c) RETURN (ALL) ALL",
            MultiSearch(
                (Source("INBOXES"), Source("SUBTREE", (b"a", b"b")), Source("MAILBOXES", (b"c",))),
                EVERY,
                ALL,
            ),
        ),
        (b"ESEARCH IN (selected-delayed) ALL", MultiSearch((Source("SELECTED"),), EVERY, ALL)),
    ],
)  # fmt: skip
def test_commands(text: bytes, command: Command) -> None:
    """Each command in its forms."""
    assert parse([b"t " + text], LIMITS) == command


@pytest.mark.parametrize(
    "text",
    [
        b"SEARCH RETURN (MIN)",
        b"SEARCH RETURN (MIN)ALL",
        b"SORT (DATE)",
        b"SORT DATE UTF-8 ALL",
        b"SORT (REVERSE) UTF-8 ALL",
        b"THREAD UTF-8 ALL",
        b"CANCELUPDATE",
        b"CANCELUPDATE" + b' "a"' * 1000,
        b"ESEARCH IN () ALL",
        b"ESEARCH IN (subtree) ALL",
        b"ESEARCH RETURN (CONTEXT) ALL",
    ],
)
def test_bad(text: bytes) -> None:
    """What does not parse."""
    with pytest.raises(Bad):
        parse([b"t " + text], LIMITS)


def test_charset() -> None:
    """Every command refuses a charset that is not known, and names some that are."""
    for text in (
        b"SEARCH CHARSET x-none ALL",
        b"SORT (DATE) x-none ALL",
        b"THREAD REFS x-none ALL",
    ):
        with pytest.raises(No) as caught:
            parse([b"t " + text], LIMITS)
        assert caught.value.code.startswith("BADCHARSET (US-ASCII UTF-8 ")
