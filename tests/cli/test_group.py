"""mailhub group."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Mailhub


def test_groups(mailhub: Mailhub, state: Path) -> None:
    """Groups are made, filled, listed and deleted."""
    at = ("--state", str(state))
    for name in ("ann", "bob"):
        mailhub(*at, "account", "add", f"{name}@hub.example", "--generate")
    assert mailhub(*at, "group", "list").out == "no groups\n"
    assert mailhub(*at, "group", "add", "board").out == "board added\n"
    said = mailhub(*at, "group", "add", "team", "ann@hub.example", "bob@hub.example")
    assert said.out == "ann@hub.example, bob@hub.example in team\n"
    assert mailhub(*at, "group", "add", "board", "ann@hub.example").status == 0
    said = mailhub(*at, "group", "delete", "team", "bob@hub.example")
    assert said.out == "bob@hub.example not in team any more\n"
    assert mailhub(*at, "group", "list", "--json").json == [
        {"group": "board", "members": ["ann@hub.example"]},
        {"group": "team", "members": ["ann@hub.example"]},
    ]
    assert mailhub(*at, "group", "delete", "team").out == "team deleted\n"
    said = mailhub(*at, "group", "delete", "team")
    assert (said.status, said.err) == (1, "mailhub: there is no group team\n")
    said = mailhub(*at, "group", "add", "board")
    assert (said.status, said.err) == (1, "mailhub: board is a group already\n")
