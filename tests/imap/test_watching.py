"""NOTIFY's language."""

from __future__ import annotations

import pytest

from mailhub.imap.grammar import Tokens
from mailhub.imap.item import Fact
from mailhub.imap.response import Bad, No
from mailhub.imap.watching import EXPUNGED, FLAGGED, NAMED, NEW, SUBSCRIBED, Watch, parse
from tests.imap.given import LIMITS

BOTH = frozenset({NEW, EXPUNGED})
SEVERAL = (
    " SET (selected-delayed (MessageNew MessageExpunge))"
    " (subtree (Lists A/B) (MailboxName)) (mailboxes misc (SubscriptionChange))"
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (" NONE", (None, False)),
        (" set status (personal NONE)", ((Watch("PERSONAL"),), True)),
        (
            " SET (selected (MessageNew (uid flags) MessageExpunge FlagChange))",
            ((Watch("SELECTED", (), BOTH | {FLAGGED}, (Fact.UID, Fact.FLAGS)),), False),
        ),
        (
            SEVERAL,
            (
                (
                    Watch("SELECTED-DELAYED", (), BOTH),
                    Watch("SUBTREE", (b"Lists", b"A/B"), frozenset({NAMED})),
                    Watch("MAILBOXES", (b"misc",), frozenset({SUBSCRIBED})),
                ),
                False,
            ),
        ),
    ],
)
def test_parse(text: str, expected: object) -> None:
    """What RFC 5465 §8 allows."""
    assert parse(Tokens((text.encode(),)), LIMITS) == expected


@pytest.mark.parametrize(
    "text",
    [
        *(" ", " SET", " SET ()", " SOME", " SET (everything NONE)"),
        " SET (selected (MessageNew))",
        " SET (personal (FlagChange))",
        " SET (selected (MailboxName))",
        " SET (selected NONE) (selected-delayed NONE)",
        " SET (personal (MessageNew (uid) MessageExpunge))",
        " SET (subtree (MessageNew MessageExpunge))",
    ],
)
def test_bad(text: str) -> None:
    """What does not parse, or does not fit together."""
    with pytest.raises(Bad):
        parse(Tokens((text.encode(),)), LIMITS)


def test_unknown_event() -> None:
    """An event that we do not tell of is NO, with the names of those that we do."""
    with pytest.raises(No) as refused:
        parse(Tokens((b" SET (personal (AnnotationChange MailboxName))",)), LIMITS)
    assert refused.value.code.startswith("BADEVENT (MessageNew MessageExpunge FlagChange ")
