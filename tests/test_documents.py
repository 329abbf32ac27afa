"""What the documents say of the commands, of the configuration and of each other."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from mailhub.cli.main import cli
from mailhub.config.schema import NAMED, SECTIONS

ROOT = Path(__file__).parents[1]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
KEYS = {section.name.partition(" ")[0]: section for section in (*SECTIONS, *NAMED)}

PRINTED = re.compile(r"^ {4}(?:.*(?:\||&&) )?(mailhub [^#\n]*)|`(mailhub [^`\n]*)`", re.MULTILINE)

every_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda it: it.name)


def commands(text: str) -> Iterator[str]:
    """The command lines of mailhub that are printed, without what stands before and behind."""
    for line in re.findall(
        r"^ {4}(?:.*\| |.*&& )?(mailhub [^#\n]*)|`(mailhub [^`\n]*)`", text, re.MULTILINE
    ):
        printed = next(filter(None, line))
        yield re.split(r" (?:&&|\||2>&1|>)(?: |$)", printed)[0].strip()


def meant(words: list[str]) -> tuple[click.Command, list[str]]:
    """The command that is meant, and what is left for it."""
    found: click.Command = cli
    while words and isinstance(found, click.Group):
        if words[0].startswith("-"):  # an option of the whole, with its value
            words = words[2:]
            continue
        inner = found.get_command(click.Context(found), words[0])
        if inner is None:
            break
        found, words = inner, words[1:]
    return found, words


@every_document
def test_commands(path: Path) -> None:
    """Each command that is printed is there, with the options that are printed."""
    for line in commands(path.read_text(encoding="utf-8")):
        command, words = meant(shlex.split(line)[1:])
        assert command is not cli or not words, line
        known = {"--help"}.union(*(it.opts + it.secondary_opts for it in command.params))
        given = {word.partition("=")[0] for word in words if word.startswith("--")}
        assert given <= known, line


@every_document
def test_keys(path: Path) -> None:
    """Each key that is named with its section is there."""
    text = path.read_text(encoding="utf-8")
    for names, sections in re.findall(
        r"((?:`[a-z0-9 -]+`(?:,| and)? )+)in ((?:`\[[a-z0-9]+\]`(?:, )?)+)", text
    ):
        for section in re.findall(r"\[([a-z0-9]+)\]", sections):
            for name in re.findall(r"`([^`]+)`", names):
                assert KEYS[section].find(name), f"[{section}] {name}"


@every_document
def test_links(path: Path) -> None:
    """Each link leads somewhere, and a table of contents names all that there is."""
    text = path.read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^)#]*)#?([^)]*)\)", text)
    for file, place in targets:
        if "://" in file:
            continue
        where = path.parent / file if file else path
        assert where.exists(), file
        if place:
            assert place in anchors(where), f"{file}#{place}"
    contents = re.findall(r"^\d+\. \[[^\]]*\]\(#([^)]*)\)$", text, re.MULTILINE)
    assert not contents or contents == anchors(path, "## ")


def anchors(path: Path, level: str = "#+ ") -> list[str]:
    """What GitHub calls the headings of a document."""
    headings = re.findall(rf"^{level}(.*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
    return [re.sub(r"[^\w -]", "", it.lower()).replace(" ", "-") for it in headings]


def test_something_is_found() -> None:
    """The patterns above find what they are for."""
    guide = (ROOT / "docs" / "operator.md").read_text(encoding="utf-8")
    found = list(commands(guide))
    assert len(found) > 60
    assert "mailhub queue drop d21jbdp5awxv" in found
    assert "mailhub check" in found
