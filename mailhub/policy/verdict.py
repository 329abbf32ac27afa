"""What was decided about mail, in words, and the line of the configuration that decides."""

from __future__ import annotations

from mailhub.mail.value import value
from mailhub.policy.rule import Rule


@value(frozen=True, slots=True)
class Verdict:
    """One decision.

    Attributes:
        rule: None where no line of the configuration has a say.
    """

    what: str
    rule: Rule | None = None
