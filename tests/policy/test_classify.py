"""What stands behind replies: real ones against the table that is shipped, and its rules."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailhub.config import replies
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.classify import TEXT_LIMIT, Classifier, Rule

REAL = Path(__file__).parent / "replies.txt"
SHIPPED = Classifier(replies.known())


def real() -> Iterator[tuple[str, str, str]]:
    """Cause, provider and reply of each line."""
    for line in REAL.read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            cause, provider, text = line.split("|", 2)
            yield cause.strip(), provider.strip(), text.strip()


def reply(text: str) -> Reply:
    return Reply.parse(int(text[:3]), text[4:].split("\\n"))


@pytest.mark.parametrize(("cause", "provider", "text"), list(real()))
def test_real(cause: str, provider: str, text: str) -> None:
    """What hosts really say is understood."""
    verdict = SHIPPED.verdict(reply(text), provider)
    assert verdict.cause.value == cause, verdict.rule and verdict.rule.place


def test_enough() -> None:
    """The table of real replies is a large one, of many providers and nearly all causes."""
    found = list(real())
    assert len(found) >= 150
    assert len({text for _, _, text in found}) == len(found)
    causes = {cause for cause, _, _ in found}
    ours = {
        Cause.IN_DOUBT,
        Cause.DNS,
        Cause.UNREACHABLE,
        Cause.LATE,
        Cause.LOCAL,
    }  # no host says that
    assert {cause.value for cause in Cause} - causes == {cause.value for cause in ours}


def verdict(rule: Rule, text: str, provider: str = "") -> bool:
    return Classifier([rule]).verdict(reply(text), provider).rule is rule


class TestRules:
    def test_code(self) -> None:
        """x stands for any digit."""
        for code, fits in (
            ("550", True),
            ("55x", True),
            ("5xx", True),
            ("*", True),
            ("4xx", False),
        ):
            assert verdict(Rule(Cause.BUSY, code), "550 No") is fits
        assert not verdict(Rule(Cause.BUSY, "551"), "550 No")

    def test_status(self) -> None:
        """A status is compared part by part; a reply without one fits none."""
        for status, fits in (
            ("5.7.1", True),
            ("x.7.1", True),
            ("x.7.*", True),
            ("x.*.1", True),
            ("5.7.2", False),
            ("4.7.1", False),
            ("5.7.11", False),
        ):
            assert verdict(Rule(Cause.BUSY, "*", status), "550 5.7.1 No") is fits
        assert not verdict(Rule(Cause.BUSY, "*", "x.*.*"), "550 No")

    def test_provider(self) -> None:
        """A rule about a provider is about no other."""
        assert verdict(Rule(Cause.BUSY, provider="google"), "450 No", "google")
        assert not verdict(Rule(Cause.BUSY, provider="google"), "450 No", "yahoo")
        assert not verdict(Rule(Cause.BUSY, provider="google"), "450 No")

    def test_phrases(self) -> None:
        """Phrases follow each other, wherever lines end and however it is written."""
        rule = Rule(Cause.BUSY, phrases=(("too many", "connections"), ("slow down",)))
        assert verdict(rule, "421 Too  MANY\\nopen connections")
        assert verdict(rule, "421 please slow\\ndown")
        assert not verdict(rule, "421 connections: too many")

    def test_first(self) -> None:
        """The first rule that fits decides."""
        rules = [Rule(Cause.BUSY, "421"), Rule(Cause.POLICY, "4xx"), Rule(Cause.CONTENT)]
        table = Classifier(rules)
        causes = [table.verdict(reply(text)).cause for text in ("421 x", "450 x", "550 x")]
        assert causes == [Cause.BUSY, Cause.POLICY, Cause.CONTENT]

    def test_none(self) -> None:
        """What no rule knows is told as such."""
        found = Classifier().verdict(reply("550 No"))
        assert found.cause is Cause.OTHER
        assert found.rule is None

    def test_long(self) -> None:
        """Of an endless reply the beginning is looked at."""
        rule = Rule(Cause.BUSY, phrases=(("end",),))
        assert not verdict(rule, "450 " + "x" * TEXT_LIMIT + " end")

    @given(st.integers(400, 599), st.lists(st.text(), min_size=1, max_size=4))
    def test_anything(self, code: int, lines: list[str]) -> None:
        """Every reply has a cause."""
        assert isinstance(SHIPPED.verdict(Reply.parse(code, lines)).cause, Cause)
