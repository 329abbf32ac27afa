"""Reads a table of replies: which words of other hosts mean what (`policy.classify`).

A line is a rule::

    rate-limited,suspend=30m  421  4.7.0  yahoo  [tss04] | [tss05]

that is a cause, a code, an enhanced status, a provider, and words: ``*`` between
words stands for anything, ``|`` between alternatives, and capitals do not matter.
``x`` is any digit of a code, and any class of a status. The first rule that fits decides.

Invariant: nothing raises. Whatever is wrong with a table is told at once, each with its line.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final

from mailhub.config.ini import Mistake
from mailhub.config.provider import known as providers
from mailhub.config.values import DURATION
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Rule

SHIPPED: Final = "replies.txt"
"""The table beside this module, whose rules come behind the operator's."""

_CAUSES: Final = {cause.value: cause for cause in Cause}
# code = 1*("2".."9" / "x") of three, the first being 4, 5 or x ; or "*"
_CODE: Final = re.compile(r"[45x][0-9x]{2}|\*")
# status = ("4" / "5" / "x") "." (1*3DIGIT / "*") "." (1*3DIGIT / "*") ; or "*"
_STATUS: Final = re.compile(r"[45x]\.([0-9]{1,3}|\*)\.([0-9]{1,3}|\*)|\*")
_COLUMNS: Final = 5


def shipped() -> str:
    """The text of the table that is shipped."""
    return files(__package__).joinpath(SHIPPED).read_text(encoding="utf-8")


@cache
def known() -> tuple[Rule, ...]:
    """The rules that are shipped; those about a provider that was done without are of no use."""
    rules, _ = read(shipped(), [provider.name for provider in providers()])
    return rules


def read(
    text: str, names: Collection[str], name: str = SHIPPED
) -> tuple[tuple[Rule, ...], list[Mistake]]:
    """The rules of a table, and its mistakes; `names` are those of providers."""
    rules: list[Rule] = []
    mistakes: list[Mistake] = []
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        found = list(_wrong(line, names))
        mistakes += [Mistake(number, "", "", text) for text in found]
        if found:
            continue
        rule = _rule(line, f"{name} line {number}")
        if before := next((it for it in rules if _hides(it, rule)), None):
            mistakes.append(Mistake(number, "", "", f"is never reached: {before.place} fits too"))
        rules.append(rule)
    return tuple(rules), mistakes


def _rule(line: str, place: str) -> Rule:
    cause, code, status, provider, words = line.split(None, _COLUMNS - 1)
    name, _, option = cause.partition(",")
    return Rule(
        _CAUSES[name],
        code,
        status,
        provider,
        _phrases(words),
        DURATION.parse(option.removeprefix("suspend=")) if option else 0.0,
        place,
    )


def _phrases(words: str) -> tuple[tuple[str, ...], ...]:
    if words == "*":
        return ()
    return tuple(
        tuple(" ".join(phrase.lower().split()) for phrase in alternative.split("*"))
        for alternative in words.split("|")
    )


def _wrong(line: str, names: Collection[str]) -> Iterator[str]:
    """What is wrong with a line."""
    columns = line.split(None, _COLUMNS - 1)
    if len(columns) < _COLUMNS:
        yield "expected a cause, a code, a status, a provider and words (* is any)"
        return
    cause, code, status, provider, words = columns
    yield from _wrong_cause(cause)
    if not _CODE.fullmatch(code):
        yield f"expected a code such as 550, 5xx or *, not {code}"
    if not _STATUS.fullmatch(status):
        yield f"expected a status such as 5.7.1, x.7.* or *, not {status}"
    if provider != "*" and provider not in names:
        yield f"no such provider: {provider}{_near(provider, names)}"
    if words != "*" and any(not all(each) for each in _phrases(words)):
        yield "expected words on both sides of each * and |"


def _wrong_cause(column: str) -> Iterator[str]:
    name, comma, option = column.partition(",")
    if name not in _CAUSES:
        yield f"no such cause: {name}{_near(name, _CAUSES)}"
    if comma:
        key, _, value = option.partition("=")
        try:
            if key != "suspend" or DURATION.parse(value) <= 0:
                raise ValueError  # one sentence for all that it can be
        except ValueError:
            yield f"expected suspend= and a duration, not {option}"


def _near(written: str, known: Collection[str]) -> str:
    near = get_close_matches(written, sorted(known), n=1, cutoff=0.6)
    return f'; did you mean "{near[0]}"?' if near else f"; there are: {', '.join(sorted(known))}"


def _hides(before: Rule, rule: Rule) -> bool:
    """Whether nothing is left for a rule behind another; not every such case is seen."""
    return (
        before.code in ("*", rule.code)
        and before.status in ("*", rule.status)
        and before.provider in ("*", rule.provider)
        and (not before.phrases or before.phrases == rule.phrases)
    )
