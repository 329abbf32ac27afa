"""Which line of the configuration decides something: its name, without its value.

A policy that decides says so beside its decision; where that line stands is known
to whoever read the file (`config.settings.Origins`).
"""

from __future__ import annotations

from mailhub.mail.value import value


@value(frozen=True, slots=True)
class Rule:
    """A key of the configuration; the whole of a section, if it names no key."""

    section: str
    key: str = ""

    def __str__(self) -> str:
        return f"[{self.section}] {self.key}" if self.key else f"[{self.section}]"
