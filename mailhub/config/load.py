"""From a file to `Settings`, or to all that is wrong with it at once.

Order: the file is read; keys are known or not; values parse or not; what was
given is filled into the defaults; then what parses but cannot be meant is
looked for (`config.contradiction`), and the files that are named are opened
(`config.files`). Each step goes on after a mistake, so that one run of
``mailhub check`` tells everything.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, TypeVar

from mailhub.config import contradiction, files, ini, provider, sending, waiting
from mailhub.config.ini import Entry, Ini, Mistake
from mailhub.config.key import Key, Section
from mailhub.config.origin import Origins
from mailhub.config.provider import Given
from mailhub.config.route import Draft
from mailhub.config.schema import NAMED, ROUTE_PREFIX, SECTIONS, section_of
from mailhub.config.settings import Settings
from mailhub.config.values import HOST
from mailhub.policy.suppression import PREFIX as SENDING_PREFIX
from mailhub.policy.ways import BACKUP_PREFIX

T = TypeVar("T")


class ConfigError(Exception):
    """A configuration that cannot be used: `mistakes` says why, in the file's order."""

    def __init__(self, path: str, mistakes: list[Mistake]) -> None:
        self.path = path
        self.mistakes = sorted(mistakes)
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in self.mistakes))


def own_name() -> str:
    """What this machine calls itself."""
    return os.uname().nodename


def load(path: str | os.PathLike[str], machine: Callable[[], str] = own_name) -> Settings:
    """The settings of a file; `machine` gives the hostname where it names none.

    Raises:
        ConfigError: With every mistake that was found.
        OSError: The file cannot be read.
    """
    name = os.fspath(path)
    with open(name, "rb") as file:
        octets = file.read()
    try:
        text = octets.removeprefix(codecs.BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigError(name, [Mistake(line, "", "", "is not UTF-8")]) from None
    settings, mistakes = parse(text, machine, name)
    if mistakes:
        raise ConfigError(name, mistakes)
    return settings


def parse(
    text: str, machine: Callable[[], str] = own_name, file: str = ""
) -> tuple[Settings, list[Mistake]]:
    """What a file's text says, as far as it can be understood, and its mistakes."""
    given = _given(ini.read(text))
    settings = filled(Settings(), given.values)
    routes, mistakes = _routes(given)
    sections = {(name, ""): line for name, line in given.sections.items()}
    origins = Origins(file, {**sections, **given.lines}, provider.places())
    settings = replace(settings, routes=routes, origins=origins)
    settings, unusable = _ways_out(settings, given)
    mistakes += unusable
    classes, unfit = waiting.classes(_sections(given, waiting.CLASS_PREFIX))
    allowances = waiting.allowances(_sections(given, waiting.LIMIT_PREFIX))
    backups, wrong = waiting.backups(_sections(given, BACKUP_PREFIX))
    access = replace(settings.access, backups=backups)
    names = [each.name for each in classes.all]
    own_terms = _sections(given, SENDING_PREFIX)
    terms, unclear = sending.suppression(settings.suppression, own_terms, given.lines, names)
    settings = replace(
        settings, classes=classes, allowances=allowances, access=access, suppression=terms
    )
    mistakes += [*unfit, *wrong, *unclear]
    settings, unnamed = _named(settings, machine, given)
    mistakes += [*given.mistakes, *unnamed]
    mistakes += contradiction.found(settings, given.lines)
    mistakes += files.unusable(settings, given.lines)
    return settings, sorted(mistakes)


def filled(value: T, attributes: Mapping[str, object]) -> T:
    """A frozen value with other attributes; names may lead into it: ``auth.cost.passes``."""
    here: dict[str, Any] = {}
    inside: dict[str, dict[str, object]] = {}
    for name, new in attributes.items():
        first, _, rest = name.partition(".")
        if rest:
            inside.setdefault(first, {})[rest] = new
        else:
            here[first] = new
    for first, new_ones in inside.items():
        here[first] = filled(getattr(value, first), new_ones)
    changed: T = replace(value, **here)  # type: ignore[type-var]  # every value is a dataclass
    return changed


# ---- Keys and values -----------------------------------------------------------------------


@dataclass(slots=True)
class _Given:
    """What a file gives.

    Attributes:
        values: By target, those of the sections that there is one of.
        named: For each section with a name of its own its values, by target.
        lines: For each section and key.
    """

    sections: Mapping[str, int]
    values: dict[str, object] = field(default_factory=dict)
    named: dict[str, dict[str, object]] = field(default_factory=dict)
    lines: dict[tuple[str, str], int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def _given(read: Ini) -> _Given:
    given = _Given(read.sections, mistakes=[*read.mistakes, *_unknown_sections(read)])
    for entry in read.entries:
        section = section_of(entry.section)
        if section is None:
            continue
        key = section.find(entry.key)
        if key is None:
            given.mistakes.append(_unknown_key(section, entry))
            continue
        given.lines[entry.section, entry.key] = entry.line
        try:
            value = key.kind.parse(entry.text)
        except ValueError:
            given.mistakes.append(_unexpected(key, entry))
            continue
        if section in NAMED:
            given.named.setdefault(entry.section, {})[key.target] = value
        else:
            given.values[key.target] = value
    return given


def _unexpected(key: Key, entry: Entry) -> Mistake:
    written = " ".join(entry.text.split()) or "nothing"
    text = f"expected {key.kind.expected}, not {written}"
    return Mistake(entry.line, entry.section, entry.key, text)


def _unknown_sections(read: Ini) -> list[Mistake]:
    known = [section.name for section in (*SECTIONS, *NAMED)]
    mistakes = []
    for name, line in read.sections.items():
        if section_of(name) is None:
            near = _near(name, known)
            hint = f"did you mean [{near}]?" if near else f"there are: {', '.join(known)}"
            mistakes.append(Mistake(line, name, "", f"no such section; {hint}"))
    return mistakes


def _unknown_key(section: Section, entry: Entry) -> Mistake:
    known = [key.name for key in section.keys]
    elsewhere = {key.name for other in (*SECTIONS, *NAMED) for key in other.keys}
    if entry.key in elsewhere:
        hint = f"; it belongs into {_homes(entry.key)}"
    elif near := _near(entry.key, known):
        hint = f'; did you mean "{near}"?'
    elif near := _near(entry.key, elsewhere):
        hint = f'; did you mean "{near}" in {_homes(near)}?'
    else:
        hint = f"; there are: {', '.join(known)}"
    return Mistake(entry.line, entry.section, entry.key, f"no such key{hint}")


def _homes(name: str) -> str:
    """The sections that have a key of this name."""
    return " or ".join(f"[{it.name}]" for it in (*SECTIONS, *NAMED) if it.find(name) is not None)


def _near(written: str, known: Iterable[str]) -> str | None:
    plain = written.replace("_", " ").replace("-", " ")
    near = get_close_matches(plain, sorted(known), n=1, cutoff=0.6)
    return near[0] if near else None


# ---- Routes and names ----------------------------------------------------------------------


def _sections(given: _Given, prefix: str) -> list[Given]:
    """The sections of one kind that have a name of their own."""
    found = []
    for section, line in given.sections.items():
        if section.startswith(prefix):
            lines = {key: line for (name, key), line in given.lines.items() if name == section}
            values = given.named.get(section, {})
            name = section.removeprefix(prefix)
            found.append(Given(name, line, values, lines, spoilt=len(lines) != len(values)))
    return found


def _routes(given: _Given) -> tuple[tuple[Any, ...], list[Mistake]]:
    routes, mistakes = [], []
    for section in _sections(given, ROUTE_PREFIX):
        draft = Draft(section.name, section.line, section.values, section.lines)
        # A section with a value that does not parse makes no route: that is told already.
        route = None if section.spoilt else draft.route()
        mistakes += draft.mistakes
        if route is not None:
            routes.append(route)
    return tuple(routes), mistakes


def _ways_out(settings: Settings, given: _Given) -> tuple[Settings, list[Mistake]]:
    """The settings with providers, sources, what is made of replies, and languages."""
    sections = _sections(given, provider.PREFIX)
    providers, mistakes = provider.providers(sections, shipped=settings.relay.known)
    wanted = {it.name: waiting.wishes(f"{provider.PREFIX}{it.name}", it.values) for it in sections}
    providers = tuple(replace(it, wishes=wanted.get(it.name, it.wishes)) for it in providers)
    sources, wrong = provider.sources(_sections(given, provider.SOURCE_PREFIX))
    names = [source.name for source in sources]
    detours = [route.name for route in settings.routes if route.hop is not None]
    mistakes += [*wrong, *provider.unknown(providers, sections, names, detours)]
    line = given.lines.get(("relay", "sources"), 0)
    mistakes += [
        Mistake(line, "relay", "sources", f"there is no [{provider.SOURCE_PREFIX}{name}]")
        for name in settings.relay.sources
        if name not in names
    ]
    rules, unclear = files.replies(settings, given.lines, [it.name for it in providers])
    languages, unfit = files.languages(settings, given.lines)
    changed = replace(
        settings, providers=providers, sources=sources, replies=rules, words=languages
    )
    return changed, [*mistakes, *unclear, *unfit]


def _named(
    settings: Settings, machine: Callable[[], str], given: _Given
) -> tuple[Settings, list[Mistake]]:
    """The settings with a hostname: the machine's own where none is given."""
    unparsed = ("hub", "hostname") in given.lines and "hub.hostname" not in given.values
    if settings.hub.hostname or unparsed:
        return settings, []
    name = machine()
    try:
        hostname = HOST.parse(name)
    except ValueError:
        text = f'missing, and what this machine calls itself, "{name}", is no full host name'
        return settings, [Mistake(0, "hub", "hostname", text)]
    return replace(settings, hub=replace(settings.hub, hostname=hostname)), []
