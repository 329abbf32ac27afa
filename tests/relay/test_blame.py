"""What stands behind failures that no host put into words."""

from __future__ import annotations

import pytest

from mailhub.config import replies
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier
from mailhub.relay import blame
from mailhub.smtp.wire import (
    Broken,
    Incomprehensible,
    LoginFailed,
    TimedOut,
    Unreadable,
    Untrusted,
    Unwelcome,
)

TABLE = Classifier(replies.known())
OURS = Reply(451, "4.2", ("Connection lost",))


@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        (Broken(OURS, "connect"), Cause.UNREACHABLE),
        (TimedOut(OURS, "ehlo"), Cause.UNREACHABLE),
        (TimedOut(OURS, "content", in_doubt=True), Cause.IN_DOUBT),
        (Broken(OURS, "starttls", handshake=True), Cause.TLS),
        (Untrusted(OURS, "starttls"), Cause.TLS),
        (LoginFailed(Reply(535, "7.8", ("No",))), Cause.LOCAL),
        (Unreadable(OURS, "content"), Cause.LOCAL),
        (Incomprehensible(OURS, "banner"), Cause.PROTOCOL),
        (Unwelcome(Reply(554, "", ("Your IP is blocked",))), Cause.BLOCKED),
        (Broken(Reply(421, "3.2", ("Too many connections",)), "mail", heard=True), "rate-limited"),
    ],
)
def test_fault(fault: Broken, cause: Cause | str) -> None:
    """A fault has a cause; one that a server put into words, the cause of these words."""
    assert blame.of_fault(fault, TABLE, "").cause is Cause(cause)


def test_ours() -> None:
    """What we do not hand on at all was asked too much, or is too large."""
    for detail, cause in (
        ("7.30", Cause.TLS),
        ("3.4", Cause.CONTENT),
        ("6.3", Cause.PROTOCOL),
        ("6.7", Cause.PROTOCOL),
    ):
        assert blame.of_ours(Reply(550, detail, ("No",))) is cause


def test_lookup() -> None:
    """Nowhere to go is the domain's affair, but for loops and hosts that were found to be dead."""
    for detail, cause in (
        ("1.2", Cause.NO_DOMAIN),
        ("1.10", Cause.NO_DOMAIN),
        ("4.6", Cause.LOCAL),
        ("4.1", Cause.UNREACHABLE),
    ):
        assert blame.of_lookup(Reply(550, detail, ("No",))) is cause
    assert blame.of_lookup(Reply(451, "4.3", ("No answer",))) is Cause.DNS
