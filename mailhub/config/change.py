"""What differs between two configurations, and whether a reload is enough for it."""

from __future__ import annotations

from dataclasses import dataclass
from operator import attrgetter

from mailhub.config.load import filled
from mailhub.config.schema import ROUTE_PREFIX, SECTIONS
from mailhub.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Changes:
    """Keys that differ, as a person knows them: ``[smtp] message limit``.

    Attributes:
        live: Those that a reload applies.
        restart: Those that wait for the next start.
    """

    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()


def changes(old: Settings, new: Settings) -> Changes:
    """What a reload from `old` to `new` is about."""
    live: list[str] = []
    restart: list[str] = []
    for section in SECTIONS:
        for key in section.keys:
            value = attrgetter(key.target)
            if value(old) != value(new):
                (restart if key.restart else live).append(f"[{section.name}] {key.name}")
    before = {route.name: route for route in old.routes}
    after = {route.name: route for route in new.routes}
    order = [*before, *(name for name in after if name not in before)]
    live += [f"[{ROUTE_PREFIX}{name}]" for name in order if before.get(name) != after.get(name)]
    return Changes(tuple(live), tuple(restart))


def applied(old: Settings, new: Settings) -> Settings:
    """`new` as far as a reload applies it: what waits for the next start is as it was."""
    keys = (key for section in SECTIONS for key in section.keys if key.restart)
    return filled(new, {key.target: attrgetter(key.target)(old) for key in keys})
