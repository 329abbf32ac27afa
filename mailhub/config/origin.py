"""Where each value of a configuration came from: the file and the line, or the default."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailhub.policy.rule import Rule


@dataclass(frozen=True, slots=True)
class Origins:
    """What a file gave, and where.

    Attributes:
        file: Its name, or ``""`` for a configuration that is in no file.
        lines: For each section and key that was given, its line; sections have ``""`` for key.
        shipped: Likewise of what is known without being given, in a file of ours.
    """

    file: str = ""
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    shipped: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def place(self, rule: Rule) -> str:
        """Where a rule stands: ``/etc/mailhub/mailhub.ini:12``, or ``default``."""
        line = self.lines.get((rule.section, rule.key))
        if line is None:
            return self.shipped.get((rule.section, rule.key), "default")
        return f"{self.file}:{line}" if self.file else f"line {line}"

    def told(self, rule: Rule | None) -> str:
        """A rule and where it stands, for a person; ``""`` for none."""
        return "" if rule is None else f"{rule} ({self.place(rule)})"
