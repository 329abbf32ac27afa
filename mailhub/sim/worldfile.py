"""World files: which providers there are, and how each behaves.

    mailhub simulate --world FILE

`SECTIONS` is their documentation; `docs/worlds.md` is made of it. Three worlds are shipped
beside this module: ``calm``, ``providers`` and ``hostile``.
"""

from __future__ import annotations

import importlib
import os
import sys
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

from mailhub.config.ini import Mistake
from mailhub.config.key import AT_LEAST_ONE, Key, Section
from mailhub.config.load import ConfigError
from mailhub.config.values import (
    BOOLEAN,
    COUNT,
    DURATION,
    FACTOR,
    HOST,
    PATTERN,
    SIZE,
    TEXT,
    choice,
    many,
    some,
)
from mailhub.sim.manners import Certificate, Dane, Manners, Outage, Pipelining, Sts
from mailhub.sim.names import Fault
from mailhub.sim.sections import (
    DROPS,
    NUMBER,
    RATE,
    REPLY,
    SHARE,
    WINDOWS,
    Given,
    filled,
    read_sections,
)

SHIPPED: Final = ("calm", "providers", "hostile")


@dataclass(frozen=True, slots=True)
class Surface:
    """What a world is like as a whole.

    Attributes:
        latency: Seconds from our own host to the middle of the network; `jitter` likewise.
        bandwidth: Octets a second of our own host's link; 0 for any.
    """

    about: str = ""
    latency: float = 0.005
    jitter: float = 0.001
    bandwidth: int = 0


@dataclass(frozen=True, slots=True)
class Atlas:
    """A world, as its file describes it."""

    name: str
    surface: Surface
    providers: tuple[Manners, ...]

    def provider(self, domain: str) -> Manners | None:
        """Who takes a domain's mail."""
        return next(
            (
                it
                for wanted in (domain, "*")
                for it in self.providers
                if any(wanted == name or _within(domain, name) for name in it.domains)
            ),
            None,
        )


def _within(domain: str, pattern: str) -> bool:
    return pattern.startswith("*.") and domain.endswith(pattern[1:])


def _words(kind: Any) -> Any:
    return choice({it.value: it for it in kind})


_WORLD: Final = Section(
    "world",
    "The world as a whole.",
    (
        Key("about", TEXT, "about", "What it is for, in one sentence."),
        Key("latency", DURATION, "latency", "From our host to the middle of the network."),
        Key("jitter", DURATION, "jitter", "What is added to that by chance, at most."),
        Key("bandwidth", SIZE, "bandwidth", "Octets a second of our host's link; 0 for any."),
    ),
)
_PROVIDER: Final = Section(
    "provider NAME",
    "One provider: its hosts, its limits, its moods. Several of them.",
    (
        Key(
            "domains",
            some(PATTERN),
            "domains",
            "Whose mail it takes. * is for every domain that nobody else takes.",
        ),
        Key(
            "exchanges",
            many(HOST),
            "exchanges",
            "The names of its hosts, the preferred ones first. None makes one up.",
        ),
        Key("weight", FACTOR, "weight", "Its part of a campaign, in proportion to the others'."),
        Key("source", TEXT, "source", "Where its limits are published, or how they were guessed."),
        Key("latency", DURATION, "latency", "From its hosts to the middle of the network."),
        Key("jitter", DURATION, "jitter", "What is added to that by chance, at most."),
        Key("bandwidth", SIZE, "bandwidth", "Octets a second of each host's link; 0 for any."),
        Key("connections", COUNT, "connections", "At once, from one address; 0 for any."),
        Key("connection rate", RATE, "connection_rate", "New connections from one address."),
        Key(
            "messages per connection",
            COUNT,
            "messages",
            "After so many it closes the connection without a word; 0 for any.",
        ),
        Key("recipients per message", AT_LEAST_ONE, "recipients", "More are put off with 452."),
        Key("rate", RATE, "rate", "Recipients accepted from one address."),
        Key(
            "capacity",
            RATE,
            "capacity",
            "Messages it can take from all the world: above, its replies come late.",
        ),
        Key("size", SIZE, "size", "Octets of a message; 0 for any."),
        Key("tarpit", DURATION, "tarpit", "Silence before each reply."),
        Key("greylist", DURATION, "greylist", "How long a triplet is put off; 0 for not at all."),
        Key("greylist memory", DURATION, "greylist_memory", "How long one is known then."),
        Key(
            "warm up",
            NUMBER,
            "warm_up",
            "Recipients before an address that is new has the full rate. It begins with a tenth.",
        ),
        Key("block above", RATE, "block_above", "Recipients tried above which it blocks."),
        Key("block complaints", COUNT, "block_complaints", "Complaints in a day, likewise."),
        Key("block unknown", SHARE, "block_unknown", "The share of unknown recipients, likewise."),
        Key("block for", DURATION, "block_for", "How long it takes to forgive."),
        Key("unknown users", SHARE, "unknown", "The share of addresses that do not exist."),
        Key("full mailboxes", SHARE, "full", "The share of mailboxes that are full."),
        Key("bounces later", SHARE, "bounces", "Accepted, and returned afterwards."),
        Key("bounce delay", DURATION, "bounce_delay", "After so long."),
        Key("complaints", SHARE, "complaints", "The share of messages that are complained of."),
        Key("complaint delay", DURATION, "complaint_delay", "After so long."),
        Key("feedback", BOOLEAN, "feedback", "Complaints are told to the sender (ARF)."),
        Key("outages", WINDOWS, "outages", "When it is not there: +3h for 2h."),
        Key("outage", _words(Outage), "outage", "What that looks like."),
        Key("drops", DROPS, "drops", "How often connections are dropped, and where."),
        Key(
            "lost replies",
            SHARE,
            "lost_replies",
            "It takes the message, and the sender never hears of it.",
        ),
        Key("pipelining", _words(Pipelining), "pipelining", "What becomes of commands in a row."),
        Key("tls", _words(Certificate), "tls", "Whether it offers TLS, and what is wrong with it."),
        Key("dane", _words(Dane), "dane", "Its TLSA records; they count where it is signed."),
        Key("mta-sts", _words(Sts), "sts", "Its MTA-STS policy."),
        Key(
            "dns",
            choice({"": "", **{it.value: it.value for it in Fault}}),
            "names_fault",
            "What its DNS suffers from, at times.",
        ),
        Key("dns fails", WINDOWS, "names_fails", "When."),
        Key("signed", BOOLEAN, "secure", "Its DNS is signed (DNSSEC)."),
        Key("reply to rate", REPLY, "says_rate", "What it says to those who are too fast."),
        Key("reply to connections", REPLY, "says_connections", "… who connect too often."),
        Key("reply to blocked", REPLY, "says_blocked", "… whom it has blocked."),
        Key("reply to greylisted", REPLY, "says_greylisted", "… whom it does not know."),
        Key("reply to unknown", REPLY, "says_unknown", "… who write to nobody."),
        Key("reply to full", REPLY, "says_full", "… who write to a full mailbox."),
        Key("model", TEXT, "model", "A Python class to use in its place, package.module:Class."),
    ),
)
SECTIONS: Final = (_WORLD, _PROVIDER)


def load(name: str) -> Atlas:
    """A world that is shipped, by its name; or one in a file.

    Raises:
        ConfigError: With every mistake that was found.
        OSError: The file cannot be read.
    """
    if name in SHIPPED:
        return parsed(name, files(__package__).joinpath(f"{name}.ini").read_text("utf-8"))
    try:
        with open(name, encoding="utf-8", errors="replace") as file:
            text = file.read()
    except FileNotFoundError as error:
        error.strerror = f"no such file, nor one of the worlds {', '.join(SHIPPED)}"
        raise
    here = os.path.dirname(os.path.abspath(name))
    if here not in sys.path:
        sys.path.append(here)  # where its models are
    return parsed(name, text)


def parsed(name: str, text: str) -> Atlas:
    """A world in the text of a file.

    Raises:
        ConfigError: With every mistake that was found.
    """
    sections, mistakes = read_sections(text, SECTIONS)
    surface, providers = Surface(), []
    for given in sections:
        if given.kind == "world":
            surface = filled(surface, given.values)
        else:
            providers.append(filled(Manners(given.name), given.values))
            mistakes += _wrong(given, providers[-1])
    mistakes += _twice([it for it in sections if it.kind == "provider"], providers)
    if not providers:
        mistakes.append(Mistake(0, "provider", "", "there is none: nobody would take any mail"))
    if mistakes:
        raise ConfigError(name, mistakes)
    return Atlas(name, surface, tuple(providers))


def _wrong(given: Given, manners: Manners) -> list[Mistake]:
    """What parses, and cannot be meant."""
    mistakes = []
    if "domains" not in given.values and "domains" not in given.lines:
        mistakes.append(given.mistake("domains", "missing: whose mail does it take?"))
    if manners.names_fails and not manners.names_fault:
        mistakes.append(given.mistake("names_fails", "without dns, nothing fails"))
    if manners.model:
        try:
            model_of(manners.model)
        except (ImportError, AttributeError, ValueError) as error:
            mistakes.append(given.mistake("model", f"cannot be imported: {error}"))
    return mistakes


def _twice(sections: list[Given], providers: list[Manners]) -> list[Mistake]:
    """Domains that two providers take, and hosts that two have."""
    mistakes = []
    for key, of in (("domains", lambda it: it.domains), ("exchanges", lambda it: it.exchanges)):
        seen: dict[str, str] = {}
        for given, manners in zip(sections, providers, strict=True):
            for name in of(manners):
                if name in seen:
                    text = f"{name} is {seen[name]}'s already"
                    mistakes.append(given.mistake(key, text))
                seen.setdefault(name, manners.name)
    return mistakes


def model_of(name: str) -> Any:
    """The class of ``package.module:Class``.

    Raises:
        ValueError, ImportError, AttributeError: There is no such thing.
    """
    module, colon, attribute = name.partition(":")
    if not colon:
        raise ValueError("expected package.module:Class")
    return getattr(importlib.import_module(module), attribute)
