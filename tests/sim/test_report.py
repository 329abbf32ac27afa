"""The report's page."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

from mailhub.sim.report import page
from mailhub.sim.result import Result
from tests.sim.runs import result


class Checker(HTMLParser):
    """Notices what is not closed, and what would be loaded from elsewhere."""

    void = frozenset({"meta", "line", "circle", "rect", "polyline", "path"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elsewhere: list[str] = []
        self.text: list[str] = []
        self.counts: dict[str, int] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1
        self.elsewhere += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.counts[tag] = self.counts.get(tag, 0) + 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


def checked(text: str) -> Checker:
    found = Checker()
    found.feed(text)
    assert found.open == []
    return found


def test_it_needs_nothing_else() -> None:
    """The page is whole: nothing is loaded, and every element is closed."""
    text = page(result())
    found = checked(text)
    assert found.elsewhere == []
    assert "url(" not in text
    assert "<script" not in text
    assert text.startswith("<!doctype html>")


def test_what_it_shows() -> None:
    """The answer, every provider and what limited it, where the figures are from, the seed."""
    found = checked(page(result()))
    words = " ".join(found.text)
    for wanted in ("Done in", "Slow is the bottleneck", "its rate limit", "Greylisting", "seed 7"):
        assert wanted in words
    assert "made up & told" in words, "it is escaped once"
    assert "Some of <each>." in words
    assert found.counts["article"] == 4
    assert found.counts["svg"] == 2 + 4


def test_beside_another() -> None:
    """With another result there are both: dashed curves and earlier figures."""
    before = result(config="[relay]\nwait for connection = 5s\n")
    text = page(result(), before)
    checked(text)
    assert text.count('class="before"') == 4
    assert "Before: Done in" in text
    assert "class='was'" in text


def test_nothing_delivered() -> None:
    """A run in which nothing arrived has a page, too."""
    empty: Result = replace(result(), providers=(), delivered=0, recipients=0, done=None)
    checked(page(empty))


def test_errors_are_shown() -> None:
    """What the hub logged as an error stands on the page, once."""
    text = page(replace(result(), errors=("it broke <here>", "it broke <here>")))
    checked(text)
    assert text.count("it broke &lt;here&gt;") == 1


def test_every_colour_is_known() -> None:
    """Each colour that the page names is in its style sheet, by day and by night."""
    text = page(result())
    known = set(re.findall(r"--([a-z0-9]+):", text))
    used = set(re.findall(r"var\(--([a-z0-9]+)\)", text))
    assert used <= known
