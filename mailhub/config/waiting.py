"""Makes what is said about waiting mail of its sections: classes, and the wishes of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from mailhub.config.ini import Mistake
from mailhub.config.provider import Given
from mailhub.policy.allowance import SHIPPED as ALLOWANCES
from mailhub.policy.allowance import Allowance
from mailhub.policy.backup import Backup
from mailhub.policy.queueclass import NORMAL, SHIPPED, Classes, QueueClass
from mailhub.policy.retry import KEYS, Wishes
from mailhub.policy.ways import BACKUP_PREFIX

CLASS_PREFIX: Final = "class "
LIMIT_PREFIX: Final = "limit "


def wishes(section: str, values: Mapping[str, Any]) -> Wishes:
    """What the keys of a schedule say that stand in a section of another kind."""
    wanted = tuple((name, value) for name, value in values.items() if name in KEYS)
    return Wishes(section, wanted) if wanted else Wishes()


def classes(sections: Sequence[Given]) -> tuple[Classes, list[Mistake]]:
    """All classes, the operator's before those that are always there, and what is wrong."""
    shipped = {each.name: each for each in SHIPPED}
    mistakes: list[Mistake] = []
    own: dict[str, QueueClass] = {}
    for given in sections:
        made = _class(given, shipped.get(given.name))
        if given.spoilt:
            continue
        if not made.conditional and given.name != NORMAL:
            text = "says of no mail that it belongs here: accounts, senders, fields, ..."
            mistakes.append(Mistake(given.line, CLASS_PREFIX + given.name, "", text))
        if given.name == NORMAL and made.conditional:
            text = "is for the rest, and can have no conditions"
            mistakes.append(Mistake(given.line, CLASS_PREFIX + given.name, "", text))
        own[given.name] = made
    first = [each for name, each in own.items() if name not in shipped]
    return Classes((*first, *(own.get(each.name, each) for each in SHIPPED))), mistakes


def _class(given: Given, before: QueueClass | None) -> QueueClass:
    plain = {name: value for name, value in given.values.items() if name not in KEYS}
    kept: dict[str, Any] = {}
    if before is not None:
        kept = {name: getattr(before, name) for name in _attributes()}
    return QueueClass(
        **{
            **kept,
            **plain,
            "name": given.name,
            "wishes": wishes(CLASS_PREFIX + given.name, given.values),
        }
    )


def _attributes() -> Iterable[str]:
    return QueueClass.__slots__


def allowances(sections: Sequence[Given]) -> tuple[Allowance, ...]:
    """All allowances, those that are always there among them."""
    found = {each.name: each for each in ALLOWANCES}
    for given in sections:
        if not given.spoilt:
            before = found.get(given.name, Allowance(given.name))
            found[given.name] = replace(before, **given.values)
    return tuple(found.values())


def backups(sections: Sequence[Given]) -> tuple[tuple[Backup, ...], list[Mistake]]:
    """The domains that are backed up, and what is wrong."""
    found: list[Backup] = []
    mistakes: list[Mistake] = []

    def wrong(given: Given, key: str, text: str) -> None:
        line = given.lines.get(key, given.line)
        mistakes.append(Mistake(line, BACKUP_PREFIX + given.name, key, text))

    for given in sections:
        if given.spoilt:
            continue
        section = BACKUP_PREFIX + given.name
        domains = given.values.get("domains", ())
        if not domains or "*" in domains:
            wrong(given, "domains", "names no domain" if not domains else "* would relay for all")
            continue
        path, recipients = given.values.get("recipients", ""), None
        if path:
            try:
                recipients = _addresses(path)
            except (OSError, UnicodeDecodeError) as error:
                why = getattr(error, "strerror", None) or "is not UTF-8"
                wrong(given, "recipients file", f"{path}: {why}")
        verify = bool(given.values.get("verify", False))
        schedule = wishes(section, given.values)
        found.append(Backup(given.name, domains, recipients, verify, schedule))
    return tuple(found), mistakes


def _addresses(path: str) -> frozenset[str]:
    with open(path, encoding="utf-8") as file:
        lines = (line.partition("#")[0].strip().casefold() for line in file)
        return frozenset(line for line in lines if line)
