"""Makes the terms of suppression lists of their sections, and tells what is wrong with those."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace

from mailhub.config.ini import Mistake
from mailhub.config.provider import Given
from mailhub.policy.suppression import EVERYBODY, PREFIX, SECTION, Sending, Suppression

_CLASSES = {
    "classes": "classes",
    "complaint classes": "complaint_classes",
    "return paths": "returns",
}
"""Keys that name classes, and where their values are."""


def suppression(
    common: Suppression,
    sections: Sequence[Given],
    lines: Mapping[tuple[str, str], int],
    classes: Collection[str],
) -> tuple[Suppression, list[Mistake]]:
    """All terms, those of the sections upon the common ones; and what is wrong.

    `classes` are those that there are.
    """
    mistakes = list(_unknown(common.terms, SECTION, lines, classes))
    made = []
    for given in sections:
        if given.spoilt:
            continue
        section = f"{PREFIX}{given.name}"
        plain = {name: value for name, value in given.values.items() if name != "senders"}
        senders = given.values.get("senders", ())
        if not senders:
            mistakes.append(Mistake(given.line, section, "senders", "missing"))
            continue
        keys = frozenset(given.lines)
        made.append(Sending(given.name, senders, replace(common.terms, **plain), keys))
        own = {(section, key): line for key, line in given.lines.items()}
        mistakes += _unknown(made[-1].terms, section, own, classes)
    return replace(common, sendings=tuple(made)), mistakes


def _unknown(
    terms: object, section: str, lines: Mapping[tuple[str, str], int], classes: Collection[str]
) -> Iterator[Mistake]:
    """Classes that are named there, and that there are not."""
    for key, attribute in _CLASSES.items():
        line = lines.get((section, key))
        if line is None:
            continue
        for name in getattr(terms, attribute):
            if name != EVERYBODY and name not in classes:
                known = ", ".join(classes)
                text = f"there is no class {name}; there are: {known}"
                yield Mistake(line, section, key, text)
