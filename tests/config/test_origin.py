"""Where values come from."""

from __future__ import annotations

from pathlib import Path

from mailhub.config.load import load, parse
from mailhub.config.origin import Origins
from mailhub.policy.rule import Rule

GIVEN = """\
[hub]
hostname = hub.example
[queue]
delays = 1m, 5m
[route far]
recipients = far.example
host = smtp.far.example
tls = none
"""


def test_lines() -> None:
    """A key that was given is told by its line, a section by its title's; all else is a default."""
    origins = parse(GIVEN)[0].origins
    assert origins.place(Rule("queue", "delays")) == "line 4"
    assert origins.place(Rule("route far", "host")) == "line 7"
    assert origins.place(Rule("route far")) == "line 5"
    assert origins.place(Rule("queue", "factor")) == "default"


def test_file(tmp_path: Path) -> None:
    """Of a file the name is told too, so that an editor opens it there."""
    file = tmp_path / "mailhub.ini"
    file.write_text(GIVEN)
    told = load(file).origins.told(Rule("queue", "delays"))
    assert told == f"[queue] delays ({file}:4)"


def test_shipped() -> None:
    """What is known of a provider stands in the file that is shipped, until one says otherwise."""
    rule = Rule("provider google", "mx")
    given = "[hub]\nhostname = hub.example\n"
    assert parse(given)[0].origins.place(rule).startswith("shipped providers.ini:")
    given += "[provider google]\nmx = *.google.example\n"
    assert parse(given)[0].origins.place(rule) == "line 4"


def test_nothing() -> None:
    """What no line decides is told by nothing."""
    assert Origins().told(None) == ""


def test_lines_are_no_difference() -> None:
    """A comment more in a file changes its lines, and not what it says."""
    assert parse(GIVEN)[0] == parse("# more\n" + GIVEN)[0]
