"""What stands behind a negative reply: a table of rules, and the first that fits decides.

The rules are read from files (`config.replies`): the operator's first, then those
that are shipped. Servers say the same thing in a hundred ways, and enhanced codes
alone do not tell: 5.7.1 means everything from "your address is on a list" to "this
message is spam".

Invariants:

1. Classifying takes time in proportion to the reply's length, whatever it says:
   patterns are plain phrases in order, which are found without going back.
2. Every negative reply has a cause; what no rule knows is `Cause.OTHER`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from mailhub.mail.reply import Reply
from mailhub.mail.value import value
from mailhub.policy.cause import Cause

TEXT_LIMIT: Final = 2000
"""Characters of a reply that are looked at."""


@value(frozen=True, slots=True)
class Rule:
    """One line of a table.

    Attributes:
        code: ``550``, ``55x``, ``5xx``, or ``*``.
        status: ``5.7.1``, ``x.7.*``, or ``*`` for any and for none.
        provider: The name of a provider, or ``*``.
        phrases: Alternatives; the phrases of one must follow each other, in lower
            case. Empty is any text.
        suspend: Seconds for which nothing more is sent to the provider; 0 for none.
        place: Where the rule stands, for a person: ``replies.txt line 12``.
    """

    cause: Cause
    code: str = "*"
    status: str = "*"
    provider: str = "*"
    phrases: tuple[tuple[str, ...], ...] = ()
    suspend: float = 0.0
    place: str = ""

    def fits(self, reply: Reply, text: str, provider: str) -> bool:
        """Whether it is about this reply, if its code is; `text` is what `plain` made of it."""
        return (
            self.provider in ("*", provider)
            and _status_fits(self.status, reply)
            and (not self.phrases or any(_follow(text, each) for each in self.phrases))
        )


@value(frozen=True, slots=True)
class Verdict:
    """What a reply means, and the rule that says so; None where none does."""

    cause: Cause
    rule: Rule | None = None


class Classifier:
    """A table, ready to be asked."""

    def __init__(self, rules: Iterable[Rule] = ()) -> None:
        self._rules = tuple(rules)
        self._for_code: dict[int, tuple[Rule, ...]] = {}  # those that are about a code

    def verdict(self, reply: Reply, provider: str = "") -> Verdict:
        """What stands behind a negative reply of this provider."""
        rules = self._for_code.get(reply.code)
        if rules is None:
            rules = tuple(rule for rule in self._rules if _code_fits(rule.code, str(reply.code)))
            self._for_code[reply.code] = rules
        text = plain(reply)
        for rule in rules:
            if rule.fits(reply, text, provider):
                return Verdict(rule.cause, rule)
        return Verdict(Cause.OTHER)


def plain(reply: Reply) -> str:
    """A reply's words in lower case, with single spaces: they are broken into lines anywhere."""
    return " ".join(" ".join(reply.lines)[:TEXT_LIMIT].lower().split())


def _code_fits(pattern: str, code: str) -> bool:
    return pattern == "*" or all(
        wanted in ("x", digit) for wanted, digit in zip(pattern, code, strict=True)
    )


def _status_fits(pattern: str, reply: Reply) -> bool:
    if pattern == "*":
        return True
    if not reply.detail:
        return False
    given = (str(reply.code // 100), *reply.detail.split("."))
    return all(
        wanted in ("x", "*", part) for wanted, part in zip(pattern.split("."), given, strict=True)
    )


def _follow(text: str, phrases: tuple[str, ...]) -> bool:
    """Whether the phrases stand in the text, one behind the other."""
    position = 0
    for phrase in phrases:
        position = text.find(phrase, position)
        if position < 0:
            return False
        position += len(phrase)
    return True
