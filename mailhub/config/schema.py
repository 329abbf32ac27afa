"""The one table of all keys: section, name, kind, where the value goes, and why one would set it.

The defaults are not here: they are those of the values in `Settings`, so that
there is one place for each. The sample file is printed from this table
(`config.sample`), and `load` reads by it: a key exists as soon as it has a line here.
"""

from __future__ import annotations

from typing import Final

from mailhub.config.key import Section
from mailhub.config.keys_delivery import DNS, JOURNEY, QUEUE, RELAY, ROUTE
from mailhub.config.keys_hub import ADDRESSES, AUTH, HUB, LIMITS, LISTEN, TLS
from mailhub.config.keys_mail import IMAP, POP3, SMTP, STORE, SUBMISSION
from mailhub.config.keys_provider import PROVIDER, SOURCE
from mailhub.config.keys_queue import BACKUP, CLASS, LIMIT
from mailhub.config.keys_suppression import SENDING, SUPPRESSION

SECTIONS: Final = (
    HUB,
    LISTEN,
    LIMITS,
    TLS,
    AUTH,
    ADDRESSES,
    SMTP,
    SUBMISSION,
    IMAP,
    POP3,
    STORE,
    QUEUE,
    SUPPRESSION,
    JOURNEY,
    RELAY,
    DNS,
)
"""All that there is one of, in the order of the sample file."""

NAMED: Final = (ROUTE, PROVIDER, SOURCE, CLASS, LIMIT, BACKUP, SENDING)
"""Those that there are many of, each with a name behind its kind: ``[route NAME]``."""

ROUTE_PREFIX: Final = "route "


def section_of(name: str) -> Section | None:
    """The section that a name in brackets means."""
    kind, space, _ = name.partition(" ")
    if space:
        return next((section for section in NAMED if section.name == f"{kind} NAME"), None)
    return next((section for section in SECTIONS if section.name == name), None)
