"""Keys of suppression lists, and of return paths that are ours."""

from __future__ import annotations

import re
from typing import Final

from mailhub.config.key import AT_LEAST_ONE, Key, Section
from mailhub.config.values import (
    COUNT,
    DOMAIN,
    DURATION,
    TEXT,
    Kind,
    bounded,
    choice,
    many,
    optional_text,
    some,
)
from mailhub.config.values import PATTERN as DOMAINS
from mailhub.policy.suppression import Action

# Dot-string, as far as names of roles go                                   (RFC 5321 §4.1.2)
_LOCAL: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")


def _parse_local(text: str) -> str:
    if not _LOCAL.fullmatch(text.lower()):
        raise ValueError
    return text.lower()


LOCAL: Final[Kind[str]] = Kind("a name such as abuse", _parse_local, str)
_CLASSES: Final = many(TEXT)


def _terms(prefix: str = "") -> tuple[Key, ...]:
    """What can be said for all domains, and for some."""
    return (
        Key(
            "action",
            choice({action.value: action for action in Action}),
            f"{prefix}action",
            "What becomes of mail for an address on the list. bounce takes it and tells its"
            " sender at once, as large services do: other recipients of the message get it."
            " refuse answers RCPT with 550 where that can be known then (where the class hangs"
            " on the header it is as bounce); many programs give up the whole message for it."
            " hold keeps it (mailhub queue list --held) until you release it or the entry goes."
            " off sends it, and puts nobody on the list.",
        ),
        Key(
            "classes",
            _CLASSES,
            f"{prefix}classes",
            "Mail of these classes fills the list, and is held back by it; * is all mail. More"
            " than bulk keeps a letter back because of a newsletter.",
        ),
        Key(
            "complaint classes",
            _CLASSES,
            f"{prefix}complaint_classes",
            "Mail of these classes does not go to those who have complained. Empty is as"
            " classes; with classes = * name bulk here, and password resets still arrive.",
        ),
        Key(
            "hard failures",
            AT_LEAST_ONE,
            f"{prefix}hard_failures",
            "How often it takes to be told that an address, or its domain, does not exist."
            " Other refusals (a full mailbox, spam, blocks) never count.",
        ),
        Key(
            "hard failures for",
            DURATION,
            f"{prefix}hard_life",
            "How long such an address stays on the list; 0 is for ever, here and below.",
        ),
        Key(
            "complaints for",
            DURATION,
            f"{prefix}complaint_life",
            "How long those stay who have complained.",
        ),
        Key(
            "expiries",
            COUNT,
            f"{prefix}expiries",
            "How often mail must have been given up, after days of a full mailbox or a dead"
            " host. 0 for never: soft failures put nobody on the list.",
        ),
        Key("expiries for", DURATION, f"{prefix}expired_life", "How long those stay."),
        Key(
            "within",
            bounded(DURATION, 1.0),
            f"{prefix}window",
            "The time in which failures and expiries are counted.",
        ),
        Key(
            "return paths",
            _CLASSES,
            f"{prefix}returns",
            "Mail of these classes that our own users send goes out with a return path"
            " (bounce+...@) that names message and recipient, signed: what bounces days later, and"
            " whoever complains, is then known for certain, and is on the list. Name bulk, once"
            " mail for the sender's domain comes to this hub. The price: a transaction for each"
            " recipient, and those who greylist see a new sender each time (most leave out what"
            " stands behind the +).",
        ),
        Key(
            "return domain",
            optional_text(DOMAIN),
            f"{prefix}return_domain",
            "The domain of those, if it is not the sender's own. Its MX record must name this"
            " hub; it need not be hosted. Below the sender's domain (bounces.example.com) it is"
            " in line with it for DMARC; SPF is looked up there, so it needs a record.",
        ),
    )


SUPPRESSION: Final = Section(
    "suppression",
    "Whom we write to no more, for each sending domain: addresses that do not exist, and people"
    " who call our mail spam. It is what large providers judge a sender by. mailhub suppression"
    " shows and changes the lists.",
    (
        *_terms("suppression.terms."),
        Key(
            "return paths for",
            bounded(DURATION, 86_400.0),
            "suppression.return_life",
            "How long bounces and complaints are taken that come to a return path of ours.",
        ),
        Key(
            "reports to",
            many(LOCAL),
            "suppression.reports",
            "Local parts of addresses, in each hosted domain, to which providers report complaints"
            " (ARF). They are delivered as ever, and those that name a return path of ours count.",
        ),
    ),
)

SENDING: Final = Section(
    "sending NAME",
    "Other terms for what some domains send. What a section does not give is as [suppression]"
    " has it; of two the one counts that names the domain most exactly.",
    (
        Key(
            "senders", some(DOMAINS), "senders", "Domains of reverse-paths: example.com, *.domain."
        ),
        *_terms(),
    ),
)
