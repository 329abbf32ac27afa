"""Files of texts for notices."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import pytest

from mailhub.config.words import directory, read, shipped
from mailhub.policy.cause import Cause

ENGLISH = files("mailhub.config").joinpath("words/en.ini").read_text(encoding="utf-8")


@pytest.mark.parametrize("tag", ["en", "vi"])
def test_shipped(tag: str) -> None:
    """English and Vietnamese are there, whole."""
    words = shipped()[tag]
    assert words.language == tag
    assert set(words.causes) == set(Cause)


def test_read() -> None:
    """Values in several lines are one text."""
    words, mistakes = read("de", ENGLISH.replace("no more = We will", "no more =\n  We\n  will"))
    assert mistakes == []
    assert words is not None
    assert words.texts["no more"] == "We will not try again."
    assert words.causes[Cause.UNKNOWN_USER].retry == "No."


def test_all_mistakes() -> None:
    """All that is wrong with a file is told at once, each with its line."""
    text = (
        ENGLISH.replace("failed = ", "faild = ", 1)
        .replace("{date}, with", "{time}, with")
        .replace("[cause busy]", "[cause bussy]")
        .replace("retry = No.", "retry = No, {host}.")
    )
    words, mistakes = read("no tag", text)
    assert words is None
    told = [str(mistake) for mistake in mistakes]
    assert any("no tag is no language's tag" in it for it in told)
    assert any("[texts] failed: missing" in it for it in told)
    assert any("[texts] faild, line" in it and "no such text" in it for it in told)
    assert any("arrived" in it and "{time} is not known here, {date}, {id} is" in it for it in told)
    assert any("[cause bussy], line" in it and "no such section" in it for it in told)
    assert any("[cause busy] what: missing" in it for it in told)
    assert any("[cause unknown-user] retry, line" in it and "no value is" in it for it in told)


def test_directory(tmp_path: Path) -> None:
    """Every file of a directory, with the mistakes of each; other files are left alone."""
    (tmp_path / "de.ini").write_text(ENGLISH)
    (tmp_path / "fr.ini").write_bytes(b"\xff\xfe")
    (tmp_path / "nl.ini").write_text("[texts]\nno = sense\n")
    (tmp_path / "README").write_text("not a language")
    found, mistakes = directory(str(tmp_path))
    assert list(found) == ["de"]
    assert {name for name, _ in mistakes} == {"fr.ini", "nl.ini"}
