"""The INI form: what is a key, what goes on, what is wrong and where."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from mailhub.config.ini import Entry, Mistake, read


def test_entries() -> None:
    """Keys are words in any case and spacing; a value keeps everything behind its first ``=``."""
    ini = read("[Hub]\nHost  Name=a\nurl = x=y # z\n\n; note\n[route Out Side]\nhost =\n")
    assert ini.entries == [
        Entry("hub", "host name", "a", 2),
        Entry("hub", "url", "x=y # z", 3),
        Entry("route Out Side", "host", "", 7),
    ]
    assert ini.sections == {"hub": 1, "route Out Side": 6}
    assert not ini.mistakes


def test_continued() -> None:
    """Indented lines belong to the value above them, comments between them do not."""
    ini = read("[tls]\ncertificates =\n  /a.pem\n# note\n\n\t/b.pem\nnext = 1\n")
    assert [(it.key, it.text) for it in ini.entries] == [
        ("certificates", "/a.pem\n/b.pem"),
        ("next", "1"),
    ]


def test_mistakes() -> None:
    """Each thing that cannot be read is told with its line, and reading goes on."""
    ini = read("early = 1\n[hub]\nnonsense\nx = 1\nX = 2\n  more\n[bad\n  y = 3\n= 4\nz = 5\n[ ]\n")
    assert [str(it) for it in sorted(ini.mistakes)] == [
        "early, line 1: stands before the first [section]",
        "[hub], line 3: expected key = value, not nonsense",
        "[hub] x, line 5: was given in line 4 already",
        "[hub], line 7: expected key = value, not [bad",
        "[hub], line 9: expected key = value, not = 4",
        "[hub], line 11: expected key = value, not [ ]",
    ]
    assert [(it.key, it.text) for it in ini.entries] == [("x", "1"), ("z", "5")]


def test_section_again() -> None:
    """A section may be opened again further down."""
    ini = read("[hub]\na = 1\n[smtp]\nb = 2\n[hub]\nc = 3\n")
    assert [(it.section, it.key) for it in ini.entries] == [
        ("hub", "a"),
        ("smtp", "b"),
        ("hub", "c"),
    ]
    assert ini.sections == {"hub": 1, "smtp": 3}


def test_printed() -> None:
    """A mistake names as much of its place as there is."""
    assert str(Mistake(5, "hub", "x", "no")) == "[hub] x, line 5: no"
    assert str(Mistake(0, "hub", "x", "missing")) == "[hub] x: missing"
    assert str(Mistake(3, "", "", "no")) == "line 3: no"
    assert str(Mistake(0, "", "", "empty")) == "empty"


@given(st.text(alphabet="[]=#; \t\nabC", max_size=80))
def test_never_raises(text: str) -> None:
    """Whatever the file holds, every line of it is an entry, a section, a comment or a mistake."""
    ini = read(text)
    assert all(it.section and it.key for it in ini.entries)
