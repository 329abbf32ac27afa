"""Where a password comes from."""

from __future__ import annotations

import io
import sys

import click
import pytest

from mailhub.cli import secret


def test_made_up() -> None:
    """Passwords that are made up differ, and have no letters to mistake."""
    one, two = secret.made_up(), secret.made_up()
    assert one != two
    assert len(one) == 4 * 5 + 3
    assert not set(one) & set("l01ILO")


def test_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a terminal one is asked, twice."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    asked = []

    def prompt(text: str, **options: object) -> str:
        asked.append((text, options["confirmation_prompt"]))
        return "typed"

    monkeypatch.setattr(sys, "stdin", Terminal())
    monkeypatch.setattr(click, "prompt", prompt)
    assert secret.chosen(None, generate=False) == ("typed", False)
    assert asked == [("Password", "Once more")]
