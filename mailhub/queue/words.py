"""What notices say to people, in one language: a table of texts, checked as it is read.

Pure. A file of texts is an operator's as much as ours: whoever writes one for
another language fills in the same keys.

Invariant: a `Words` has every text, and each text names no other value than its own.
"""

from __future__ import annotations

import string
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from mailhub.policy.cause import Cause

TEXTS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(values.split())
    for name, values in {
        "introduction": "host",
        "failed": "",
        "delayed": "",
        "delivered": "",
        "relayed": "",
        "expanded": "",
        "said": "host",
        "expired": "",
        "again": "date",
        "no more": "",
        "arrived": "date id",
        "help": "address",
        "double": "",
        "subject failed": "to",
        "subject delayed": "to",
        "subject delivered": "to",
        "subject double": "to",
        "one recipient": "",
        "recipients": "count",
        "what": "",
        "retry": "",
        "advice": "",
    }.items()
}
"""The texts of a language, and the values that each may name in braces."""
PARTS: Final = ("what", "retry", "advice")
"""What is said of each cause: what happened, whether to try again, what to do."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What a person is told of one cause.

    Attributes:
        what: What happened.
        retry: Whether it is worth trying again.
        advice: What to do.
    """

    what: str
    retry: str
    advice: str


@dataclass(frozen=True, slots=True)
class Words:
    """One language.

    Attributes:
        language: Its tag, ``en`` (RFC 5646).
        texts: By the keys of `TEXTS`.
        causes: By cause, each of them.
    """

    language: str
    texts: Mapping[str, str]
    causes: Mapping[Cause, Advice]

    def say(self, key: str, **values: object) -> str:
        """A text, with its values."""
        return self.texts[key].format(**values)


def faults(texts: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the texts of a language: keys, and why."""
    yield from ((key, "missing") for key in TEXTS if key not in texts)
    for key, text in texts.items():
        known = TEXTS.get(key)
        if known is None:
            yield key, "no such text"
        elif fault := text_fault(text, known):
            yield key, fault


def text_fault(text: str, known: frozenset[str]) -> str:
    """What is wrong with a text; ``""`` if nothing is."""
    try:
        named = [name for _, name, spec, _ in string.Formatter().parse(text) if name is not None]
    except ValueError as error:
        return f"{error}; write {{{{ for a brace"
    if wrong := [name for name in named if name not in known]:
        names = ", ".join(f"{{{name}}}" for name in sorted(known)) or "no value"
        return f"{{{wrong[0]}}} is not known here, {names} is"
    return ""


def chosen(languages: Mapping[str, Words], wanted: Iterable[str], usual: str) -> Words:
    """The first of the languages `wanted` that there is, or the usual one.

    ``vi-VN`` is content with ``vi`` (RFC 4647 §3.4).
    """
    for tag in wanted:
        name = tag.lower()
        while name:
            if name in languages:
                return languages[name]
            name = name.rpartition("-")[0]
    return languages[usual]


def wanted(fields: Mapping[str, str]) -> list[str]:
    """The languages that a message's sender reads, the best first.

    They are guessed by what his client says he reads, or else by what he writes in
    (RFC 3282 §2 and §3). `fields` are by their names in lower case.
    """
    found: list[tuple[float, int, str]] = []
    for position, element in enumerate(fields.get("accept-language", "").split(",")):
        tag, _, weight = element.partition(";")
        if tag.strip() and tag.strip() != "*":
            found.append((-_weight(weight), position, tag.strip()))
    tags = [tag for weight, _, tag in sorted(found) if weight]
    tags += [tag.strip() for tag in fields.get("content-language", "").split(",") if tag.strip()]
    return tags[:10]


def _weight(text: str) -> float:
    """A quality value; 1 where there is none, 0 where it is no number."""
    name, _, value = text.partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(1.0, max(0.0, float(value)))
    except ValueError:
        return 0.0
