"""Tables of replies: what is read of them, and every mistake with its line."""

from __future__ import annotations

from pathlib import Path

from mailhub.config.load import parse
from mailhub.config.provider import known
from mailhub.config.replies import read, shipped
from mailhub.mail.reply import Reply
from mailhub.policy.cause import Cause
from mailhub.policy.classify import Classifier, Rule

NAMES = [provider.name for provider in known()]


def mistakes(text: str) -> list[str]:
    return [str(mistake) for mistake in read(text, NAMES)[1]]


def test_shipped() -> None:
    """What is shipped has no mistakes, and rules for most causes."""
    rules, found = read(shipped(), NAMES)
    assert found == []
    assert len({rule.cause for rule in rules}) >= 11


def test_columns() -> None:
    """A line is a cause with what follows from it, a code, a status, a provider and words."""
    line = " rate-limited,suspend=1h30m 42x x.7.* google Too  Many * a | b"
    text = f"\n# a comment\n{line}\nbusy 4xx * * *\n"
    rules, found = read(text, NAMES, "own.txt")
    assert found == []
    phrases = (("too many", "a"), ("b",))
    assert rules == (
        Rule(Cause.RATE_LIMITED, "42x", "x.7.*", "google", phrases, 5400.0, "own.txt line 3"),
        Rule(Cause.BUSY, "4xx", place="own.txt line 4"),
    )


def test_all_mistakes() -> None:
    """All that is wrong is told at once."""
    text = (
        "busy 450 *\n"
        "bussy 250 9.9 googel a*\n"
        "busy,suspend=3 4xx * * *\n"
        "busy,stop=3m 4xx * * *\n"
        "busy 45* * * *\n"
        "busy 45x 5.7 * *\n"
        "content 450 * * a\n"
        "content 450 * * a\n"
    )
    assert mistakes(text) == [
        "line 1: expected a cause, a code, a status, a provider and words (* is any)",
        'line 2: no such cause: bussy; did you mean "busy"?',
        "line 2: expected a code such as 550, 5xx or *, not 250",
        "line 2: expected a status such as 5.7.1, x.7.* or *, not 9.9",
        'line 2: no such provider: googel; did you mean "google"?',
        "line 2: expected words on both sides of each * and |",
        "line 3: expected suspend= and a duration, not suspend=3",
        "line 4: expected suspend= and a duration, not stop=3m",
        "line 5: expected a code such as 550, 5xx or *, not 45*",
        "line 6: expected a status such as 5.7.1, x.7.* or *, not 5.7",
        "line 8: is never reached: replies.txt line 7 fits too",
    ]


def test_operator(tmp_path: Path) -> None:
    """An operator's table goes before what is shipped, and may name the operator's providers."""
    path = tmp_path / "replies.txt"
    path.write_text("content 550 5.1.1 mine *\n")
    settings, found = parse(
        f"[hub]\nhostname = a.example\n[relay]\nreplies = {path}\n[provider mine]\nmx = a.example\n"
    )
    assert found == []
    table = Classifier(settings.replies)
    reply = Reply(550, "1.1", ("Who?",))
    assert table.verdict(reply, "mine").cause is Cause.CONTENT
    assert table.verdict(reply, "google").cause is Cause.UNKNOWN_USER


def test_mistakes_of_an_operator(tmp_path: Path) -> None:
    """Mistakes in it are the configuration's."""
    path = tmp_path / "replies.txt"
    path.write_text("\nnonsense\n")
    head = "[hub]\nhostname = a.example\n[relay]\nreplies = "
    _, [mistake] = parse(f"{head}{path}\n")
    assert str(mistake).startswith(f"[relay] replies, line 4: {path}, line 2: expected a cause")
    _, [mistake] = parse(f"{head}{path}x\n")
    assert str(mistake) == f"[relay] replies, line 4: {path}x: No such file or directory"
    path.write_bytes(b"\xff")
    _, [mistake] = parse(f"{head}{path}\n")
    assert str(mistake) == f"[relay] replies, line 4: {path}: is not UTF-8"


def test_without_a_provider() -> None:
    """Rules about a provider that was done without are left out."""
    settings, found = parse("[hub]\nhostname = a.example\n[provider google]\nmx =\n")
    assert found == []
    assert "google" not in {rule.provider for rule in settings.replies}
    assert "yahoo" in {rule.provider for rule in settings.replies}
