"""mailhub provider, without a hub and with one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mailhub.cli import provider as module
from mailhub.policy.repute import Repute
from mailhub.queue.reputes import Reputes
from tests.cli.conftest import Mailhub


@pytest.fixture
def hub(mailhub: Mailhub, state: Path) -> Mailhub:
    """A command line about the hub of that state directory."""
    return lambda *arguments: mailhub("--state", str(state), *arguments)


@pytest.fixture
def known(state: Path) -> Reputes:
    reputes = Reputes(str(state))
    reputes.save(
        {
            ("google", ""): Repute(taken=5, reply="250 2.0.0 OK", heard=1.0),
            ("mx1.small.example mx2.small.example", ""): Repute(taken=1),
        }
    )
    return reputes


def rows(hub: Mailhub, *arguments: str) -> dict[str, Any]:
    found = hub("provider", "list", "--json", *arguments).json
    return {it["provider"]: it for it in found}


def test_list(hub: Mailhub, known: Reputes) -> None:
    """Those that mail was sent to, or all that are known."""
    assert set(rows(hub)) == {"google", "mx1.small.example mx2.small.example"}
    assert rows(hub)["google"]["taken"] == 5
    assert "yahoo" in rows(hub, "--all")
    out = hub("provider", "list").out
    assert "250 2.0.0 OK" in out
    assert "google" in out


def test_nobody(hub: Mailhub) -> None:
    """At first there is nobody."""
    assert "nothing was sent" in hub("provider", "list").out


def test_show(hub: Mailhub, known: Reputes) -> None:
    """What is configured, and how we stand."""
    out = hub("provider", "show", "google").out
    assert "messages per connection: 50" in out
    assert "last reply" in out
    shown = hub("provider", "show", "google", "--json").json
    assert shown["configured"]["connections"] == 10
    assert shown["sources"][0]["taken"] == 5
    assert "mx: *.yahoodns.net" in hub("provider", "show", "yahoo").out
    assert hub("provider", "show", "nobody").status == 1


def test_orders(hub: Mailhub, known: Reputes) -> None:
    """Orders are remembered for the hub that starts next."""
    assert hub("provider", "suspend", "google", "--for", "2h", "--why", "moving").status == 0
    it = rows(hub)["google"]
    assert (it["state"], it["why"]) == ("suspended", "moving (operator)")
    assert known.load()["google", ""].taken == 5
    assert hub("provider", "resume", "google").status == 0
    assert rows(hub)["google"]["state"] == "open"
    assert hub("provider", "pace", "google", "30").status == 0
    assert rows(hub)["google"]["rate"] == 30.0
    assert hub("provider", "pace", "google", "--forget").status == 0
    assert rows(hub)["google"]["rate"] is None
    assert hub("provider", "suspend", "yahoo").status == 0
    assert rows(hub)["yahoo"]["until"] is None


def test_mistakes(hub: Mailhub, known: Reputes) -> None:
    """One line each."""
    for arguments, status in (
        (("suspend", "nobody"), 1),
        (("suspend", "google", "--for", "2"), 2),
        (("suspend", "google", "--for", "0"), 2),
        (("suspend", "google", "--source", "three"), 1),
        (("pace", "google"), 2),
        (("pace", "google", "3", "--forget"), 2),
        (("pace", "google", "0.5"), 2),
        (("pace", "google", "nan"), 2),
        (("pace", "google", "1e400"), 2),
    ):
        result = hub("provider", *arguments)
        assert result.status == status, arguments
        assert "Traceback" not in result.err


def test_running(hub: Mailhub, known: Reputes, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that runs is asked, and told; its problems are one line."""
    asked: list[dict[str, Any]] = []
    row = rows(hub)["google"]

    def ask(path: str, request: dict[str, Any]) -> dict[str, Any]:
        asked.append(request)
        if request.get("order", {}).get("provider") == "nobody":
            return {"problem": "no provider nobody is known"}
        return {"ok": True, "rows": [{**row, "busy": 3}]}

    monkeypatch.setattr(module, "ask", ask)
    assert "3 of 10" in hub("provider", "list").out
    assert hub("provider", "suspend", "google").status == 0
    assert asked[-1]["order"]["what"] == "suspend"
    result = hub("provider", "resume", "nobody")
    assert (result.status, result.err) == (1, "mailhub: no provider nobody is known\n")
    assert known.load()["google", ""].suspended == 0
