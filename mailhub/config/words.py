"""Reads what notices say to people: a file for each language (`queue.words`).

English and Vietnamese are shipped, in the directory ``words`` beside this module; a
file of the operator's takes the place of the shipped one of the same language.

Invariant: nothing raises but OSError for a directory that cannot be read.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Final

from mailhub.config import ini
from mailhub.config.ini import Ini, Mistake
from mailhub.policy.cause import Cause
from mailhub.queue.words import PARTS, Advice, Words, faults, text_fault

SHIPPED: Final = "words"
ENDING: Final = ".ini"
USUAL: Final = "en"

# A language tag, as much of it as is needed: language ["-" region]          (RFC 5646 §2.1)
_TAG: Final = re.compile(r"[a-z]{2,8}(?:-[a-z0-9]{2,8})*")
_CAUSES: Final = {cause.value: cause for cause in Cause}


@cache
def shipped() -> Mapping[str, Words]:
    """The languages that are shipped, by their tags."""
    found = {}
    for file in files(__package__).joinpath(SHIPPED).iterdir():
        tag = file.name.removesuffix(ENDING)
        if file.name.endswith(ENDING):
            words, mistakes = read(tag, file.read_text(encoding="utf-8"))
            assert words is not None, mistakes
            found[tag] = words
    return found


def directory(path: str) -> tuple[dict[str, Words], list[tuple[str, Mistake]]]:
    """The languages of a directory, and the mistakes in its files, each with the file's name.

    Raises:
        OSError: It cannot be read.
    """
    found, wrong = {}, []
    for name in sorted(os.listdir(path)):
        if not name.endswith(ENDING):
            continue
        try:
            with open(os.path.join(path, name), encoding="utf-8") as file:
                words, mistakes = read(name.removesuffix(ENDING), file.read())
        except UnicodeDecodeError:
            words, mistakes = None, [Mistake(0, "", "", "is not UTF-8")]
        wrong += [(name, mistake) for mistake in mistakes]
        if words is not None:
            found[words.language] = words
    return found, wrong


def read(tag: str, text: str) -> tuple[Words | None, list[Mistake]]:
    """One language, or what is wrong with its file."""
    given = ini.read(text)
    mistakes = [*given.mistakes, *_wrong(given)]
    if not _TAG.fullmatch(tag):
        mistakes.insert(0, Mistake(0, "", "", f"{tag} is no language's tag, such as de or pt-br"))
    if mistakes:
        return None, mistakes
    texts = {entry.key: _text(entry.text) for entry in given.entries if entry.section == "texts"}
    parts = {(it.section, it.key): _text(it.text) for it in given.entries}
    causes = {
        cause: Advice(*(parts[f"cause {name}", part] for part in PARTS))
        for name, cause in _CAUSES.items()
    }
    return Words(tag, texts, causes), []


def _text(text: str) -> str:
    """A value that goes on in further lines is one text."""
    return " ".join(text.split())


def _wrong(given: Ini) -> Iterator[Mistake]:
    sections = {"texts", *(f"cause {name}" for name in _CAUSES)}
    lines = {(entry.section, entry.key): entry.line for entry in given.entries}
    for section, line in given.sections.items():
        if section not in sections:
            yield Mistake(line, section, "", "no such section")
    texts = {entry.key: entry.text for entry in given.entries if entry.section == "texts"}
    for key, fault in faults(texts):
        yield Mistake(lines.get(("texts", key), 0), "texts", key, fault)
    for section in sorted(sections - {"texts"}):
        for part in PARTS:
            if (section, part) not in lines:
                yield Mistake(0, section, part, "missing")
    for entry in given.entries:
        if entry.section in sections and entry.section != "texts":
            fault = (
                "no such text" if entry.key not in PARTS else text_fault(entry.text, frozenset())
            )
            if fault:
                yield Mistake(entry.line, entry.section, entry.key, fault)
