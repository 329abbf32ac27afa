"""Notices in English, of which nothing is known but that something failed."""

from __future__ import annotations

from mailhub.config.words import shipped
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.relay.report import Languages

ENGLISH = shipped()["en"]
LANGUAGES = Languages(shipped(), "en")


def other(_: Reply) -> Cause:
    """The cause of whatever was said."""
    return Cause.OTHER
