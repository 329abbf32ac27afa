"""What a key of the configuration is, and a section; and the bounds that many keys share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mailhub.config.values import COUNT, DURATION, AnyKind, bounded


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a section.

    Attributes:
        name: Words, as they are written.
        target: The value it fills: names of attributes from `Settings` down.
        why: What it means, and why one would change it; for the sample file.
        restart: A reload is not enough for it to take effect.
    """

    name: str
    kind: AnyKind
    target: str
    why: str
    restart: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A section, with its keys in the order in which a person wants to read them."""

    name: str
    why: str
    keys: tuple[Key, ...]

    def find(self, name: str) -> Key | None:
        """The key of that name."""
        return next((key for key in self.keys if key.name == name), None)


AT_LEAST_ONE: Final = bounded(COUNT, 1)
PATIENCE: Final = bounded(DURATION, 1.0)
"""Nothing that is waited for takes less than a second for certain."""
