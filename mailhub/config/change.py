"""What differs between two configurations, and whether a reload is enough for it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from operator import attrgetter
from typing import Protocol

from mailhub.config.load import filled
from mailhub.config.provider import PREFIX, SOURCE_PREFIX
from mailhub.config.schema import ROUTE_PREFIX, SECTIONS
from mailhub.config.settings import Settings
from mailhub.config.waiting import CLASS_PREFIX, LIMIT_PREFIX
from mailhub.policy.suppression import PREFIX as SENDING_PREFIX
from mailhub.policy.ways import BACKUP_PREFIX


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys that differ, as a person knows them: ``[smtp] message limit``.

    Attributes:
        live: Those that a reload applies.
        restart: Those that wait for the next start.
    """

    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


class _Named(Protocol):
    """What a section with a name of its own is made into."""

    @property
    def name(self) -> str: ...


def changes(old: Settings, new: Settings) -> Changes:
    """What a reload from `old` to `new` is about."""
    live: list[str] = []
    restart: list[str] = []
    for section in SECTIONS:
        for key in section.keys:
            value = attrgetter(key.target)
            if value(old) != value(new):
                (restart if key.restart else live).append(f"[{section.name}] {key.name}")
    live += _of_kind(ROUTE_PREFIX, old.routes, new.routes)
    live += _of_kind(PREFIX, old.providers, new.providers)
    live += _of_kind(LIMIT_PREFIX, old.allowances, new.allowances)
    live += _of_kind(BACKUP_PREFIX, old.access.backups, new.access.backups)
    live += _of_kind(CLASS_PREFIX, old.classes.all, new.classes.all)
    live += _of_kind(SENDING_PREFIX, old.suppression.sendings, new.suppression.sendings)
    live += _of_kind(SOURCE_PREFIX, old.sources, new.sources)
    if old.replies != new.replies and old.relay.replies == new.relay.replies:
        live.append("what replies mean")
    return Changes(tuple(live), tuple(restart))


def _of_kind(prefix: str, old: Iterable[_Named], new: Iterable[_Named]) -> list[str]:
    """Sections that differ, of a kind that there are many of."""
    before = {it.name: it for it in old}
    after = {it.name: it for it in new}
    order = [*before, *(name for name in after if name not in before)]
    return [f"[{prefix}{name}]" for name in order if before.get(name) != after.get(name)]


def applied(old: Settings, new: Settings) -> Settings:
    """`new` as far as a reload applies it: what waits for the next start is as it was."""
    keys = (key for section in SECTIONS for key in section.keys if key.restart)
    return filled(new, {key.target: attrgetter(key.target)(old) for key in keys})
