"""Makes what is said about waiting mail of its sections: classes, and the wishes of routes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from mailhub.config.ini import Mistake
from mailhub.config.provider import Given
from mailhub.policy.queueclass import NORMAL, SHIPPED, Classes, QueueClass
from mailhub.policy.retry import KEYS, Wishes

CLASS_PREFIX: Final = "class "


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
