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
    bounded,
    lines,
    many,
    some,
)
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
            bounded(FACTOR, 1.0),
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
