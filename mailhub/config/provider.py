"""Makes providers and sources of their sections, or tells what is wrong with them.

What is known of large providers lies beside this module, in the same form; an
operator's section of the same name changes the keys that it gives.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any, Final

from mailhub.config import ini
from mailhub.config.ini import Mistake
from mailhub.config.keys_provider import PROVIDER
from mailhub.policy.provider import Provider, Source, duplicates
from mailhub.policy.retry import KEYS

KNOWN: Final = "providers.ini"
"""The file beside this module."""
PREFIX: Final = "provider "
SOURCE_PREFIX: Final = "source "

_FREE: Final = set("abcdefghijklmnopqrstuvwxyz0123456789-_.")
"""Of what a name is made: it is a word of a table of replies, and of the command line."""


@dataclass(frozen=True, slots=True)
class Given:
    """What one section gives.

    Attributes:
        values: By target.
        lines: For each key that was given, its line.
        spoilt: A value did not parse, which is told already.
    """

    name: str
    line: int
    values: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)
    spoilt: bool = False


def known_text() -> str:
    """The text of the file that is shipped."""
    return files(__package__).joinpath(KNOWN).read_text(encoding="utf-8")


@cache
def known() -> tuple[Provider, ...]:
    """What is known of large providers."""
    return tuple(Provider(name, **values) for name, values in _known().items())


@cache
def places() -> Mapping[tuple[str, str], str]:
    """Where that file says what: for each section and key its line."""
    return {
        (entry.section, entry.key): f"shipped {KNOWN}:{entry.line}"
        for entry in ini.read(known_text()).entries
    }


@cache
def _known() -> Mapping[str, Mapping[str, Any]]:
    found: dict[str, dict[str, Any]] = {}
    for entry in ini.read(known_text()).entries:
        key = PROVIDER.find(entry.key)
        assert key is not None, entry
        values = found.setdefault(entry.section.removeprefix(PREFIX), {})
        values[key.target] = key.kind.parse(entry.text)
    return found


def providers(
    sections: Sequence[Given], *, shipped: bool
) -> tuple[tuple[Provider, ...], list[Mistake]]:
    """All providers, those that are shipped among them, and what is wrong with the sections."""
    values = dict(_known()) if shipped else {}
    mistakes: list[Mistake] = []
    for given in sections:
        mistakes += _wrong(given, given.name in values)
        if not given.spoilt:
            plain = {name: value for name, value in given.values.items() if name not in KEYS}
            values[given.name] = {**values.get(given.name, {}), **plain}
    made = tuple(Provider(name, **each) for name, each in values.items() if each.get("mx"))
    lines = {given.name: given for given in sections}
    mistakes += _twice(made, lines)
    return made, mistakes


def _wrong(given: Given, known_already: bool) -> Iterator[Mistake]:
    section = f"{PREFIX}{given.name}"
    if not set(given.name) <= _FREE:
        yield Mistake(given.line, section, "", "its name is small letters, digits, - and _ only")
    if not given.spoilt and not known_already and not given.values.get("mx"):
        yield Mistake(given.lines.get("mx", given.line), section, "mx", "missing")


def _twice(made: Collection[Provider], given: Mapping[str, Given]) -> Iterator[Mistake]:
    for pattern, (first, second) in duplicates(made).items():
        blamed, other = (second, first) if second in given else (first, second)
        line = given[blamed].lines.get("mx", 0) if blamed in given else 0
        text = f"{pattern} is [{PREFIX}{other}]'s already"
        yield Mistake(line, f"{PREFIX}{blamed}", "mx", text)


def sources(sections: Sequence[Given]) -> tuple[tuple[Source, ...], list[Mistake]]:
    """The sources, and what is wrong with their sections."""
    made: list[Source] = []
    mistakes: list[Mistake] = []
    for given in sections:
        if given.spoilt:
            continue
        found = list(_wrong_source(given))
        mistakes += found
        if not found:
            made.append(Source(given.name, **given.values))
    return tuple(made), mistakes


def _wrong_source(given: Given) -> Iterator[Mistake]:
    section = f"{SOURCE_PREFIX}{given.name}"
    ipv4, ipv6 = given.values.get("ipv4", ""), given.values.get("ipv6", "")
    if not (ipv4 or ipv6):
        yield Mistake(given.line, section, "", "names no address: ipv4, ipv6 or both")
    if ":" in ipv4:
        yield Mistake(given.lines["ipv4"], section, "ipv4", f"{ipv4} is an IPv6 address")
    if ipv6 and ":" not in ipv6:
        yield Mistake(given.lines["ipv6"], section, "ipv6", f"{ipv6} is an IPv4 address")


def unknown(
    made: Sequence[Provider],
    given: Sequence[Given],
    source_names: Collection[str],
    detours: Collection[str],
) -> Iterator[Mistake]:
    """Sources and detours that providers name, and that there are not."""
    lines = {each.name: each.lines for each in given}
    for provider in made:
        section = f"{PREFIX}{provider.name}"
        where = lines.get(provider.name, {})
        for name in provider.sources:
            if name not in source_names:
                text = f"there is no [{SOURCE_PREFIX}{name}]"
                yield Mistake(where.get("sources", 0), section, "sources", text)
        if provider.detour and provider.detour not in detours:
            text = f"there is no [route {provider.detour}] with a host"
            yield Mistake(where.get("detour", 0), section, "detour", text)
