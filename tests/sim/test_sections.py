"""Reading sections, and kinds of value that worlds have."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from mailhub.config.key import Key, Section
from mailhub.config.values import COUNT, AnyKind
from mailhub.mail.reply import Reply
from mailhub.sim.manners import Rate, Stage, Window
from mailhub.sim.sections import (
    DROPS,
    NUMBER,
    RATE,
    REPLY,
    SHARE,
    WINDOWS,
    filled,
    read_sections,
)


@dataclass(frozen=True)
class Thing:
    size: int = 3


SECTIONS = (
    Section("one", "One of them.", (Key("size", COUNT, "size", "How big."),)),
    Section("many NAME", "Some.", (Key("size", COUNT, "size", "How big."),)),
)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (RATE, "600/h", Rate(600, 3600.0)),
        (RATE, "20000/d", Rate(20_000, 86400.0)),
        (RATE, "5/10m", Rate(5, 600.0)),
        (RATE, "0", Rate()),
        (NUMBER, "1000000", 1_000_000),
        (SHARE, "2.5%", 0.025),
        (WINDOWS, "+3h for 2h, +1d for 10m", (Window(10800, 7200), Window(86400, 600))),
        (WINDOWS, "", ()),
        (DROPS, "banner 1%, mail 0.5%", ((Stage.BANNER, 0.01), (Stage.MAIL, 0.005))),
        (REPLY, "451 4.7.1 Come again", Reply(451, "7.1", ("Come again",))),
    ],
)
def test_kinds(kind: AnyKind, text: str, value: object) -> None:
    """What is read is what is shown."""
    assert kind.parse(text) == value
    assert kind.show(value) == text


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *(
            (RATE, "many"),
            (RATE, "5"),
            (RATE, "5/"),
            (RATE, "5/0"),
            (RATE, "-1/h"),
            (RATE, "1.5/h"),
        ),
        *((NUMBER, "1.0001K"), (NUMBER, ""), (NUMBER, "5G")),
        *((SHARE, "5"), (SHARE, "101%"), (SHARE, "x%")),
        *((WINDOWS, "3h for 2h"), (WINDOWS, "+3h"), (WINDOWS, "+3 for 2h")),
        *((DROPS, "nowhere 1%"), (DROPS, "mail")),
        *((REPLY, "250 2.0.0 Ok"), (REPLY, "451"), (REPLY, "hello")),
    ],
)
def test_what_cannot_be_read(kind: AnyKind, text: str) -> None:
    """Anything else is a ValueError, whatever it is."""
    with pytest.raises(ValueError):  # noqa: PT011  # it carries no text
        kind.parse(text)


def test_numbers_with_units() -> None:
    """Thousands and millions have letters, and may have a point."""
    assert [NUMBER.parse(text) for text in ("20K", "1.5M", "7")] == [20_000, 1_500_000, 7]
    assert RATE.parse("4K/h") == Rate(4000, 3600.0)


def test_all_mistakes_at_once() -> None:
    """Every mistake is told, each with its line and what is near."""
    text = "[one]\nsiez = 3\n[many]\nsize = 1\n[many A]\nsize = big\n[ome]\nsize = 1\nnonsense\n"
    given, mistakes = read_sections(text, SECTIONS)
    assert [it.title for it in given] == ["one", "many A"]
    assert [str(mistake) for mistake in sorted(mistakes)] == [
        '[one] siez, line 2: no such key; did you mean "size"?',
        "[many], line 3: no such section; did you mean [many NAME]?",
        "[many A] size, line 6: expected a number, not big",
        "[ome], line 7: no such section; did you mean [one]?",
        "[ome], line 9: expected key = value, not nonsense",
    ]


def test_values() -> None:
    """What is given fills attributes, and its line is known."""
    [given], mistakes = read_sections("[many Big one]\n\nsize = 5\n", SECTIONS)
    assert mistakes == []
    assert (given.kind, given.name, given.line, given.lines) == ("many", "Big one", 1, {"size": 3})
    assert filled(Thing(), given.values) == Thing(5)
    assert str(given.mistake("size", "is odd")) == "[many Big one] size, line 3: is odd"
