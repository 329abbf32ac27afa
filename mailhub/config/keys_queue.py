"""Keys of how mail waits: schedules, classes, limits of senders, domains that we back up."""

from __future__ import annotations

from typing import Final

from mailhub.config.key import PATIENCE, Key, Section
from mailhub.config.values import (
    BOOLEAN,
    COUNT,
    DURATION,
    FACTOR,
    FIELD,
    NAME,
    PATH,
    PATTERN,
    bounded,
    choice,
    lines,
    many,
    optional_text,
    some,
)
from mailhub.policy.allowance import Action
from mailhub.policy.cause import Cause
from mailhub.policy.retry import Causes, caused_key

_WHY: Final = {
    "rate_limited": "After they said that we send too fast. Empty is as delays, here and below.",
    "greylisted": "After they put off whom they do not know.",
    "blocked": "After they said that we are on a list.",
    "policy": "After they missed something, such as SPF or a name for our address.",
    "mailbox_full": "After a full mailbox, here or there.",
    "tls": "After encryption that would not do.",
    "in_doubt": "After a connection was lost before they said whether they have it.",
    "dns": "After a name could not be looked up.",
    "unreachable": "After nobody answered.",
    "busy": "After they said that they cannot just now.",
}


def schedule_keys(prefix: str = "") -> tuple[Key, ...]:
    """The keys of a schedule: of all mail, or of a class or route, which gives those it likes."""
    return (
        Key(
            "delays",
            some(PATIENCE),
            f"{prefix}delays",
            "The waits after the first, second, ... failed attempt.",
        ),
        *(
            Key(
                caused_key(Cause[name.upper()]),
                many(PATIENCE),
                f"{prefix}causes.{name}",
                _WHY[name],
            )
            for name in Causes.__slots__
        ),
        Key(
            "factor",
            bounded(FACTOR, 1.0, 100.0),
            f"{prefix}factor",
            "By which the last of them grows with each attempt after that.",
        ),
        Key("longest delay", PATIENCE, f"{prefix}maximum", "No wait is longer."),
        Key(
            "lifetime",
            PATIENCE,
            f"{prefix}lifetime",
            "After which mail goes back to its sender. The standard asks for 4d to 5d.",
        ),
        Key(
            "delay warning",
            DURATION,
            f"{prefix}warning",
            "After which its sender is told that it is late. 0 for never.",
        ),
    )


CLASS: Final = Section(
    "class NAME",
    "Mail that waits in its own way. Within each sender's mail, and among senders, turns are shared"
    " by weight, so that a newsletter does not hold up a password reset; MT-PRIORITY doubles or"
    " halves the weight with each step. A message belongs to the first class whose conditions it"
    " meets, all of them; behind yours stand three that are always there: notice (what has no"
    " sender, weight 5), bulk (Precedence: bulk, list or junk, List-Unsubscribe, List-Id; weight"
    " 1), and normal (the rest, weight 10). A section of their name changes the keys it gives.",
    (
        Key(
            "weight",
            bounded(FACTOR, 0.001),
            "weight",
            "How often it has its turn: 10 if not given.",
        ),
        Key(
            "accounts",
            many(NAME),
            "accounts",
            "Only what these have sent after a login: addresses, domains, *.domain.",
        ),
        Key("senders", many(NAME), "senders", "Only from these reverse-paths, likewise."),
        Key(
            "fields",
            lines(FIELD),
            "fields",
            "Only with one of these header fields, each on its own line: a name alone, or Name:"
            " value, value.",
        ),
        Key("recipients", bounded(COUNT, 1), "recipients", "Only to so many at least."),
        Key(
            "submitted",
            BOOLEAN,
            "submitted",
            "yes for what came after a login only, no for what did not.",
        ),
        *schedule_keys(""),
    ),
)


LIMIT: Final = Section(
    "limit NAME",
    "How much those who have logged in may send, so that a stolen password does not send a hundred"
    " thousand messages. What was sent is remembered over restarts. One limit is always there,"
    " named accounts, for each account: 1000 recipients an hour, 5000 a day, 2000 of them new, and"
    " more is held, of which the postmaster is told. A section of that name changes the keys it"
    " gives; 0 is any number.",
    (
        Key(
            "accounts",
            many(NAME),
            "accounts",
            "Whose: addresses, domains, *.domain. Empty is everybody's.",
        ),
        Key(
            "together",
            BOOLEAN,
            "together",
            "The accounts of a domain have it together, and not each for itself.",
        ),
        Key("messages per hour", COUNT, "messages_per_hour", "In the last 60 minutes."),
        Key("messages per day", COUNT, "messages_per_day", "In the last 24 hours."),
        Key("recipients per hour", COUNT, "recipients_per_hour", "Of all these messages."),
        Key("recipients per day", COUNT, "recipients_per_day", "Likewise."),
        Key(
            "new recipients per day",
            COUNT,
            "new_per_day",
            "To whom the account has not written for half a year.",
        ),
        Key(
            "action",
            choice({action.value: action for action in Action}),
            "action",
            "refuse answers 452, so that it comes again later; hold takes it and waits for you"
            " (mailhub queue list --held); warn tells the postmaster alone, as the others do too.",
        ),
    ),
)

BACKUP: Final = Section(
    "backup NAME",
    "Domains that are not ours, for which we take mail from anybody while their own hosts are down"
    " (backup MX): an MX record names us behind those. It is handed on only to hosts that the"
    " records prefer to us.",
    (
        Key("domains", some(PATTERN), "domains", "As recipients of a route, but not *."),
        Key(
            "recipients file",
            optional_text(PATH),
            "recipients",
            "A file with the addresses that exist, one on each line; others are refused. Without"
            " this, and without verify, we take mail that can only be bounced, to senders who may"
            " be forged.",
        ),
        Key(
            "verify",
            BOOLEAN,
            "verify",
            "Ask the domain's own hosts whether a recipient exists, and remember it. While they are"
            " down those who existed lately are taken, and mail for others is asked to come again.",
        ),
        *schedule_keys(),
    ),
)
