"""Reads the INI form: sections, keys and values, with the lines they stand on.

A value goes on in the lines below it that are indented. A line that begins
with ``#`` or ``;`` is a comment; behind a value those characters mean
themselves. The standard library's ``configparser`` stops at the first mistake
and forgets the lines: hence these few functions.

Invariant: nothing raises. What cannot be read is a `Mistake`, and reading goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

_SECTION: Final = re.compile(r"\[\s*([^\[\]\s][^\[\]]*)\]")
_KEY: Final = re.compile(r"([^=\s][^=]*?)\s*=\s*(.*)")


@dataclass(frozen=True, slots=True, order=True)
class Mistake:
    """One thing that is wrong with a configuration.

    Attributes:
        line: Where it stands, or 0 for something that is not there at all.
        section: The section's name, or ``""``.
        key: The key's name, or ``""``.
        text: What was expected.
    """

    line: int
    section: str
    key: str
    text: str

    def __str__(self) -> str:
        place = f"[{self.section}]" if self.section else ""
        place = f"{place} {self.key}".strip()
        line = f"line {self.line}" if self.line else ""
        return ": ".join(filter(None, (", ".join(filter(None, (place, line))), self.text)))


@dataclass(slots=True)
class Entry:
    """A key with its value.

    Attributes:
        text: The value; its lines joined by LF, outer space gone.
    """

    section: str
    key: str
    text: str
    line: int


@dataclass(slots=True)
class Ini:
    """What a file holds.

    Attributes:
        sections: Names as written (in lower case up to the first space), and their lines.
    """

    entries: list[Entry] = field(default_factory=list)
    sections: dict[str, int] = field(default_factory=dict)
    mistakes: list[Mistake] = field(default_factory=list)


def read(text: str) -> Ini:
    """The sections and keys of a file, and what in it is neither."""
    ini = Ini()
    section = ""
    last: Entry | None = None
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line[0] in "#;":
            continue
        if raw[0] in " \t" and last is not None:
            last.text += ("\n" if last.text else "") + line
        elif found := _SECTION.fullmatch(line):
            section, last = _section_name(found[1]), None
            ini.sections.setdefault(section, number)
        elif found := _KEY.fullmatch(line):
            last = Entry(section, " ".join(found[1].lower().split()), found[2], number)
            ini.entries.append(last)
        else:
            ini.mistakes.append(Mistake(number, section, "", f"expected key = value, not {line}"))
    _set_aside(ini)
    return ini


def _set_aside(ini: Ini) -> None:
    """Keep the entries that have a section and were not given before; the others are mistakes."""
    first: dict[tuple[str, str], Entry] = {}
    for entry in ini.entries:
        if not entry.section:
            text = "stands before the first [section]"
        elif (before := first.setdefault((entry.section, entry.key), entry)) is not entry:
            text = f"was given in line {before.line} already"
        else:
            continue
        ini.mistakes.append(Mistake(entry.line, entry.section, entry.key, text))
    ini.entries = list(first.values())


def _section_name(written: str) -> str:
    """``[Route  Example]`` is ``route Example``: a name keeps its capitals, its kind does not."""
    kind, *rest = written.split()
    return " ".join([kind.lower(), *rest])
