"""mailhub domain."""

from __future__ import annotations

from pathlib import Path

from tests.cli.conftest import Mailhub


def test_domains(mailhub: Mailhub, state: Path) -> None:
    """Domains come, are listed with what is in them, and go when empty."""
    at = ("--state", str(state), "domain")
    assert mailhub(*at, "add", "BÜCHER.example").out == "bücher.example is hosted here\n"
    mailhub("--state", str(state), "account", "add", "ann@hub.example", "--password", "x")
    rows = {row["domain"]: row for row in mailhub(*at, "list", "--json").json}
    assert rows["hub.example"]["accounts"] == 1
    assert rows["bücher.example"] == {
        "domain": "bücher.example",
        "accounts": 0,
        "aliases": 0,
        "postmaster": None,
        "catch_all": [],
        "enabled": True,
    }
    assert "hub.example" in mailhub(*at, "list").out
    said = mailhub(*at, "delete", "hub.example")
    assert said.status == 1
    assert said.err.startswith("mailhub: hub.example ")
    said = mailhub(*at, "delete", "bücher.example")
    assert said.out == "bücher.example is not hosted here any more\n"


def test_catch_all(mailhub: Mailhub, state: Path) -> None:
    """Unknown addresses go to somebody, or to nobody again."""
    at = ("--state", str(state), "domain")
    mailhub("--state", str(state), "account", "add", "ann@hub.example", "--password", "x")
    said = mailhub(*at, "catch-all", "hub.example", "ann@hub.example")
    assert said.out == "unknown addresses in hub.example: ann@hub.example\n"
    assert mailhub(*at, "list", "--json").json[0]["catch_all"] == ["ann@hub.example"]
    said = mailhub(*at, "catch-all", "hub.example")
    assert said.out == "unknown addresses in hub.example: refused\n"


def test_disabled(mailhub: Mailhub, state: Path) -> None:
    """A domain can be treated as a foreign one for a while."""
    at = ("--state", str(state), "domain")
    assert mailhub(*at, "disable", "hub.example").out == "mail for hub.example goes elsewhere\n"
    assert mailhub(*at, "list", "--json").json[0]["enabled"] is False
    assert mailhub(*at, "enable", "hub.example").out == "mail for hub.example ends here again\n"
    assert mailhub(*at, "list", "--json").json[0]["enabled"] is True
    assert mailhub(*at, "disable", "gone.example").status == 1


def test_postmaster(mailhub: Mailhub, state: Path) -> None:
    """postmaster@ can be given to somebody, and back."""
    at = ("--state", str(state), "domain")
    said = mailhub(*at, "postmaster", "hub.example", "boss@other.example")
    assert said.out == "postmaster of hub.example: boss@other.example\n"
    assert mailhub(*at, "list", "--json").json[0]["postmaster"] == "boss@other.example"
    assert "first account" in mailhub(*at, "postmaster", "hub.example").out


def test_refused(mailhub: Mailhub, state: Path) -> None:
    """What is no domain, and what is hosted already, is refused in one line."""
    at = ("--state", str(state), "domain")
    for name in ("hub.example", "two words", "[192.0.2.1]"):
        said = mailhub(*at, "add", name)
        assert said.status == 1
        assert said.err.count("\n") == 1
