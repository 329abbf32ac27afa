"""Keys of those we deal with, and of where we come from: providers and sources."""

from __future__ import annotations

from typing import Final

from mailhub.config.key import AT_LEAST_ONE, PATIENCE, Key, Section
from mailhub.config.keys_delivery import DEMAND, FAMILY
from mailhub.config.keys_queue import schedule_keys
from mailhub.config.values import (
    BOOLEAN,
    COUNT,
    HOST,
    IP,
    PATTERN,
    TEXT,
    many,
    optional,
    optional_text,
)

PROVIDER: Final = Section(
    "provider NAME",
    "Who runs the hosts that mail goes to. Domains with the same provider share connections, limits"
    " and reputation; those of nobody named are grouped by their mail exchanges. Many are known"
    " already (mailhub provider list); a section of the same name changes just the keys that it"
    " gives. What is not given is as [relay] has it, and its mail waits as [queue] says; a route's"
    " word about that goes before a provider's.",
    (
        Key(
            "mx",
            many(PATTERN),
            "mx",
            "Its mail exchanges: mx.example.com, or *.example.com for all below it. Empty does"
            " without a provider that is known already.",
        ),
        Key(
            "connections",
            optional(AT_LEAST_ONE),
            "connections",
            "Open at once, from each source.",
        ),
        Key(
            "messages per connection",
            optional(AT_LEAST_ONE),
            "messages",
            "Before a new one is made.",
        ),
        Key(
            "recipients per message",
            optional(AT_LEAST_ONE),
            "recipients",
            "More are handed on in several transactions.",
        ),
        Key(
            "messages per minute",
            COUNT,
            "per_minute",
            "From each source. 0 for any. Whatever is said here, the pace falls when they say that"
            " it is too fast, and recovers.",
        ),
        Key("messages per hour", COUNT, "per_hour", "Likewise."),
        Key("messages per day", COUNT, "per_day", "Likewise."),
        Key(
            "tls",
            optional(DEMAND),
            "tls",
            "As in [relay]; a route that demands more gets it.",
        ),
        Key("address family", optional(FAMILY), "family", "As in [relay]."),
        Key(
            "ipv6 needs name",
            BOOLEAN,
            "named",
            "Connect over IPv6 only from an address whose name (PTR) leads back to it: they refuse"
            " others.",
        ),
        Key(
            "sources",
            many(TEXT),
            "sources",
            "Names of [source NAME] sections that are used for it, in turn; empty is as in"
            " [relay].",
        ),
        Key(
            "detour",
            TEXT,
            "detour",
            "The name of a [route NAME] with a host. When they say that we are blocked, their mail"
            " goes there instead, and senders get no bounces. Empty for none.",
        ),
        Key(
            "detour for",
            PATIENCE,
            "detour_for",
            "How long, after the last block.",
        ),
        Key(
            "probe after",
            PATIENCE,
            "probe",
            "How long until one message tries the direct way again.",
        ),
        *schedule_keys(),
    ),
)

SOURCE: Final = Section(
    "source NAME",
    "An address of this machine to send from, with the name that it has in the DNS. Pace and"
    " reputation are counted for each.",
    (
        Key("ipv4", optional_text(IP), "ipv4", "Empty, if there is an ipv6: use it for IPv6 only."),
        Key("ipv6", optional_text(IP), "ipv6", "Likewise."),
        Key(
            "helo",
            optional_text(HOST),
            "helo",
            "What we call ourselves from there: the name (PTR) of that address. Empty is the"
            " hub's hostname.",
        ),
    ),
)
