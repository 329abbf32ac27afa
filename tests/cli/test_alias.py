"""mailhub alias."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Mailhub


def test_aliases(mailhub: Mailhub, state: Path) -> None:
    """Aliases grow, are listed, and shrink."""
    at = ("--state", str(state), "alias")
    assert mailhub(*at, "list").out == "no aliases\n"
    said = mailhub(*at, "add", "all@hub.example", "a@x.example", "b@x.example")
    assert said.out == "all@hub.example stands for a@x.example, b@x.example\n"
    mailhub(*at, "add", "all@hub.example", "c@x.example")
    said = mailhub(*at, "delete", "all@hub.example", "b@x.example")
    assert said.out == "all@hub.example does not stand for b@x.example now\n"
    rows = mailhub(*at, "list", "--json", "--domain", "hub.example").json
    assert rows == [{"alias": "all@hub.example", "targets": ["a@x.example", "c@x.example"]}]
    assert "a@x.example, c@x.example" in mailhub(*at, "list").out
    assert mailhub(*at, "delete", "all@hub.example").out == "all@hub.example deleted\n"


def test_loop(mailhub: Mailhub, state: Path) -> None:
    """A loop is refused, with the whole of it in the line."""
    at = ("--state", str(state), "alias")
    mailhub(*at, "add", "a@hub.example", "x@x.example")
    mailhub(*at, "add", "b@hub.example", "a@hub.example")
    said = mailhub(*at, "add", "a@hub.example", "b@hub.example")
    assert said.status == 1
    assert said.err.startswith("mailhub: alias loop: ")
