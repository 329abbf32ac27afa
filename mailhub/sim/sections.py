"""Reads the sections of a world file or a campaign file, as the configuration is read.

The form, the kinds of value and the words of a mistake are `config.ini`'s and
`config.values`'; each key fills an attribute of a frozen value.

Invariant: nothing raises. What cannot be read is a `Mistake`, and reading goes on, so that
one run tells everything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Any, Final, TypeVar

from mailhub.config.ini import Entry, Mistake, read
from mailhub.config.key import Section
from mailhub.config.values import Kind, items, parse_duration, show_duration
from mailhub.mail.reply import Reply
from mailhub.sim.manners import Rate, Stage, Window

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Given:
    """What one section gives.

    Attributes:
        kind: ``provider`` of ``[provider Example]``.
        name: ``Example``; ``""`` for a section without.
        values: By attribute.
        lines: By attribute.
        names: Of keys, by attribute.
    """

    kind: str
    name: str
    line: int
    values: dict[str, Any]
    lines: dict[str, int]
    names: dict[str, str]

    @property
    def title(self) -> str:
        """As it is written, without the brackets."""
        return f"{self.kind} {self.name}".strip()

    def mistake(self, attribute: str, text: str) -> Mistake:
        """Something that is wrong with it."""
        line, name = self.lines.get(attribute, self.line), self.names.get(attribute, attribute)
        return Mistake(line, self.title, name, text)


def read_sections(text: str, sections: Sequence[Section]) -> tuple[list[Given], list[Mistake]]:
    """The sections of a file; a name that ends in `` NAME`` is for several of a kind."""
    ini = read(text)
    mistakes = list(ini.mistakes)
    found: dict[str, tuple[Section, Given]] = {}
    for title, line in ini.sections.items():
        section, kind, name = _find(title, sections)
        if section is None:
            mistakes.append(Mistake(line, title, "", _unknown(title, sections)))
        else:
            found[title] = (section, Given(kind, name, line, {}, {}, {}))
    for entry in ini.entries:
        if entry.section in found:
            section, given = found[entry.section]
            mistake = _fill(section, given, entry)
            if mistake is not None:
                mistakes.append(mistake)
    return [given for _, given in found.values()], mistakes


def filled(value: T, given: Mapping[str, object]) -> T:
    """A frozen value with other attributes."""
    changed: T = replace(value, **given)  # type: ignore[type-var]  # every value is a dataclass
    return changed


def _find(title: str, sections: Sequence[Section]) -> tuple[Section | None, str, str]:
    kind, _, name = title.partition(" ")
    for section in sections:
        many = section.name.endswith(" NAME")
        if kind == section.name.removesuffix(" NAME") and many == bool(name):
            return section, kind, name
    return None, "", ""


def _unknown(title: str, sections: Sequence[Section]) -> str:
    names = [section.name for section in sections]
    near = get_close_matches(title.partition(" ")[0], names, n=1, cutoff=0.5)
    hint = f"did you mean [{near[0]}]?" if near else f"there are: {', '.join(names)}"
    return f"no such section; {hint}"


def _fill(section: Section, given: Given, entry: Entry) -> Mistake | None:
    key = section.find(entry.key)
    if key is None:
        known = [it.name for it in section.keys]
        near = get_close_matches(entry.key.replace("_", " "), known, n=1, cutoff=0.6)
        hint = f'did you mean "{near[0]}"?' if near else f"there are: {', '.join(known)}"
        return Mistake(entry.line, entry.section, entry.key, f"no such key; {hint}")
    try:
        value = key.kind.parse(entry.text)
    except ValueError:
        written = " ".join(entry.text.split()) or "nothing"
        text = f"expected {key.kind.expected}, not {written}"
        return Mistake(entry.line, entry.section, entry.key, text)
    given.values[key.target] = value
    given.lines[key.target] = entry.line
    given.names[key.target] = key.name
    return None


# ---- Kinds of value ------------------------------------------------------------------------

_UNITS: Final = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_NUMBER: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([KM]?)")


def _parse_rate(text: str) -> Rate:
    if text == "0":
        return Rate()
    count, _, unit = text.partition("/")
    seconds = _UNITS[unit] if unit in _UNITS else parse_duration(unit)
    if seconds <= 0:
        raise ValueError
    return Rate(_parse_number(count), seconds)


def _show_rate(rate: Rate) -> str:
    if not rate:
        return "0"
    unit = next((name for name, length in _UNITS.items() if length == rate.seconds), None)
    return f"{rate.count}/{unit or show_duration(rate.seconds)}"


def _parse_number(text: str) -> int:
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise ValueError
    value = float(found[1]) * {"": 1, "K": 1_000, "M": 1_000_000}[found[2]]
    if value != int(value):
        raise ValueError
    return int(value)


def _parse_share(text: str) -> float:
    if not text.endswith("%"):
        raise ValueError
    value = float(text[:-1]) / 100
    if not 0 <= value <= 1:
        raise ValueError
    return value


def _show_share(value: float) -> str:
    return f"{value * 100:g}%"


def _parse_window(text: str) -> Window:
    found = re.fullmatch(r"\+(\S+) for (\S+)", text)
    if found is None:
        raise ValueError
    return Window(parse_duration(found[1]), parse_duration(found[2]))


def _show_window(window: Window) -> str:
    return f"+{show_duration(window.start)} for {show_duration(window.length)}"


def _parse_windows(text: str) -> tuple[Window, ...]:
    return tuple(_parse_window(item) for item in items(text))


def _parse_drops(text: str) -> tuple[tuple[Stage, float], ...]:
    found = []
    for item in items(text):
        stage, _, chance = item.rpartition(" ")
        found.append((Stage(stage.strip()), _parse_share(chance)))
    return tuple(found)


def _parse_reply(text: str) -> Reply:
    found = re.fullmatch(r"([45][0-9]{2}) (?:[45]\.([0-9]{1,3}\.[0-9]{1,3}) )?(\S.*)", text)
    if found is None:
        raise ValueError
    return Reply(int(found[1]), found[2] or "", (found[3],))


RATE: Final = Kind("a rate such as 600/h, or 0 for any", _parse_rate, _show_rate)
NUMBER: Final = Kind("a number such as 500, 20K or 1M", _parse_number, str)
SHARE: Final = Kind("a share such as 2%", _parse_share, _show_share)
WINDOWS: Final = Kind(
    "stretches of time such as +3h for 2h",
    _parse_windows,
    lambda windows: ", ".join(map(_show_window, windows)),
)
DROPS: Final = Kind(
    f"shares by stage ({', '.join(stage.value for stage in Stage)}) such as mail 1%",
    _parse_drops,
    lambda drops: ", ".join(f"{stage.value} {_show_share(chance)}" for stage, chance in drops),
)
REPLY: Final = Kind(
    "a reply such as 451 4.7.1 Come again",
    _parse_reply,
    lambda reply: reply.text,
)
